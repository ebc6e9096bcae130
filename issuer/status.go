package issuer

import (
	"context"
	"errors"

	"github.com/bulla-id/bulla/ledger/entry"
)

// change is a change of a credential's state.
type change struct {
	kind       entry.Kind
	credential string
	reason     Reason
	by         Officer
	file       string // id of the case that it is of; empty: an officer waits for it
}

const maxReason = 500 // bytes

// Suspend makes a credential unprovable until it is reinstated, and returns once that is sealed. Refused with
// [ErrNotFound], [ErrState] or [ErrLedger]; with [ErrUnavailable] it may still take effect. The reason stays with us.
func (i *Issuer) Suspend(ctx context.Context, by Officer, id string, reason Reason) (Credential, error) {
	return i.change(ctx, change{kind: entry.KindCredentialsSuspended, credential: id, reason: reason, by: by})
}

// Reinstate makes a suspended credential provable again. Errors are those of Suspend.
func (i *Issuer) Reinstate(ctx context.Context, by Officer, id string, reason Reason) (Credential, error) {
	return i.change(ctx, change{kind: entry.KindCredentialsReinstated, credential: id, reason: reason, by: by})
}

// Revoke ends a credential for good. To transfer a thing, revoke its old title and offer a new one with the same
// subject: its subject key, and so its subject tags, stay the same. Errors are those of Suspend.
func (i *Issuer) Revoke(ctx context.Context, by Officer, id string, reason Reason) (Credential, error) {
	return i.change(ctx, change{kind: entry.KindCredentialsRevoked, credential: id, reason: reason, by: by})
}

func (i *Issuer) change(ctx context.Context, c change) (Credential, error) {
	if err := errors.Join(c.by.validate(), c.reason.validate()); err != nil {
		return Credential{}, err
	}
	known, err := i.credential(c.credential)
	if err != nil {
		return known, err
	}
	if i.cfg.Approvals[known.Schema] > 0 && c.kind != entry.KindCredentialsSuspended {
		return Credential{}, refuse(ErrApproval, "credentials of this type are changed by a case that other officers approve")
	}
	if _, err := i.send(ctx, &request{group: string(c.kind), change: &c}); err != nil {
		return Credential{}, err
	}
	return i.credential(c.credential)
}

// checkChange refuses changes that the chain would refuse, and a second one while the first is on its way.
func checkChange(r *record, kind entry.Kind) error {
	switch {
	case r.Change != "":
		return refuse(ErrState, "another change of the credential is on its way to the chain: ask again when it is sealed")
	case r.Status == Revoked:
		return refuse(ErrState, "the credential is revoked, for good")
	case kind == entry.KindCredentialsSuspended && r.Status != Active:
		return refuse(ErrState, "the credential is suspended already")
	case kind == entry.KindCredentialsReinstated && r.Status != Suspended:
		return refuse(ErrState, "the credential is not suspended")
	}
	return nil
}
