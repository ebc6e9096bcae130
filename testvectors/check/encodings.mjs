// Checks c4.json, encodings.json, canonical-json.json, trees.json and policies.json with a second implementation, written
// from doc/spec/encodings.md and doc/spec/policy.md: it computes every value anew, and accepts and refuses alike.
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { permute } from '@zkpassport/poseidon2'
import canonicalize from 'canonicalize'
import { parseJSON } from './lib/strict-json.mjs'
import { resolve, compile, validatePolicy, validateSet, validateStatement } from './lib/policy.mjs'

const modulus = 21888242871839275222246405745257275088548364400416034343698204186575808495617n
const read = (name) => JSON.parse(readFileSync(new URL(`../${name}.json`, import.meta.url), 'utf8'))
const hex = (v) => v.toString(16).padStart(64, '0')
const int = (digits) => BigInt('0x' + (digits || '0'))

let count = 0
function equal(what, got, want) {
  count++
  if (got !== want) throw new Error(`${what}: ${got}, want ${want}`)
}

// judge runs a computation that is good or bad as the vector says, and returns what it computed.
function judge(what, vector, compute) {
  count++
  let result
  try {
    result = compute()
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    if (vector.expect === '') throw new Error(`${what}: refused: ${error.message}`)
    return undefined
  }
  if (vector.expect !== '') throw new Error(`${what}: accepted, want a refusal by ${vector.expect}`)
  return result
}

class Refused extends Error {}
const demand = (condition, message) => { if (!condition) throw new Refused(message) }

// --- elements, C4, F -------------------------------------------------------------------------------------------------

const C4 = (a, b, c, d) => (permute([a, b, c, d])[0] + a) % modulus

function F(tag, data) {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(data.length))
  const message = Buffer.concat([Buffer.from([Buffer.byteLength(tag)]), Buffer.from(tag), length, data])
  return int(createHash('sha256').update(message).digest('hex').slice(0, 62))
}

const hash = (tag, value) => F(tag, Buffer.from(canonicalize(value)))
const tag = (name) => F('tag', Buffer.from(name))

function element(bytes) {
  demand(bytes.length === 32, 'length')
  const v = int(bytes.toString('hex'))
  demand(v < modulus, 'not below the modulus')
  return v
}

function elementText(text) {
  demand(/^[A-Za-z0-9_-]{43}$/.test(text), 'not base64url of 32 bytes')
  const bytes = Buffer.from(text, 'base64url')
  demand(bytes.toString('base64url') === text, 'trailing bits')
  return element(bytes)
}

// --- claims ----------------------------------------------------------------------------------------------------------

const offset = 1n << 63n

function number(v) {
  demand(v > -offset && v < offset, 'outside 64 bits')
  return v + offset
}

function seconds(year, month, day, hour, minute, second) {
  const at = new Date(0)
  at.setUTCFullYear(year, month - 1, day)
  at.setUTCHours(hour, minute, second)
  demand(at.getUTCFullYear() === year && at.getUTCMonth() === month - 1 && at.getUTCDate() === day, 'no such day')
  demand(hour < 24 && minute < 60 && second < 60, 'no such time')
  return BigInt(at.getTime()) / 1000n
}

function text(s) {
  demand(s !== '' && Buffer.byteLength(s) <= 1024 && s.normalize('NFC') === s && s.isWellFormed() && !s.includes('\ufffd'), 'text')
  return F('claim', Buffer.from(s))
}

function encodeClaim(claim, value) {
  if (claim.type === 'boolean') {
    demand(typeof value === 'boolean', 'not true or false')
    return value ? 2n : 1n
  }
  demand(typeof value === 'string', 'not a string')
  let m
  switch (claim.type) {
    case 'integer': {
      const scale = claim.scale ?? 0
      demand(new RegExp(`^-?(0|[1-9][0-9]*)${scale ? `\\.[0-9]{${scale}}` : ''}$`).test(value), 'not a decimal')
      const v = BigInt(value.replace('.', '').replace(/^(-?)0+(?=[0-9])/, '$1').replace(/^-0$/, '0'))
      demand(v !== 0n || value[0] !== '-', 'minus zero')
      return number(v)
    }
    case 'date':
      demand(m = /^(\d{4})-(\d\d)-(\d\d)$/.exec(value), 'not a date')
      return number(seconds(+m[1], +m[2], +m[3], 0, 0, 0) / 86400n)
    case 'datetime':
      demand(m = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/.exec(value), 'not a time')
      return number(seconds(...m.slice(1).map(Number)))
    case 'string':
      return text(value)
    case 'enum':
      demand(claim.values.includes(value), 'foreign value')
      return text(value)
  }
  throw new Refused('unknown type')
}

// --- schemas and credentials -----------------------------------------------------------------------------------------

const plainName = /^[A-Za-z0-9][A-Za-z0-9:._/%-]{0,254}$/

function schemaID(schema) {
  demand(plainName.test(schema.type) && plainName.test(schema.enrolment_register), 'names')
  demand(schema.claims.length >= 1 && schema.claims.length <= 16, 'number of claims')
  demand(new Set(schema.claims.map((c) => c.name)).size === schema.claims.length, 'a claim twice')
  for (const c of schema.claims) {
    demand(/^[a-z][a-z0-9_]{0,63}$/.test(c.name), 'claim name')
    demand(['integer', 'date', 'datetime', 'boolean', 'string', 'enum'].includes(c.type), 'type')
    demand(c.scale === undefined || (c.type === 'integer' && c.scale >= 1 && c.scale <= 9), 'scale')
    demand((c.type === 'enum') === (c.values !== undefined), 'values')
  }
  const { display, ...bare } = schema
  bare.claims = schema.claims.map(({ display, unit, labels, ...claim }) => claim)
  return hash('schema', bare)
}

function checkCredential(v) {
  const get = (name) => int(v[name])
  const [s, r, k, challenge, n, scope] = ['master_secret', 'blinding', 'subject_key', 'challenge', 'n', 'scope'].map(get)
  const slots = Array(16).fill(0n)
  v.schema.claims.forEach((c, i) => { if (c.name in v.claims) slots[i] = encodeClaim(c, v.claims[c.name]) })
  const quarters = [0, 4, 8, 12].map((i) => C4(...slots.slice(i, i + 4)))
  const time = (t) => encodeClaim({ type: 'datetime' }, t)
  const hc = C4(tag('HOLDER'), s, r, 0n), A = C4(...quarters)
  const m = C4(time(v.valid_from), time(v.valid_until), k, int(v.salt))
  const C = C4(tag('CRED'), hc, A, m), issuer = F('issuer', Buffer.from(v.issuer)), schema = schemaID(v.schema)
  const want = {
    holder_commitment: hc, claims_root: A, envelope: m, commitment: C, issuer_id: issuer, schema_id: schema,
    leaf: C4(tag('LEAF'), issuer, schema, C), link: C4(tag('LINK'), s, challenge, n), item: C4(tag('ITEM'), r, challenge, n),
    pseudonym: scope ? C4(tag('PSEUDONYM'), s, scope, 0n) : 0n, subject_tag: scope ? C4(tag('SUBJECT'), k, scope, 0n) : 0n,
  }
  equal(`${v.name}: slots`, slots.map(hex).join(), v.slots.join())
  for (const [name, value] of Object.entries(want)) equal(`${v.name}: ${name}`, hex(value), v[name])
}

// --- trees -----------------------------------------------------------------------------------------------------------

const emptyRoots = [0n]
while (emptyRoots.length <= 18) { const e = emptyRoots.at(-1); emptyRoots.push(C4(e, e, e, e)) }

// rootOf hashes the nodes of a level that are not pad, up some levels.
function rootOf(nodes, levels, pad) {
  let level = new Map(nodes)
  for (let l = 0; l < levels; l++) {
    const up = new Map()
    for (const index of level.keys()) {
      const parent = index / 4n
      if (!up.has(parent)) up.set(parent, C4(...[0n, 1n, 2n, 3n].map((i) => level.get(parent * 4n + i) ?? pad)))
    }
    pad = C4(pad, pad, pad, pad)
    level = up
  }
  return level.get(0n) ?? pad
}

function setRoot(elements, depth = 6) {
  const members = [...new Set(elements)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  demand(members.length >= 1 && members.length <= 4 ** depth && members[0] !== 0n, 'members')
  return rootOf(members.map((m, i) => [BigInt(i), m]), depth, members.at(-1))
}

function checkPath(v) {
  const index = BigInt(v.index)
  demand(v.siblings.length === v.depth && index < 1n << BigInt(2 * v.depth) && int(v.leaf) !== 0n, 'shape')
  const root = v.siblings.reduce((node, siblings, level) => {
    const children = siblings.map(int)
    children.splice(Number((index >> BigInt(2 * level)) & 3n), 0, node)
    return C4(...children)
  }, int(v.leaf))
  demand(root === int(v.root), 'root')
}

function checkTile(v) {
  const data = Buffer.from(v.data, 'hex'), width = v.row === 4 ? 16 : 256, empty = emptyRoots[4 * v.row]
  demand(data.length % 32 === 0 && data.length <= 32 * width, 'length')
  const leaves = []
  for (let i = 0; i < data.length; i += 32) leaves.push(element(data.subarray(i, i + 32)))
  demand(leaves.at(-1) !== empty, 'trailing empty leaf')
  demand(rootOf(leaves.map((l, i) => [BigInt(i), l]), v.row === 4 ? 2 : 4, empty) === int(v.root), 'name')
}

// --- the files -------------------------------------------------------------------------------------------------------

function section(name, check) {
  count = 0
  check()
  console.log(`${name}: ${count} checked`)
}

section('c4.json', () => read('c4').forEach((v, i) => equal(`C4 ${i}`, hex(C4(...v.in.map(int))), v.out)))

const encodings = read('encodings')
section('encodings.json', () => {
  for (const v of encodings.elements) {
    const got = judge(v.name, v, () => (v.text !== undefined ? elementText(v.text) : element(Buffer.from(v.bytes, 'hex'))))
    if (got !== undefined) equal(v.name, hex(got), v.element)
  }
  for (const v of encodings.f) equal(`F ${v.tag}`, hex(F(v.tag, Buffer.from(v.data, 'hex'))), v.out)
  for (const v of encodings.tags) equal(v.name, hex(tag(v.name)), v.out)
  for (const v of encodings.claims) {
    const got = judge(`claim ${v.name}`, v, () => encodeClaim(v, v.value))
    if (got !== undefined) equal(`claim ${v.name}`, hex(got), v.element)
  }
  for (const v of encodings.times) equal(v.time, String(encodeClaim({ type: 'datetime' }, v.time)), v.encoded)
  for (const v of encodings.schemas) {
    const got = judge(`schema ${v.name}`, v, () => schemaID(v.schema))
    if (got !== undefined) equal(`schema ${v.name}`, hex(got), v.id)
  }
  for (const v of encodings.scopes) equal('scope', hex(hash('scope', v.json)), v.out)
  for (const v of encodings.subject_keys) {
    const mac = createHmac('sha256', Buffer.from(v.register_key, 'hex')).update(canonicalize([v.register, v.subject])).digest('hex')
    equal(`subject ${v.subject}`, hex(int(mac.slice(0, 62))), v.out)
  }
  encodings.credentials.forEach(checkCredential)
})

section('canonical-json.json', () => {
  for (const v of read('canonical-json')) {
    const got = judge(v.name, v, () => canonicalize(parseJSON(v.in_hex ? Buffer.from(v.in_hex, 'hex') : Buffer.from(v.in), demand)))
    if (got !== undefined) equal(v.name, got, v.out)
  }
})

section('trees.json', () => {
  const trees = read('trees')
  emptyRoots.forEach((root, l) => equal(`empty root ${l}`, hex(root), trees.empty_roots[l]))
  for (const v of trees.sets) {
    const got = judge(`set ${v.name}`, v, () => setRoot(v.members.map(int)))
    if (got !== undefined) equal(`set ${v.name}`, hex(got), v.root)
  }
  for (const v of trees.active) equal(`active ${v.name}`, hex(rootOf(v.leaves.map((l) => [BigInt(l.index), int(l.leaf)]), 18, 0n)), v.root)
  for (const v of trees.tiles) judge(`tile ${v.name}`, v, () => checkTile(v))
  for (const v of trees.paths) judge(`path ${v.name}`, v, () => checkPath(v))
})

section('policies.json', () => {
  const { schemas, sets: documents, policies, statements } = read('policies')
  const tools = { demand, hash, F, setRoot, encodeClaim, plainName, canonicalize }
  const sets = new Map()
  for (const v of documents) {
    equal(`set ${v.name}: digest`, createHash('sha256').update(v.document).digest('base64url'), v.digest)
    judge(`set ${v.name}`, v, () => {
      const d = parseJSON(Buffer.from(v.document), demand)
      validateSet(d, v.document, tools)
      sets.set(v.digest, d)
    })
  }
  const byID = new Map(Object.values(schemas).map((s) => [Buffer.from(hex(schemaID(s)), 'hex').toString('base64url'), s]))
  // at runs one step, which must refuse if the vector names it.
  const at = (layer, v, step) => judge(`${v.name}: ${layer}`, { expect: v.expect === layer ? layer : '' }, step)
  for (const v of policies) {
    at('policy', v, () => validatePolicy(v.policy, tools))
    if (v.expect === 'policy') continue
    equal(`${v.name}: digest`, createHash('sha256').update(canonicalize(v.policy)).digest('base64url'), v.digest)
    const resolved = at('resolve', v, () => resolve(v.policy, v.digest, v.now, byID, tools))
    resolved?.forEach((statement, i) => {
      equal(`${v.name}: statement`, canonicalize(statement), v.statements[i])
      const context = v.contexts[i], schema = schemas[context.schema]
      const inputs = at('compile', v, () => compile(statement, { ...context, schema, sets, genesis: v.genesis }, tools))
      if (inputs === undefined) return
      inputs.schema = schemaID(schema)
      for (const [name, value] of Object.entries(v.inputs[i])) {
        equal(`${v.name}: ${name}`, [inputs[name]].flat().map(hex).join(), [value].flat().join())
      }
    })
  }
  for (const v of statements) judge(v.name, v, () => validateStatement(JSON.parse(v.statement), schemas[v.schema], tools))
})
