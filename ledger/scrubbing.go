package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// The mark of damage, row "m": nobody has to remember what the scrub found.

// readMark is what the scrub left, or "".
func readMark(r Reader) (string, error) {
	mark, err := r.Get([]byte(rowMark))
	if isAbsent(err) {
		return "", nil
	}
	return string(mark), err
}

// scrubs runs the scrub in the background: a pass at the start and then one every so often, at a slow pace.
func (l *Log) scrubs(ctx context.Context) {
	if l.cfg.ScrubEvery < 0 {
		return
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(l.cfg.ScrubEvery)
		err := l.scrubOnce(ctx)
		var damage *Damage
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.As(err, &damage):
			l.markDamage(damage)
			return
		default:
			l.fail(fmt.Errorf("scrub: %w", err))
			return
		}
	}
}

// scrubOnce is one pass over what is published, which ends in a seal.
func (l *Log) scrubOnce(ctx context.Context) error {
	l.mu.Lock()
	in := l.published.checkpoint
	l.scrub.Running, l.scrub.Entries, l.scrub.Of = true, 0, in.size
	l.mu.Unlock()
	err := Scrub(ctx, l.cfg.Store, in.size, in.root, pace(ctx, l.cfg.ScrubRate), l.scrubbed)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scrub.Running = false
	if err == nil {
		l.scrub.LastPass = credential.UnixTimeOf(l.cfg.Now()).String()
	}
	return err
}

func (l *Log) scrubbed(entries uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scrub.Entries = entries
}

// markDamage stops the log and leaves the mark. The sequencer is the only one who writes rows of entries; the mark is a
// row of its own, so that it can be written beside a commit.
func (l *Log) markDamage(damage *Damage) {
	l.mu.Lock()
	l.scrub.NeedsRepair = damage.Error()
	l.mu.Unlock()
	if err := l.cfg.Store.Commit(map[string][]byte{rowMark: []byte(damage.Error())}); err != nil {
		l.cfg.Logger.Error("the mark of damage is not stored", slog.Any("error", err))
	}
	l.fail(fmt.Errorf("scrub: %w. %s", damage, repairAdvice))
}

// pace sleeps so that no more than rate bytes a second are read, some at a time.
func pace(ctx context.Context, rate int) func(int) {
	const some = 64 << 10
	read := 0
	return func(bytes int) {
		if read += bytes; read < some {
			return
		}
		wait := time.NewTimer(time.Duration(read) * time.Second / time.Duration(rate))
		defer wait.Stop()
		read = 0
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
	}
}

// clearMark scrubs the whole store if there is a mark of damage, and takes the mark away if everything fits again.
func clearMark(s Store, size uint64, root tlog.Hash, logger *slog.Logger) error {
	mark, err := readMark(s)
	if err != nil || mark == "" {
		return err
	}
	logger.Warn("the scrub had found damage: the whole store is compared before the ledger opens", slog.String("mark", mark))
	if err := Scrub(context.Background(), s, size, root, nil, nil); err != nil {
		return fmt.Errorf("the scrub had found: %s. It is still there: %w", mark, err)
	}
	return s.Commit(map[string][]byte{rowMark: nil})
}
