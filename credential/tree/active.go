package tree

import (
	"fmt"
	"slices"

	"github.com/bulla-id/bulla/credential"
)

// TileReader fetches the bytes of a tile of a row by name. Whoever answers can refuse service, but cannot lie:
// readers recompute the name.
type TileReader func(row int, name credential.Element) ([]byte, error)

// load reads and checks a tile; an empty one is never fetched.
func load(read TileReader, row int, name credential.Element) (Tile, error) {
	t := Tile{row: row}
	if name == t.Root() {
		return t, nil
	}
	data, err := read(row, name)
	if err != nil {
		return Tile{}, fmt.Errorf("read tile %s of row %d: %w", name, row, err)
	}
	return ParseTile(row, name, data)
}

// ActivePath computes the path of a leaf under a root of the active tree, and the leaf itself (0 if it is empty,
// suspended or revoked).
func ActivePath(read TileReader, root credential.Element, index uint64) (Path, credential.Element, error) {
	if index >= Capacity {
		return Path{}, credential.Element{}, fmt.Errorf("index %d is beyond the active tree", index)
	}
	rows := make([][][Arity - 1]credential.Element, TileRows)
	node := root
	for row := TileRows - 1; row >= 0; row-- {
		t, err := load(read, row, node)
		if err != nil {
			return Path{}, credential.Element{}, err
		}
		position := TilePosition(index, row)
		rows[row], node = t.Siblings(position), t.Leaf(position)
	}
	return Path{Index: index, Siblings: slices.Concat(rows...)}, node, nil
}

// Update is the result of changing leaves: the new root and the tiles that were not there before, by name.
type Update struct {
	Root  credential.Element
	Tiles map[credential.Element][]byte
}

// UpdateActive changes leaves of the active tree with that root. It reads the tiles on the way and returns those to
// write; it writes nothing itself.
func UpdateActive(read TileReader, root credential.Element, changes map[uint64]credential.Element) (Update, error) {
	u := Update{Root: root, Tiles: make(map[credential.Element][]byte)}
	if len(changes) == 0 {
		return u, nil
	}
	var err error
	u.Root, err = u.change(read, TileRows-1, root, changes)
	return u, err
}

// change applies changes, all below the tile with that name, and returns its new name.
func (u *Update) change(read TileReader, row int, name credential.Element, changes map[uint64]credential.Element) (credential.Element, error) {
	t, err := load(read, row, name)
	if err != nil {
		return credential.Element{}, err
	}
	below := make(map[int]map[uint64]credential.Element)
	replaced := make(map[int]credential.Element)
	for index, leaf := range changes {
		if index >= Capacity {
			return credential.Element{}, fmt.Errorf("index %d is beyond the active tree", index)
		}
		position := TilePosition(index, row)
		if row == 0 {
			replaced[position] = leaf
			continue
		}
		if below[position] == nil {
			below[position] = make(map[uint64]credential.Element)
		}
		below[position][index] = leaf
	}
	for position, group := range below {
		if replaced[position], err = u.change(read, row-1, t.Leaf(position), group); err != nil {
			return credential.Element{}, err
		}
	}
	if t, err = t.With(replaced); err != nil {
		return credential.Element{}, err
	}
	root := t.Root()
	if len(t.leaves) > 0 {
		u.Tiles[root] = t.Bytes()
	}
	return root, nil
}
