package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger/entry"
)

// Receipt returns the receipt of the entry at an index, at the highest level it has reached. It waits for that level as
// long as ctx lets it; when ctx ends first, the receipt is of a lower level, without error. It returns [ErrAbsent] for an
// index that the log has not reached.
func (l *Log) Receipt(ctx context.Context, index uint64, level entry.Level) (entry.Receipt, error) {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		result, err := readResult(l.cfg.Store, index)
		if err != nil {
			return entry.Receipt{}, err
		}
		receipt, err := l.receipt(result)
		if err != nil || receipt.Level.Rank() >= level.Rank() {
			return receipt, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return receipt, nil
		case <-l.stopped:
			return receipt, nil
		}
	}
}

// receipt is the receipt of a committed entry as of now.
func (l *Log) receipt(result Result) (entry.Receipt, error) {
	l.mu.Lock()
	in, published := l.head, l.published
	l.mu.Unlock()
	receipt := entry.Receipt{
		Index: result.Index, Digest: result.Digest, FirstLeaf: result.FirstLeaf, Leaves: result.Leaves, Level: entry.LevelAccepted,
	}
	switch {
	case published.sealed && result.Index <= published.seal:
		receipt.Level, in = entry.LevelSealed, published
	case result.Index < in.size:
		receipt.Level = entry.LevelLogged
	default:
		return receipt, nil
	}
	proof, err := tlog.ProveRecord(int64(in.size), int64(result.Index), &l.recent)
	if err != nil {
		return entry.Receipt{}, fmt.Errorf("prove that entry %d is in the log: %w", result.Index, err)
	}
	receipt.Checkpoint, receipt.Proof = string(in.note), make([][]byte, len(proof))
	for i := range proof {
		receipt.Proof[i] = proof[i][:]
	}
	return receipt, nil
}

// Published is the checkpoint that everybody may rely on, or [ErrAbsent] before the first seal was cosigned.
func (l *Log) Published() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.published.sealed {
		return nil, ErrAbsent
	}
	return l.published.note, nil
}

// signedSize is how many entries may be served: those that are in a signed checkpoint.
func (l *Log) signedSize() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.size
}

// NextSequence is the number that the signer's next entry must have, by the entries that are durable.
func (l *Log) NextSequence(signer string) (uint64, error) { return nextSequence(l.cfg.Store, signer) }

func isAbsent(err error) bool { return errors.Is(err, ErrAbsent) }
