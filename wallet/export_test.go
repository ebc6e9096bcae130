package wallet

import (
	"context"

	"github.com/bulla-id/bulla/internal/openid"
)

// Prove is Answer but for what it sends and writes down: the proofs alone, for a protocol that somebody else speaks.
func (w *Wallet) Prove(ctx context.Context, r *Request) (openid.VPToken, error) {
	view, err := w.recheck(ctx, r)
	if err != nil {
		return nil, err
	}
	chosen, err := w.chosen(ctx, r, nil)
	if err != nil {
		return nil, err
	}
	jobs, err := w.prepare(ctx, r, view, chosen)
	if err != nil {
		return nil, err
	}
	return w.prove(ctx, r, jobs, len(jobs))
}
