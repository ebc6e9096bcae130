// Policies, statements and their public inputs, written from doc/spec/policy.md. tools are what encodings.mjs computes.

const forms = (c) => [
  c.at_least !== undefined || c.at_most !== undefined, c.at_least_ago !== undefined, c.within_last !== undefined,
  c.equals !== undefined, c.in !== undefined, c.present === true,
].filter(Boolean).length

// shapes are what the circuits have room for.
const shapes = {
  'presentation-1': { depth: 6, intervals: 6, equalities: 4, memberships: 2 },
  'presentation-small-1': { depth: 4, intervals: 2, equalities: 4, memberships: 0 },
}

const period = /^P(?=\d)(?:([1-9]\d{0,3})Y)?(?:([1-9]\d{0,3})M)?(?:([1-9]\d{0,4})D)?$/

function validateClause(c, { demand }) {
  demand(forms(c) === 1, 'exactly one form')
  demand(!(c.not && (c.in || c.present)), 'cannot be negated')
  demand(c.equals === undefined || ['string', 'boolean'].includes(typeof c.equals), 'equals')
  for (const p of [c.at_least_ago, c.within_last]) demand(p === undefined || period.test(p), 'period')
}

function validateScope(s, { demand, plainName }) {
  if (s === undefined) return
  demand((s.service === undefined) !== (s.shared_entry === undefined), 'scope')
  demand(s.service === undefined || plainName.test(s.service), 'service')
}

function validateQuery(q, tools) {
  const { demand, plainName } = tools
  demand(q.circuit === undefined || (q.circuit !== 'presentation-1' && plainName.test(q.circuit)), 'circuit')
  demand(q.issuers.length <= 4096, 'too many issuers')
  demand(plainName.test(q.id) && q.issuers.length >= 1 && q.issuers.every((d, i) => plainName.test(d) && (i === 0 || q.issuers[i - 1] < d)), 'issuers')
  demand(Array.isArray(q.clauses) && q.clauses.length <= 12, 'clauses')
  q.clauses.forEach((c) => validateClause(c, tools))
  validateScope(q.scope, tools)
  validateScope(q.subject_scope, tools)
}

export function validatePolicy(p, tools) {
  const { demand, plainName } = tools
  demand(p.version === 1 && plainName.test(p.id) && p.verifier.startsWith('did:'), 'names')
  demand((p.name.en || p.name['zh-CN']) && (p.purpose.en || p.purpose['zh-CN']), 'texts')
  demand(p.freshness_seconds >= 1 && p.freshness_seconds <= 604800, 'freshness')
  demand(p.queries.length >= 1 && p.queries.length <= 4, 'queries')
  p.queries.forEach((q) => validateQuery(q, tools))
}

// before takes years and months first, staying within the month, then days.
function before(text, now, { demand }) {
  const [, years = 0, months = 0, days = 0] = period.exec(text).map((n) => (n === undefined ? undefined : Number(n)))
  const from = new Date(now * 1000)
  const month = from.getUTCFullYear() * 12 + from.getUTCMonth() - 12 * years - months
  const then = new Date(from)
  then.setUTCFullYear(Math.floor(month / 12), month - 12 * Math.floor(month / 12) + 1, 0) // the month's last day
  then.setUTCDate(Math.min(from.getUTCDate(), then.getUTCDate()))
  then.setUTCDate(then.getUTCDate() - days)
  demand(then.getUTCFullYear() >= 0 && then.getUTCFullYear() <= 9999, 'outside the calendar')
  return then
}

function claimOf(schema, name, { demand }) {
  const slot = schema.claims.findIndex((c) => c.name === name)
  demand(slot >= 0, `no claim ${name}`)
  return { slot, claim: schema.claims[slot] }
}

function resolveClause(c, now, schema, tools) {
  const { claim } = claimOf(schema, c.claim, tools)
  const text = c.at_least_ago ?? c.within_last
  if (text === undefined) return c
  tools.demand(claim.type === 'date' || claim.type === 'datetime', 'periods are for dates')
  const format = (d) => (claim.type === 'date' ? d.toISOString().slice(0, 10) : d.toISOString().slice(0, 19) + 'Z')
  const then = format(before(text, now, tools))
  return c.at_least_ago ? { ...c, at_most: then } : { ...c, at_least: then, at_most: format(new Date(now * 1000)) }
}

export function resolve(policy, digest, now, schemas, tools) {
  return policy.queries.map((q) => {
    tools.demand(schemas.has(q.schema), 'schema')
    const out = {
      version: 1, verifier: policy.verifier, policy: digest, query: q.id, now, freshness_seconds: policy.freshness_seconds, schema: q.schema,
      issuers: q.issuers, clauses: q.clauses.map((c) => resolveClause(c, now, schemas.get(q.schema), tools)),
    }
    for (const name of ['circuit', 'disclose', 'scope', 'subject_scope']) if (q[name] !== undefined) out[name] = q[name]
    return out
  })
}

export function validateStatement(s, schema, tools) {
  const { demand } = tools
  demand(s.version === 1 && s.now >= -62167219200 && s.now <= 253402300799, 'version or time')
  const bare = s.clauses.map((c) => {
    if (c.at_least_ago === undefined && c.within_last === undefined) return c
    const { at_least, at_most, ...rest } = c
    return rest
  })
  validateQuery({ ...s, id: s.query, clauses: bare }, tools)
  bare.forEach((c, i) => {
    const again = resolveClause(c, s.now, schema, tools)
    demand(again.at_least === s.clauses[i].at_least && again.at_most === s.clauses[i].at_most, 'bounds of a period')
  })
}

function scopeOf(s, verifier, genesis, { hash }) {
  if (s === undefined) return 0n
  return hash('scope', s.shared_entry !== undefined ? ['shared', genesis, s.shared_entry] : ['verifier', verifier, s.service])
}

export function compile(s, { schema, issuers, disclosed, genesis }, tools) {
  const { demand, F, setRoot, encodeClaim } = tools
  validateStatement(s, schema, tools)
  const circuit = s.circuit ?? 'presentation-1'
  demand(Object.hasOwn(shapes, circuit), 'circuit')
  const room = shapes[circuit]
  demand(s.issuers.length <= 4 ** room.depth, 'too many issuers')
  const intervals = [], equalities = [], memberships = []
  const impossible = (claim) => (claim.type === 'string' || claim.type === 'enum' ? 1n : F('impossible', Buffer.alloc(0)))
  for (const c of s.clauses) {
    const { slot, claim } = claimOf(schema, c.claim, tools)
    const mode = BigInt((c.any_of ? 2 : 1) + (c.not || c.present ? 4 : 0)), at = BigInt(slot)
    if (c.at_least !== undefined || c.at_most !== undefined) {
      demand(['integer', 'date', 'datetime'].includes(claim.type), 'bounds')
      const low = c.at_least === undefined ? 1n : encodeClaim(claim, c.at_least)
      const high = c.at_most === undefined ? (1n << 64n) - 1n : encodeClaim(claim, c.at_most)
      demand(low <= high, 'empty interval')
      intervals.push([mode, at, low, high])
    } else if (c.in !== undefined) {
      memberships.push([mode, at, setRoot(c.in.map((v) => encodeClaim(claim, v)))])
    } else {
      equalities.push([mode, at, c.present ? impossible(claim) : encodeClaim(claim, c.equals)])
    }
  }
  const asked = s.disclose ?? []
  demand(disclosed === null || Object.keys(disclosed).length === asked.length, 'number of disclosed values')
  for (const name of asked) {
    const { slot, claim } = claimOf(schema, name, tools)
    demand(disclosed === null || name in disclosed, 'disclosed value missing')
    equalities.push([1n, BigInt(slot), disclosed === null ? impossible(claim) : encodeClaim(claim, disclosed[name])])
  }
  demand(intervals.length <= room.intervals && equalities.length <= room.equalities && memberships.length <= room.memberships, 'room')
  demand(!s.scope?.once || (schema.one_per_person && (schema.enrolment_register !== 'issuer' || s.issuers.length === 1)), 'once per person')
  demand(!s.subject_scope || (schema.subject_register && (schema.subject_register !== 'issuer' || s.issuers.length === 1)), 'subject register')
  demand(issuers.every((d) => s.issuers.includes(d)), 'issuer')
  while (intervals.length < 6) intervals.push([0n, 0n, 0n, 0n])
  while (equalities.length < 4) equalities.push([0n, 0n, 0n])
  while (memberships.length < 2) memberships.push([0n, 0n, 0n])
  return {
    issuer_set: setRoot(issuers.map((d) => F('issuer', Buffer.from(d))), room.depth), now: BigInt(s.now) + (1n << 63n),
    clauses: [intervals, equalities, memberships].flat(2),
    scope: scopeOf(s.scope, s.verifier, genesis, tools), subject_scope: scopeOf(s.subject_scope, s.verifier, genesis, tools),
  }
}
