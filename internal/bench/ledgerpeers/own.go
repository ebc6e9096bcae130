package main

import (
	"context"
	"sync"

	"github.com/bulla-id/bulla/internal/bench"
)

// Work of one turn.
const (
	agencies       = 2000
	submitters     = 64
	smallEntries   = 10 * agencies // with one commitment
	largeEntries   = submitters    // with 1,000
	servedEntries  = 5 * agencies
	largestBatches = 2 * agencies // whatever waits is one commit
)

// own is our ledger, which all its contestants share. It is begun for the first and ends with the last.
type own struct {
	dir string

	once   sync.Once
	ledger *bench.Ledger
	failed error
	users  int
}

func (o *own) begin() (*bench.Ledger, error) {
	o.once.Do(func() { o.ledger, o.failed = bench.NewLedger(o.dir, agencies, largestBatches) })
	return o.ledger, o.failed
}

// size is that of an entry, or 0 if there is no ledger, which its contestants say.
func (o *own) size() int {
	l, err := o.begin()
	if err != nil {
		return 0
	}
	size, err := l.EntrySize()
	if err != nil {
		return 0
	}
	return size
}

// part is one contestant of the ledger.
func (o *own) part(do func(context.Context, *bench.Ledger) (turn, error)) func(context.Context) (contestant, error) {
	return func(context.Context) (contestant, error) {
		if _, err := o.begin(); err != nil {
			return nil, err
		}
		o.users++
		return part{o, do}, nil
	}
}

type part struct {
	own *own
	do  func(context.Context, *bench.Ledger) (turn, error)
}

func (p part) Turn(ctx context.Context) (turn, error) { return p.do(ctx, p.own.ledger) }

func (p part) Close() {
	if p.own.users--; p.own.users == 0 {
		p.own.ledger.Close()
	}
}

func prepared(ctx context.Context, l *bench.Ledger) (turn, error) {
	rate, err := l.Prepared(ctx, smallEntries)
	return turn{Rate: rate}, err
}

func checked(ctx context.Context, l *bench.Ledger) (turn, error) {
	rate, err := l.Checked(ctx, smallEntries)
	return turn{Rate: rate}, err
}

func commitments(ctx context.Context, l *bench.Ledger) (turn, error) {
	rate, err := l.Commitments(ctx, largeEntries)
	return turn{Rate: rate}, err
}

func overHTTP(ctx context.Context, l *bench.Ledger) (t turn, err error) {
	t.Rate, t.P50, t.P99, err = l.OverHTTP(ctx, servedEntries, submitters)
	return t, err
}

// activeTree is our active tree.
type activeTree struct {
	tree *bench.ActiveTree
	do   func(*bench.ActiveTree, int) (float64, error)
	n    int
}

var (
	appended = (*bench.ActiveTree).Append
	changed  = (*bench.ActiveTree).Change
)

func newTree(do func(*bench.ActiveTree, int) (float64, error), n int) func(context.Context) (contestant, error) {
	return func(context.Context) (contestant, error) {
		t, err := bench.NewActiveTree()
		return activeTree{t, do, n}, err
	}
}

// few is how many batches of one make a turn.
const few = 500

func (a activeTree) Turn(ctx context.Context) (turn, error) {
	if a.n > 1 {
		rate, err := a.do(a.tree, a.n)
		return turn{Rate: rate}, err
	}
	seconds := 0.0
	for range few {
		if err := ctx.Err(); err != nil {
			return turn{}, err
		}
		rate, err := a.do(a.tree, 1)
		if err != nil {
			return turn{}, err
		}
		seconds += 1 / rate
	}
	return turn{Rate: few / seconds}, nil
}

func (activeTree) Close() {}
