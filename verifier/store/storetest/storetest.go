// Package storetest holds implementations of [verifier.Store] to what that interface promises. A shared database, as
// when several verifiers count one scope, has to pass it before a tag may be trusted to it.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bulla-id/bulla/verifier"
)

// Run tests everything but durability. open makes a new empty store; it closes it when the test ends.
func Run(t *testing.T, open func(*testing.T) verifier.Store) {
	for name, test := range map[string]func(*testing.T, verifier.Store){
		"rows": rows, "conditions": conditions, "order of conditions": orderOfConditions, "each": each, "each sees one moment": eachOneMoment,
		"commit within each": commitWithinEach, "one of many wins": oneOfManyWins, "no change is lost": noChangeIsLost,
		"rows that belong together": togetherOrNot, "as a map would": asAMap,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func set(pairs ...string) map[string][]byte {
	m := make(map[string][]byte)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = []byte(pairs[i+1])
	}
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rows(t *testing.T, s verifier.Store) {
	if _, err := s.Get("a"); !errors.Is(err, verifier.ErrAbsent) {
		t.Errorf("absent row: %v", err)
	}
	given := []byte("1")
	must(t, s.Commit(verifier.Batch{Set: map[string][]byte{"a": given, "b": {}}}))
	given[0] = 'y'
	for key, want := range map[string]string{"a": "1", "b": ""} {
		if got, err := s.Get(key); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
	got, _ := s.Get("a")
	got[0] = 'x'
	if again, _ := s.Get("a"); string(again) != "1" {
		t.Error("a caller can change a row in place")
	}
	must(t, s.Commit(verifier.Batch{Delete: []string{"a", "never"}, Set: set("b", "2")}))
	if _, err := s.Get("a"); !errors.Is(err, verifier.ErrAbsent) {
		t.Errorf("deleted row: %v", err)
	}
}

func conditions(t *testing.T, s verifier.Store) {
	must(t, s.Commit(verifier.Batch{Set: set("session", "open", "tag1", "x")}))
	var taken *verifier.TakenError
	err := s.Commit(verifier.Batch{Same: set("session", "open"), Absent: []string{"tag0", "tag1"}, Set: set("tag0", "x", "session", "done"), Delete: []string{"tag1"}})
	if !errors.As(err, &taken) || taken.Key != "tag1" {
		t.Fatalf("taken tag: %v", err)
	}
	if strings.Contains(err.Error(), "tag1") {
		t.Error("the error quotes the tag")
	}
	if _, err := s.Get("tag0"); !errors.Is(err, verifier.ErrAbsent) {
		t.Error("a refused batch left something behind")
	}
	if session, err := s.Get("session"); err != nil || string(session) != "open" {
		t.Error("a refused batch changed a row")
	}
	if _, err := s.Get("tag1"); err != nil {
		t.Error("a refused batch deleted a row")
	}
	if err := s.Commit(verifier.Batch{Same: set("nothing", "")}); !errors.Is(err, verifier.ErrChanged) {
		t.Errorf("row that is gone: %v", err)
	}
	must(t, s.Commit(verifier.Batch{Same: set("session", "open"), Absent: []string{"tag0"}, Set: set("session", "done", "tag0", "x")}))
	must(t, s.Commit(verifier.Batch{Delete: []string{"tag0"}}))
	must(t, s.Commit(verifier.Batch{Absent: []string{"tag0"}, Set: set("tag0", "y")}))
}

// A request that was answered is told so, rather than that its tags are used.
func orderOfConditions(t *testing.T, s verifier.Store) {
	must(t, s.Commit(verifier.Batch{Set: set("session", "open", "tag2", "x", "tag1", "x")}))
	if err := s.Commit(verifier.Batch{Same: set("session", "other"), Absent: []string{"tag1"}}); !errors.Is(err, verifier.ErrChanged) {
		t.Errorf("changed row: %v", err)
	}
	var taken *verifier.TakenError
	if err := s.Commit(verifier.Batch{Absent: []string{"tag0", "tag2", "tag1"}}); !errors.As(err, &taken) || taken.Key != "tag2" {
		t.Errorf("want the first taken of the list, got %v", err)
	}
}

func each(t *testing.T, s verifier.Store) {
	must(t, s.Commit(verifier.Batch{Set: set("a/2", "2", "a/1", "1", "b", "3", "a", "0", "a/3", "3")}))
	var seen []string
	stop := errors.New("enough")
	err := s.Each("a/", func(key string, value []byte) error {
		seen = append(seen, key+string(value))
		if key == "a/2" {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || !slices.Equal(seen, []string{"a/11", "a/22"}) {
		t.Errorf("saw %v, %v", seen, err)
	}
	must(t, s.Each("c", func(key string, _ []byte) error { return fmt.Errorf("visited %s", key) }))
	for from, want := range map[string]string{"": "1 2 3", "A": "1 2 3", "a/1": "1 2 3", "a/1\x00": "2 3", "a/2": "2 3", "a/3x": "", "b": ""} {
		var seen []string
		must(t, s.EachFrom("a/", from, func(_ string, value []byte) error { seen = append(seen, string(value)); return nil }))
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("from %q: saw %q, want %q", from, got, want)
		}
	}
}

// Rows are moved from one end to the other while others look: whoever looks sees each row once.
func eachOneMoment(t *testing.T, s verifier.Store) {
	must(t, s.Commit(verifier.Batch{Set: set("row/0", "")}))
	done := make(chan error, 1)
	go func() {
		for i := range 200 {
			from, to := fmt.Sprintf("row/%d", i%10), fmt.Sprintf("row/%d", (i+1)%10)
			if err := s.Commit(verifier.Batch{Set: set(to, ""), Delete: []string{from}}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		seen := 0
		must(t, s.Each("row/", func(string, []byte) error { seen++; return nil }))
		if seen != 1 {
			t.Fatalf("saw %d rows of 1", seen)
		}
		select {
		case err := <-done:
			must(t, err)
			return
		default:
		}
	}
}

func commitWithinEach(t *testing.T, s verifier.Store) {
	must(t, s.Commit(verifier.Batch{Set: set("due/1", "", "due/2", "", "due/3", "")}))
	must(t, s.Each("due/", func(key string, _ []byte) error { return s.Commit(verifier.Batch{Delete: []string{key}}) }))
	must(t, s.Each("due/", func(key string, _ []byte) error { return fmt.Errorf("%s is still there", key) }))
}

func oneOfManyWins(t *testing.T, s verifier.Store) {
	must(t, s.Commit(verifier.Batch{Set: set("session", "open")}))
	var wg sync.WaitGroup
	var won, lost atomic.Int32
	for i := range 64 {
		wg.Go(func() {
			b := verifier.Batch{Absent: []string{"tag"}, Set: set("tag", fmt.Sprint(i))}
			if i%2 == 0 {
				b = verifier.Batch{Same: set("session", "open"), Absent: []string{"tag"}, Set: set("session", fmt.Sprint(i), "tag", fmt.Sprint(i))}
			}
			err := s.Commit(b)
			var taken *verifier.TakenError
			switch {
			case err == nil:
				won.Add(1)
			case errors.As(err, &taken) || errors.Is(err, verifier.ErrChanged):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 63 {
		t.Errorf("%d won, %d lost", won.Load(), lost.Load())
	}
}

// Many count one row up, each on the condition that it is what they read: as many counts as were acknowledged.
func noChangeIsLost(t *testing.T, s verifier.Store) {
	must(t, s.Commit(verifier.Batch{Set: set("count", "0")}))
	var wg sync.WaitGroup
	var done atomic.Int32
	for range 16 {
		wg.Go(func() {
			for range 8 {
				old, err := s.Get("count")
				n, _ := strconv.Atoi(string(old))
				if err == nil {
					err = s.Commit(verifier.Batch{Same: map[string][]byte{"count": old}, Set: set("count", fmt.Sprint(n+1))})
				}
				switch {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, verifier.ErrChanged):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if count, err := s.Get("count"); err != nil || string(count) != fmt.Sprint(done.Load()) || done.Load() == 0 {
		t.Errorf("counted to %s, %d were acknowledged, %v", count, done.Load(), err)
	}
}

// Batches that share some keys: rows of one batch are there together, and each key belongs to one batch only.
func togetherOrNot(t *testing.T, s verifier.Store) {
	var wg sync.WaitGroup
	var won [32]atomic.Bool
	for i := range won {
		wg.Go(func() {
			a, b := fmt.Sprintf("tag/%d", i/2), fmt.Sprintf("tag/%d", (i/2+5)%16) // each key is wanted by four
			err := s.Commit(verifier.Batch{Absent: []string{a, b}, Set: set(a, fmt.Sprint(i), b, fmt.Sprint(i))})
			won[i].Store(err == nil)
		})
	}
	wg.Wait()
	owned := make(map[string]int)
	must(t, s.Each("tag/", func(_ string, value []byte) error { owned[string(value)]++; return nil }))
	for i := range won {
		want := 0
		if won[i].Load() {
			want = 2
		}
		if got := owned[fmt.Sprint(i)]; got != want {
			t.Errorf("batch %d has %d rows, want %d", i, got, want)
		}
	}
	if len(owned) == 0 {
		t.Error("nobody won")
	}
}

// Random batches, one after another, do what they would do to a map.
func asAMap(t *testing.T, s verifier.Store) {
	rng := rand.New(rand.NewPCG(8, 15))
	model := make(map[string][]byte)
	key := func() string { return fmt.Sprintf("m/%d", rng.IntN(12)) }
	value := func() []byte { return fmt.Append(nil, rng.IntN(3)) }
	for step := range 300 {
		b := verifier.Batch{Same: map[string][]byte{}, Set: map[string][]byte{}}
		for range rng.IntN(2) {
			b.Same[key()] = value()
		}
		for range rng.IntN(2) {
			b.Absent = append(b.Absent, key())
		}
		for range rng.IntN(3) {
			b.Set[key()] = value()
		}
		for range rng.IntN(2) {
			if k := key(); b.Set[k] == nil { // which of the two counts is not promised
				b.Delete = append(b.Delete, k)
			}
		}
		want := expected(model, b)
		err := s.Commit(b)
		var taken *verifier.TakenError
		got := ""
		switch {
		case errors.As(err, &taken):
			got = taken.Key
		case errors.Is(err, verifier.ErrChanged):
			got = "changed"
		case err != nil:
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("step %d: %q, want %q", step, got, want)
		}
		if want == "" {
			maps.Copy(model, b.Set)
			for _, k := range b.Delete {
				delete(model, k)
			}
		}
		seen := make(map[string][]byte)
		must(t, s.Each("m/", func(k string, v []byte) error { seen[k] = bytes.Clone(v); return nil }))
		if !maps.EqualFunc(seen, model, bytes.Equal) {
			t.Fatalf("step %d: %v, want %v", step, seen, model)
		}
	}
}

func expected(model map[string][]byte, b verifier.Batch) string {
	for k, v := range b.Same {
		if have, ok := model[k]; !ok || !bytes.Equal(have, v) {
			return "changed"
		}
	}
	for _, k := range b.Absent {
		if _, ok := model[k]; ok {
			return k
		}
	}
	return ""
}
