package tree_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

func number(u uint64) credential.Element { return credential.ElementFromUint64(u) }

// naiveRoot hashes a whole tree of 4^depth leaves.
func naiveRoot(leaves []credential.Element) credential.Element {
	for len(leaves) > 1 {
		var up []credential.Element
		for i := 0; i < len(leaves); i += 4 {
			up = append(up, credential.C4(leaves[i], leaves[i+1], leaves[i+2], leaves[i+3]))
		}
		leaves = up
	}
	return leaves[0]
}

// naiveSetRoot is the root of a set as doc/spec/encodings.md has it: all 4,096 leaves.
func naiveSetRoot(members []credential.Element) credential.Element {
	leaves := slices.Clone(members)
	slices.SortFunc(leaves, func(a, b credential.Element) int { return a.BigInt().Cmp(b.BigInt()) })
	leaves = slices.Compact(leaves)
	for len(leaves) < 4096 {
		leaves = append(leaves, leaves[len(leaves)-1])
	}
	return naiveRoot(leaves)
}

// randomMembers are distinct, in no order.
func randomMembers(r *rand.Rand, n int) []credential.Element {
	members := make([]credential.Element, n)
	for i := range members {
		members[i] = credential.F("member", fmt.Appendf(nil, "%d %d", i, r.Uint64()))
	}
	return members
}

func TestSetAgainstNaiveTree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 4, 5, 16, 17, 64, 65, 1025, 2978, 4095, 4096} {
		members := randomMembers(r, n)
		set, err := tree.NewSet(append(members, members[0], members[n/2])) // members given twice count once
		if err != nil {
			t.Fatalf("%d members: %v", n, err)
		}
		want := naiveSetRoot(members)
		if set.Len() != n || set.Root() != want {
			t.Errorf("%d members: length %d, root %s, want %s", n, set.Len(), set.Root(), want)
		}
		for _, i := range []int{0, n / 2, n - 1} {
			path, err := set.Path(members[i])
			if err != nil {
				t.Fatalf("%d members, path of %d: %v", n, i, err)
			}
			if err := path.Verify(members[i], set.Root(), credential.SetDepth); err != nil {
				t.Errorf("%d members, path of %d: %v", n, i, err)
			}
		}
	}
}

func TestNewSetRefuses(t *testing.T) {
	many := randomMembers(rand.New(rand.NewPCG(1, 1)), 4097)
	for name, members := range map[string][]credential.Element{
		"none": nil, "absent": {number(0)}, "absent among others": {number(2), number(0), number(1)}, "too many": many,
	} {
		if _, err := tree.NewSet(members); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := tree.NewSet(append(many[:4096], many[7])); err != nil {
		t.Errorf("4,096 members, one twice: %v", err)
	}
}

// A set of few members has paths of each depth that is large enough, and a root of its own at each.
func TestSetOfDepth(t *testing.T) {
	members := randomMembers(rand.New(rand.NewPCG(3, 3)), 17)
	roots := make(map[credential.Element]bool)
	for depth := 3; depth <= credential.SetDepth; depth++ {
		set, err := tree.NewSetOfDepth(depth, members)
		if err != nil {
			t.Fatal(err)
		}
		path, err := set.Path(members[16])
		if err != nil {
			t.Fatal(err)
		}
		if err := path.Verify(members[16], set.Root(), depth); err != nil {
			t.Errorf("depth %d: %v", depth, err)
		}
		roots[set.Root()] = true
	}
	if len(roots) != 4 {
		t.Errorf("%d different roots, want 4", len(roots))
	}
	if _, err := tree.NewSetOfDepth(2, members); err == nil {
		t.Error("17 members at depth 2 are accepted")
	}
}

func TestSetIsIndependentOfOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Uint64Range(1, 50), 1, 40).Draw(t, "members")
		var members []credential.Element
		for _, v := range values {
			members = append(members, number(v))
		}
		before := slices.Clone(members)
		set, err := tree.NewSet(members)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before, members) {
			t.Fatal("NewSet changes its argument")
		}
		shuffled, err := tree.NewSet(rapid.Permutation(members).Draw(t, "shuffled"))
		if err != nil || shuffled.Root() != set.Root() {
			t.Fatalf("order changes the root, %v", err)
		}
		if !slices.IsSortedFunc(set.Members(), credential.Element.Cmp) {
			t.Fatal("members are not ascending")
		}
		for v := uint64(0); v < 52; v++ {
			path, err := set.Path(number(v))
			if member := slices.Contains(values, v); member != set.Contains(number(v)) || member != (err == nil) {
				t.Fatalf("%d: contained %t, path %v", v, set.Contains(number(v)), err)
			}
			if err == nil && path.Verify(number(v), set.Root(), credential.SetDepth) != nil {
				t.Fatalf("path of %d does not verify", v)
			}
			if err != nil && !errors.Is(err, tree.ErrNotInTree) {
				t.Fatal(err)
			}
		}
		if any := set.AnyPath(); len(any.Siblings) != credential.SetDepth || any.Verify(set.Members()[0], set.Root(), credential.SetDepth) != nil {
			t.Fatal("AnyPath is no path of the set")
		}
	})
}

func TestPathVerifyRefuses(t *testing.T) {
	set, err := tree.NewSet(randomMembers(rand.New(rand.NewPCG(3, 4)), 100))
	if err != nil {
		t.Fatal(err)
	}
	member, root := set.Members()[42], set.Root()
	good, err := set.Path(member)
	if err != nil {
		t.Fatal(err)
	}
	if err := good.Verify(member, root, credential.SetDepth); err != nil {
		t.Fatal(err)
	}
	clone := func() tree.Path { return tree.Path{Index: good.Index, Siblings: slices.Clone(good.Siblings)} }
	check := func(name string, p tree.Path, leaf, root credential.Element, depth int) {
		t.Helper()
		if err := p.Verify(leaf, root, depth); !errors.Is(err, tree.ErrNotInTree) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("other leaf", good, set.Members()[43], root, credential.SetDepth)
	check("leaf 0", good, number(0), root, credential.SetDepth)
	check("other root", good, member, number(1), credential.SetDepth)
	check("other depth", good, member, root, credential.SetDepth+1)
	check("depth 0", good, member, root, 0)
	for bit := range 2 * credential.SetDepth {
		p := clone()
		p.Index ^= 1 << bit
		check(fmt.Sprintf("index with bit %d flipped", bit), p, member, root, credential.SetDepth)
	}
	for _, bit := range []int{12, 13, 40, 63} { // same positions, but another index
		p := clone()
		p.Index |= 1 << bit
		check(fmt.Sprintf("index with bit %d", bit), p, member, root, credential.SetDepth)
	}
	for level := range good.Siblings {
		for i := range good.Siblings[level] {
			p := clone()
			p.Siblings[level][i] = credential.F("other", nil)
			check(fmt.Sprintf("sibling %d of level %d", i, level), p, member, root, credential.SetDepth)
		}
	}
	short := clone()
	short.Siblings = short.Siblings[:5]
	check("short", short, member, root, credential.SetDepth)
	// An inner node must not pass for a leaf: its path is one level shorter.
	inner := tree.Path{Index: good.Index >> 2, Siblings: good.Siblings[1:]}
	children := good.Children(0, member)
	node := credential.C4(children[0], children[1], children[2], children[3])
	if inner.Root(node) != root {
		t.Fatal("the path above the inner node is wrong")
	}
	check("inner node", inner, node, root, credential.SetDepth)
	// 0 leads to a root, but is no member.
	empty := tree.Path{Siblings: make([][3]credential.Element, 1)}
	check("empty leaf", empty, number(0), tree.EmptyRoots[1], 1)
}

func ExampleNewSet() {
	set, err := tree.NewSet([]credential.Element{number(7), number(3), number(7)})
	if err != nil {
		fmt.Println(err)
		return
	}
	path, err := set.Path(number(7))
	fmt.Println(set.Len(), path.Index, err, path.Verify(number(7), set.Root(), credential.SetDepth))
	_, err = set.Path(number(8))
	fmt.Println(err)
	// Output:
	// 2 1 <nil> <nil>
	// leaf is not in the tree with that root
}
