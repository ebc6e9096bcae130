// Command ledgerpeers measures the ledger beside what others build logs and trees with: Tessera's POSIX driver, Pebble by
// itself, iden3's sparse Merkle tree. All stay running and take turns, round by round, so that whatever else the machine
// does hits all alike. It needs the Go module proxy once. A peer that cannot be had is named aloud, and the others go on.
//
// They do not do the same, so the table says what each one does. Start, keys, signing and the first round are not counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/bulla-id/bulla/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench-ledger-peers:", err)
		os.Exit(1)
	}
}

// patience ends peers that do not answer, or a registry that does not.
const patience = time.Hour

// settle is what a contestant gets after its turn for what it still does in the background.
const settle = 300 * time.Millisecond

// turn is what a contestant did in one: so many a second, with the waits of single requests where it knows them.
type turn struct {
	Rate float64 `json:"rate"`
	P50  float64 `json:"p50"` // milliseconds
	P99  float64 `json:"p99"` // milliseconds
}

// contestant takes turns with others.
type contestant interface {
	Turn(ctx context.Context) (turn, error)
	Close()
}

// line of the table.
type line struct {
	name, unit, does string
	start            func(context.Context) (contestant, error)

	contestant contestant
	turns      []turn
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("ledgerpeers", flag.ContinueOnError)
	folder := flags.String("folder", "internal/bench/ledgerpeers", "this package's folder")
	n := flags.Int("n", 7, "rounds; each contestant has a turn in each")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *n < 1 {
		return errors.New("at least one round")
	}
	dir, err := os.MkdirTemp("", "bulla-ledger-peers-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lines := start(ctx, list(*folder, dir))
	for _, l := range lines {
		defer l.contestant.Close()
	}
	before := bench.Load()
	if err := rounds(ctx, lines, *n); err != nil {
		return err
	}
	fmt.Printf("%s\n%s before, %s after; %d rounds, medians, least … greatest\n\n", bench.Machine(), before, bench.Load(), *n)
	return print(os.Stdout, lines)
}

// list is who takes part.
func list(folder, dir string) []*line {
	o := &own{dir: filepath.Join(dir, "ledger")}
	module := func(name string, args ...string) func(context.Context) (contestant, error) {
		return func(ctx context.Context) (contestant, error) {
			return startModule(ctx, filepath.Join(folder, name), dir, args...)
		}
	}
	return []*line{
		{name: "Tessera POSIX", unit: "entries/s", does: "300 bytes, durable and in the tree; batches of 256", start: module("tessera", filepath.Join(dir, "tessera-256"), "256")},
		{name: "Tessera POSIX", unit: "entries/s", does: "the same; batches of 4,096", start: module("tessera", filepath.Join(dir, "tessera-4096"), "4096")},
		{name: "bulla, prepared", unit: "entries/s", does: fmt.Sprintf("%d bytes, logged: state machine, log tree, seals; signatures and leaves ready; 2,000 agencies", o.size()), start: o.part(prepared)},
		{name: "bulla", unit: "entries/s", does: "the same with the checks", start: o.part(checked)},
		{name: "bulla, full entries", unit: "commitments/s", does: "entries of 1,000, logged, with the checks", start: o.part(commitments)},
		{name: "bulla over HTTP", unit: "entries/s", does: "accepted; 64 submitters, client and server in one process", start: o.part(overHTTP)},
		{name: "Pebble, Sync", unit: "rows/s", does: "300 bytes, nothing checked, no tree; 64 writers", start: func(context.Context) (contestant, error) { return newRows(filepath.Join(dir, "rows-64"), 64, 1) }},
		{name: "Pebble, Sync", unit: "rows/s", does: "the same; one writer, batches of 1,000", start: func(context.Context) (contestant, error) { return newRows(filepath.Join(dir, "rows-1000"), 1, 1000) }},
		{name: "iden3 sparse tree", unit: "inserts/s", does: "40 levels of Poseidon, in memory, one by one", start: module("iden3")},
		{name: "bulla active tree", unit: "appends/s", does: "18 levels of arity 4, in memory, batches of 10,000 as by seals", start: newTree(appended, 10_000)},
		{name: "bulla active tree", unit: "changes/s", does: "the same, 1,000 at random places of 100,000", start: newTree(changed, 1000)},
		{name: "bulla active tree", unit: "changes/s", does: "the same, one by one", start: newTree(changed, 1)},
	}
}

// start starts those that can be started and says who cannot.
func start(ctx context.Context, lines []*line) (started []*line) {
	for _, l := range lines {
		fmt.Fprintf(os.Stderr, "starting %s (%s)\n", l.name, l.does)
		var err error
		if l.contestant, err = l.start(ctx); err != nil {
			fmt.Printf("not available: %s: %v\n", l.name, err)
			continue
		}
		started = append(started, l)
	}
	return started
}

// rounds lets each take its turn n times, after a round that does not count.
func rounds(ctx context.Context, lines []*line, n int) error {
	for round := range n + 1 {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round, n)
		for _, l := range lines {
			t, err := l.contestant.Turn(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			if round > 0 {
				l.turns = append(l.turns, t)
			}
			time.Sleep(settle)
		}
	}
	return nil
}

func print(w io.Writer, lines []*line) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\ta second\t\t\tp50 ms\tp99 ms\tdoes")
	for _, l := range lines {
		var rates, p50, p99 []float64
		for _, t := range l.turns {
			rates, p50, p99 = append(rates, t.Rate), append(p50, t.P50), append(p99, t.P99)
		}
		rate := bench.NewFigure("", l.unit, rates)
		fmt.Fprintf(table, "%s\t%.0f\t%.0f … %.0f\t%s\t%s\t%s\t%s\n", l.name, rate.Median, rate.Min, rate.Max, l.unit, wait(p50), wait(p99), l.does)
	}
	return table.Flush()
}

// wait is the median of what rounds found, or nothing where they did not.
func wait(values []float64) string {
	if f := bench.NewFigure("", "ms", values); f.Median > 0 {
		return fmt.Sprintf("%.1f", f.Median)
	}
	return ""
}
