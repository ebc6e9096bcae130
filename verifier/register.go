package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Submitter hands entries to the ledger; [*client.Client] is one.
type Submitter interface {
	NextSequence(ctx context.Context, signer string) (uint64, error)
	// Submit is idempotent: the same entry again gives its receipt.
	Submit(ctx context.Context, e *entry.Entry) (entry.Receipt, error)
	Await(ctx context.Context, index uint64, level entry.Level) (entry.Receipt, error)
}

// Register puts every policy onto the chain that is not registered there as it is, and before it the sets that it names,
// signed by the verifier's signing key, and waits until all are in effect. The verifier itself must be registered, by governance. It returns how many
// were registered; after an error, call it again.
func (v *Verifier) Register(ctx context.Context, ledger Submitter) (int, error) {
	view, err := v.chain.view(ctx)
	if err != nil {
		return 0, fmt.Errorf("register policies: read the chain: %w", err)
	}
	if err := v.registered(view); err != nil {
		return 0, fmt.Errorf("register policies: %w", err)
	}
	count, last := 0, entry.Receipt{}
	for _, p := range v.Policies() {
		digest, err := p.Digest()
		if err != nil {
			return count, fmt.Errorf("register policies: %w", err)
		}
		if there, ok := view.Registry.Policy(v.cfg.DID, p.ID); ok && there.Digest == digest {
			continue
		}
		if err := p.Check(v.cfg.Clock(), schemasOf(view), v.sets); err != nil {
			return count, fmt.Errorf("register policies: %w", err) // the chain would take it, but nobody could answer it
		}
		text, err := p.Canonical()
		if err != nil {
			return count, fmt.Errorf("register policies: %w", err)
		}
		for _, use := range p.SetUses() {
			if err := v.registerSet(ctx, ledger, view.GenesisHash, use.Digest); err != nil {
				return count, fmt.Errorf("register policy %s, %s: %w", p.ID, use.Where, err)
			}
		}
		if last, err = v.submit(ctx, ledger, view.GenesisHash, entry.PolicyRegistered{Policy: json.RawMessage(text)}); err != nil {
			return count, fmt.Errorf("register policy %s: %w", p.ID, err)
		}
		count++
	}
	if count == 0 {
		return 0, nil
	}
	if _, err := ledger.Await(ctx, last.Index, entry.LevelSealed); err != nil {
		return count, fmt.Errorf("register policies: %w", err)
	}
	v.chain.forget()
	return count, nil
}

// partSize bounds the members of one part of a set, in bytes of JSON: an entry has room for it and what stands around it.
const partSize = 32 << 10

// registerSet puts a set onto the chain, in parts, unless it is there: whoever registered it.
func (v *Verifier) registerSet(ctx context.Context, ledger Submitter, genesis, digest credential.Digest) error {
	set, err := v.sets(digest)
	if err != nil {
		return err
	}
	parts := set.Split(partSize)
	for i, members := range parts {
		_, err := v.submit(ctx, ledger, genesis, entry.SetRegistered{
			Set: digest, Kind: string(set.Kind()), Name: set.Name(), Part: i, Parts: len(parts), Members: members,
		})
		if i == 0 && errors.Is(err, client.ErrConflict) { // part 0 can always begin, but for a set that is there
			return nil
		}
		if err != nil {
			return fmt.Errorf("register part %d of set %s: %w", i, digest, err)
		}
	}
	return nil
}

// submit signs and hands in the verifier's next entry.
func (v *Verifier) submit(ctx context.Context, ledger Submitter, genesis credential.Digest, payload entry.Payload) (entry.Receipt, error) {
	next, err := ledger.NextSequence(ctx, v.cfg.DID)
	if err != nil {
		return entry.Receipt{}, err
	}
	e, err := entry.Sign(entry.Draft{Genesis: genesis, Signer: v.cfg.DID, Sequence: next, Payload: payload}, v.cfg.SigningKey)
	if err != nil {
		return entry.Receipt{}, err
	}
	return ledger.Submit(ctx, e)
}
