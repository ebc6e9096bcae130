package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/verifier"
)

// Disk is where a durable store keeps its rows, and what can happen to it.
type Disk interface {
	// Open opens the store on what is there.
	Open(t *testing.T) verifier.Store
	// Cut takes the power away at this moment, with calls under way: what was not durable may be gone, or there. A store
	// that is open goes on without anybody who hears of it; the next Open sees what was left.
	Cut(t *testing.T)
}

// RunDurable tests what nil errors and answers are worth when the power goes. disk makes a new empty one.
func RunDurable(t *testing.T, disk func(*testing.T) Disk) {
	t.Run("what was acknowledged stays", func(t *testing.T) { acknowledgedStays(t, disk(t)) })
	t.Run("power cuts under load", func(t *testing.T) { powerCuts(t, disk(t)) })
}

func acknowledgedStays(t *testing.T, d Disk) {
	for i := range 20 {
		s := d.Open(t)
		for j := range i {
			if _, err := s.Get(fmt.Sprintf("tag/%d", j)); err != nil {
				t.Fatalf("after %d cuts: tag %d: %v", i, j, err)
			}
		}
		key := fmt.Sprintf("tag/%d", i)
		must(t, s.Commit(verifier.Batch{Absent: []string{key}, Set: set(key, "x")}))
		d.Cut(t)
	}
}

// Clients race for tags and readers look, until the power goes: a tag that was given out, or that anybody was shown or
// told of, is there afterwards with its session, and nobody else gets it.
func powerCuts(t *testing.T, d Disk) {
	owners := make(map[string]string) // tag → session, as acknowledged or seen in any life
	for life := range 12 {
		s := d.Open(t)
		check(t, s, owners)
		learnt := raceUntilCut(t, s, d, life)
		for tag, session := range learnt {
			if old, had := owners[tag]; had && old != session {
				t.Fatalf("life %d: %s was of %s and is of %s", life, tag, old, session)
			}
			owners[tag] = session
		}
	}
	check(t, d.Open(t), owners)
	if len(owners) < 12 {
		t.Errorf("only %d tags were given out: nothing was tested", len(owners))
	}
}

func check(t *testing.T, s verifier.Store, owners map[string]string) {
	t.Helper()
	for tag, session := range owners {
		if got, err := s.Get(tag); err != nil || string(got) != session {
			t.Fatalf("%s: %q, %v; was of %s", tag, got, err, session)
		}
		if got, err := s.Get(session); err != nil || string(got) != tag {
			t.Fatalf("%s: %q, %v; had %s", session, got, err, tag)
		}
	}
	must(t, s.Each("tag/", func(tag string, session []byte) error { // never one without the other
		if got, err := s.Get(string(session)); err != nil || string(got) != tag {
			return fmt.Errorf("%s is of %s, which has %q, %w", tag, session, got, err)
		}
		return nil
	}))
}

// raceUntilCut returns what anybody learnt before the power went.
func raceUntilCut(t *testing.T, s verifier.Store, d Disk, life int) map[string]string {
	var mu sync.Mutex
	learnt, off := make(map[string]string), false
	learn := func(tag, session string) bool { // an answer that comes after the cut is none
		mu.Lock()
		defer mu.Unlock()
		if !off {
			learnt[tag] = session
		}
		return !off
	}
	var wg sync.WaitGroup
	for client := range 6 {
		wg.Go(func() {
			for i := 0; ; i++ {
				tag, session := fmt.Sprintf("tag/%d-%d", life, i), fmt.Sprintf("session/%d-%d-%d", life, i, client)
				err := s.Commit(verifier.Batch{Absent: []string{tag}, Set: set(tag, session, session, tag)})
				var taken *verifier.TakenError
				switch {
				case errors.As(err, &taken): // so somebody has it, for good
					owner, err := s.Get(tag)
					if err != nil {
						return // the store of a life that is over may fail
					}
					session = string(owner)
				case err != nil:
					return
				}
				if !learn(tag, session) {
					return
				}
			}
		})
	}
	wg.Go(func() {
		for more := true; more; {
			last := 0
			if s.Each("tag/", func(tag string, session []byte) error { last++; more = learn(tag, string(session)); return nil }) != nil {
				return
			}
			if last == 0 {
				mu.Lock()
				more = !off
				mu.Unlock()
			}
		}
	})
	time.Sleep(time.Duration(1+life) * time.Millisecond)
	mu.Lock()
	d.Cut(t)
	off = true
	mu.Unlock()
	wg.Wait()
	return learnt
}
