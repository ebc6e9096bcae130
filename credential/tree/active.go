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

// Update is the result of changing leaves: the new root, the tiles that now stand where leaves changed, by name, and the
// names of those that stood there before. A name in both did not change.
type Update struct {
	Root  credential.Element
	Tiles map[credential.Element][]byte
	Left  []credential.Element

	read   TileReader
	recent *Recent
}

// UpdateActive changes leaves of the active tree with that root. It reads the tiles on the way and returns those to
// write; it writes nothing itself.
func UpdateActive(read TileReader, root credential.Element, changes map[uint64]credential.Element) (Update, error) {
	return new(Recent).Update(read, root, changes)
}

// Update is [UpdateActive] that reads only tiles it has not kept.
func (r *Recent) Update(read TileReader, root credential.Element, changes map[uint64]credential.Element) (Update, error) {
	u := Update{Root: root, Tiles: make(map[credential.Element][]byte), read: read, recent: r}
	if len(changes) == 0 {
		return u, nil
	}
	var err error
	u.Root, err = u.change(TileRows-1, root, changes)
	return u, err
}

// change applies changes, all below the tile with that name, and returns its new name.
func (u *Update) change(row int, name credential.Element, changes map[uint64]credential.Element) (credential.Element, error) {
	t, err := u.recent.load(u.read, row, name)
	if err != nil {
		return credential.Element{}, err
	}
	if len(t.levels) > 0 {
		u.Left = append(u.Left, name)
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
		if replaced[position], err = u.change(row-1, t.Leaf(position), group); err != nil {
			return credential.Element{}, err
		}
	}
	if t, err = t.With(replaced); err != nil {
		return credential.Element{}, err
	}
	if len(t.levels) > 0 {
		u.Tiles[t.Root()] = t.Bytes()
		u.recent.keep(t)
	}
	return t.Root(), nil
}

// maxRecent is how many tiles a [Recent] keeps at least, and half of how many at most: 11 KB each.
const maxRecent = 1024

// Recent keeps the tiles that were used last, with the nodes inside them: changing a leaf of such a tile costs one hash a
// level instead of rehashing the tile. The zero value is ready. It is not safe for concurrent use.
type Recent struct {
	newer, older map[credential.Element]Tile
}

func (r *Recent) keep(t Tile) {
	if r.newer == nil || len(r.newer) >= maxRecent {
		r.newer, r.older = make(map[credential.Element]Tile), r.newer
	}
	r.newer[t.Root()] = t
}

// load is a tile by name, read if it is not kept.
func (r *Recent) load(read TileReader, row int, name credential.Element) (t Tile, err error) {
	t, known := r.newer[name]
	if !known {
		t, known = r.older[name]
	}
	if known && t.row == row { // a name fits one row only, unless the tree was made up
		return t, nil
	}
	if t, err = load(read, row, name); err == nil && len(t.levels) > 0 {
		r.keep(t)
	}
	return t, err
}
