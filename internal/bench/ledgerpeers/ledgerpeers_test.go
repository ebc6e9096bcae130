package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/bench"
)

// A line has the medians of its turns, and waits only where they are known.
func TestTable(t *testing.T) {
	var table bytes.Buffer
	err := print(&table, []*line{
		{Name: "a", Unit: "entries/s", Does: "this", Turns: []turn{{Rate: 3, P50: 1.5}, {Rate: 9, P50: 1.5}, {Rate: 5, P50: 1.5}}},
		{Name: "b", Unit: "rows/s", Does: "that", Turns: []turn{{Rate: 7}}},
	})
	got := strings.Fields(table.String())
	want := strings.Fields("a second p50 ms p99 ms does  a 5 3 … 9 entries/s 1.5 this  b 7 7 … 7 rows/s that")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%s", err, &table)
	}
}

// A peer that did nothing is an error and no figure.
func TestPeerRefused(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	for answer, good := range map[string]bool{`{}`: false, `{"rate":0}`: false, `{"rate":2}`: true} {
		p, err := startPeer(t.Context(), "sh", "-c", `echo '{"ready":true}'; read line; echo '`+answer+`'`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Turn(t.Context()); (err == nil) != good {
			t.Errorf("%s: %v", answer, err)
		}
		p.Close()
	}
}

// Contestants that need no other module really do what they say, with few agencies.
func TestOwnContestants(t *testing.T) {
	if testing.Short() {
		t.Skip("syncs to disk")
	}
	small, err := bench.NewLedger(t.TempDir(), 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	if size, err := small.EntrySize(); err != nil || size < 100 {
		t.Errorf("an entry has %d bytes: %v", size, err)
	}
	if rate, err := small.Prepared(t.Context(), 8); err != nil || rate <= 0 {
		t.Errorf("prepared: %v, %v", rate, err)
	}
	if rate, p50, p99, err := small.OverHTTP(t.Context(), 8, 2); err != nil || rate <= 0 || p50 <= 0 || p99 < p50 {
		t.Errorf("over HTTP: %v, %v, %v, %v", rate, p50, p99, err)
	}
	if _, _, _, err := small.OverHTTP(t.Context(), 8, 5); err == nil {
		t.Error("more submitters than agencies are accepted")
	}
	if rate, err := small.Commitments(t.Context(), 1); err != nil || rate <= 0 {
		t.Errorf("commitments: %v, %v", rate, err)
	}
	db, err := newRows(t.TempDir(), 64, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if done, err := db.Turn(t.Context()); err != nil || done.Rate <= 0 {
		t.Errorf("rows: %+v, %v", done, err)
	}
}
