package wallet

import (
	"errors"
	"fmt"
)

// Code says why a wallet refused. Codes are stable: programs branch on them.
type Code string

// The codes, in the order of a wallet's life.
const (
	CodeNetwork      Code = "network"      // the other side did not answer: nothing is known
	CodeLedger       Code = "ledger"       // the ledger's host or operator misbehaves
	CodeGenesis      Code = "genesis"      // another chain than the wallet's
	CodeVaultFull    Code = "vault_full"   // no room for another credential
	CodeOffer        Code = "offer"        // the offer cannot be read or is not for us
	CodeCompanion    Code = "companion"    // the offer is of a companion credential, which other wallets keep
	CodeAddress      Code = "address"      // neither https nor loopback, a redirect, or another origin
	CodeAnswer       Code = "answer"       // an answer that is too large or not of the form agreed on
	CodeTxCode       Code = "tx_code"      // a transaction code is needed, or was given and is not
	CodeIssuer       Code = "issuer"       // issuer metadata contradict the chain or themselves
	CodePending      Code = "pending"      // the agency took the request and has not issued the credential yet
	CodeRemote       Code = "remote"       // the other side refused; Remote has its code
	CodeClaims       Code = "claims"       // claims do not fit the schema
	CodeValidity     Code = "validity"     // validity or envelope are not as they must be
	CodeCommitment   Code = "commitment"   // the credential is not the one in the entry
	CodeEntry        Code = "entry"        // the entry is not the issuer's or not in the log
	CodeNotOnChain   Code = "not_on_chain" // the leaf is not in the active tree
	CodeKeyNotListed Code = "key_not_listed"
	CodeKeyExpired   Code = "key_expired"

	CodeRequest        Code = "request"               // the request cannot be read
	CodeNotRegistered  Code = "not_registered"        // issuer, schema, verifier, policy or scope is not on the chain
	CodeSignature      Code = "signature"             // the request is not signed by the verifier's registered key
	CodeClient         Code = "client"                // client_id and verifier do not belong together
	CodeResponseURI    Code = "response_uri"          // not under an address registered for the verifier
	CodeClock          Code = "clock"                 // "now" is too far from our clock
	CodeExpiredRequest Code = "request_expired"       // the request is past its end, or may live too long
	CodeWider          Code = "wider_than_registered" // asks something else than the registered policy
	CodeUnprovable     Code = "unprovable"
	CodeUnsupported    Code = "unsupported" // a circuit, format or response mode that we do not have
	CodeNonceUsed      Code = "nonce_used"

	CodeConsent            Code = "consent"       // not this request's, or incomplete
	CodeNoCredential       Code = "no_credential" // none of that schema
	CodeWrongIssuer        Code = "wrong_issuer"
	CodeIssuerSuspended    Code = "issuer_suspended"
	CodeExpired            Code = "expired"
	CodeNotYetValid        Code = "not_yet_valid"
	CodeRevokedOrSuspended Code = "revoked_or_suspended"
	CodeClauseFalse        Code = "clause_false" // a clause does not hold, or speaks of an absent claim
	CodeNoSubject          Code = "no_subject"   // a subject tag is asked, and the credential has no subject key
	CodeSameCredential     Code = "same_credential"
	CodeNotOnGrid          Code = "not_on_grid"    // newer than every root that may be used: wait
	CodeCounterBehind      Code = "counter_behind" // the counter has no root in which the credentials are live
	CodeProof              Code = "proof"          // the proof could not be made
)

// Refusal is why a wallet did not do what it was asked. Its texts name no secret.
type Refusal struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`           // in English, for logs and developers
	Remote string `json:"remote,omitempty"` // the code of the side that refused, if it was not us
	cause  error
}

func refuse(code Code, cause error, format string, args ...any) error {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...), cause: cause}
}

// Error is "code: detail: cause".
func (r *Refusal) Error() string {
	text := string(r.Code) + ": " + r.Detail
	if r.Remote != "" {
		text += " (" + r.Remote + ")"
	}
	if r.cause != nil {
		text += ": " + r.cause.Error()
	}
	return text
}

// Unwrap gives the cause.
func (r *Refusal) Unwrap() error { return r.cause }

// Text is a sentence for people in a language ("zh-CN" or "en").
func (r *Refusal) Text(language string) string {
	if text := refusalTexts[r.Code].In(language); text != "" {
		return text
	}
	return refusalTexts[CodeAnswer].In(language)
}

// CodeOf is the code of a refusal, or empty for other errors.
func CodeOf(err error) Code {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
