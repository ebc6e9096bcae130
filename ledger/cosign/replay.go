package cosign

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
)

// rowReplayed is the key of the newest checkpoint under which entries were replayed, cosigned or not.
const rowReplayed = "x/replayed"

// commitEvery is how many replayed entries are committed at once.
const commitEvery = 256

// replay runs the entries up to a checkpoint through the machine and compares the roots. What it replayed stays, even
// if ctx ends: the next request goes on from there, after checking that its log begins with the same entries.
func (c *Cosigner) replay(ctx context.Context, next client.Checkpoint) error {
	if err := c.checkStart(ctx, next); err != nil {
		return err
	}
	for c.machine.Size() < next.Size {
		if err := c.replaySome(ctx, next); err != nil {
			return c.giveUp(err)
		}
	}
	root, err := ledger.RootAt(c.machine, next.Size)
	if err != nil {
		return c.giveUp(err)
	}
	if root != tlog.Hash(next.Root) {
		return c.refuseTree(ctx, next, next.Size)
	}
	return nil
}

// checkStart checks that what was replayed is how the checkpoint's log begins. It need not be what was cosigned: a
// replay can have been interrupted, and the log's operator could have changed its mind.
func (c *Cosigner) checkStart(ctx context.Context, next client.Checkpoint) error {
	size := c.machine.Size()
	if size == 0 || size >= next.Size || c.last != nil && size == c.last.Size {
		return nil // the consistency proof, or the comparison of roots after the replay, shows it
	}
	ours, err := c.machine.Root()
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

// replaySome replays entries until enough are waiting to be committed, or the end, and commits them.
func (c *Cosigner) replaySome(ctx context.Context, next client.Checkpoint) error {
	var interrupted error
	for n := 0; n < commitEvery && c.machine.Size() < next.Size; n++ {
		if interrupted = c.interrupted(ctx); interrupted != nil {
			break
		}
		if err := c.replayOne(ctx, next); err != nil {
			return err
		}
	}
	rows, err := c.machine.Changes()
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		rows[rowReplayed] = next.Text
		if err := c.store.Commit(rows); err != nil {
			return fmt.Errorf("commit replayed entries: %w", err)
		}
		c.machine.Committed()
		if err := c.prune(); err != nil {
			return err
		}
	}
	if interrupted != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, interrupted)
	}
	return nil
}

// prune drops all versions of the active tree but the last: nobody reads them here.
func (c *Cosigner) prune() error {
	last, seals := c.machine.Sealed()
	for more := seals > 0; more; {
		var err error
		if more, err = ledger.Prune(c.store, seals-1, last.Time); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cosigner) replayOne(ctx context.Context, next client.Checkpoint) error {
	index := c.machine.Size()
	raw, err := c.log.Entry(ctx, next.Tree(), index)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	_, err = c.machine.Apply(raw)
	switch {
	case isRefusal(err):
		return c.refuseEntry(ctx, next, index, raw, err)
	case err != nil:
		return fmt.Errorf("replay entry %d: %w", index, err)
	}
	if _, hash := c.machine.Genesis(); hash != c.genesis {
		return c.refuseEntry(ctx, next, index, raw, fmt.Errorf("it begins the chain %s, not %s", hash, c.genesis))
	}
	last, _ := c.machine.Sealed()
	if ahead := last.Time.Time().Sub(c.clock()); last.Index == index && index > 0 && ahead > c.skew {
		return fmt.Errorf("%w: entry %d by %s", ErrAhead, index, ahead)
	}
	return nil
}

func (c *Cosigner) interrupted(ctx context.Context) error {
	if c.closing.Load() {
		return errors.New("the cosigner is being closed")
	}
	return ctx.Err()
}

// giveUp throws away what was not committed.
func (c *Cosigner) giveUp(cause error) error {
	c.machine = nil
	return cause
}

// refuseEntry keeps an entry that breaks the rules as evidence, and says why nothing is signed.
func (c *Cosigner) refuseEntry(ctx context.Context, next client.Checkpoint, index uint64, raw []byte, cause error) error {
	reason := fmt.Sprintf("entry %d: %v", index, cause)
	c.accuse(ctx, next, index, raw, reason)
	return fmt.Errorf("%w: %s", ErrRefused, reason)
}

// refuseTree is the same for a log that begins otherwise than the one replayed before.
func (c *Cosigner) refuseTree(ctx context.Context, next client.Checkpoint, size uint64) error {
	before, err := c.store.Get([]byte(rowReplayed))
	if err != nil && !errors.Is(err, ledger.ErrAbsent) {
		return fmt.Errorf("read the checkpoint replayed before: %w", err)
	}
	reason := fmt.Sprintf("its first %d entries are not those of a checkpoint that the log signed before", size)
	c.accuseOfFork(ctx, next, before, reason)
	return fmt.Errorf("%w: %s", ErrRefused, reason)
}
