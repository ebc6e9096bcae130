// A wallet that knows nothing of ours and has a companion: @openid4vc/openid4vp fetches and believes the request, the dc+sd-jwt query is
// read as the standard has it, @sd-jwt/sd-jwt-vc shows the claims that are asked for, bound to the request, and the response is encrypted
// with npm's jose, or not. TestForeignCompanion in verifier starts it with one argument, {"link", "keys", "credential", "key", "encrypt"}
// in JSON; keys are those that the chain registers for the verifier, key is the private one of the credential. It prints what came of it:
//
//   {"status", "asked", "refused"}
//
// On its way it tries what must be refused, and ends with an error where it is not, or not by our code.
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { clientAuthenticationAnonymous, setGlobalConfig } from '@openid4vc/oauth2'
import { Openid4vpClient } from '@openid4vc/openid4vp'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { CompactEncrypt, calculateJwkThumbprint, compactVerify, importJWK } from 'jose'

const { link, keys, credential, key, encrypt } = JSON.parse(process.argv[2])
setGlobalConfig({ allowInsecureUrls: true }) // the verifier is on loopback

const registered = new Map()
for (const jwk of keys) registered.set(await calculateJwkThumbprint(jwk), jwk)
const digest = (data, alg) => new Uint8Array(createHash(alg.replace('-', '')).update(data).digest())
const never = (what) => () => { throw new Error(`${what} was not asked for`) }
const client = new Openid4vpClient({
  callbacks: {
    fetch: (address, init) => fetch(address, { redirect: 'error', ...init, method: init?.method?.toUpperCase() }),
    hash: digest,
    generateRandom: (n) => new Uint8Array(randomBytes(n)),
    clientAuthentication: clientAuthenticationAnonymous(),
    getX509CertificateMetadata: never('getX509CertificateMetadata'),
    verifyJwt: async (signer, { compact, header }) => {
      const jwk = registered.get(signer.didUrl?.split('#')[1])
      if (!jwk) return { verified: false }
      await compactVerify(compact, await importJWK(jwk, header.alg), { algorithms: [header.alg] })
      return { verified: true, signerJwk: jwk }
    },
    encryptJwe: async ({ publicJwk, alg, enc, apv }, text) => ({
      encryptionJwk: publicJwk,
      jwe: await new CompactEncrypt(Buffer.from(text)).setProtectedHeader({ alg, enc, kid: publicJwk.kid })
        .setKeyManagementParameters({ apv: Buffer.from(apv, 'base64url') }).encrypt(await importJWK(publicJwk, alg)),
    }),
    signJwt: never('signJwt'), decryptJwe: never('decryptJwe'),
  },
})

const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: link })
const { authorizationRequestPayload: request } = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params })

// What a wallet reads that does not know our format: the query of the one option that it can answer.
const { credentials, credential_sets: sets } = request.dcql_query
const query = credentials.find((q) => q.format === 'dc+sd-jwt')
const others = Object.keys(query).filter((name) => !['id', 'format', 'meta', 'claims'].includes(name))
if (others.length > 0 || Object.keys(query.meta).join() !== 'vct_values') throw new Error(`not the standard's: ${JSON.stringify(query)}`)
if (!/^[A-Za-z0-9_-]+$/.test(query.id) || sets.length !== 1 || !sets[0].options.some((o) => o.length === 1 && o[0] === query.id)) {
  throw new Error('it is no option by itself')
}
const supported = request.client_metadata.vp_formats_supported['dc+sd-jwt']
if (!supported['sd-jwt_alg_values'].includes('ES256') || !supported['kb-jwt_alg_values'].includes('ES256')) throw new Error('ES256 is not taken')
const decode = (part) => JSON.parse(Buffer.from(part, 'base64url'))
if (!query.meta.vct_values.includes(decode(credential.split('.')[1]).vct)) throw new Error('another type is asked for')
const asked = query.claims.map(({ path }) => path.join('.'))
const frame = (names) => Object.fromEntries(names.map((name) => [name, true]))

async function show(names, change = {}, privateKey = createPrivateKey({ key, format: 'jwk' })) {
  const instance = new SDJwtVcInstance({
    hasher: digest, hashAlg: 'sha-256', kbSignAlg: 'ES256',
    kbSigner: (data) => sign('sha256', Buffer.from(data), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  })
  const payload = { iat: Math.floor(Date.now() / 1000), aud: request.client_id, nonce: request.nonce, ...change }
  return instance.present(credential, frame(names), { kb: { payload } })
}

async function submit(text) {
  const response = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request, authorizationResponsePayload: { vp_token: { [query.id]: [text] } },
    jarm: encrypt && {
      encryption: {},
      serverMetadata: { authorization_encryption_alg_values_supported: ['ECDH-ES'], authorization_encryption_enc_values_supported: [encrypt] },
    },
  })
  const { response: answer } = await client.submitOpenid4vpAuthorizationResponse({ ...response, authorizationRequestPayload: request })
  return { status: answer.status, body: await answer.json() }
}
const refused = []
async function refuse(what, code, text) {
  const { status, body } = await submit(text)
  if (status !== 400 || body.error !== code) throw new Error(`${what}: want ${code}, got ${status} ${JSON.stringify(body)}`)
  refused.push(what)
}
const { privateKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
await refuse('for another nonce', 'companion_binding', await show(asked, { nonce: 'another' }))
await refuse('for another verifier', 'companion_binding', await show(asked, { aud: 'https://verifier.example' }))
await refuse('by another key', 'companion_binding', await show(asked, {}, stranger))
await refuse('with a claim more', 'companion_excess', await show([...asked, 'street']))
await refuse('with a claim less', 'companion_unmet', await show(asked.filter((name) => name !== 'since')))
await refuse('without a key binding', 'companion_binding', (await show(asked)).replace(/[^~]*$/, ''))

const { status, body } = await submit(await show(asked))
if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
console.log(JSON.stringify({ status, asked, refused }))
process.exit(0)
