// Command peers measures the presentation beside programs that prove similar things: Semaphore v4 in node and gabi, the
// Idemix under Yivi. All stay running and take turns, round by round, so that whatever else the machine does hits all
// alike. It needs the npm registry and the Go module proxy once. A peer that cannot be had is named aloud, and the others
// go on.
//
// The statements differ, so the table says what each one proves. Every program uses all processors that it can use; start,
// keys and the first round are not counted.
package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/internal/bench"
	"github.com/bulla-id/bulla/internal/bench/turns"
)

func main() {
	turns.Main(turns.Table[turn]{
		Command: "bench-peers", Folder: "internal/bench/peers", Rounds: 10, Round: "each contestant proves once and verifies three times in each",
		List: list, Print: print,
	})
}

// turn is one proof and three verifications, in milliseconds, with the size of the proof in bytes.
type turn struct {
	prove  float64
	verify []float64
	size   int
}

// contestant takes turns with others; each has a line of the table.
type (
	contestant = turns.Contestant[turn]
	line       = turns.Line[turn]
)

// prover makes and verifies proofs.
type prover interface {
	// Prove makes a new proof and returns the milliseconds it took, and the proof's size in bytes.
	Prove(ctx context.Context) (ms float64, size int, err error)
	// Verify verifies the last proof.
	Verify(ctx context.Context) (ms float64, err error)
	Close()
}

// proving is a prover's turn.
type proving struct{ prover }

// Turn proves once and verifies three times.
func (p proving) Turn(ctx context.Context) (t turn, err error) {
	if t.prove, t.size, err = p.Prove(ctx); err != nil {
		return t, err
	}
	for range 3 {
		took, err := p.Verify(ctx)
		if err != nil {
			return t, err
		}
		t.verify = append(t.verify, took)
	}
	return t, nil
}

// list is who takes part.
func list(folder, dir string) []*line {
	own := filepath.Join(dir, "keys")
	return []*line{
		{Name: "bulla", Does: "presentation-1: membership, issuer, validity, clauses, pseudonym", Start: func(ctx context.Context) (contestant, error) {
			return newOurs(ctx, own, circuits.Presentation, false)
		}},
		{Name: "bulla, precomputed", Does: "the same, with the key prepared", Start: func(ctx context.Context) (contestant, error) {
			return newOurs(ctx, own, circuits.Presentation, true)
		}},
		{Name: "bulla, small", Does: "presentation-small-1, with the key prepared: no sets, two intervals", Start: func(ctx context.Context) (contestant, error) {
			return newOurs(ctx, own, circuits.PresentationSmall, true)
		}},
		{Name: "Semaphore v4", Does: "membership at depth 20, nullifier", Start: func(ctx context.Context) (contestant, error) {
			return startSemaphore(ctx, folder)
		}},
		{Name: "gabi", Does: "signature, one disclosure, one bound, non-revocation; size as JSON", Start: func(ctx context.Context) (contestant, error) {
			return startGabi(ctx, folder, dir)
		}},
	}
}

func print(w io.Writer, lines []*line) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\tprove ms\t\tverify ms\t\tproof bytes\tproves")
	for _, l := range lines {
		var prove, verify []float64
		var size int
		for _, t := range l.Turns {
			prove, verify, size = append(prove, t.prove), append(verify, t.verify...), t.size
		}
		p, v := bench.NewFigure("", "ms", prove), bench.NewFigure("", "ms", verify)
		fmt.Fprintf(table, "%s\t%.0f\t%.0f … %.0f\t%.1f\t%.1f … %.1f\t%d\t%s\n", l.Name, p.Median, p.Min, p.Max, v.Median, v.Min, v.Max, size, l.Does)
	}
	return table.Flush()
}
