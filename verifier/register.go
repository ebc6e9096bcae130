package verifier

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/bulla-id/bulla/ledger/entry"
)

// Submitter hands entries to the ledger; [*client.Client] is one.
type Submitter interface {
	NextSequence(ctx context.Context, signer string) (uint64, error)
	// Submit is idempotent: the same entry again gives its receipt.
	Submit(ctx context.Context, e *entry.Entry) (entry.Receipt, error)
	Await(ctx context.Context, index uint64, level entry.Level) (entry.Receipt, error)
}

// Register puts every policy onto the chain that is not registered there as it is, signed by the verifier's signing
// key, and waits until all are in effect. The verifier itself must be registered, by governance. It returns how many
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
		if err := p.Check(v.cfg.Clock(), schemasOf(view)); err != nil {
			return count, fmt.Errorf("register policies: %w", err) // the chain would take it, but nobody could answer it
		}
		text, err := p.Canonical()
		if err != nil {
			return count, fmt.Errorf("register policies: %w", err)
		}
		draft := entry.Draft{Genesis: view.GenesisHash, Signer: v.cfg.DID, Payload: entry.PolicyRegistered{Policy: json.RawMessage(text)}}
		if draft.Sequence, err = ledger.NextSequence(ctx, v.cfg.DID); err != nil {
			return count, fmt.Errorf("register policy %s: %w", p.ID, err)
		}
		e, err := entry.Sign(draft, v.cfg.SigningKey)
		if err != nil {
			return count, fmt.Errorf("register policy %s: %w", p.ID, err)
		}
		if last, err = ledger.Submit(ctx, e); err != nil {
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
