package testvectors

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

type trees struct {
	EmptyRoots []hexElement   `json:"empty_roots"` // of subtrees of 0, 1, 2 … levels
	Sets       []setVector    `json:"sets"`
	Active     []activeVector `json:"active"`
	Tiles      []tileVector   `json:"tiles"`
	Paths      []pathVector   `json:"paths"`
}

type setVector struct {
	Name    string       `json:"name"`
	Members []hexElement `json:"members"` // as given: in any order, perhaps twice
	Expect  string       `json:"expect"`
	Root    *hexElement  `json:"root,omitempty"`
}

type activeVector struct {
	Name   string       `json:"name"`
	Leaves []leafVector `json:"leaves"`
	Root   hexElement   `json:"root"`
}

type leafVector struct {
	Index uint64     `json:"index"` // below 2^36
	Leaf  hexElement `json:"leaf"`
}

type tileVector struct {
	Name   string     `json:"name"`
	Row    int        `json:"row"`
	Root   hexElement `json:"root"` // the tile's name
	Data   string     `json:"data"` // hexadecimal
	Expect string     `json:"expect"`
}

type pathVector struct {
	Name     string          `json:"name"`
	Depth    int             `json:"depth"`
	Leaf     hexElement      `json:"leaf"`
	Index    uint64          `json:"index"`
	Siblings [][3]hexElement `json:"siblings"` // leaf level first
	Root     hexElement      `json:"root"`
	Expect   string          `json:"expect"`
}

func treeVectors() (any, error) {
	out := trees{EmptyRoots: hexElements(tree.EmptyRoots[:])}
	set, err := out.addSets()
	if err != nil {
		return nil, err
	}
	member := set.Members()[3]
	path, err := set.Path(member)
	if err != nil {
		return nil, err
	}
	if err := out.addPaths("set", path, member, set.Root(), credential.SetDepth); err != nil {
		return nil, err
	}
	if err := out.addActive(); err != nil {
		return nil, err
	}
	return out, out.addTiles()
}

// addSets returns the last good set.
func (t *trees) addSets() (*tree.Set, error) {
	r := seeded(2)
	members := func(n int) (out []credential.Element) {
		for range n {
			out = append(out, random(r))
		}
		return out
	}
	small := func(n ...uint64) (out []credential.Element) {
		for _, v := range n {
			out = append(out, credential.ElementFromUint64(v))
		}
		return out
	}
	var last *tree.Set
	for _, v := range []struct {
		name, layer string
		members     []credential.Element
	}{
		{"one member", "", small(1)}, {"two, descending", "", small(2, 1)}, {"four", "", small(4, 3, 2, 1)}, {"five", "", small(1, 2, 3, 4, 5)},
		{"one member three times", "", small(7, 7, 7)}, {"around the modulus", "", []credential.Element{edge(1), credential.ElementFromUint64(1), edge(2)}},
		{"none", "tree", nil}, {"0 means absent", "tree", small(0, 1)}, {"17", "", members(17)},
	} {
		set, err := tree.NewSet(v.members)
		word, bad := expect(v.name, err, v.layer)
		if bad != nil {
			return nil, bad
		}
		vector := setVector{Name: v.name, Members: hexElements(v.members), Expect: word}
		if err == nil {
			last, vector.Root = set, hexOf(set.Root(), nil)
		}
		t.Sets = append(t.Sets, vector)
	}
	return last, nil
}

func (t *trees) addPaths(kind string, path tree.Path, leaf, root credential.Element, depth int) error {
	siblings := func(change func([][3]credential.Element)) [][3]credential.Element {
		s := slices.Clone(path.Siblings)
		change(s)
		return s
	}
	same := func([][3]credential.Element) {}
	for _, v := range []struct {
		name, layer string
		path        tree.Path
		leaf, root  credential.Element
	}{
		{"good", "", path, leaf, root},
		{"other leaf", "tree", path, credential.ElementFromUint64(1), root},
		{"leaf 0", "tree", path, credential.Element{}, root},
		{"other root", "tree", path, leaf, credential.ElementFromUint64(1)},
		{"index off by one", "tree", tree.Path{Index: path.Index ^ 1, Siblings: path.Siblings}, leaf, root},
		{"index with a bit too many", "tree", tree.Path{Index: path.Index | 1<<(2*depth), Siblings: path.Siblings}, leaf, root},
		{"sibling changed", "tree", tree.Path{Index: path.Index, Siblings: siblings(func(s [][3]credential.Element) { s[1][0] = leaf })}, leaf, root},
		{"level missing", "tree", tree.Path{Index: path.Index, Siblings: siblings(same)[:depth-1]}, leaf, root},
	} {
		word, bad := expect(v.name, v.path.Verify(v.leaf, v.root, depth), v.layer)
		if bad != nil {
			return bad
		}
		vector := pathVector{Name: kind + ": " + v.name, Depth: depth, Leaf: hexElement(v.leaf), Index: v.path.Index, Root: hexElement(v.root), Expect: word}
		for _, s := range v.path.Siblings {
			vector.Siblings = append(vector.Siblings, [3]hexElement(hexElements(s[:])))
		}
		t.Paths = append(t.Paths, vector)
	}
	return nil
}

func (t *trees) addActive() error {
	r := seeded(3)
	for _, v := range []struct {
		name    string
		indices []uint64
	}{
		{"empty", nil}, {"first leaf", []uint64{0}}, {"last leaf", []uint64{tree.Capacity - 1}}, {"one group of four", []uint64{4, 5, 6, 7}},
		{"across tiles", []uint64{255, 256, 65535, 65536}}, {"far apart", []uint64{3, 1 << 20, 1<<32 + 5, tree.Capacity / 2}},
	} {
		leaves, vector := map[uint64]credential.Element{}, activeVector{Name: v.name, Leaves: []leafVector{}}
		for _, index := range v.indices {
			leaves[index] = random(r)
			vector.Leaves = append(vector.Leaves, leafVector{index, hexElement(leaves[index])})
		}
		tiles := map[credential.Element][]byte{}
		read := func(_ int, name credential.Element) ([]byte, error) { return tiles[name], nil }
		update, err := tree.UpdateActive(read, tree.EmptyRoots[credential.ActiveDepth], leaves)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		maps.Copy(tiles, update.Tiles)
		vector.Root = hexElement(update.Root)
		t.Active = append(t.Active, vector)
		if v.name == "far apart" {
			path, leaf, err := tree.ActivePath(read, update.Root, 1<<20)
			if err != nil {
				return err
			}
			if err := t.addPaths("active", path, leaf, update.Root, credential.ActiveDepth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *trees) addTiles() error {
	leaves := []credential.Element{credential.ElementFromUint64(1), {}, credential.ElementFromUint64(3)}
	for row := range tree.TileRows {
		tile, err := tree.NewTile(row, leaves)
		if err != nil {
			return err
		}
		empty := tree.EmptyRoots[tree.RowLevel(row)].Bytes()
		data := tile.Bytes()
		changed := slices.Clone(data)
		changed[31] ^= 1
		for _, v := range []struct {
			name, layer string
			data        []byte
		}{
			{"good", "", data}, {"changed", "tree", changed}, {"trailing empty leaf", "tree", append(slices.Clone(data), empty[:]...)},
			{"half a leaf", "tree", data[:80]}, {"too many leaves", "tree", slices.Repeat(data[:32], tree.RowWidth(row)+1)},
		} {
			if row > 0 && row < 4 && v.name != "good" {
				continue
			}
			_, err := tree.ParseTile(row, tile.Root(), v.data)
			word, bad := expect(v.name, err, v.layer)
			if bad != nil {
				return bad
			}
			t.Tiles = append(t.Tiles, tileVector{fmt.Sprintf("row %d: %s", row, v.name), row, hexElement(tile.Root()), hex.EncodeToString(v.data), word})
		}
	}
	return nil
}
