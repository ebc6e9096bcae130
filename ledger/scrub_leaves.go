package ledger

import (
	"errors"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/entry"
)

// The second half of the scrub, once all entries were read: what they say of leaves, against the rows of leaves and the
// active tree of the last seal.

// statuses compares the statuses of leaves with those that follow from the entries. Entries that came meanwhile may have
// changed some.
func (s *scrubber) statuses() error {
	different := make(map[uint64]bool)
	for index, want := range s.status {
		l, err := readLeaf(s.r, uint64(index))
		if err != nil {
			return s.wrong(s.size, err, "leaf %d is missing or malformed", index)
		}
		s.pace(credential.ElementSize)
		if byte(l.Status) != want {
			different[uint64(index)] = true
		}
	}
	if len(different) == 0 {
		return s.ctx.Err()
	}
	state, err := readState(s.r) // committed with what it covers
	if err != nil {
		return s.wrong(s.size, err, "the state is missing or malformed")
	}
	for index := s.size; index < state.Size; index++ {
		raw, err := readEntry(s.r, index)
		if err != nil {
			return s.wrong(index, err, "the entry is missing")
		}
		_, payload, err := parse(raw)
		if err != nil {
			return s.damage(index, "the entry is none: %v", err)
		}
		for _, leaf := range changed(payload) {
			delete(different, leaf)
		}
	}
	for leaf := range different {
		return s.damage(s.size, "the status of leaf %d is not what the entries say", leaf)
	}
	return nil
}

// changed are the leaves whose status an entry changes.
func changed(payload entry.Payload) []uint64 {
	switch p := payload.(type) {
	case entry.CredentialsSuspended:
		return p.Leaves
	case entry.CredentialsReinstated:
		return p.Leaves
	case entry.CredentialsRevoked:
		return p.Leaves
	}
	return nil
}

// active reads every tile of the last seal's active tree: a tile that does not hash to its name is damage. Tiles that
// were dropped meanwhile belong to an old seal, which the next pass will not look at.
func (s *scrubber) active() error {
	if s.seal == nil {
		return nil
	}
	for _, digest := range []credential.Digest{s.seal.Registry, s.seal.Census} {
		text, err := s.get(documentKey(digest))
		if isAbsent(err) && s.superseded() {
			return nil
		}
		if err != nil || credential.DigestOf(text) != digest {
			return s.wrong(s.size, err, "document %s of the last seal is missing or another", digest)
		}
	}
	err := s.tile(tree.TileRows-1, s.seal.ActiveRoot, 0)
	if errors.Is(err, errDamaged) && s.superseded() {
		return nil
	}
	return err
}

// superseded tells whether a later seal came meanwhile.
func (s *scrubber) superseded() bool {
	state, err := readState(s.r)
	return err == nil && state.Seals > s.seal.Height+1
}

// tile reads a tile, whose first leaf is the tree's at first, and those below it.
func (s *scrubber) tile(row int, name credential.Element, first uint64) error {
	if name == tree.EmptyRoots[min(tree.RowLevel(row+1), credential.ActiveDepth)] {
		return nil
	}
	data, err := s.get(elementKey(prefixTile, name))
	if err != nil {
		return s.wrong(s.size, err, "tile %s of row %d of the active tree is missing", name, row)
	}
	t, err := tree.ParseTile(row, name, data)
	if err != nil {
		return s.damage(s.size, "row %d of the active tree: %v", row, err)
	}
	below := uint64(1) << (2 * tree.RowLevel(row)) // leaves below one of its leaves
	for position := range tree.RowWidth(row) {
		at, name := first+uint64(position)*below, t.Leaf(position)
		if row == 0 {
			err = s.leaf(at, name)
		} else {
			err = s.tile(row-1, name, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leaf compares a leaf of the active tree with its row, if the seal is the last entry.
func (s *scrubber) leaf(index uint64, active credential.Element) error {
	if !s.whole || index >= s.leaves {
		return nil
	}
	want := credential.Element{}
	if s.status[index] == byte(statusActive) {
		l, err := readLeaf(s.r, index)
		if err != nil {
			return s.wrong(s.size, err, "leaf %d is missing or malformed", index)
		}
		want = l.Value
	}
	if active != want {
		return s.damage(s.size, "leaf %d is another in the active tree", index)
	}
	return nil
}
