// A wallet that is not ours: the OpenID4VCI client of the OpenWallet Foundation, @openid4vc/openid4vci. TestForeignWallet in issuer
// starts it with one argument, {"link", "txCode", "dpop"} in JSON, and they talk by JSON lines:
//
//   out {"prove": {…}}     what an enrolment proof is to be bound to; in: the proof
//   out {"deferred": true} the credential comes later; in: anything, when it is there
//   out {"companion": {…}, "status": …} a companion and its status were verified; in: what the status is now, or null
//   out {"credential": …, "notified": …, "draft": …, "refused": […]} the end
//
// The proof of a companion credential it makes itself, and companion.mjs shows and verifies that credential.
// On its way it tries what must be refused, and ends with an error where it is not, or not by the standard's code.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createInterface } from 'node:readline'
import { clientAuthenticationAnonymous, setGlobalConfig } from '@openid4vc/oauth2'
import { Openid4vciClient } from '@openid4vc/openid4vci'
import { companion } from './companion.mjs'

const { link, txCode, dpop: bound } = JSON.parse(process.argv[2])
const proofType = 'vnd.bulla.zkc_commitment'
setGlobalConfig({ allowInsecureUrls: true }) // the agency is on loopback

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
async function ask(question) {
  console.log(JSON.stringify(question))
  return JSON.parse((await lines.next()).value)
}

const base64url = (value) => Buffer.from(value).toString('base64url')
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const publicJwk = publicKey.export({ format: 'jwk' })
const never = (what) => () => { throw new Error(`${what} was not asked for`) }
const client = new Openid4vciClient({
  callbacks: {
    fetch,
    hash: (data, alg) => new Uint8Array(createHash(alg.replace('-', '')).update(data).digest()),
    generateRandom: (n) => new Uint8Array(randomBytes(n)),
    clientAuthentication: clientAuthenticationAnonymous(),
    signJwt: (signer, { header, payload }) => {
      const text = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(payload))}`
      return { jwt: `${text}.${base64url(sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' }))}`, signerJwk: publicJwk }
    },
    verifyJwt: never('verifyJwt'), encryptJwe: never('encryptJwe'), decryptJwe: never('decryptJwe'),
  },
})

// refused tries what must be refused. The client has the code of a refusal in other places for tokens and for credentials.
const refusals = []
async function refused(what, code, attempt) {
  const error = await attempt().then(() => undefined, (error) => error)
  const answer = error?.errorResponse ?? error?.response?.credentialErrorResponseResult?.data ?? error?.response?.deferredCredentialErrorResponseResult?.data
  if (answer?.error !== code) throw new Error(`${what}: want ${code}, got ${error ?? 'an answer'}`)
  refusals.push(what)
}

const dpop = bound ? { signer: { method: 'jwk', alg: 'ES256', publicJwk } } : undefined

const credentialOffer = await client.resolveCredentialOffer(link)
const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer)
const exchange = (txCode) => client.retrievePreAuthorizedCodeAccessTokenFromOffer({ credentialOffer, issuerMetadata, txCode, dpop })
if (txCode) await refused('wrong transaction code', 'invalid_grant', () => exchange(txCode.replace(/./g, (digit) => (Number(digit) + 1) % 10)))
const { accessTokenResponse: token } = await exchange(txCode)
await refused('used code', 'invalid_grant', () => exchange(txCode))
if (token.token_type.toLowerCase() !== (bound ? 'dpop' : 'bearer')) throw new Error(`a token of type ${token.token_type}`)
const accessToken = token.access_token

const [credentialConfigurationId] = credentialOffer.credential_configuration_ids
const configuration = issuerMetadata.credentialIssuer.credential_configurations_supported[credentialConfigurationId]
const isCompanion = configuration.format === 'dc+sd-jwt'
if (!isCompanion && !(proofType in configuration.proof_types_supported)) throw new Error('the proof type is not in the metadata')
const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata })
const prove = async () => isCompanion
  ? { jwt: [(await client.createCredentialRequestJwtProof({ issuerMetadata, credentialConfigurationId, nonce, signer: { method: 'jwk', alg: 'ES256', publicJwk } })).jwt] }
  : { [proofType]: [await ask({
    prove: {
      genesis: configuration.genesis, verifying_key: configuration.enrolment_verifying_key, audience: issuerMetadata.credentialIssuer.credential_issuer,
      configuration: credentialConfigurationId, nonce, register: configuration.enrolment_register,
    },
  })] }
const proofs = await prove()
const order = () => client.retrieveCredentials({ issuerMetadata, credentialConfigurationId, accessToken, dpop, proofs })
let { credentialResponse: answer } = await order()
await refused('used nonce', 'invalid_nonce', order)
if (answer.transaction_id) {
  const { transaction_id: transactionId } = answer
  const poll = async (transactionId) => (await client.retrieveDeferredCredentials({ issuerMetadata, accessToken, dpop, transactionId })).deferredCredentialResponse
  await refused('unknown transaction', 'invalid_transaction_id', () => poll(base64url(randomBytes(32))))
  answer = await poll(transactionId)
  if (answer.credentials) throw new Error('deferred, and there at once')
  if (!(answer.interval > 0)) throw new Error('a deferred answer does not say when to ask again')
  await ask({ deferred: true })
  for (let tries = 0; answer.transaction_id && tries < 60; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    answer = await poll(transactionId)
  }
}
// This client (0.4.6) refuses a deferred answer that has the id, so that ours leave it out.
if (answer.notification_id) {
  await client.sendNotification({
    issuerMetadata, accessToken, dpop, notification: { notificationId: answer.notification_id, event: 'credential_accepted' },
  })
}
if (isCompanion) {
  await companion(answer.credentials[0].credential, { issuer: issuerMetadata.credentialIssuer.credential_issuer, vct: configuration.vct, privateKey, ask })
}
console.log(JSON.stringify({ credential: answer.credentials[0].credential, notified: answer.notification_id !== undefined, draft: issuerMetadata.originalDraftVersion, refused: refusals }))
process.exit(0)
