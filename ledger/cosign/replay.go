package cosign

import (
	"context"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
)

// replay runs the entries up to a checkpoint through the machine and compares the roots. What it replayed stays, even
// if ctx ends: the next request goes on from there, after checking that its log begins with the same entries.
func (c *Cosigner) replay(ctx context.Context, next client.Checkpoint) error {
	if err := c.checkStart(ctx, next); err != nil {
		return err
	}
	to := ledger.Followed{Checkpoint: next.Text, Size: next.Size, Root: next.Tree().Hash}
	err := c.follower.Replay(ctx, to, func(ctx context.Context, index uint64) ([]byte, error) {
		return c.read(ctx, next, index)
	})
	var broken *ledger.EntryError
	switch {
	case errors.As(err, &broken):
		return c.refuseEntry(ctx, next, broken)
	case errors.Is(err, ledger.ErrOtherTree):
		return c.refuseTree(ctx, next, next.Size)
	case errors.Is(err, ledger.ErrSealAhead):
		return fmt.Errorf("%w: %w", ErrAhead, err)
	}
	return err
}

// checkStart checks that what was replayed is how the checkpoint's log begins. It need not be what was cosigned: a
// replay can have been interrupted, and the log's operator could have changed its mind.
func (c *Cosigner) checkStart(ctx context.Context, next client.Checkpoint) error {
	size := c.follower.Machine().Size()
	if size == 0 || size >= next.Size || c.last != nil && size == c.last.Size {
		return nil // the consistency proof, or the comparison of roots after the replay, shows it
	}
	ours, err := c.follower.Machine().Root()
	if err != nil {
		return err
	}
	theirs, err := c.log.RootAt(ctx, next.Tree(), size)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if ours != theirs {
		return c.refuseTree(ctx, next, size)
	}
	return nil
}

// read reads an entry, unless it is time to stop.
func (c *Cosigner) read(ctx context.Context, next client.Checkpoint, index uint64) ([]byte, error) {
	if err := c.interrupted(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	raw, err := c.log.Entry(ctx, next.Tree(), index)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return raw, nil
}

func (c *Cosigner) interrupted(ctx context.Context) error {
	if c.closing.Load() {
		return errors.New("the cosigner is being closed")
	}
	return ctx.Err()
}

// refuseEntry keeps an entry that breaks the rules as evidence, and says why nothing is signed.
func (c *Cosigner) refuseEntry(ctx context.Context, next client.Checkpoint, broken *ledger.EntryError) error {
	reason := fmt.Sprintf("entry %d: %v", broken.Index, broken.Cause)
	c.accuse(ctx, next, broken.Index, broken.Entry, reason)
	return fmt.Errorf("%w: %s", ErrRefused, reason)
}

// refuseTree is the same for a log that begins otherwise than the one replayed before.
func (c *Cosigner) refuseTree(ctx context.Context, next client.Checkpoint, size uint64) error {
	before, err := c.follower.Under()
	if err != nil && !errors.Is(err, ledger.ErrAbsent) {
		return fmt.Errorf("read the checkpoint replayed before: %w", err)
	}
	reason := fmt.Sprintf("its first %d entries are not those of a checkpoint that the log signed before", size)
	c.accuseOfFork(ctx, next, before, reason)
	return fmt.Errorf("%w: %s", ErrRefused, reason)
}
