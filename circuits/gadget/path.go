package gadget

import (
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// Level is one level of a path: all four children of a node, and at which of them the path arrives, as two bits with
// the least significant first. All are private.
type Level struct {
	Children [tree.Arity]frontend.Variable
	Position [2]frontend.Variable
}

// Root computes the root that a path gives for a leaf. Sound as tree.Path.Root is: the depth is that of the path, so
// callers fix it, and position bits are constrained to be boolean. Cost: a C4 and 6 constraints a level.
func Root(api frontend.API, leaf frontend.Variable, path []Level) frontend.Variable {
	node := leaf
	for _, level := range path {
		for _, bit := range level.Position {
			api.AssertIsBoolean(bit)
		}
		api.AssertIsEqual(Mux(api, level.Position[:], level.Children[:]), node)
		c := level.Children
		node = C4(api, c[0], c[1], c[2], c[3])
	}
	return node
}

// AssignPath fills the levels for a leaf. The path must have as many levels.
func AssignPath(levels []Level, path tree.Path, leaf credential.Element) {
	node := leaf
	for l := range levels {
		children := path.Children(l, node)
		for i, child := range children {
			levels[l].Children[i] = child.Fr()
		}
		position := path.Position(l)
		levels[l].Position = [2]frontend.Variable{position & 1, position >> 1}
		node = credential.C4(children[0], children[1], children[2], children[3])
	}
}
