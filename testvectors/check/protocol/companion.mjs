// A holder and a verifier that are not ours, of a companion credential: @sd-jwt/sd-jwt-vc finds the issuer's key in the metadata that
// the issuer serves, makes a presentation of some of the claims bound to a key, verifies it, and fetches the status list;
// @owf/token-status-list reads it once more.
import { createHash, createPublicKey, sign, verify } from 'node:crypto'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'
import { getListFromStatusListJWT, getStatusListFromJWT } from '@owf/token-status-list'

const decode = (part) => JSON.parse(Buffer.from(part, 'base64url'))
const ecdsa = (jwk) => ({ key: jwk, format: 'jwk' })
const checks = (jwk) => (data, signature) =>
  verify('sha256', Buffer.from(data), { key: createPublicKey(ecdsa(jwk)), dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))

// issuerKeys are the keys of an issuer, by kid. SPEC (SD-JWT VC): the well-known path is inserted between host and path.
async function issuerKeys(issuer) {
  const { origin, pathname } = new URL(issuer)
  const response = await fetch(`${origin}/.well-known/jwt-vc-issuer${pathname === '/' ? '' : pathname}`)
  const metadata = await response.json()
  if (metadata.issuer !== issuer) throw new Error(`the metadata are of ${metadata.issuer}`)
  return new Map(metadata.jwks.keys.map((key) => [key.kid, key]))
}

// statusOf fetches the status list of a credential and reads the credential's status.
async function statusOf(credential, keys) {
  const { idx, uri } = getStatusListFromJWT(credential.split('~')[0])
  const response = await fetch(uri, { headers: { Accept: 'application/statuslist+jwt' } })
  if (response.headers.get('content-type') !== 'application/statuslist+jwt') throw new Error('the list is of another type')
  const token = await response.text()
  const [header, payload, signature] = token.split('.')
  const { kid, typ } = decode(header)
  if (typ !== 'statuslist+jwt' || !checks(keys.get(kid))(`${header}.${payload}`, signature)) throw new Error('the list is not signed by the issuer')
  const { sub, iat, exp, ttl } = decode(payload)
  const now = Date.now() / 1000
  if (sub !== uri || iat > now || exp <= now || !(ttl > 0)) throw new Error('the list is of another place or time')
  const again = await fetch(uri, { headers: { 'If-None-Match': response.headers.get('etag') } })
  if (again.status !== 304) throw new Error(`asked again: ${again.status}`)
  return getListFromStatusListJWT(token).getStatus(idx)
}

// companion shows a credential and tells what a verifier sees; its status is read each time that it is asked for.
export async function companion(credential, { issuer, vct, privateKey, ask }) {
  const { kid, alg, typ } = decode(credential.split('.')[0])
  const keys = await issuerKeys(issuer)
  if (alg !== 'ES256' || typ !== 'dc+sd-jwt' || !keys.has(kid)) throw new Error('the key is not in the metadata')
  const sdjwt = new SDJwtVcInstance({
    hasher: (data, alg) => new Uint8Array(createHash(alg.replace('-', '')).update(data).digest()), hashAlg: 'sha-256',
    verifier: checks(keys.get(kid)),
    kbVerifier: (data, signature, payload) => checks(payload.cnf.jwk)(data, signature),
    kbSignAlg: 'ES256',
    kbSigner: (data) => sign('sha256', Buffer.from(data), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  })
  const kb = { iat: Math.floor(Date.now() / 1000), aud: 'https://verifier.example', nonce: 'a nonce' }
  const shown = await sdjwt.present(credential, { area: true, since: true }, { kb: { payload: kb } })
  const verified = () => sdjwt.verify(shown, { keyBindingNonce: kb.nonce, requiredClaimKeys: ['area'] })
  const { payload } = await verified()
  if (payload.iss !== issuer || payload.vct !== vct || 'parcel' in payload || 'price' in payload) throw new Error(`shown: ${JSON.stringify(payload)}`)
  if (await sdjwt.verify(shown, { keyBindingNonce: 'another' }).then(() => true, () => false)) throw new Error('another nonce is accepted')

  // What becomes of it: ask waits until the issuer has changed the credential, and says what its status must be.
  for (let want = 0; want !== null; want = await ask({ companion: { area: payload.area, since: payload.since }, status: want })) {
    const status = await statusOf(credential, keys)
    if (status !== want) throw new Error(`the status is ${status}, want ${want}`)
    const accepted = await verified().then(() => true, () => false)
    if (accepted !== (want === 0)) throw new Error(`with the status ${want} it is ${accepted ? 'accepted' : 'refused'}`)
  }
}
