package ledger

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Which entries a repair believes. An entry of the store whose hash is in its own tiles, up to the root that the register
// has, is the one that was signed: nothing is fetched for it. Of others a copy knows the hash; only where the store's entry
// is another one is it fetched.

// mended is a store's entries, with those of a copy in the place of damaged ones.
type mended struct {
	own   Store
	copy  Copy
	head  checkpoint  // of the register
	first int64       // index of the first leaf that is known
	known []tlog.Hash // leaf hashes, by the store's own tiles and the register's root; empty if those do not fit
	taken []uint64
}

// Entry implements [Source].
func (s *mended) Entry(index uint64) ([]byte, error) {
	raw, err := readEntry(s.own, index)
	if index >= s.head.size || err == nil && s.isKnown(index, raw) {
		return raw, err
	}
	if s.copy == nil || index >= s.copy.Size() {
		if err == nil {
			return raw, nil // its hashes may be what is damaged: the root will tell
		}
		return nil, &Unrepairable{fmt.Errorf("%w, and no copy has it", errors.Join(noAbsence(err), fmt.Errorf("entry %d is damaged", index)))}
	}
	if err == nil {
		hash, err := s.copy.RecordHash(index)
		if err != nil {
			return nil, fmt.Errorf("hash of entry %d from the copy: %w", index, noAbsence(err))
		}
		if hash == tlog.RecordHash(raw) {
			return raw, nil
		}
	}
	if raw, err = s.copy.Entry(index); err != nil {
		return nil, fmt.Errorf("entry %d from the copy: %w", index, noAbsence(err))
	}
	s.taken = append(s.taken, index)
	return raw, nil
}

// noAbsence keeps a replay from taking what is missing for the end.
func noAbsence(err error) error {
	if isAbsent(err) {
		return errDamaged
	}
	return err
}

// isKnown tells whether the store's own tiles, checked against the register's root, have that entry's hash.
func (s *mended) isKnown(index uint64, raw []byte) bool {
	first := int64(index &^ (1<<tileHeight - 1))
	if first != s.first {
		s.first, s.known = first, nil
		indexes := make([]int64, min(1<<tileHeight, int64(s.head.size)-first))
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		if hashes, err := tlog.TileHashReader(tlog.Tree{N: int64(s.head.size), Hash: s.head.root}, rowTiles{s.own}).ReadHashes(indexes); err == nil {
			s.known = hashes
		}
	}
	at := int(int64(index) - first)
	return at < len(s.known) && s.known[at] == tlog.RecordHash(raw)
}

// fits compares what was replayed with what was signed.
func (s *mended) fits(m *Machine) error {
	if m.Size() < s.head.size {
		return &Unrepairable{fmt.Errorf("there are %d entries, the register has %d", m.Size(), s.head.size)}
	}
	root, err := RootAt(m, s.head.size)
	if err != nil {
		return err
	}
	if root == s.head.root {
		return nil
	}
	err = fmt.Errorf("the entries do not have the root that the register has for the first %d", s.head.size)
	if s.copy != nil {
		err = fmt.Errorf("%w: %d of them are from the copy, which has %d, and another copy may help", err, len(s.taken), s.copy.Size())
	}
	return &Unrepairable{err}
}

// explain says of an error of the replay whether a rebuild helps.
func (s *mended) explain(err error) error {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return &Unrepairable{fmt.Errorf("what should be an entry is refused: %w", err)}
	}
	return err
}

// rowTiles are the tiles of the log tree in a store, for x/mod's tlog.
type rowTiles struct{ r Reader }

// Height implements tlog.TileReader.
func (rowTiles) Height() int { return tileHeight }

// ReadTiles implements tlog.TileReader.
func (t rowTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		var err error
		if data[i], err = tlog.ReadTileData(tile, hashReader(t)); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader.
func (rowTiles) SaveTiles([]tlog.Tile, [][]byte) {}
