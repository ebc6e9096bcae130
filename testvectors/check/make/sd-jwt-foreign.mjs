// Makes ../../sd-jwt-foreign.json: credentials and status lists by the libraries of the OpenWallet Foundation, for our Go
// code to read. Keys, salts and ES256 are random, so the file is never the same twice: it is made once, by
//
//   node make/sd-jwt-foreign.mjs
//
// and again only when a library or the form of the vectors changes.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { StatusList, createHeaderAndPayload } from '@owf/token-status-list'

const now = 1780315200 // 2026-06-01T12:00:00Z
const issuer = 'https://register.example', type = 'https://register.example/types/person/1'
const uri = 'https://register.example/status/9'
const audience = 'x509_hash:library', nonce = 'TmljaHQgc28gZ2VoZWltIQ'

const algorithms = {
  EdDSA: () => generateKeyPairSync('ed25519'),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
}

// newKey is a key with its public JWK, RFC 7638 thumbprint and a function that signs.
function newKey(alg) {
  const { publicKey, privateKey } = algorithms[alg]()
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  const jwk = y === undefined ? { crv, kty, x } : { crv, kty, x, y }
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
  const signer = (data) =>
    sign(alg === 'ES256' ? 'sha256' : null, Buffer.from(data), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')
  return { alg, jwk, kid, signer }
}

const frame = {
  _sd: ['given_name', 'born', 'address'], _sd_decoy: 2,
  address: { _sd: ['street'] },
  languages: { _sd: [0, 2], _sd_decoy: 1 },
}

async function credentials(key, holder) {
  const instance = new SDJwtVcInstance({
    signer: key.signer, signAlg: key.alg, kbSigner: holder.signer, kbSignAlg: holder.alg, hashAlg: 'sha-256',
    hasher: (data) => new Uint8Array(createHash('sha256').update(data).digest()),
    saltGenerator: () => randomBytes(16).toString('base64url'),
  })
  const claims = {
    given_name: '丽', born: 1990, address: { city: 'Köln', street: 'Lange Straße 1' }, languages: ['de', 'zh', 'en'], member: true,
  }
  const text = await instance.issue({
    iss: issuer, vct: type, iat: now - 60, nbf: now - 60, exp: now + 86400, cnf: { jwk: { ...holder.jwk, use: 'sig' } },
    status: { status_list: { idx: 77, uri } }, ...claims,
  }, frame, { header: { kid: key.kid } })
  const payload = { iat: now, aud: audience, nonce }
  const present = (shown) => instance.present(text, shown, { kb: { payload } })
  const base = { type, now, status: { idx: 77, uri }, expect: '' }
  const bound = { ...base, audience, nonce }
  return [
    { name: 'as issued', text, ...base, claims },
    { name: 'nothing is disclosed', text: await present({}), ...bound, claims: { languages: ['zh'], member: true } },
    {
      name: 'a number and an element of a list', text: await present({ born: true, languages: { 2: true } }), ...bound,
      claims: { born: 1990, languages: ['zh', 'en'], member: true },
    },
    {
      name: 'a hidden claim in a hidden object', text: await present({ address: { street: true } }), ...bound,
      claims: { address: claims.address, languages: ['zh'], member: true },
    },
    {
      name: 'for another nonce', text: await instance.present(text, {}, { kb: { payload: { ...payload, nonce: 'x' } } }), ...bound, expect: 'binding',
    },
  ]
}

function lists(key) {
  return [1, 2, 4, 8].map((bits) => {
    const statuses = Object.fromEntries([0, 1, 77, 500, 1022, 1023].map((index, i) => [index, i % 2 ** bits]))
    const list = new StatusList(Array.from({ length: 1024 }, (_, index) => statuses[index] ?? 0), bits)
    const { header, payload } = createHeaderAndPayload(list, { iss: issuer, sub: uri, iat: now - 60, exp: now + 3600, ttl: 300 }, { alg: key.alg, kid: key.kid })
    const message = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    return { name: `statuses of ${bits} bits`, token: `${message}.${key.signer(message)}`, uri, now, bits, capacity: 1024, statuses, expect: '' }
  })
}

const out = []
for (const alg of Object.keys(algorithms)) {
  const key = newKey(alg)
  out.push({ issuer, issuer_key: key.jwk, credentials: await credentials(key, newKey(alg)), lists: lists(key) })
}
const escape = (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
writeFileSync(new URL('../../sd-jwt-foreign.json', import.meta.url), JSON.stringify(out, null, 1).replace(/[\u0080-\uffff]/g, escape) + '\n')
