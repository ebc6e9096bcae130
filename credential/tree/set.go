package tree

import (
	"fmt"
	"slices"

	"github.com/bulla-id/bulla/credential"
)

// SetCapacity is how many members a set may have.
const SetCapacity = 1 << (2 * credential.SetDepth)

// Set is a set of field elements: members deduplicated, ascending as integers, in a tree of fixed depth padded with the
// last member, so that the empty leaf is never a member.
type Set struct {
	depth   int
	members []credential.Element
	levels  [][]credential.Element // levels[0] are the members and one copy of the last as padding, up to a multiple of 4
	padding []credential.Element   // padding[l]: the node over padding only, at level l
}

// NewSet builds a set of depth 6. It refuses none, more than 4,096, and the element 0, which means absent.
func NewSet(members []credential.Element) (*Set, error) {
	return NewSetOfDepth(credential.SetDepth, members)
}

// NewSetOfDepth builds a set in a tree of another depth, which holds 4^depth members. Sets of the same members and
// different depths have different roots.
func NewSetOfDepth(depth int, members []credential.Element) (*Set, error) {
	m := slices.Clone(members)
	slices.SortFunc(m, credential.Element.Cmp)
	m = slices.Compact(m)
	if capacity := 1 << (2 * depth); len(m) == 0 || len(m) > capacity {
		return nil, fmt.Errorf("set of %d members, want 1 to %d", len(m), capacity)
	}
	if m[0].IsZero() {
		return nil, fmt.Errorf("0 cannot be a member of a set, as it means absent")
	}
	s := &Set{depth: depth, members: m}
	level, pad := m, m[len(m)-1]
	for range depth {
		s.levels, s.padding = append(s.levels, level), append(s.padding, pad)
		level, pad = parents(level, pad), credential.C4(pad, pad, pad, pad)
	}
	s.levels, s.padding = append(s.levels, level), append(s.padding, pad)
	return s, nil
}

// parents hashes a level, filling it up with pad. Groups of four pads, many in sparse trees, are hashed once.
func parents(level []credential.Element, pad credential.Element) []credential.Element {
	out := make([]credential.Element, 0, (len(level)+Arity-1)/Arity)
	allPads, above := [Arity]credential.Element{pad, pad, pad, pad}, credential.Element{}
	for i := 0; i < len(level); i += Arity {
		children := allPads
		copy(children[:], level[i:min(i+Arity, len(level))])
		if children != allPads {
			out = append(out, credential.C4(children[0], children[1], children[2], children[3]))
			continue
		}
		if above.IsZero() {
			above = credential.C4(pad, pad, pad, pad)
		}
		out = append(out, above)
	}
	return out
}

// Root is the root of the tree.
func (s *Set) Root() credential.Element { return s.levels[s.depth][0] }

// Members are the members, ascending.
func (s *Set) Members() []credential.Element { return slices.Clone(s.members) }

// Len is the number of members.
func (s *Set) Len() int { return len(s.members) }

// Contains tells whether e is a member.
func (s *Set) Contains(e credential.Element) bool {
	_, found := slices.BinarySearchFunc(s.members, e, credential.Element.Cmp)
	return found
}

// Path leads from a member to the root, or fails with [ErrNotInTree].
func (s *Set) Path(member credential.Element) (Path, error) {
	i, found := slices.BinarySearchFunc(s.members, member, credential.Element.Cmp)
	if !found {
		return Path{}, ErrNotInTree
	}
	return s.pathAt(uint64(i)), nil
}

// AnyPath is some path of the set: for a clause that is allowed to be false.
func (s *Set) AnyPath() Path { return s.pathAt(0) }

func (s *Set) pathAt(index uint64) Path {
	p := Path{Index: index}
	for level := range s.depth {
		position := index >> (2 * level)
		var siblings [Arity - 1]credential.Element
		next := 0
		for i := position &^ 3; i < position&^3+Arity; i++ {
			if i != position {
				siblings[next] = s.node(level, i)
				next++
			}
		}
		p.Siblings = append(p.Siblings, siblings)
	}
	return p
}

func (s *Set) node(level int, i uint64) credential.Element {
	if i < uint64(len(s.levels[level])) {
		return s.levels[level][i]
	}
	return s.padding[level]
}
