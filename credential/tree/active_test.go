package tree_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// memory is a store of tiles.
type memory map[credential.Element][]byte

func (m memory) read(_ int, name credential.Element) ([]byte, error) {
	if data, ok := m[name]; ok {
		return data, nil
	}
	return nil, errors.New("no such tile")
}

// naiveActiveRoot hashes the active tree from its leaves: only nodes that are not empty, level by level.
func naiveActiveRoot(leaves map[uint64]credential.Element) credential.Element {
	level := maps.Clone(leaves)
	empty := credential.Element{}
	for range credential.ActiveDepth {
		up := make(map[uint64]credential.Element)
		for index := range level {
			parent := index / 4
			var children [4]credential.Element
			for i := range children {
				child, ok := level[parent*4+uint64(i)]
				if !ok {
					child = empty
				}
				children[i] = child
			}
			up[parent] = credential.C4(children[0], children[1], children[2], children[3])
		}
		empty = credential.C4(empty, empty, empty, empty)
		level = up
	}
	if root, ok := level[0]; ok {
		return root
	}
	return empty
}

// index draws neighbours, tile borders and far-apart leaves.
func index() *rapid.Generator[uint64] {
	return rapid.OneOf(
		rapid.Uint64Range(0, 20),
		rapid.Uint64Range(250, 260),
		rapid.Uint64Range(65530, 65545),
		rapid.SampledFrom([]uint64{1 << 24, 1<<32 - 1, 1 << 32, tree.Capacity - 1, tree.Capacity - 256, tree.Capacity / 2}),
		rapid.Uint64Range(0, tree.Capacity-1),
	)
}

var emptyActive = tree.EmptyRoots[credential.ActiveDepth]

func TestActiveTreeAgainstNaiveTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store, model, root := memory{}, map[uint64]credential.Element{}, emptyActive
		var recent tree.Recent
		leaf := rapid.Map(rapid.Uint64Range(0, 5), number) // 0 removes
		for range rapid.IntRange(1, 3).Draw(t, "batches") {
			changes := rapid.MapOfN(index(), leaf, 0, 3).Draw(t, "changes")
			update, err := tree.UpdateActive(store.read, root, changes)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := recent.Update(store.read, root, changes)
			if err != nil || kept.Root != update.Root || !maps.EqualFunc(kept.Tiles, update.Tiles, bytes.Equal) {
				t.Fatalf("with kept tiles the root is %s, without %s, %v", kept.Root, update.Root, err)
			}
			for _, name := range kept.Left {
				if _, there := store[name]; !there {
					t.Fatalf("tile %s is left and was not there", name)
				}
			}
			if len(kept.Left) != len(update.Left) {
				t.Fatalf("%d tiles are left, without kept ones %d", len(kept.Left), len(update.Left))
			}
			maps.Copy(store, update.Tiles)
			root = update.Root
			for i, l := range changes {
				model[i] = l
				if l.IsZero() {
					delete(model, i)
				}
			}
		}
		if want := naiveActiveRoot(model); root != want {
			t.Fatalf("root %s, want %s", root, want)
		}
		for _, i := range append(slices.Collect(maps.Keys(model)), index().Draw(t, "look-up")) {
			path, leaf, err := tree.ActivePath(store.read, root, i)
			if err != nil || leaf != model[i] {
				t.Fatalf("leaf %d is %s, %v, want %s", i, leaf, err, model[i])
			}
			if path.Index != i || len(path.Siblings) != credential.ActiveDepth || path.Root(leaf) != root {
				t.Fatalf("path of leaf %d does not lead to the root", i)
			}
			if err := path.Verify(leaf, root, credential.ActiveDepth); (err == nil) == leaf.IsZero() {
				t.Fatalf("leaf %d verifies: %v", i, err)
			}
		}
		removal := maps.Clone(model)
		for i := range removal {
			removal[i] = credential.Element{}
		}
		update, err := tree.UpdateActive(store.read, root, removal)
		if err != nil || update.Root != emptyActive || len(model) > 0 && len(update.Tiles) != 0 {
			t.Fatalf("removing all gives %s with %d tiles, %v", update.Root, len(update.Tiles), err)
		}
	})
}

// A batch is as good as its parts, in any order.
func TestUpdateInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		changes := rapid.MapOfN(index(), rapid.Map(rapid.Uint64Range(1, 9), number), 1, 3).Draw(t, "changes")
		all, err := tree.UpdateActive(memory{}.read, emptyActive, changes)
		if err != nil {
			t.Fatal(err)
		}
		store, root := memory{}, emptyActive
		keys := slices.Sorted(maps.Keys(changes))
		for _, i := range rapid.Permutation(keys).Draw(t, "order") {
			update, err := tree.UpdateActive(store.read, root, map[uint64]credential.Element{i: changes[i]})
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(store, update.Tiles)
			root = update.Root
		}
		if root != all.Root {
			t.Fatalf("root %s in parts, %s at once", root, all.Root)
		}
		for name, data := range all.Tiles {
			if !bytes.Equal(store[name], data) {
				t.Fatalf("tile %s differs", name)
			}
		}
	})
}

func TestEmptyRoots(t *testing.T) {
	if !tree.EmptyRoots[0].IsZero() {
		t.Error("the empty leaf is not 0")
	}
	for l := 1; l <= 6; l++ {
		leaves := make([]credential.Element, 1<<(2*l))
		if tree.EmptyRoots[l] != naiveRoot(leaves) {
			t.Errorf("empty root of %d levels is wrong", l)
		}
	}
	if update, err := tree.UpdateActive(memory{}.read, emptyActive, nil); err != nil || update.Root != emptyActive || len(update.Tiles) != 0 {
		t.Errorf("changing nothing gives %s, %v", update.Root, err)
	}
	path, leaf, err := tree.ActivePath(memory{}.read, emptyActive, 12345)
	if err != nil || !leaf.IsZero() || path.Root(leaf) != emptyActive {
		t.Errorf("path in the empty tree: %v", err)
	}
}

func TestActiveTreeRefuses(t *testing.T) {
	store := memory{}
	update, err := tree.UpdateActive(store.read, emptyActive, map[uint64]credential.Element{5: number(5), 1 << 30: number(6)})
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(store, update.Tiles)
	if _, _, err := tree.ActivePath(store.read, update.Root, tree.Capacity); err == nil {
		t.Error("a path beyond the tree")
	}
	if _, err := tree.UpdateActive(store.read, update.Root, map[uint64]credential.Element{tree.Capacity: number(1)}); err == nil {
		t.Error("a leaf beyond the tree")
	}
	if _, _, err := tree.ActivePath(store.read, number(1), 5); err == nil {
		t.Error("a path under a root that nobody has")
	}
	for name, data := range store { // a host that changes any one tile on the way is found out
		for _, lie := range [][]byte{nil, data[:len(data)-32], append(slices.Clone(data), data[:32]...), flip(data, 31), flip(data, len(data)-1)} {
			host := maps.Clone(store)
			host[name] = lie
			_, _, err5 := tree.ActivePath(host.read, update.Root, 5)
			_, _, err30 := tree.ActivePath(host.read, update.Root, 1<<30)
			if err5 == nil && err30 == nil {
				t.Errorf("tile %s replaced by %d other bytes goes unnoticed", name, len(lie))
			}
			if _, err := tree.UpdateActive(host.read, update.Root, map[uint64]credential.Element{5: number(1), 1 << 30: number(1)}); err == nil {
				t.Errorf("an update over a changed tile %s", name)
			}
		}
	}
}

func flip(data []byte, at int) []byte {
	out := slices.Clone(data)
	out[at] ^= 1
	return out
}

func ExampleUpdateActive() {
	tiles := map[credential.Element][]byte{}
	read := func(_ int, name credential.Element) ([]byte, error) { return tiles[name], nil }
	empty := tree.EmptyRoots[credential.ActiveDepth]

	issued, err := tree.UpdateActive(read, empty, map[uint64]credential.Element{7: number(42)})
	if err != nil {
		fmt.Println(err)
		return
	}
	maps.Copy(tiles, issued.Tiles)
	path, leaf, err := tree.ActivePath(read, issued.Root, 7)
	fmt.Println(len(issued.Tiles), err, path.Verify(leaf, issued.Root, credential.ActiveDepth))

	revoked, err := tree.UpdateActive(read, issued.Root, map[uint64]credential.Element{7: {}})
	fmt.Println(revoked.Root == empty, err)
	// Output:
	// 5 <nil> <nil>
	// true <nil>
}
