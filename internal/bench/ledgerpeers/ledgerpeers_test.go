package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/bench"
)

// fake counts up, so that every rate tells when it was taken.
type fake struct {
	name  string
	order *[]string
}

func (f fake) Turn(context.Context) (turn, error) {
	*f.order = append(*f.order, f.name)
	return turn{Rate: float64(len(*f.order)), P50: 1}, nil
}
func (fake) Close() {}

func TestTurns(t *testing.T) {
	var order []string
	one := func(name string) *line {
		return &line{name: name, unit: "entries/s", start: func(context.Context) (contestant, error) { return fake{name, &order}, nil }}
	}
	missing := &line{name: "c", start: func(context.Context) (contestant, error) { return nil, errors.New("nowhere") }}
	lines := start(t.Context(), []*line{one("a"), missing, one("b")})
	if len(lines) != 2 {
		t.Fatalf("%d started, want 2", len(lines))
	}
	if err := rounds(t.Context(), lines, 2); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "ababab" {
		t.Errorf("order %s", got)
	}
	if l := lines[0]; !slices.Equal(l.turns, []turn{{3, 1, 0}, {5, 1, 0}}) {
		t.Errorf("the first round counts, or another does not: %+v", l.turns)
	}
	var table bytes.Buffer
	if err := print(&table, lines); err != nil || strings.Count(table.String(), "\n") != 3 {
		t.Errorf("%v\n%s", err, &table)
	}
}

// A peer that breaks off, or speaks something else, is an error and no figure.
func TestPeerRefused(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	ready := `echo '{"ready":true}'; read line; `
	for name, script := range map[string]string{
		"never ready": "true", "speaks first": `echo '{"rate":1}'`, "no JSON": ready + "echo fast", "no rate": ready + "echo '{}'", "ends": ready,
	} {
		p, err := startPeer(t.Context(), "sh", "-c", script)
		if err == nil {
			_, err = p.Turn(t.Context())
			p.Close()
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
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
