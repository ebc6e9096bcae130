// Package tree has the 4-ary trees over C4: sets of issuers and claim values (depth 6), and the active tree of the
// ledger (depth 18) in content-addressed tiles. Depths are fixed, so that no inner node passes for a leaf.
package tree

import (
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
)

// Arity is the number of children of a node.
const Arity = 4

// Path leads from a leaf to a root. Siblings[l] are the three other children at level l, in order, leaf level first.
// The position at level l is two bits of Index, least significant first.
type Path struct {
	Index    uint64
	Siblings [][Arity - 1]credential.Element
}

// Root computes the root that the path gives for a leaf.
func (p Path) Root(leaf credential.Element) credential.Element {
	node := leaf
	for level := range p.Siblings {
		children := p.Children(level, node)
		node = credential.C4(children[0], children[1], children[2], children[3])
	}
	return node
}

// Position is where the node stands among its parent's children at a level, 0 to 3.
func (p Path) Position(level int) int { return int(p.Index >> (2 * level) & 3) }

// Children are the four children at a level, with node at its position.
func (p Path) Children(level int, node credential.Element) [Arity]credential.Element {
	var children [Arity]credential.Element
	next := 0
	for i := range children {
		if i == p.Position(level) {
			children[i] = node
			continue
		}
		children[i] = p.Siblings[level][next]
		next++
	}
	return children
}

// ErrNotInTree is returned when a path does not lead from the leaf to the root.
var ErrNotInTree = errors.New("leaf is not in the tree with that root")

// Verify checks that leaf, which must not be 0, is in the tree with that root and depth.
func (p Path) Verify(leaf, root credential.Element, depth int) error {
	if len(p.Siblings) != depth || p.Index>>(2*depth) != 0 {
		return fmt.Errorf("path of %d levels to index %d, want %d levels: %w", len(p.Siblings), p.Index, depth, ErrNotInTree)
	}
	if leaf.IsZero() || p.Root(leaf) != root {
		return ErrNotInTree
	}
	return nil
}
