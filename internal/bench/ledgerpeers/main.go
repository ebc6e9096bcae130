// Command ledgerpeers measures the ledger beside what others build logs and trees with: Tessera's POSIX driver, Pebble by
// itself, iden3's sparse Merkle tree. All stay running and take turns, round by round, so that whatever else the machine
// does hits all alike. It needs the Go module proxy once. A peer that cannot be had is named aloud, and the others go on.
//
// They do not do the same, so the table says what each one does. Start, keys, signing and the first round are not counted.
package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/bulla-id/bulla/internal/bench"
	"github.com/bulla-id/bulla/internal/bench/turns"
)

func main() {
	turns.Main(turns.Table[turn]{
		Command: "bench-ledger-peers", Folder: "internal/bench/ledgerpeers", Rounds: 7, Round: "each contestant has a turn in each",
		Settle: settle, List: list, Print: print,
	})
}

// settle is what a contestant gets after its turn for what it still does in the background.
const settle = 300 * time.Millisecond

// turn is what a contestant did in one: so many a second, with the waits of single requests where it knows them.
type turn struct {
	Rate float64 `json:"rate"`
	P50  float64 `json:"p50"` // milliseconds
	P99  float64 `json:"p99"` // milliseconds
}

// contestant takes turns with others; each has a line of the table.
type (
	contestant = turns.Contestant[turn]
	line       = turns.Line[turn]
)

// list is who takes part.
func list(folder, dir string) []*line {
	o := &own{dir: filepath.Join(dir, "ledger")}
	module := func(name string, args ...string) func(context.Context) (contestant, error) {
		return func(ctx context.Context) (contestant, error) {
			return startModule(ctx, filepath.Join(folder, name), dir, args...)
		}
	}
	return []*line{
		{Name: "Tessera POSIX", Unit: "entries/s", Does: "300 bytes, durable and in the tree; batches of 256", Start: module("tessera", filepath.Join(dir, "tessera-256"), "256")},
		{Name: "Tessera POSIX", Unit: "entries/s", Does: "the same; batches of 4,096", Start: module("tessera", filepath.Join(dir, "tessera-4096"), "4096")},
		{Name: "bulla, prepared", Unit: "entries/s", Does: fmt.Sprintf("%d bytes, logged: state machine, log tree, seals; signatures and leaves ready; 2,000 agencies", o.size()), Start: o.part(prepared)},
		{Name: "bulla", Unit: "entries/s", Does: "the same with the checks", Start: o.part(checked)},
		{Name: "bulla, full entries", Unit: "commitments/s", Does: "entries of 1,000, logged, with the checks", Start: o.part(commitments)},
		{Name: "bulla over HTTP", Unit: "entries/s", Does: "accepted; 64 submitters, client and server in one process", Start: o.part(overHTTP)},
		{Name: "Pebble, Sync", Unit: "rows/s", Does: "300 bytes, nothing checked, no tree; 64 writers", Start: func(context.Context) (contestant, error) { return newRows(filepath.Join(dir, "rows-64"), 64, 1) }},
		{Name: "Pebble, Sync", Unit: "rows/s", Does: "the same; one writer, batches of 1,000", Start: func(context.Context) (contestant, error) { return newRows(filepath.Join(dir, "rows-1000"), 1, 1000) }},
		{Name: "iden3 sparse tree", Unit: "inserts/s", Does: "40 levels of Poseidon, in memory, one by one", Start: module("iden3")},
		{Name: "bulla active tree", Unit: "appends/s", Does: "18 levels of arity 4, in memory, batches of 10,000 as by seals", Start: newTree(appended, 10_000)},
		{Name: "bulla active tree", Unit: "changes/s", Does: "the same, 1,000 at random places of 100,000", Start: newTree(changed, 1000)},
		{Name: "bulla active tree", Unit: "changes/s", Does: "the same, one by one", Start: newTree(changed, 1)},
	}
}

func print(w io.Writer, lines []*line) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\ta second\t\t\tp50 ms\tp99 ms\tdoes")
	for _, l := range lines {
		var rates, p50, p99 []float64
		for _, t := range l.Turns {
			rates, p50, p99 = append(rates, t.Rate), append(p50, t.P50), append(p99, t.P99)
		}
		rate := bench.NewFigure("", l.Unit, rates)
		fmt.Fprintf(table, "%s\t%.0f\t%.0f … %.0f\t%s\t%s\t%s\t%s\n", l.Name, rate.Median, rate.Min, rate.Max, l.Unit, wait(p50), wait(p99), l.Does)
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
