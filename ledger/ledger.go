// Package ledger is the chain: a sequence of signed entries, the trees that follow from it, and the service that orders
// entries and publishes checkpoints.
//
//	entries ──► Machine ──► rows: log tree, active tree, registry, census     (deterministic; no clock, no I/O but its Reader)
//	               ▲  │
//	         Apply │  │ Changes
//	               │  ▼
//	Submit ──► Log: commit with Sync, read back, sign, register, cosign, publish   (the embedded sequencer)
//	               │
//	               └► Handler: static tiles, checkpoint, documents, receipts       (HTTP)
//
// The machine knows nothing of who orders entries. A cosigner, an auditor and [Replay] run the same machine. Formats:
// doc/spec/ledger.md.
package ledger

import (
	"errors"
	"fmt"
)

// ErrAbsent is what a [Reader] returns for a key that is not there.
var ErrAbsent = errors.New("absent")

// Code says why an entry was refused. Codes are stable: they go over the wire.
type Code string

// Refusal is why an entry was refused. The chain is as it was before. Any other error of [Machine.Apply] means that
// the entry could not be checked.
type Refusal struct {
	Code     Code
	Detail   string // for people; says what is wrong and what would be right
	Expected uint64 // with [ErrSequence]: the signer's next number
}

// Error is code and detail.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "entry refused: " + string(r.Code)
	}
	return "entry refused: " + string(r.Code) + ": " + r.Detail
}

// Is lets errors.Is compare with the sentinels below, by code.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Detail == "" && t.Code == r.Code
}

// The refusals, for errors.Is.
var (
	ErrMalformed      = &Refusal{Code: "malformed"}         // no entry, or a payload that can never be meant
	ErrForeignGenesis = &Refusal{Code: "foreign-genesis"}   // for another chain, or the chain has no genesis yet
	ErrAuthority      = &Refusal{Code: "authority"}         // unknown signer, wrong kind for it, unknown key, bad or too few signatures
	ErrSequence       = &Refusal{Code: "sequence"}          // not the signer's next number
	ErrAlreadyLogged  = &Refusal{Code: "already-logged"}    // the same entry again: Apply returns its old result beside this
	ErrUnknown        = &Refusal{Code: "unknown-reference"} // names an issuer, schema, verifier, scope, set or leaf that is not on the chain
	ErrConflict       = &Refusal{Code: "conflict"}          // there already, another's key, or not in the state that the entry changes
	ErrSuspended      = &Refusal{Code: "issuer-suspended"}  // the signer is suspended
	ErrPermission     = &Refusal{Code: "permission"}        // the issuer may not use the schema, or the leaf is another's
	ErrQuota          = &Refusal{Code: "quota"}             // more credentials than governance allows
	ErrDuplicateLeaf  = &Refusal{Code: "duplicate-leaf"}    // a leaf enters once, ever
	ErrRevoked        = &Refusal{Code: "revoked"}           // revoked is final
	ErrPolicy         = &Refusal{Code: "policy"}            // the policy is not one that this verifier may register
	ErrSet            = &Refusal{Code: "set"}               // its parts are no set of that digest
	ErrSeal           = &Refusal{Code: "seal"}              // not the seal that follows from the entries
	ErrFull           = &Refusal{Code: "full"}              // no room: tree, registry or census
)

func refuse(kind *Refusal, format string, args ...any) error {
	return &Refusal{Code: kind.Code, Detail: fmt.Sprintf(format, args...)}
}
