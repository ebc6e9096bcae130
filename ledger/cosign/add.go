package cosign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger/client"
)

// Errors of [Cosigner.Add], with their statuses over HTTP.
var (
	ErrRequest     = errors.New("malformed request")                                      // 400
	ErrSignature   = errors.New("checkpoint is not signed by the log, or malformed")      // 403
	ErrUnknownLog  = errors.New("checkpoint is of a log that is not cosigned here")       // 404
	ErrFork        = errors.New("another tree of that size is cosigned")                  // 409, code fork
	ErrProof       = errors.New("consistency proof does not verify")                      // 422
	ErrRefused     = errors.New("checkpoint is refused: the log does not keep its rules") // 422, code replay-refused
	ErrAhead       = errors.New("a seal is ahead of the cosigner's clock")                // 503
	ErrUnreachable = errors.New("ledger could not be read")                               // 503
)

// ConflictError tells an asker at which size the cosigner is: 409 over HTTP.
type ConflictError struct{ Size uint64 }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the last checkpoint cosigned here has size %d", e.Size)
}

// maxReplay bounds the work for one request.
const maxReplay = 10 * time.Minute

// Add is one add-checkpoint request: it returns the cosignature line for the checkpoint, or why there is none. What it
// signs is durable in the register before it answers: never two roots of one size, nor a smaller size after a larger.
//
// ctx bounds only the wait for other requests. Once begun, a replay goes on though the asker may leave, as it does
// after some seconds: asked again, Add answers at once.
func (c *Cosigner) Add(ctx context.Context, r Request) ([]byte, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.leave()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxReplay)
	defer cancel()
	if err := c.start(ctx); err != nil {
		return nil, err
	}
	checkpoint, err := c.parse(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	again, err := c.checkGrowth(ctx, r, checkpoint)
	if err != nil {
		return nil, err
	}
	if !again {
		if err := c.replay(ctx, checkpoint); err != nil {
			return nil, err
		}
		if err := c.remember(checkpoint); err != nil {
			return nil, err
		}
	}
	return c.sign(checkpoint)
}

func (c *Cosigner) parse(text []byte) (client.Checkpoint, error) {
	// SPEC (tlog-witness): an unknown origin is told apart from a bad signature.
	if origin, _, _ := strings.Cut(string(text), "\n"); origin != c.logKey.Name() {
		return client.Checkpoint{}, fmt.Errorf("%w: want %s", ErrUnknownLog, c.logKey.Name())
	}
	checkpoint, err := client.ParseCheckpoint(text, c.logKey)
	if err != nil {
		return client.Checkpoint{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return checkpoint, nil
}

// checkGrowth checks that the checkpoint extends the last one cosigned. again means that it is that very tree.
func (c *Cosigner) checkGrowth(ctx context.Context, r Request, next client.Checkpoint) (again bool, err error) {
	var size uint64
	if c.last != nil {
		size = c.last.Size
	}
	switch {
	case r.Old > next.Size:
		// SPEC (tlog-witness): the old size MUST NOT be larger than the checkpoint's.
		return false, fmt.Errorf("old size %d, but the checkpoint has %d: %w", r.Old, next.Size, ErrRequest)
	case r.Old != size:
		return false, &ConflictError{size}
	case (size == 0 || size == next.Size) && len(r.Proof) > 0:
		return false, fmt.Errorf("from size %d to %d it must be empty: %w", size, next.Size, ErrProof)
	case size == 0:
		return false, nil
	case size == next.Size && c.last.Root != next.Root:
		// SPEC (tlog-witness): that is a conflict too, but not one of sizes: told a size, an asker would ask again.
		c.accuseOfFork(ctx, next, c.last.Text, "the log signed two trees of one size")
		return false, fmt.Errorf("of size %d: %w", size, ErrFork)
	case size == next.Size:
		return true, nil
	}
	t := next.Tree()
	if err := tlog.CheckTree(r.Proof, t.N, t.Hash, int64(size), tlog.Hash(c.last.Root)); err != nil {
		return false, fmt.Errorf("from size %d to %d: %w", size, next.Size, ErrProof)
	}
	return false, nil
}

// remember makes a checkpoint the last one that is cosigned, before the signature exists.
func (c *Cosigner) remember(next client.Checkpoint) error {
	var before []byte
	if c.last != nil {
		before = c.last.Text
	}
	// Only what was checked is kept: not the cosignatures of others that the asker may have sent along.
	signed, err := c.logSigned(next)
	if err != nil {
		return err
	}
	if err := c.register.Swap(before, signed.Text); err != nil {
		c.logKey, c.last = nil, nil // it is open what the register holds: read it again
		return fmt.Errorf("write the register: %w", err)
	}
	c.last = &signed
	return nil
}

func (c *Cosigner) logSigned(checkpoint client.Checkpoint) (client.Checkpoint, error) {
	opened, err := note.Open(checkpoint.Text, note.VerifierList(c.logKey))
	if err != nil {
		return client.Checkpoint{}, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	opened.UnverifiedSigs = nil
	text, err := note.Sign(opened)
	if err != nil {
		return client.Checkpoint{}, fmt.Errorf("write note: %w", err)
	}
	checkpoint.Text = text
	return checkpoint, nil
}

// sign makes the cosignature line, with the time of signing.
func (c *Cosigner) sign(checkpoint client.Checkpoint) ([]byte, error) {
	body := checkpoint.Body()
	signed, err := note.Sign(&note.Note{Text: body}, c.signer)
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	c.logger.Info("checkpoint cosigned", slog.Uint64("size", checkpoint.Size), slog.String("root", checkpoint.Root.String()))
	return signed[len(body)+1:], nil
}
