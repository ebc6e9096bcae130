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
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

// patience ends peers that do not answer, or a registry that does not.
const patience = time.Hour

// contestant takes turns with others.
type contestant interface {
	// Prove makes a new proof and returns the milliseconds it took, and the proof's size in bytes.
	Prove(ctx context.Context) (ms float64, size int, err error)
	// Verify verifies the last proof.
	Verify(ctx context.Context) (ms float64, err error)
	Close()
}

// entry is a line of the table.
type entry struct {
	name, proves string
	start        func(context.Context) (contestant, error)

	contestant    contestant
	prove, verify []float64
	size          int
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	folder := flags.String("folder", "internal/bench/peers", "this package's folder")
	n := flags.Int("n", 10, "rounds; each contestant proves once and verifies three times in each")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *n < 1 {
		return errors.New("at least one round")
	}
	dir, err := os.MkdirTemp("", "bulla-peers-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	entries := start(ctx, list(*folder, dir))
	for _, e := range entries {
		defer e.contestant.Close()
	}
	before := bench.Load()
	if err := rounds(ctx, entries, *n); err != nil {
		return err
	}
	fmt.Printf("%s\n%s before, %s after; %d rounds, medians, least … greatest\n\n", bench.Machine(), before, bench.Load(), *n)
	return print(os.Stdout, entries)
}

// list is who takes part.
func list(folder, dir string) []*entry {
	own := filepath.Join(dir, "keys")
	return []*entry{
		{name: "bulla", proves: "presentation-1: membership, issuer, validity, clauses, pseudonym", start: func(ctx context.Context) (contestant, error) {
			return newOurs(ctx, own, circuits.Presentation, false)
		}},
		{name: "bulla, precomputed", proves: "the same, with the key prepared", start: func(ctx context.Context) (contestant, error) {
			return newOurs(ctx, own, circuits.Presentation, true)
		}},
		{name: "bulla, small", proves: "presentation-small-1, with the key prepared: no sets, two intervals", start: func(ctx context.Context) (contestant, error) {
			return newOurs(ctx, own, circuits.PresentationSmall, true)
		}},
		{name: "Semaphore v4", proves: "membership at depth 20, nullifier", start: func(ctx context.Context) (contestant, error) {
			return startSemaphore(ctx, folder)
		}},
		{name: "gabi", proves: "signature, one disclosure, one bound, non-revocation; size as JSON", start: func(ctx context.Context) (contestant, error) {
			return startGabi(ctx, folder, dir)
		}},
	}
}

// start starts those that can be started and says who cannot.
func start(ctx context.Context, entries []*entry) (started []*entry) {
	for _, e := range entries {
		fmt.Fprintf(os.Stderr, "starting %s\n", e.name)
		var err error
		if e.contestant, err = e.start(ctx); err != nil {
			fmt.Printf("not available: %s: %v\n", e.name, err)
			continue
		}
		started = append(started, e)
	}
	return started
}

// rounds lets each take its turn n times, after a round that does not count.
func rounds(ctx context.Context, entries []*entry, n int) error {
	for round := range n + 1 {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round, n)
		for _, e := range entries {
			if err := e.turn(ctx, round > 0); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
		}
	}
	return nil
}

// turn is one proof and three verifications.
func (e *entry) turn(ctx context.Context, counts bool) error {
	took, size, err := e.contestant.Prove(ctx)
	if err != nil {
		return err
	}
	e.size = size
	if counts {
		e.prove = append(e.prove, took)
	}
	for range 3 {
		if took, err = e.contestant.Verify(ctx); err != nil {
			return err
		}
		if counts {
			e.verify = append(e.verify, took)
		}
	}
	return nil
}

func print(w io.Writer, entries []*entry) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\tprove ms\t\tverify ms\t\tproof bytes\tproves")
	for _, e := range entries {
		p, v := bench.NewFigure("", "ms", e.prove), bench.NewFigure("", "ms", e.verify)
		fmt.Fprintf(table, "%s\t%.0f\t%.0f … %.0f\t%.1f\t%.1f … %.1f\t%d\t%s\n", e.name, p.Median, p.Min, p.Max, v.Median, v.Min, v.Max, e.size, e.proves)
	}
	return table.Flush()
}

// output runs a command in a folder and gives the end of what it wrote if it fails.
func output(ctx context.Context, folder, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out[max(0, len(out)-1000):])
	}
	return nil
}
