// Policies, statements and their public inputs, written from doc/spec/policy.md. tools are what encodings.mjs computes.

const forms = (c) => [
  c.at_least !== undefined || c.at_most !== undefined, c.at_least_ago !== undefined, c.within_last !== undefined,
  c.equals !== undefined, c.in !== undefined, c.in_set !== undefined, c.present === true,
].filter(Boolean).length

// shapes are what the circuits have room for.
const shapes = {
  'presentation-1': { depth: 6, intervals: 6, equalities: 4, memberships: 2 },
  'presentation-small-1': { depth: 4, intervals: 2, equalities: 4, memberships: 0 },
}

const period = /^P(?=\d)(?:([1-9]\d{0,3})Y)?(?:([1-9]\d{0,3})M)?(?:([1-9]\d{0,4})D)?$/

function validateClause(c, { demand }) {
  demand(forms(c) === 1, 'exactly one form')
  demand(!(c.not && (c.in || c.in_set || c.present)), 'cannot be negated')
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
  demand(plainName.test(q.id), 'id')
  demand((q.issuers === undefined) !== (q.issuer_set === undefined), 'issuers or a set of them')
  if (q.issuers !== undefined) demand(q.issuers.length >= 1 && q.issuers.length <= 4096 && q.issuers.every((d, i) => plainName.test(d) && (i === 0 || q.issuers[i - 1] < d)), 'issuers')
  demand(Array.isArray(q.clauses) && q.clauses.length <= 12, 'clauses')
  q.clauses.forEach((c) => validateClause(c, tools))
  validateScope(q.scope, tools)
  validateScope(q.subject_scope, tools)
  demand(!q.companion || (!q.scope && !q.subject_scope), 'a companion has no tags')
}

export function validatePolicy(p, tools) {
  const { demand, plainName } = tools
  demand(p.version === 1 && plainName.test(p.id) && p.verifier.startsWith('did:'), 'names')
  demand((p.name.en || p.name['zh-CN']) && (p.purpose.en || p.purpose['zh-CN']), 'texts')
  demand(p.freshness_seconds >= 1 && p.freshness_seconds <= 604800, 'freshness')
  demand(p.queries.length >= 1 && p.queries.length <= 4, 'queries')
  p.queries.forEach((q) => validateQuery(q, tools))
  demand(p.queries.length === 1 || p.queries.every((q) => !q.companion), 'companions in a policy of one query')
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
      clauses: q.clauses.map((c) => resolveClause(c, now, schemas.get(q.schema), tools)),
    }
    for (const name of ['circuit', 'issuers', 'issuer_set', 'disclose', 'companion', 'scope', 'subject_scope']) if (q[name] !== undefined) out[name] = q[name]
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

// validateSet checks a set document, as parsed and as text.
export function validateSet(d, text, { demand, plainName, canonicalize }) {
  demand(canonicalize(d) === text && Buffer.byteLength(text) <= 262144, 'not canonical, or too large')
  demand(Object.keys(d).sort().join() === 'kind,members,name,version' && d.version === 1 && ['issuers', 'values'].includes(d.kind), 'members, version or kind')
  const line = (s) => !/[\u0000-\u001f\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/u.test(s)
  const texts = Object.entries(d.name)
  demand(texts.some(([, t]) => t !== '') && texts.every(([l, t]) => ['en', 'zh-CN'].includes(l) && line(t) && Buffer.byteLength(t) <= 1000), 'name')
  demand(Array.isArray(d.members) && d.members.length >= 1 && d.members.length <= 4096, 'members')
  d.members.forEach((m, i) => {
    demand(typeof m === 'string' && m !== '' && Buffer.byteLength(m) <= 1000 && line(m), 'member')
    demand(i === 0 || Buffer.compare(Buffer.from(d.members[i - 1]), Buffer.from(m)) < 0, 'order')
    demand(d.kind === 'values' || (m.startsWith('did:') && plainName.test(m)), 'DID')
  })
}

export function compile(s, { schema, issuers, disclosed, genesis, sets }, tools) {
  const { demand, F, setRoot, encodeClaim } = tools
  validateStatement(s, schema, tools)
  const circuit = s.circuit ?? 'presentation-1'
  demand(Object.hasOwn(shapes, circuit), 'circuit')
  const room = shapes[circuit]
  const listed = (digest, kind) => {
    demand(sets.get(digest)?.kind === kind, `no set of ${kind}`)
    return sets.get(digest).members
  }
  const accepted = s.issuers ?? listed(s.issuer_set, 'issuers')
  demand(accepted.length <= 4 ** room.depth, 'too many issuers')
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
    } else if (c.in !== undefined || c.in_set !== undefined) {
      memberships.push([mode, at, setRoot((c.in ?? listed(c.in_set, 'values')).map((v) => encodeClaim(claim, v)))])
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
  demand(!s.scope?.once || (schema.one_per_person && (schema.enrolment_register !== 'issuer' || accepted.length === 1)), 'once per person')
  demand(!s.subject_scope || (schema.subject_register && (schema.subject_register !== 'issuer' || accepted.length === 1)), 'subject register')
  demand(issuers.every((d) => accepted.includes(d)), 'issuer')
  while (intervals.length < 6) intervals.push([0n, 0n, 0n, 0n])
  while (equalities.length < 4) equalities.push([0n, 0n, 0n])
  while (memberships.length < 2) memberships.push([0n, 0n, 0n])
  return {
    issuer_set: setRoot(issuers.map((d) => F('issuer', Buffer.from(d))), room.depth), now: BigInt(s.now) + (1n << 63n),
    clauses: [intervals, equalities, memberships].flat(2),
    scope: scopeOf(s.scope, s.verifier, genesis, tools), subject_scope: scopeOf(s.subject_scope, s.verifier, genesis, tools),
  }
}
