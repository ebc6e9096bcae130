package issuer

import "fmt"

// Code says why something was refused. Codes are stable: they go over the wire and into scripts.
type Code string

// Refusal is why the issuer refused. Its detail is for people, in our own words: never a claim's value, a person or an
// inner error. Any other error of a method means that the issuer could not do its work.
type Refusal struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty"`
	Claim  string `json:"claim,omitempty"`  // the claim that does not fit, with [ErrClaim]
	Ledger string `json:"ledger,omitempty"` // the ledger's own code, with [ErrLedger]
}

// Error is code and detail.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return string(r.Code)
	}
	return string(r.Code) + ": " + r.Detail
}

// Is lets errors.Is compare with the sentinels below, by code.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Detail == "" && t.Code == r.Code
}

// What clerks are refused for.
var (
	ErrApplication = &Refusal{Code: "application"}      // person, subject or validity is missing or cannot be meant
	ErrSchema      = &Refusal{Code: "unknown-schema"}   // the issuer does not issue credentials of that type
	ErrClaim       = &Refusal{Code: "claim"}            // a claim does not fit the schema; Claim names it
	ErrNotFound    = &Refusal{Code: "not-found"}        // no such credential or enrolment
	ErrState       = &Refusal{Code: "state"}            // the credential is not in the state that the change starts from
	ErrCompanion   = &Refusal{Code: "no-companion"}     // credentials of that type have no companions, or it has as many as it may have
	ErrApproval    = &Refusal{Code: "approval-needed"}  // the schema wants it filed as a case
	ErrSameOfficer = &Refusal{Code: "same-officer"}     // four eyes are of two officers
	ErrVersion     = &Refusal{Code: "version"}          // the case changed meanwhile
	ErrExternalID  = &Refusal{Code: "external-id"}      // taken by another case, or not a line of text
	ErrOfficer     = &Refusal{Code: "officer"}          // who acts is not known
	ErrIdempotency = &Refusal{Code: "idempotency-key"}  // used for another request, or of one whose end nobody knows
	ErrBusy        = &Refusal{Code: "under-way"}        // the same request is being carried out
	ErrHeld        = &Refusal{Code: "credentials-held"} // enrolments are reset only without unrevoked credentials
)

// What wallets are refused for.
var (
	ErrRequest       = &Refusal{Code: "invalid-request"}       // not in the form of the standard
	ErrGrantType     = &Refusal{Code: "unsupported-grant"}     // another grant than the pre-authorized code
	ErrGrant         = &Refusal{Code: "invalid-grant"}         // code unknown, used, expired or locked, or the transaction code is wrong
	ErrAccessToken   = &Refusal{Code: "invalid-token"}         // access token unknown or expired
	ErrConfiguration = &Refusal{Code: "unknown-configuration"} // no such credential configuration
	ErrNonce         = &Refusal{Code: "invalid-nonce"}         // not ours, expired or used
	ErrProof         = &Refusal{Code: "invalid-proof"}         // missing, malformed, or it proves something else
	ErrIdentifier    = &Refusal{Code: "unknown-identifier"}    // not a credential identifier of the token response, or none
	ErrDetails       = &Refusal{Code: "invalid-details"}       // authorization details that the offer does not cover
	ErrTransaction   = &Refusal{Code: "invalid-transaction"}   // no such credential request of that token
	ErrNotification  = &Refusal{Code: "invalid-notification"}  // no such credential of that token
	ErrEvent         = &Refusal{Code: "invalid-event"}         // not an event that wallets can tell of
	ErrOffer         = &Refusal{Code: "other-offer"}           // the offer is for another configuration, or was answered with another commitment or key
	ErrDenied        = &Refusal{Code: "denied"}                // the agency decided against it
	ErrOtherSecret   = &Refusal{Code: "other-secret"}          // a second enrolment with another master secret
	ErrOtherPerson   = &Refusal{Code: "other-person"}          // that master secret is another person's
	ErrOnePerPerson  = &Refusal{Code: "one-per-person"}        // the person has a live credential of this type
)

// What the chain, or its absence, is the reason for.
var (
	ErrLedger      = &Refusal{Code: "ledger-refused"} // the ledger refused the entry; Ledger says why
	ErrUnavailable = &Refusal{Code: "unavailable"}    // nothing was decided: ask again
)

func refuse(kind *Refusal, format string, args ...any) *Refusal {
	return &Refusal{Code: kind.Code, Detail: fmt.Sprintf(format, args...)}
}
