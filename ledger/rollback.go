package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A store that is put back to yesterday does not reach the register. A register that is put back with it is noticed by
// nobody here, but cosigners remember what they signed: they are asked before anything is signed again.

// rollbackTimeout is how long a start waits for cosigners that do not answer.
const rollbackTimeout = 3 * time.Second

// rememberer is a [Cosigner] that says how far it is.
type rememberer interface {
	// SignedSize is the size of the newest checkpoint that it cosigned; request is one that it may have cosigned.
	SignedSize(ctx context.Context, request CosignRequest) (uint64, error)
}

// SignedSize asks with an old size that is the checkpoint's own: a cosigner that is elsewhere says where, by C2SP
// tlog-witness, and one that is there signs again. No cosigner replays anything for it.
func (h *HTTPCosigner) SignedSize(ctx context.Context, request CosignRequest) (uint64, error) {
	_, err := h.add(ctx, request.Size, request)
	var conflict errConflict
	if errors.As(err, &conflict) {
		return conflict.size, nil
	}
	return request.Size, err
}

// checkRollback asks the cosigners that answer whether they signed more than the register holds.
func (l *Log) checkRollback(signed checkpoint) error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	request := CosignRequest{Checkpoint: signed.note, Size: signed.size, Prove: func(old uint64) ([]tlog.Hash, error) {
		return proveConsistency(l.cfg.Store, old, signed.size)
	}}
	sizes := make([]uint64, len(l.cosigners.list))
	var wait sync.WaitGroup
	for i, cosigner := range l.cosigners.list {
		asked, ok := cosigner.(rememberer)
		if !ok {
			continue
		}
		wait.Go(func() {
			size, err := asked.SignedSize(ctx, request)
			if err != nil {
				l.cfg.Logger.Warn("a cosigner does not say how far it is", slog.String("cosigner", l.cosigners.verifiers[i].Name()), slog.Any("error", err))
				return
			}
			sizes[i] = size
		})
	}
	wait.Wait()
	for i, size := range sizes {
		if size > signed.size {
			return fmt.Errorf("cosigner %s signed a checkpoint of %d entries, the register holds one of %d: store and register were put back together",
				l.cosigners.verifiers[i].Name(), size, signed.size)
		}
	}
	return nil
}
