// Checks statements.json with a second implementation of both statements, written from doc/spec/presentation.md: it must
// name the same layer for every vector, and order the public inputs alike.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { permute } from '@zkpassport/poseidon2'

const modulus = 21888242871839275222246405745257275088548364400416034343698204186575808495617n
const bits = (v, n) => v < 1n << BigInt(n)

const C4 = (a, b, c, d) => (permute([a, b, c, d])[0] + a) % modulus

function F(tag, data) {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(data.length))
  const sum = createHash('sha256').update(Buffer.from([tag.length])).update(tag).update(length).update(data).digest('hex')
  return BigInt('0x' + sum.slice(0, 62))
}

const tag = (name) => F('tag', Buffer.from(name))
const HOLDER = tag('HOLDER'), CRED = tag('CRED'), LEAF = tag('LEAF'), LINK = tag('LINK')
const ITEM = tag('ITEM'), PSEUDONYM = tag('PSEUDONYM'), SUBJECT = tag('SUBJECT')

// Refused carries the layer that refuses.
class Refused extends Error {}
const demand = (condition, layer) => { if (!condition) throw new Refused(layer) }

function element(text) {
  demand(/^[0-9a-f]{64}$/.test(text), 'encoding')
  const v = BigInt('0x' + text)
  demand(v < modulus, 'encoding')
  return v
}

function number(text, width) {
  const v = element(text)
  demand(bits(v, width), 'encoding')
  return v
}

// rootOf follows a path of exactly depth levels from a leaf.
function rootOf(path, leaf, depth, layer) {
  const index = BigInt(path.index)
  demand(path.siblings.length === depth && bits(index, 2 * depth), layer)
  return path.siblings.reduce((node, siblings, level) => {
    const children = siblings.map(element)
    children.splice(Number((index >> BigInt(2 * level)) & 3n), 0, node)
    return C4(...children)
  }, leaf)
}

// shapes are the circuits: levels of the issuer set, and clauses of each kind.
const shapes = {
  'presentation-1': { depth: 6, intervals: 6, equalities: 4, memberships: 2 },
  'presentation-small-1': { depth: 4, intervals: 2, equalities: 4, memberships: 0 },
}

const offInterval = { mode: 0, slot: 0, low: 0n, high: 0n }
const offEquality = { mode: 0, slot: 0, value: 0n }
const offMembership = { mode: 0, slot: 0, root: 0n }

function parsePublic(p) {
  demand(p.circuit === undefined || Object.hasOwn(shapes, p.circuit), 'encoding')
  const shape = shapes[p.circuit ?? 'presentation-1']
  const out = {
    shape, root: element(p.root), schema: element(p.schema), issuerSet: element(p.issuer_set), now: number(p.now, 64),
    intervals: p.intervals.map((c) => (c ? { ...c, low: number(c.low, 64), high: number(c.high, 64) } : offInterval)),
    equalities: p.equalities.map((c) => (c ? { ...c, value: element(c.value) } : offEquality)),
    memberships: p.memberships.map((c) => (c ? { ...c, root: element(c.root) } : offMembership)),
    challenge: element(p.challenge), n: number(p.n, 248), link: element(p.link), item: element(p.item),
    scope: element(p.scope), pseudonym: element(p.pseudonym),
    subjectScope: element(p.subject_scope), subjectTag: element(p.subject_tag),
  }
  for (const kind of ['intervals', 'equalities', 'memberships']) demand(out[kind].length === shape[kind], 'encoding')
  return out
}

const vectorOf = (p) => [
  p.root, p.schema, p.issuerSet, p.now,
  ...p.intervals.flatMap((c) => [BigInt(c.mode), BigInt(c.slot), c.low, c.high]),
  ...p.equalities.flatMap((c) => [BigInt(c.mode), BigInt(c.slot), c.value]),
  ...p.memberships.flatMap((c) => [BigInt(c.mode), BigInt(c.slot), c.root]),
  p.challenge, p.n, p.link, p.item, p.scope, p.pseudonym, p.subjectScope, p.subjectTag,
]

function presentation(p, w, paths) {
  const secret = element(w.master_secret), blinding = element(w.blinding), claims = w.claims.map(element)
  const from = number(w.valid_from, 64), until = number(w.valid_until, 64)
  const subjectKey = element(w.subject_key), issuer = element(w.issuer)

  const holder = C4(HOLDER, secret, blinding, 0n)
  const quarters = [0, 4, 8, 12].map((i) => C4(...claims.slice(i, i + 4)))
  const commitment = C4(CRED, holder, C4(...quarters), C4(from, until, subjectKey, element(w.salt)))
  const leaf = C4(LEAF, issuer, p.schema, commitment)
  demand(rootOf(paths[w.active_path], leaf, 18, 'P1') === p.root, 'P1')
  demand(rootOf(paths[w.issuer_path], issuer, p.shape.depth, 'P2') === p.issuerSet, 'P2')
  demand(from <= p.now && p.now <= until, 'P3')
  clauses(p, w, claims, paths)
  demand(C4(LINK, secret, p.challenge, p.n) === p.link && C4(ITEM, blinding, p.challenge, p.n) === p.item, 'P5')
  demand((p.scope === 0n ? 0n : C4(PSEUDONYM, secret, p.scope, 0n)) === p.pseudonym, 'P6')
  demand(p.subjectScope === 0n || subjectKey !== 0n, 'P7')
  demand((p.subjectScope === 0n ? 0n : C4(SUBJECT, subjectKey, p.subjectScope, 0n)) === p.subjectTag, 'P7')
}

// clauses is P4: a clause on an absent claim is false, negated or not.
function clauses(p, w, claims, paths) {
  let members = 0, holding = 0
  const clause = (c, modes, fields, condition) => {
    demand(modes.includes(c.mode) && c.slot < 16, 'P4')
    if (c.mode === 0) {
      demand(c.slot === 0 && fields.every((f) => f === 0n), 'P4')
      return
    }
    const claim = claims[c.slot]
    const truth = condition(claim) !== ((c.mode & 4) !== 0) && claim !== 0n
    if (c.mode & 1) demand(truth, 'P4')
    if (c.mode & 2) { members++; holding += truth ? 1 : 0 }
  }
  for (const c of p.intervals) {
    clause(c, [0, 1, 2, 5, 6], [c.low, c.high], (claim) => {
      demand(bits(claim, 64), 'P4') // nothing is provable about a text
      return c.low <= claim && claim <= c.high
    })
  }
  for (const c of p.equalities) clause(c, [0, 1, 2, 5, 6], [c.value], (claim) => claim === c.value)
  p.memberships.forEach((c, i) => {
    clause(c, [0, 1, 2], [c.root], (claim) => w.set_paths[i] !== null && rootOf(paths[w.set_paths[i]], claim, 6, 'P4') === c.root)
  })
  demand(members === 0 || holding > 0, 'P4')
}

// meant is what is checked outside of the circuit.
function meant(p) {
  for (const c of p.intervals) demand(c.mode === 0 || (c.low > 0n && c.low <= c.high), 'policy')
  for (const c of p.equalities) demand(c.mode === 0 || c.value !== 0n, 'policy')
  for (const c of p.memberships) demand(c.mode === 0 || c.root !== 0n, 'policy')
}

function enrolment(p, w) {
  const secret = element(w.master_secret)
  demand(C4(HOLDER, secret, element(w.blinding), 0n) === p.holderCommitment, 'E1')
  demand(p.registerScope !== 0n && C4(PSEUDONYM, secret, p.registerScope, 0n) === p.pseudonym, 'E2')
}

// layer is the layer that refuses, or nothing.
function layer(check) {
  try {
    check()
    return ''
  } catch (e) {
    if (e instanceof Refused) return e.message
    throw e
  }
}

const file = JSON.parse(readFileSync(new URL('../statements.json', import.meta.url)))
let failures = 0
const report = (kind, v, got, order) => {
  if (got !== v.expect) { failures++; console.error(`${kind}, ${v.name}: refused by "${got}", expected "${v.expect}"`) }
  if (got === '' && JSON.stringify(order().map(String)) !== JSON.stringify(v.vector.map((t) => String(BigInt('0x' + t))))) {
    failures++
    console.error(`${kind}, ${v.name}: the vector is in another order`)
  }
}

for (const v of file.presentation) {
  let p
  const got = layer(() => {
    p = parsePublic(v.public)
    presentation(p, v.private, file.paths)
    meant(p)
  })
  report('presentation', v, got, () => vectorOf(p))
}
for (const v of file.enrolment) {
  let p
  const got = layer(() => {
    p = {
      holderCommitment: element(v.public.holder_commitment), registerScope: element(v.public.register_scope),
      pseudonym: element(v.public.pseudonym), challenge: element(v.public.challenge),
    }
    enrolment(p, v.private)
  })
  report('enrolment', v, got, () => [p.holderCommitment, p.registerScope, p.pseudonym, p.challenge])
}
console.log(`statements.json: ${file.presentation.length + file.enrolment.length} vectors, ${failures} failures`)
process.exit(failures === 0 ? 0 : 1)
