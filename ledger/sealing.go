package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// nextSeal is when the next seal is due: an interval after the last one if there are entries to seal or nothing was
// sealed yet (a new chain is readable once its genesis entry is), and an interval before the longest pause otherwise, so
// that no pause is longer.
func (l *Log) nextSeal() time.Time {
	last, seals := l.machine.Sealed()
	if seals == 0 || l.machine.Unsealed() > 0 {
		return l.machine.EarliestSeal().Time()
	}
	pause := max(l.genesis.SealIntervalSeconds, l.genesis.SealMaximumSeconds-l.genesis.SealIntervalSeconds)
	return last.Time.Time().Add(time.Duration(pause) * time.Second)
}

// untilSeal is how long to sleep: at least a little, so that a clock that stands still does not make us spin, and not for
// long, so that a clock that was wrong is noticed.
func (l *Log) untilSeal() time.Duration {
	now := l.cfg.Now()
	l.watchClock(now)
	return min(wake, max(10*time.Millisecond, l.nextSeal().Sub(now)))
}

// sealIfDue applies a seal as the last entry of the batch, so that the checkpoint that is cosigned ends with it.
func (l *Log) sealIfDue() (bool, error) {
	now := l.cfg.Now()
	if now.Before(l.nextSeal()) {
		return false, nil
	}
	seal, err := l.machine.DraftSeal(credential.UnixTimeOf(now))
	if err != nil {
		return false, fmt.Errorf("draft seal: %w", err)
	}
	next, err := l.machine.NextSequence(entry.Operator)
	if err != nil {
		return false, err
	}
	_, genesis := l.machine.Genesis()
	e, err := entry.Sign(entry.Draft{Genesis: genesis, Signer: entry.Operator, Sequence: next, Payload: seal}, l.cfg.Operator)
	if err != nil {
		return false, fmt.Errorf("seal %d: %w", seal.Height, err)
	}
	if _, err := l.machine.apply(&Prepared{entry: e, payload: seal, checked: make([]jose.PublicKey, 1)}); err != nil {
		return false, fmt.Errorf("apply seal %d: %w", seal.Height, err)
	}
	return true, nil
}

// publish collects cosignatures for the newest checkpoint with a seal, and serves it once there are enough.
func (l *Log) publish(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.sealed:
		case <-retry.C:
		}
		l.mu.Lock()
		next := l.unpublish
		due := next.sealed && next.size > l.published.size
		l.mu.Unlock()
		if !due {
			continue
		}
		if err := l.publishOne(ctx, next); err != nil && ctx.Err() == nil {
			l.cfg.Logger.WarnContext(ctx, "checkpoint is not published yet", slog.Uint64("size", next.size), slog.Any("error", err))
			retry.Reset(l.cfg.RetryAfter)
		}
	}
}

func (l *Log) publishOne(ctx context.Context, next head) error {
	merged, err := l.cosigners.collect(ctx, CosignRequest{
		Checkpoint: next.note, Size: next.size,
		Prove: func(old uint64) ([]tlog.Hash, error) { return proveConsistency(l.cfg.Store, old, next.size) },
	})
	if err != nil {
		return err
	}
	if err := l.cfg.Store.Commit(map[string][]byte{rowCheckpoint: merged}); err != nil {
		err = fmt.Errorf("store the published checkpoint: %w", err)
		l.fail(err)
		return err
	}
	next.note = merged
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published = next
	l.notify()
	return nil
}

// proveConsistency proves that the tree of size begins with that of old.
func proveConsistency(r Reader, old, size uint64) ([]tlog.Hash, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	proof, err := tlog.ProveTree(int64(size), int64(old), hashReader{r})
	if err != nil {
		return nil, fmt.Errorf("prove that %d entries extend %d: %w", size, old, err)
	}
	return proof, nil
}
