package tree

import (
	"fmt"
	"maps"
	"slices"

	"github.com/bulla-id/bulla/credential"
)

// The active tree is kept in tiles. A tile spans four levels, 256 leaves; at the top of the 18 levels one tile spans
// the last two, 16 leaves. A tile's name is its root, so that a tile never changes and every reader checks it alone.
const (
	TileLevels    = 4
	TileLeaves    = 256
	TopTileLevels = credential.ActiveDepth - 4*TileLevels // 2
	TopTileLeaves = 16
	TileRows      = 5 // tiles on the way from the root to a leaf

	// GroupLeaves is the fixed, aligned group of leaves that a wallet fetches whole, so that its host does not learn
	// which leaf is meant: 16 bottom tiles below one row-1 tile's quarter.
	GroupLeaves = 4096

	// Capacity is how many leaves the active tree holds.
	Capacity = uint64(1) << (2 * credential.ActiveDepth)
)

// EmptyRoots[l] is the root of an empty subtree of l levels: EmptyRoots[0] = 0, the empty, suspended or revoked leaf.
var EmptyRoots = emptyRoots()

func emptyRoots() (roots [credential.ActiveDepth + 1]credential.Element) {
	for l := 1; l < len(roots); l++ {
		e := roots[l-1]
		roots[l] = credential.C4(e, e, e, e)
	}
	return roots
}

// RowLevel is the height of the leaves of a tile in a row: row 0 holds the leaves of the tree, row 4 is the top.
func RowLevel(row int) int { return row * TileLevels }

// RowWidth is the number of leaves of a tile in a row.
func RowWidth(row int) int {
	if row == TileRows-1 {
		return TopTileLeaves
	}
	return TileLeaves
}

// Tile is one tile: its leaves, 256 (or 16 at the top) elements, and the nodes above them up to its root. Nodes at the
// end of a level that are empty are left out. It never changes; the zero value is the empty tile of row 0.
type Tile struct {
	row    int
	levels [][]credential.Element // leaves first; none in an empty tile
}

// NewTile is a tile in a row with those leaves; missing ones are empty.
func NewTile(row int, leaves []credential.Element) (Tile, error) {
	if row < 0 || row >= TileRows || len(leaves) > RowWidth(row) {
		return Tile{}, fmt.Errorf("tile of %d leaves in row %d", len(leaves), row)
	}
	changed := make([]int, len(leaves))
	for i := range changed {
		changed[i] = i
	}
	return Tile{row: row}.above(slices.Clone(leaves), changed), nil
}

// above is a tile with the leaves given, which differ from those of t at the positions changed, ascending. It keeps the
// nodes of t that are not above one of those.
func (t Tile) above(level []credential.Element, changed []int) Tile {
	made := Tile{row: t.row, levels: make([][]credential.Element, 0, t.height()+1)}
	for l := range t.height() + 1 {
		for len(level) > 0 && level[len(level)-1] == t.empty(l) {
			level = level[:len(level)-1]
		}
		if len(level) == 0 {
			return Tile{row: t.row}
		}
		made.levels = append(made.levels, level)
		if l < t.height() {
			level, changed = t.parents(l, level, changed)
		}
	}
	return made
}

// parents is the level above one that differs from that of t at the positions changed, with its own such positions.
func (t Tile) parents(l int, level []credential.Element, changed []int) (above []credential.Element, differ []int) {
	above = make([]credential.Element, (len(level)+Arity-1)/Arity)
	for i := range above {
		above[i] = t.node(l+1, i)
	}
	for _, position := range changed {
		parent := position / Arity
		if len(differ) > 0 && differ[len(differ)-1] == parent {
			continue
		}
		differ = append(differ, parent)
		if parent >= len(above) { // empty now: left out, but its own parent changes
			continue
		}
		children := [Arity]credential.Element{t.empty(l), t.empty(l), t.empty(l), t.empty(l)}
		copy(children[:], level[parent*Arity:min((parent+1)*Arity, len(level))])
		above[parent] = t.hash(l, children)
	}
	return above, differ
}

// hash is the parent of four children at a level; four empty ones are not hashed.
func (t Tile) hash(l int, children [Arity]credential.Element) credential.Element {
	if empty := t.empty(l); children == [Arity]credential.Element{empty, empty, empty, empty} {
		return t.empty(l + 1)
	}
	return credential.C4(children[0], children[1], children[2], children[3])
}

// empty is the root of an empty subtree below a node of a level.
func (t Tile) empty(l int) credential.Element { return EmptyRoots[RowLevel(t.row)+l] }

// node is a node of a level; level 0 are the leaves.
func (t Tile) node(l, i int) credential.Element {
	if l < len(t.levels) && i < len(t.levels[l]) {
		return t.levels[l][i]
	}
	return t.empty(l)
}

// leaves are the leaves without the empty ones at the end.
func (t Tile) leaves() []credential.Element {
	if len(t.levels) == 0 {
		return nil
	}
	return t.levels[0]
}

// ParseTile reads a tile of a row and checks that its root is name: nothing else can be served for it.
func ParseTile(row int, name credential.Element, data []byte) (Tile, error) {
	if row < 0 || row >= TileRows || len(data) > RowWidth(row)*credential.ElementSize || len(data)%credential.ElementSize != 0 {
		return Tile{}, fmt.Errorf("tile %s: %d bytes in row %d: %w", name, len(data), row, credential.ErrNotCanonical)
	}
	leaves := make([]credential.Element, len(data)/credential.ElementSize)
	for i := range leaves {
		var err error
		if leaves[i], err = credential.ParseElement(data[i*credential.ElementSize : (i+1)*credential.ElementSize]); err != nil {
			return Tile{}, fmt.Errorf("tile %s: %w", name, err)
		}
	}
	t, err := NewTile(row, leaves)
	if err != nil {
		return Tile{}, err
	}
	if len(t.leaves()) != len(leaves) {
		return Tile{}, fmt.Errorf("tile %s ends in empty leaves: %w", name, credential.ErrNotCanonical)
	}
	if root := t.Root(); root != name {
		return Tile{}, fmt.Errorf("tile %s has the root %s: it was changed", name, root)
	}
	return t, nil
}

// Bytes is the encoding: 32 bytes a leaf, without the empty leaves at the end.
func (t Tile) Bytes() []byte {
	out := make([]byte, 0, len(t.leaves())*credential.ElementSize)
	for _, l := range t.leaves() {
		b := l.Bytes()
		out = append(out, b[:]...)
	}
	return out
}

// Leaf is the leaf at a position of the tile.
func (t Tile) Leaf(i int) credential.Element { return t.node(0, i) }

// With is a copy of the tile with other leaves at some positions. It hashes only what is above them.
func (t Tile) With(changes map[int]credential.Element) (Tile, error) {
	leaves := make([]credential.Element, RowWidth(t.row))
	for i := range leaves {
		leaves[i] = t.Leaf(i)
	}
	for i, leaf := range changes {
		if i < 0 || i >= len(leaves) {
			return Tile{}, fmt.Errorf("tile has no leaf %d", i)
		}
		leaves[i] = leaf
	}
	return t.above(leaves, slices.Sorted(maps.Keys(changes))), nil
}

// Root is the tile's name.
func (t Tile) Root() credential.Element { return t.node(t.height(), 0) }

// height is how many levels are above the leaves.
func (t Tile) height() int {
	if t.row == TileRows-1 {
		return TopTileLevels
	}
	return TileLevels
}

// Siblings are the path's siblings inside the tile, from the leaf at a position up to the tile's root.
func (t Tile) Siblings(position int) [][Arity - 1]credential.Element {
	var out [][Arity - 1]credential.Element
	for l := range t.height() {
		var siblings [Arity - 1]credential.Element
		next := 0
		for i := position &^ 3; i < position&^3+Arity; i++ {
			if i != position {
				siblings[next] = t.node(l, i)
				next++
			}
		}
		out = append(out, siblings)
		position >>= 2
	}
	return out
}

// TilePosition is where the leaf with an index lies in the tile of a row on its way: the position in that tile.
func TilePosition(index uint64, row int) int {
	return int(index >> (2 * RowLevel(row)) & uint64(RowWidth(row)-1))
}
