package tree_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

func mustTile(t testing.TB, row int, leaves ...credential.Element) tree.Tile {
	t.Helper()
	tile, err := tree.NewTile(row, leaves)
	if err != nil {
		t.Fatal(err)
	}
	return tile
}

func TestTileRoots(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for row := range tree.TileRows {
		width := tree.RowWidth(row)
		for _, n := range []int{0, 1, 3, 4, 5, 16, 17, 100, 255, 256} {
			if n > width {
				continue
			}
			leaves := randomMembers(r, n)
			tile := mustTile(t, row, leaves...)
			for len(leaves) < width {
				leaves = append(leaves, tree.EmptyRoots[tree.RowLevel(row)])
			}
			if tile.Root() != naiveRoot(leaves) {
				t.Errorf("row %d, %d leaves: root %s, want %s", row, n, tile.Root(), naiveRoot(leaves))
			}
			again, err := tree.ParseTile(row, tile.Root(), tile.Bytes())
			if err != nil || again.Root() != tile.Root() || !bytes.Equal(again.Bytes(), tile.Bytes()) || len(tile.Bytes()) != 32*n {
				t.Errorf("row %d, %d leaves: %d bytes parse to another tile, %v", row, n, len(tile.Bytes()), err)
			}
			for _, i := range []int{0, n / 2, width - 1} {
				path := tree.Path{Index: uint64(i), Siblings: tile.Siblings(i)}
				if tile.Leaf(i) != leaves[i] || path.Root(tile.Leaf(i)) != tile.Root() {
					t.Errorf("row %d, %d leaves: siblings of leaf %d do not lead to the root", row, n, i)
				}
			}
		}
	}
}

func TestParseTileRefuses(t *testing.T) {
	leaves := randomMembers(rand.New(rand.NewPCG(7, 8)), 5)
	tile := mustTile(t, 0, leaves...)
	data, name := tile.Bytes(), tile.Root()
	notBelow := fr.Modulus().FillBytes(make([]byte, 32))
	plusModulus := number(1).BigInt().Add(number(1).BigInt(), fr.Modulus()).FillBytes(make([]byte, 32))
	one := mustTile(t, 0, number(1))
	empty1 := tree.EmptyRoots[4].Bytes()
	tests := []struct {
		name string
		row  int
		root credential.Element
		data []byte
		err  error
	}{
		{"trailing empty leaf", 0, name, append(slices.Clone(data), make([]byte, 32)...), credential.ErrNotCanonical},
		{"empty leaves only", 0, tree.EmptyRoots[4], make([]byte, 64), credential.ErrNotCanonical},
		{"trailing empty tile", 1, mustTile(t, 1, leaves...).Root(), append(slices.Clone(data), empty1[:]...), credential.ErrNotCanonical},
		{"half a leaf", 0, name, data[:len(data)-16], credential.ErrNotCanonical},
		{"a byte more", 0, name, append(slices.Clone(data), 0), credential.ErrNotCanonical},
		{"modulus as a leaf", 0, name, append(slices.Clone(data), notBelow...), credential.ErrNotCanonical},
		{"1 + modulus for 1", 0, one.Root(), plusModulus, credential.ErrNotCanonical},
		{"257 leaves", 0, name, make([]byte, 257*32), credential.ErrNotCanonical},
		{"17 leaves at the top", 4, name, bytes.Repeat(data[:32], 17), credential.ErrNotCanonical},
		{"row -1", -1, name, data, nil},
		{"row 5", 5, name, data, nil},
		{"row 1 for 0", 1, name, data, nil},
		{"row 4 for 0", 4, name, data, nil},
		{"missing leaf", 0, name, data[32:], nil},
		{"nothing", 0, name, nil, nil},
		{"another name", 0, number(1), data, nil},
		{"swapped leaves", 0, name, slices.Concat(data[32:64], data[:32], data[64:]), nil},
	}
	for _, test := range tests {
		if _, err := tree.ParseTile(test.row, test.root, test.data); err == nil || test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", test.name, err, test.err)
		}
	}
	for i := range data {
		if _, err := tree.ParseTile(0, name, flip(data, i)); err == nil {
			t.Errorf("byte %d changed, and accepted", i)
		}
	}
	if _, err := tree.ParseTile(0, tree.EmptyRoots[4], nil); err != nil {
		t.Errorf("the empty tile: %v", err)
	}
}

func TestTileWith(t *testing.T) {
	tile := mustTile(t, 0, number(1), number(2))
	changed, err := tile.With(map[int]credential.Element{200: number(9), 1: {}})
	if err != nil || changed.Leaf(200) != number(9) || !changed.Leaf(1).IsZero() || changed.Leaf(0) != number(1) {
		t.Errorf("changed tile: %v", err)
	}
	if tile.Leaf(1) != number(2) || len(tile.Bytes()) != 64 {
		t.Error("With changes its receiver")
	}
	back, err := changed.With(map[int]credential.Element{200: {}, 1: number(2)})
	if err != nil || !bytes.Equal(back.Bytes(), tile.Bytes()) {
		t.Errorf("changing back gives %d bytes, %v", len(back.Bytes()), err)
	}
	for _, at := range []int{-1, 256} {
		if _, err := tile.With(map[int]credential.Element{at: number(1)}); err == nil {
			t.Errorf("leaf %d is set", at)
		}
	}
	if _, err := tree.NewTile(4, make([]credential.Element, 17)); err == nil {
		t.Error("a top tile of 17 leaves")
	}
}

// A tile that was changed, again and again, is the tile that its leaves make. Most leaves are removed at some time, so that
// nodes at the end of each level come and go.
func TestTileWithIsNewTile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.SampledFrom([]int{0, 4}).Draw(t, "row")
		tile, err := tree.NewTile(row, nil)
		if err != nil {
			t.Fatal(err)
		}
		leaves := make([]credential.Element, tree.RowWidth(row))
		for i := range leaves {
			leaves[i] = tree.EmptyRoots[tree.RowLevel(row)]
		}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			changes := make(map[int]credential.Element)
			for range rapid.IntRange(1, 5).Draw(t, "changes") {
				at := min(len(leaves)-1, rapid.SampledFrom([]int{0, 1, 4, 5, 8, 15, 16, 64, 70, 200, 255}).Draw(t, "leaf"))
				changes[at] = tree.EmptyRoots[tree.RowLevel(row)]
				if rapid.Bool().Draw(t, "there") {
					changes[at] = number(uint64(at) + 1)
				}
				leaves[at] = changes[at]
			}
			if tile, err = tile.With(changes); err != nil {
				t.Fatal(err)
			}
			want, err := tree.NewTile(row, leaves)
			if err != nil {
				t.Fatal(err)
			}
			if tile.Root() != want.Root() || !bytes.Equal(tile.Bytes(), want.Bytes()) {
				t.Fatalf("row %d: root %s, want %s", row, tile.Root(), want.Root())
			}
			for i := range leaves {
				if !slices.Equal(tile.Siblings(i), want.Siblings(i)) {
					t.Fatalf("row %d: other siblings of leaf %d", row, i)
				}
			}
		}
	})
}

// The rows cover the 36 bits of an index, each once.
func TestTilePosition(t *testing.T) {
	for _, index := range []uint64{0, 1, 255, 256, 1 << 20, 1<<32 + 7, tree.Capacity - 1} {
		var again uint64
		for row := tree.TileRows - 1; row >= 0; row-- {
			again = again*uint64(tree.RowWidth(row)) + uint64(tree.TilePosition(index, row))
		}
		if again != index {
			t.Errorf("positions of %d give %d", index, again)
		}
	}
	levels := tree.TopTileLevels
	for row := range tree.TileRows - 1 {
		if tree.RowLevel(row) != 4*row {
			t.Errorf("row %d is at level %d", row, tree.RowLevel(row))
		}
		levels += tree.TileLevels
	}
	if levels != credential.ActiveDepth {
		t.Errorf("tiles span %d levels", levels)
	}
}

func FuzzParseTile(f *testing.F) {
	one := number(1).Bytes()
	f.Add(0, []byte{})
	f.Add(4, one[:])
	f.Add(1, append(one[:], make([]byte, 32)...))
	f.Add(0, bytes.Repeat([]byte{0x30}, 64))
	f.Fuzz(func(t *testing.T, row int, data []byte) {
		if len(data) > 32*20 {
			data = data[:32*20]
		}
		row = row & 7
		name := nameOf(row, data)
		tile, err := tree.ParseTile(row, name, data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if tile.Root() != name || !bytes.Equal(tile.Bytes(), data) {
			t.Fatalf("%x in row %d is a second spelling", data, row)
		}
		if _, err := tree.ParseTile(row, credential.C4(name, name, name, name), data); err == nil {
			t.Fatal("parsed under another name")
		}
	})
}

// nameOf is the root of whatever leaves the bytes spell, if they do.
func nameOf(row int, data []byte) credential.Element {
	var leaves []credential.Element
	for chunk := range slices.Chunk(data, 32) {
		if e, err := credential.ParseElement(chunk); err == nil {
			leaves = append(leaves, e)
		}
	}
	tile, err := tree.NewTile(row, leaves)
	if err != nil {
		return credential.Element{}
	}
	return tile.Root()
}

func ExampleParseTile() {
	tile, err := tree.NewTile(0, []credential.Element{number(1), number(2)})
	if err != nil {
		fmt.Println(err)
		return
	}
	data := tile.Bytes()
	data[31] = 3
	_, err = tree.ParseTile(0, tile.Root(), data)
	fmt.Println(err != nil)
	// Output: true
}
