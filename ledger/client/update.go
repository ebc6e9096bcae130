package client

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/checkpoint"
)

// Update fetches the newest checkpoint, checks it against policy and memory, and returns what it fixes. Errors:
// [ErrPolicy], [ErrTampered], [ErrRollback], [ErrNoSeal]; [ErrFork], from then on for ever; and those of the network.
// After any error the earlier views stay valid.
func (c *Client) Update(ctx context.Context) (*View, error) {
	if err := c.updating.enter(ctx); err != nil {
		return nil, err
	}
	defer c.updating.leave()
	view, err := c.update(ctx)
	if err != nil {
		return nil, fmt.Errorf("update from ledger: %w", err)
	}
	c.view.Store(view)
	c.updated.Store(c.cfg.Clock().UnixNano())
	return view, nil
}

func (c *Client) update(ctx context.Context) (*View, error) {
	if c.state.Conflict != "" {
		return nil, &ForkError{[]byte(c.state.Checkpoint), []byte(c.state.Conflict), ErrFork}
	}
	if err := c.loadGenesis(ctx); err != nil {
		return nil, err
	}
	text, err := c.http.get(ctx, "/checkpoint", MaxCheckpoint, 0)
	if err != nil {
		return nil, err
	}
	served, err := c.policy.Accept(text)
	if err != nil {
		return nil, err
	}
	if known := c.Latest(); known != nil && known.Checkpoint.Tree() == served.Tree() {
		return known, nil
	}
	if err := c.advance(ctx, served); err != nil {
		return nil, err
	}
	return c.look(ctx, served)
}

// loadGenesis fetches the genesis entry once.
func (c *Client) loadGenesis(ctx context.Context) error {
	if c.genesis != nil {
		return nil
	}
	g, raw, err := c.log.Genesis(ctx, c.cfg.Genesis)
	if err != nil {
		return err
	}
	if err := c.policy.ValidateFor(g); err != nil {
		return err
	}
	c.genesis = &genesis{g, raw}
	return nil
}

// advance makes a checkpoint the last one seen, if the log it stands for continues the one seen before.
func (c *Client) advance(ctx context.Context, served Checkpoint) error {
	if c.state.Checkpoint == "" {
		if err := c.checkStart(ctx, served.Tree()); err != nil {
			return err
		}
		return c.remember(memoryState{Genesis: c.cfg.Genesis, Checkpoint: string(served.Text)})
	}
	// It was accepted under the policy of its day; what must hold still is the log's own signature.
	seen, err := ParseCheckpoint([]byte(c.state.Checkpoint), c.policy.Log)
	if err != nil {
		return fmt.Errorf("the last checkpoint seen: %w", err)
	}
	older, newer := seen, served
	if served.Size < seen.Size {
		older, newer = served, seen
	}
	// The hashes are checked against the newer root, so that another root at the older size proves a fork.
	root, err := c.log.RootAt(ctx, newer.Tree(), older.Size)
	switch {
	case err != nil && served.Size < seen.Size:
		return fmt.Errorf("%w (and: %w)", &ForkError{seen.Text, served.Text, ErrRollback}, err)
	case err != nil:
		return fmt.Errorf("check that the log continues the one of size %d: %w", seen.Size, err)
	case root != tlog.Hash(older.Root):
		return c.raiseFork(seen, served)
	case served.Size < seen.Size:
		return &ForkError{seen.Text, served.Text, ErrRollback}
	}
	if err := c.checkStart(ctx, served.Tree()); err != nil {
		return err
	}
	return c.remember(memoryState{Genesis: c.cfg.Genesis, Checkpoint: string(served.Text)})
}

// checkStart checks that entry 0 is the genesis entry.
func (c *Client) checkStart(ctx context.Context, tree tlog.Tree) error {
	if c.Latest() != nil {
		return nil // this log continues one that was checked
	}
	hash, err := c.log.RecordHash(ctx, tree, 0)
	if err != nil {
		return err
	}
	if hash != tlog.RecordHash(c.genesis.raw) {
		return fmt.Errorf("entry 0 of the log is not the genesis entry: %w", ErrTampered)
	}
	return nil
}

func (c *Client) raiseFork(seen, served Checkpoint) error {
	fork := &ForkError{seen.Text, served.Text, ErrFork}
	if err := c.remember(memoryState{c.cfg.Genesis, string(seen.Text), string(served.Text)}); err != nil {
		c.state.Conflict = string(served.Text) // this process stops at any rate
		return fmt.Errorf("%w (and: %w)", fork, err)
	}
	return fork
}

func (c *Client) remember(s memoryState) error {
	if err := s.save(c.cfg.Memory); err != nil {
		return fmt.Errorf("save the last checkpoint seen: %w", err)
	}
	c.state = s
	return nil
}

// look reads what a checkpoint fixes.
func (c *Client) look(ctx context.Context, checkpoint Checkpoint) (*View, error) {
	last, err := c.lastSeal(ctx, checkpoint.Tree())
	if err != nil {
		return nil, err
	}
	v := &View{
		GenesisHash: c.cfg.Genesis, Genesis: c.genesis.content, Checkpoint: checkpoint,
		Seal: last.Seal, SealIndex: last.Index, sealDigest: last.digest,
	}
	if v.Registry, err = c.RegistryAt(ctx, last.Seal); err != nil {
		return nil, err
	}
	v.Census, err = c.CensusAt(ctx, last.Seal)
	return v, err
}

// lastSeal finds the last seal of a tree: normally its last entry, which the host hands out by itself.
func (c *Client) lastSeal(ctx context.Context, tree tlog.Tree) (SealAt, error) {
	end := uint64(tree.N)
	raw, err := c.lastEntry(ctx, tree)
	if err == nil && isSeal(raw) {
		return parseSeal(raw, end-1, c.cfg.Genesis, c.genesis.content.OperatorKey)
	}
	if err != nil && !isMissing(err) {
		return SealAt{}, err
	}
	for index := end; index > 0 && end-index < uint64(c.cfg.Limits.Unsealed); index-- {
		raw, err := c.log.Entry(ctx, tree, index-1)
		if err != nil {
			return SealAt{}, err
		}
		if isSeal(raw) {
			return parseSeal(raw, index-1, c.cfg.Genesis, c.genesis.content.OperatorKey)
		}
	}
	return SealAt{}, ErrNoSeal
}

func isSeal(raw []byte) bool { return checkpoint.IsSeal(raw) }

// parseSeal is [checkpoint.ParseSeal].
func parseSeal(raw []byte, index uint64, genesis credential.Digest, operator jose.PublicKey) (SealAt, error) {
	s, err := checkpoint.ParseSeal(raw, index, genesis, operator)
	return SealAt{s.Seal, s.Index, s.At, s.Digest}, err
}
