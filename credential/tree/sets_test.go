package tree_test

import (
	"sync"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// A remembered set is the set: for any members and depth, in any order of use, by many at once, and when there is no room.
func TestSetsAreSets(t *testing.T) {
	for _, sets := range []*tree.Sets{nil, new(tree.Sets), tree.NewSets(10), tree.NewSets(1 << 10)} {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range 60 {
					depth, members := 1+i%2, make([]credential.Element, 1+i%4)
					for j := range members {
						members[j] = credential.ElementFromUint64(uint64(1 + i%15 + j))
					}
					want, err1 := tree.NewSetOfDepth(depth, members)
					got, err2 := sets.Of(depth, members)
					if err1 != nil || err2 != nil || got.Root() != want.Root() || got.Len() != want.Len() {
						t.Errorf("set %d: %v, %v", i, err1, err2)
					}
				}
			})
		}
		wg.Wait()
		for _, members := range [][]credential.Element{nil, {{}}, make([]credential.Element, 5000)} {
			if _, err := sets.Of(6, members); err == nil {
				t.Errorf("a set of %d bad members", len(members))
			}
		}
	}
}

func TestSetsRemember(t *testing.T) {
	sets := tree.NewSets(4)
	of := func(n uint64) *tree.Set {
		set, err := sets.Of(6, []credential.Element{credential.ElementFromUint64(n), credential.ElementFromUint64(n + 1)})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	first := of(1)
	if of(1) != first {
		t.Error("made anew")
	}
	for n := uint64(10); n < 20; n += 2 { // in use, it stays
		of(n)
		if of(1) != first {
			t.Fatal("forgotten while in use")
		}
	}
	for n := uint64(20); n < 40; n += 2 {
		of(n)
	}
	if of(1) == first {
		t.Error("remembered for ever")
	}
}
