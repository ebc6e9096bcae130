package issuer

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// awaitSeal hands an accepted entry to sealAll.
func (i *Issuer) awaitSeal(ctx context.Context, f *flight) error {
	select {
	case i.sealing <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sealAll waits for the seals of accepted entries, in their order, so that a credential's changes settle in the order
// of the chain. Entries of one seal follow each other without waiting.
func (i *Issuer) sealAll(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case f := <-i.sealing:
			if err := i.seal(ctx, f); err != nil {
				return err
			}
			i.cfg.Logger.InfoContext(ctx, "entry sealed", slog.String("kind", string(f.Kind)), slog.Int("credentials", len(f.Items)), slog.Uint64("entry", f.receipt.Index))
		}
	}
}

func (i *Issuer) seal(ctx context.Context, f *flight) error {
	for pause := i.cfg.RetryPause; ; pause = min(2*pause, maxPause) {
		receipt, err := i.cfg.Ledger.Await(ctx, f.receipt.Index, entry.LevelSealed)
		if err == nil {
			if receipt.Digest != f.signed.Digest() || f.Kind == entry.KindCredentialsIssued && receipt.Leaves != len(f.Items) {
				return fmt.Errorf("entry %d: the ledger sealed another: %w", f.Sequence, ErrForeignEntry)
			}
			f.receipt = receipt
			if err := i.settle(f); err != nil {
				return fmt.Errorf("settle entry %d: %w", f.Sequence, err)
			}
			i.land(f, nil)
			return i.takeUp() // what this set free
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		i.cfg.Logger.WarnContext(ctx, "entry is not sealed yet", slog.Uint64("sequence", f.Sequence), slog.Bool("accusation", client.IsBad(err)), slog.Any("error", err))
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// purgeAll deletes, every minute, what nobody can use any more: offers with their claims, codes, tokens, nonces. Then it looks
// whether orders wait for room in the queue.
func (i *Issuer) purgeAll(ctx context.Context) error {
	const perCommit = 1000
	for {
		i.mu.Lock()
		n, err := purgeExpired(i.cfg.Store, i.now(), perCommit)
		i.mu.Unlock()
		if err != nil {
			return err
		}
		if n == perCommit {
			continue
		}
		if i.running.Load() {
			if err := i.takeUp(); err != nil {
				return err
			}
		}
		if err := sleep(ctx, purgeInterval); err != nil {
			return err
		}
	}
}
