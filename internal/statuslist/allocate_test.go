package statuslist

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// memory is a store of indices.
type memory struct {
	mu    sync.Mutex
	taken map[Reference]bool
	fail  error
	drawn int
}

func (m *memory) Taken(context.Context, string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.taken), m.fail
}

func (m *memory) Take(_ context.Context, uri string, index uint64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drawn++
	r := Reference{index, uri}
	if m.taken[r] {
		return false, nil
	}
	m.taken[r] = true
	return true, nil
}

// Indices are unique, within the list, and spread over it, until the list is full.
func TestAllocate(t *testing.T) {
	const capacity = 4096
	m := &memory{taken: map[Reference]bool{}}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range capacity / 8 {
				if _, err := Allocate(t.Context(), m, uri, capacity); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if len(m.taken) != capacity/2 {
		t.Fatalf("%d indices for %d credentials", len(m.taken), capacity/2)
	}
	// Of 2,048 random indices among 4,096, each eighth has 256 in the mean, with a standard deviation of some 11.
	eighths := make([]int, 8)
	for r := range m.taken {
		if r.Index >= capacity || r.URI != uri {
			t.Fatalf("%+v", r)
		}
		eighths[r.Index/(capacity/8)]++
	}
	for i, n := range eighths {
		if n < 150 || n > 360 {
			t.Errorf("%d indices in part %d, want some 256", n, i)
		}
	}
	for len(m.taken) < capacity/8*maxFill {
		if _, err := Allocate(t.Context(), m, uri, capacity); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Allocate(t.Context(), m, uri, capacity); !errors.Is(err, ErrFull) {
		t.Errorf("the list is full, and gives %v", err)
	}
	if m.drawn > 4*capacity {
		t.Errorf("%d draws for %d indices", m.drawn, len(m.taken))
	}
}

// stuck has everything taken, and says it is empty.
type stuck struct{}

func (stuck) Taken(context.Context, string) (int, error)         { return 0, nil }
func (stuck) Take(context.Context, string, uint64) (bool, error) { return false, nil }

func TestAllocateFails(t *testing.T) {
	if _, err := Allocate(t.Context(), stuck{}, uri, Capacity); !errors.Is(err, ErrFull) {
		t.Errorf("a store that gives nothing: %v", err)
	}
	broken := errors.New("disk")
	if _, err := Allocate(t.Context(), &memory{fail: broken}, uri, Capacity); !errors.Is(err, broken) {
		t.Errorf("a broken store: %v", err)
	}
	if _, err := Allocate(t.Context(), &memory{}, uri, 0); !errors.Is(err, ErrFull) {
		t.Errorf("a list of nothing: %v", err)
	}
}
