// A wallet that is not ours: the OpenID4VP client of the OpenWallet Foundation, @openid4vc/openid4vp, with npm's jose for
// signatures and encryption. TestForeignWallet in wallet starts it with one argument, {"link", "keys", "post", "encrypt"} in
// JSON, and they talk by JSON lines:
//
//   out {"request": {…}}  the request as this wallet read it; in: {"good", "other"}, what our wallet proved for this request and
//                         for another one
//   out {"end": {…}}      what came of submitting it
//
// keys are those that the chain registers for the verifier: no other source of trust is asked. On its way it tries what must
// be refused, and ends with an error where it is not, or not by our code.
import { createHash, randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { clientAuthenticationAnonymous, setGlobalConfig } from '@openid4vc/oauth2'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import { CompactEncrypt, calculateJwkThumbprint, compactVerify, exportJWK, generateKeyPair, importJWK, importX509 } from 'jose'

const { link, keys, post, encrypt } = JSON.parse(process.argv[2])
setGlobalConfig({ allowInsecureUrls: true }) // the verifier is on loopback

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
async function ask(question) {
  console.log(JSON.stringify(question))
  return JSON.parse((await lines.next()).value)
}

const registered = new Map()
for (const jwk of keys) registered.set(await calculateJwkThumbprint(jwk), jwk)

// keyOf is the key that a request says it is signed with.
async function keyOf(signer, header) {
  if (signer.method === 'x5c') {
    const pem = `-----BEGIN CERTIFICATE-----\n${signer.x5c[0]}\n-----END CERTIFICATE-----`
    return exportJWK(await importX509(pem, header.alg, { extractable: true }))
  }
  if (signer.method === 'did') {
    const [did, fragment] = signer.didUrl.split('#')
    if (did.startsWith('did:jwk:') && fragment === '0') return JSON.parse(Buffer.from(did.slice('did:jwk:'.length), 'base64url'))
    return registered.get(fragment)
  }
  return registered.get(header.kid)
}

const never = (what) => () => { throw new Error(`${what} was not asked for`) }
const walletNonce = randomBytes(32).toString('base64url')
let refusedNonce = false
const callbacks = {
  // This client (0.4.6) posts its metadata without the parameters that the standard has for it, and no nonce: added here.
  fetch: (address, init) => {
    if (init?.method === 'post' && String(address).includes('/requests/')) {
      init = { ...init, method: 'POST', body: `${init.body}&wallet_nonce=${walletNonce}` }
    }
    return fetch(address, { redirect: 'error', ...init })
  },
  hash: (data, alg) => new Uint8Array(createHash(alg.replace('-', '')).update(data).digest()),
  generateRandom: (n) => new Uint8Array(randomBytes(n)),
  clientAuthentication: clientAuthenticationAnonymous(),
  getX509CertificateMetadata: () => ({ sanDnsNames: [], sanUriNames: [] }),
  verifyJwt: async (signer, { compact, header }) => {
    const jwk = await keyOf(signer, header)
    if (!jwk || !registered.has(await calculateJwkThumbprint(jwk))) return { verified: false }
    await compactVerify(compact, await importJWK(jwk, header.alg), { algorithms: [header.alg] })
    return { verified: true, signerJwk: jwk }
  },
  encryptJwe: async ({ publicJwk, alg, enc, apv }, text) => {
    const jwe = await new CompactEncrypt(Buffer.from(text)).setProtectedHeader({ alg, enc, kid: publicJwk.kid })
      .setKeyManagementParameters({ apv: Buffer.from(apv, 'base64url') }).encrypt(await importJWK(publicJwk, alg))
    return { encryptionJwk: publicJwk, jwe }
  },
  signJwt: never('signJwt'), decryptJwe: never('decryptJwe'),
}
const client = new Openid4vpClient({ callbacks })

const metadata = { vp_formats_supported: { 'vnd.bulla.zkc+json': {} }, client_id_prefixes_supported: ['x509_hash', 'decentralized_identifier'] }
const resolve = (expectedNonce) => {
  const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: link })
  return client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params, wallet: { metadata, expectedNonce } })
}
await resolve('another').catch(() => { refusedNonce = true })
if (!refusedNonce) throw new Error('a request for another wallet is taken')
const resolved = await resolve(post ? walletNonce : undefined)
const request = resolved.authorizationRequestPayload
const { good, other } = await ask({ request })

const jarm = encrypt && {
  encryption: {},
  serverMetadata: { authorization_encryption_alg_values_supported: ['ECDH-ES'], authorization_encryption_enc_values_supported: [encrypt] },
}
// submit makes a response and sends it; change spoils it before it is encrypted, spoil after.
async function submit(token, { key, state = request.state, plain, spoil } = {}) {
  const options = jarm && !plain ? { ...jarm, encryption: key ? { jwk: key } : {} } : undefined
  const asked = { ...request, state, ...(plain ? { response_mode: 'direct_post' } : {}) }
  const response = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: asked, authorizationResponsePayload: { vp_token: token }, jarm: options,
  })
  if (response.jarm && spoil) response.jarm.responseJwt = spoil(response.jarm.responseJwt)
  const { response: answer } = await client.submitOpenid4vpAuthorizationResponse({ ...response, authorizationRequestPayload: asked })
  return { status: answer.status, body: await answer.json() }
}
const refusals = []
async function refused(what, code, token, options) {
  const { status, body } = await submit(token, options)
  if (status !== 400 || body.error !== code) throw new Error(`${what}: want ${code}, got ${status} ${JSON.stringify(body)}`)
  refusals.push(what)
}

if (encrypt) {
  const [ours] = request.client_metadata.jwks.keys
  const { publicKey } = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
  const stranger = await exportJWK(publicKey)
  await refused('in clear', 'malformed', good, { plain: true })
  await refused('to another key', 'not_decrypted', good, { key: { ...stranger, kid: ours.kid, alg: ours.alg } })
  await refused('under another key\'s name', 'not_decrypted', good, { key: { ...ours, kid: await calculateJwkThumbprint(stranger) } })
  await refused('tampered', 'not_decrypted', good, {
    spoil: (jwe) => jwe.split('.').map((part, i) => (i === 3 ? (part[0] === 'A' ? 'B' : 'A') + part.slice(1) : part)).join('.'),
  })
}
await refused('with a proof for another nonce', 'proof_invalid', other)
await refused('with another state', 'state_mismatch', good, { state: 'another' })

const { status, body } = await submit(good)
console.log(JSON.stringify({ end: { status, redirect: body.redirect_uri ?? '', prefix: resolved.client.prefix, version: resolved.version, refused: refusals } }))
process.exit(0)
