package explore

import (
	"encoding/binary"
	"errors"
)

// issuedAt is the entry that issued a leaf, and the first leaf that it issued, or [ErrAbsent].
func (x *Index) issuedAt(leaf uint64) (first, index uint64, err error) {
	found := false
	err = x.rows.Each([]byte(prefixIssued), []byte(numbered(prefixIssued, ^leaf)), func(key, value []byte) error {
		if len(key) != 9 || len(value) != 16 {
			return errors.New("a row of leaves: the index is damaged")
		}
		first, index = ^binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(value)
		found = leaf-first < binary.BigEndian.Uint64(value[8:])
		return errStop
	})
	if err != nil && !errors.Is(err, errStop) {
		return 0, 0, err
	}
	if !found {
		return 0, 0, ErrAbsent
	}
	return first, index, nil
}

// LeafStatus is what is said of a credential last.
func (x *Index) LeafStatus(leaf uint64) (Status, error) { return readStatus(x.rows.Get, leaf) }

// Leaf is where a leaf was issued, what is said of it, and the entries that changed that.
type Leaf struct {
	Leaf     uint64
	Index    uint64 // of the entry that issued it
	Position int    // in that entry
	Status   Status
	Changes  []uint64 // indexes of entries, ascending
}

// Leaf looks up a leaf, or returns [ErrAbsent].
func (x *Index) Leaf(leaf uint64) (*Leaf, error) {
	first, index, err := x.issuedAt(leaf)
	if err != nil {
		return nil, err
	}
	out := &Leaf{Leaf: leaf, Index: index, Position: int(leaf - first)}
	if out.Status, err = x.LeafStatus(leaf); err != nil {
		return nil, err
	}
	prefix := numbered(prefixChange, leaf)
	err = x.rows.Each([]byte(prefix), nil, func(key, _ []byte) error {
		if len(out.Changes) == MaxList || len(key) != len(prefix)+8 {
			return errStop
		}
		out.Changes = append(out.Changes, binary.BigEndian.Uint64(key[len(prefix):]))
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return out, err
}
