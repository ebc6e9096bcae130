package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A store that is put back to yesterday does not reach the register. A register that is put back with it is noticed by
// nobody here, but cosigners remember what they signed. Outside dev chains nothing new is signed after a start before so
// many of them said how far they are that whatever was published is known to one of these: doc/decisions/0012.

// rollbackTimeout is how long a start waits for cosigners that do not answer, and how long each later try may take.
const rollbackTimeout = 3 * time.Second

var (
	// ErrForked is what [Cosigner.SignedSize] returns for a tree of another root than the one of that size that was cosigned.
	ErrForked = errors.New("cosigner signed another tree of this size")
	// ErrUnheard is in what [Log.Ready] returns while too few cosigners have said what they signed.
	ErrUnheard = errors.New("too few cosigners have said since the start what they signed")
)

// SignedSize implements [Cosigner]. It asks with an old size that is the checkpoint's own: a cosigner that is elsewhere
// says where, by C2SP tlog-witness, and one that is there signs again. No cosigner replays anything for it.
func (h *HTTPCosigner) SignedSize(ctx context.Context, request CosignRequest) (uint64, error) {
	_, err := h.add(ctx, request.Size, request)
	var conflict errConflict
	var status errStatus
	switch {
	case errors.As(err, &conflict):
		return conflict.size, nil
	// 422 is of a proof that does not fit. Nothing is proven here but that the roots are the same.
	case errors.As(err, &status) && (status.code == http.StatusConflict || status.code == http.StatusUnprocessableEntity):
		return 0, ErrForked
	}
	return request.Size, err
}

// hearings is which cosigners have said since the start what they signed.
type hearings struct {
	need int // how many must have, before anything is signed

	mu    sync.Mutex
	heard []bool
}

// quorum is how many of n cosigners must have spoken so that among them is one of any k who signed what was published.
func quorum(n, k int) int { return n - k + 1 }

// missing is how many more must speak.
func (h *hearings) missing() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	missing := h.need
	for _, heard := range h.heard {
		if heard {
			missing--
		}
	}
	return max(0, missing)
}

// silent are those who have not spoken yet.
func (h *hearings) silent() (list []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, heard := range h.heard {
		if !heard {
			list = append(list, i)
		}
	}
	return list
}

func (h *hearings) hear(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard[i] = true
}

// hear asks the cosigners that have not spoken yet. An error means that one of them signed more than the register holds, or
// something else.
func (l *Log) hear(ctx context.Context, signed checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, rollbackTimeout)
	defer cancel()
	request := CosignRequest{Checkpoint: signed.note, Size: signed.size, Prove: func(old uint64) ([]tlog.Hash, error) {
		return proveConsistency(l.cfg.Store, old, signed.size)
	}}
	silent := l.cosigners.hearings.silent()
	accusations := make([]error, len(silent))
	var wait sync.WaitGroup
	for n, i := range silent {
		wait.Go(func() { accusations[n] = l.hearOne(ctx, i, request) })
	}
	wait.Wait()
	if i := slices.IndexFunc(accusations, func(err error) bool { return err != nil }); i >= 0 {
		return accusations[i]
	}
	return nil
}

func (l *Log) hearOne(ctx context.Context, i int, request CosignRequest) error {
	name := l.cosigners.verifiers[i].Name()
	size, err := l.cosigners.list[i].SignedSize(ctx, request)
	switch {
	case errors.Is(err, ErrForked):
		return fmt.Errorf("cosigner %s signed another tree of the %d entries that the register holds: store and register were put back together, or another ledger has this log's key", name, request.Size)
	case err != nil:
		l.cfg.Logger.Warn("a cosigner does not say how far it is", slog.String("cosigner", name), slog.Any("error", err))
		return nil
	case size > request.Size:
		return fmt.Errorf("cosigner %s signed a checkpoint of %d entries, the register holds one of %d: store and register were put back together", name, size, request.Size)
	}
	l.cosigners.hearings.hear(i)
	return nil
}

// begin runs the sequencer, once enough cosigners have spoken. Submissions wait meanwhile.
func (l *Log) begin(ctx context.Context) {
	if l.cosigners.hearings.missing() > 0 {
		if err := l.awaitCosigners(ctx); err != nil {
			if ctx.Err() == nil {
				l.fail(advise(err))
			}
			close(l.stopped)
			return
		}
	}
	l.run(ctx)
}

// awaitCosigners asks until enough have spoken, and takes up signing.
func (l *Log) awaitCosigners(ctx context.Context) error {
	signed := l.head.checkpoint // nobody writes it before
	for l.cosigners.hearings.missing() > 0 {
		l.cfg.Logger.Error("nothing is signed until more cosigners say what they signed", slog.Int("missing", l.cosigners.hearings.missing()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(l.cfg.RetryAfter):
		}
		if err := l.hear(ctx, signed); err != nil {
			return err
		}
	}
	l.cfg.Logger.Info("enough cosigners have said what they signed")
	return l.resume()
}
