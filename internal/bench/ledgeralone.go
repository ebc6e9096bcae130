package bench

import (
	"context"
	"math"
	"math/rand/v2"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Ledger is a ledger with many agencies by itself, for programs that measure it beside others. A signer has one entry
// under way at a time, so the agencies are how many entries wait at once.
type Ledger struct{ chain *chain }

// NewLedger begins a chain with a seal a second in dir. batch is [ledger.Config.MaxBatch].
func NewLedger(dir string, agencies, batch int) (*Ledger, error) {
	c, err := newChain(chainConfig{dir: dir, agencies: agencies, interval: 1, pending: 2 * agencies, batch: batch})
	if err != nil {
		return nil, err
	}
	if err := c.open(); err != nil {
		c.close()
		return nil, err
	}
	return &Ledger{c}, nil
}

// Prepared is how many entries with one commitment are logged a second when their signatures are checked, and their leaves
// computed, before the clock starts.
func (l *Ledger) Prepared(ctx context.Context, entries int) (float64, error) {
	return l.chain.prepared(ctx, entries, 1)
}

// Checked is [Ledger.Prepared] with the checks.
func (l *Ledger) Checked(ctx context.Context, entries int) (float64, error) {
	return l.chain.checked(ctx, entries, 1)
}

// Commitments is how many commitments are logged a second in entries that are full, with the checks.
func (l *Ledger) Commitments(ctx context.Context, entries int) (float64, error) {
	return l.chain.checked(ctx, entries, entry.MaxBatch)
}

// OverHTTP is how many entries with one commitment are accepted a second from so many submitters, with the median and the
// 99th percentile of their waits in milliseconds. Client and server are in this process.
func (l *Ledger) OverHTTP(ctx context.Context, entries, submitters int) (rate, p50, p99 float64, err error) {
	rate, waits, err := l.chain.overHTTP(ctx, entries, submitters)
	if err != nil {
		return 0, 0, 0, err
	}
	return rate, waits.at(0.5), waits.at(0.99), nil
}

// EntrySize is the bytes of an entry with one commitment.
func (l *Ledger) EntrySize() (int, error) {
	payload, err := l.chain.issue(1)
	if err != nil {
		return 0, err
	}
	s := *l.chain.agencies[0] // its number is not used up
	e, err := l.chain.sign(&s, payload)
	if err != nil {
		return 0, err
	}
	return len(e.Bytes()), nil
}

// Close ends it.
func (l *Ledger) Close() { l.chain.close() }

// ActiveTree is an active tree in memory by itself, changed in batches as by seals.
type ActiveTree struct {
	tree   *activeTree
	recent tree.Recent // as the ledger keeps them
	next   uint64
}

// NewActiveTree has a crowd of live leaves.
func NewActiveTree() (*ActiveTree, error) {
	t, err := newActiveTree(credential.Random31())
	return &ActiveTree{tree: t, next: crowd}, err
}

// Append adds n leaves and returns how many a second.
func (t *ActiveTree) Append(n int) (float64, error) {
	changes := make(map[uint64]credential.Element, n)
	for range n {
		changes[t.next] = credential.Random31()
		t.next++
	}
	return t.update(changes)
}

// Change changes n leaves at random and returns how many a second.
func (t *ActiveTree) Change(n int) (float64, error) {
	changes := make(map[uint64]credential.Element, n)
	for len(changes) < n {
		changes[rand.Uint64N(t.next)] = credential.Random31()
	}
	return t.update(changes)
}

func (t *ActiveTree) update(changes map[uint64]credential.Element) (float64, error) {
	start := time.Now()
	update, err := t.recent.Update(t.tree.tile, t.tree.root, changes)
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	t.tree.root = update.Root
	for name, data := range update.Tiles {
		t.tree.tiles[name] = data
	}
	return math.Round(float64(len(changes)) / took.Seconds()), nil
}
