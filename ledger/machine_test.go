package ledger_test

import (
	"errors"
	"testing"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

func TestSealFollowsFromEntries(t *testing.T) {
	c := newChain(t)
	m, err := ledger.NewMachine(store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range c.opening() {
		if _, err := m.Apply(raw); err != nil {
			t.Fatal(err)
		}
	}
	result, err := m.Apply(c.issue(landDID, 3))
	if err != nil {
		t.Fatal(err)
	}
	if result.FirstLeaf != 0 || result.Leaves != 3 {
		t.Errorf("leaves %d+%d, want 0+3", result.FirstLeaf, result.Leaves)
	}
	seal, err := m.DraftSeal(c.time(10))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Apply(c.signed(entry.Operator, seal)); err != nil {
		t.Fatal(err)
	}
	last, seals := m.Sealed()
	if seals != 1 || last.ActiveRoot != seal.ActiveRoot || m.Unsealed() != 0 {
		t.Errorf("%d seals, root %s, %d unsealed", seals, last.ActiveRoot, m.Unsealed())
	}
	wrong, err := m.DraftSeal(c.time(20))
	if err != nil {
		t.Fatal(err)
	}
	wrong.Leaves++
	if _, err := m.Apply(c.signed(entry.Operator, wrong)); !errors.Is(err, ledger.ErrSeal) {
		t.Errorf("a seal with another leaf count: %v", err)
	}
}
