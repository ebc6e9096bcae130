package presentation_test

import (
	"fmt"
	"math/big"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/gadget"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// scene is a statement in parts, before a case breaks it.
type scene struct {
	credential *circuitstest.Credential
	active     *circuitstest.Tree
	request    circuitstest.Request
}

// newScene is a copy of the base scene of a shape.
func newScene(shape *credential.Shape) *scene {
	base := baseScenes[shape]()
	c := *base.credential
	return &scene{&c, base.active.Clone(), base.request}
}

// baseScene is a credential with the number 5 in slot 0, a number beyond 64 bits in slot 1 and a text in slot 2, in a tree
// in which the path's siblings differ at every level, and a request without clauses that asks for both tags.
func baseScene(shape *credential.Shape) *scene {
	r := circuitstest.NewRand(99)
	s := circuitstest.NewRandom(shape, r)
	c := s.Credential
	c.Claims = [credential.Slots]credential.Element{}
	c.Claims[0] = credential.ElementFromUint64(5)
	c.Claims[1] = plus(credential.ElementFromUint64(1<<64-1), 6)
	c.Claims[2] = circuitstest.Element31(r)
	c.Envelope.ValidUntil = c.Envelope.ValidFrom + 100
	c.Envelope.SubjectKey = credential.Secret{Element: circuitstest.Element31(r)}
	leaves := map[uint64]credential.Element{c.Index: c.Leaf()}
	for level := range credential.ActiveDepth {
		for sibling := range uint64(3) {
			leaves[c.Index^(sibling+1)<<(2*level)] = circuitstest.Element(r)
		}
	}
	s.Active.SetAll(leaves)
	s.Active.Path(c.Index) // to be copied with the tree
	s.Request.Clauses, s.Request.Sets = credential.Clauses{}, [credential.Memberships]*tree.Set{}
	s.Request.Scope, s.Request.SubjectScope = circuitstest.Element31(r), circuitstest.Element31(r)
	s.Request.Now = c.Envelope.ValidFrom + 50
	return &scene{c, s.Active, s.Request}
}

// baseScenes are those of all shapes, made when they are needed.
var baseScenes = func() map[*credential.Shape]func() *scene {
	scenes := make(map[*credential.Shape]func() *scene)
	for _, shape := range credential.Shapes {
		scenes[shape] = sync.OnceValue(func() *scene { return baseScene(shape) })
	}
	return scenes
}()

// present enters the credential into the tree and answers the request.
func (s *scene) present() (presentation.Public, presentation.Private) {
	s.active.Set(s.credential.Index, s.credential.Leaf())
	return s.credential.Present(s.active, s.request)
}

func plus(e credential.Element, u uint64) credential.Element {
	x, y := e.Fr(), fr.NewElement(u)
	x.Add(&x, &y)
	return credential.ElementFromFr(x)
}

// breakCase violates one assertion and nothing else.
type breakCase struct {
	name   string
	family string
	// native breaks the statement in Go's types, so that the twin sees it; nil if only the assignment can express it.
	native func(s *scene) (presentation.Public, presentation.Private)
	// assigned breaks the filled circuit.
	assigned func(s *scene) *presentation.Circuit
}

func (c breakCase) assignment(t *testing.T, shape *credential.Shape) *presentation.Circuit {
	t.Helper()
	if c.native == nil {
		return c.assigned(newScene(shape))
	}
	return mustAssign(c.native(newScene(shape)))
}

func mustAssign(public presentation.Public, private presentation.Private) *presentation.Circuit {
	assignment, err := presentation.Assign(public, private)
	if err != nil {
		panic(err)
	}
	return assignment
}

func breakCases(shape *credential.Shape) []breakCase {
	var cases []breakCase
	cases = append(cases, tagCases()...)
	cases = append(cases, clauseCases(shape)...)
	return append(cases, pathCases(shape)...)
}

// tagCases break P1 and P2 at their roots, P3, and P5 to P7.
func tagCases() []breakCase {
	public := func(name, family string, change func(*presentation.Public)) breakCase {
		return breakCase{name: name, family: family, native: func(s *scene) (presentation.Public, presentation.Private) {
			public, private := s.present()
			change(&public)
			return public, private
		}}
	}
	before := func(name, family string, change func(*scene)) breakCase {
		return breakCase{name: name, family: family, native: func(s *scene) (presentation.Public, presentation.Private) {
			change(s)
			return s.present()
		}}
	}
	return []breakCase{
		public("other root", "P1", func(p *presentation.Public) { p.Root = plus(p.Root, 1) }),
		public("other schema", "P1", func(p *presentation.Public) { p.Schema = plus(p.Schema, 1) }),
		public("other issuer set", "P2", func(p *presentation.Public) { p.IssuerSet = plus(p.IssuerSet, 1) }),
		before("not yet valid", "P3", func(s *scene) { s.request.Now = s.credential.Envelope.ValidFrom - 1 }),
		before("expired", "P3", func(s *scene) { s.request.Now = s.credential.Envelope.ValidUntil + 1 }),
		public("other link", "P5", func(p *presentation.Public) { p.Link = plus(p.Link, 1) }),
		public("other item", "P5", func(p *presentation.Public) { p.Item = plus(p.Item, 1) }),
		public("other pseudonym", "P6", func(p *presentation.Public) { p.Pseudonym = plus(p.Pseudonym, 1) }),
		public("pseudonym without scope", "P6", func(p *presentation.Public) { p.Scope = credential.Element{} }),
		public("no pseudonym in a scope", "P6", func(p *presentation.Public) { p.Pseudonym = credential.Element{} }),
		public("other subject tag", "P7", func(p *presentation.Public) { p.SubjectTag = plus(p.SubjectTag, 1) }),
		public("subject tag without scope", "P7", func(p *presentation.Public) { p.SubjectScope = credential.Element{} }),
		before("tag of no subject", "P7", func(s *scene) { s.credential.Envelope.SubjectKey = credential.Secret{} }),
	}
}

// clauseCases break each assertion of P4 for each clause.
func clauseCases(shape *credential.Shape) []breakCase {
	var cases []breakCase
	add := func(name string, change func(*credential.Clauses)) {
		cases = append(cases, breakCase{name: name, family: "P4", native: func(s *scene) (presentation.Public, presentation.Private) {
			change(&s.request.Clauses)
			return s.present()
		}})
	}
	const most = 1<<64 - 1
	five := credential.ElementFromUint64(5)
	for i := range shape.Intervals {
		set := func(name string, v credential.Interval) {
			add(fmt.Sprintf("interval %d %s", i, name), func(c *credential.Clauses) { c.Intervals[i] = v })
		}
		set("above", credential.Interval{Mode: credential.Required, Low: 1, High: 4})
		set("below", credential.Interval{Mode: credential.Required, Low: 6, High: 9})
		set("negated inside", credential.Interval{Mode: credential.Required | credential.Negated, Low: 5, High: 5})
		set("absent", credential.Interval{Mode: credential.Required, Slot: 3, Low: 1, High: most})
		set("absent negated", credential.Interval{Mode: credential.Required | credential.Negated, Slot: 3, Low: 1, High: most})
		set("none of the group", credential.Interval{Mode: credential.AnyOf, Low: 6, High: 9})
		set("both groups", credential.Interval{Mode: credential.Required | credential.AnyOf, Low: 1, High: most})
		set("negated alone", credential.Interval{Mode: credential.Negated})
		set("mode 8", credential.Interval{Mode: 8})
		set("off with slot", credential.Interval{Slot: 1})
		set("off with low", credential.Interval{Low: 1})
		set("off with high", credential.Interval{High: 1})
		set("slot 16", credential.Interval{Mode: credential.Required, Slot: 16, Low: 1, High: most})
		set("too great", credential.Interval{Mode: credential.Required | credential.Negated, Slot: 1, Low: 1, High: most})
		mode := credential.Required
		if new(big.Int).Sub(fr.Modulus(), big.NewInt(4)).Bit(64) == 0 { // what the recorder's truncation makes of it
			mode |= credential.Negated
		}
		set("too great for high", credential.Interval{Mode: mode, Slot: 1, Low: 10, High: 1})
	}
	for i := range shape.Equalities {
		set := func(name string, v credential.Equality) {
			add(fmt.Sprintf("equality %d %s", i, name), func(c *credential.Clauses) { c.Equalities[i] = v })
		}
		set("other value", credential.Equality{Mode: credential.Required, Value: plus(five, 1)})
		set("negated value", credential.Equality{Mode: credential.Required | credential.Negated, Value: five})
		set("absent", credential.Equality{Mode: credential.Required, Slot: 3})
		set("absent negated", credential.Equality{Mode: credential.Required | credential.Negated, Slot: 3, Value: five})
		set("none of the group", credential.Equality{Mode: credential.AnyOf, Value: plus(five, 1)})
		set("both groups", credential.Equality{Mode: credential.Required | credential.AnyOf, Value: five})
		set("negated alone", credential.Equality{Mode: credential.Negated})
		set("mode 8", credential.Equality{Mode: 8})
		set("off with slot", credential.Equality{Slot: 1})
		set("off with value", credential.Equality{Value: five})
		set("slot 16", credential.Equality{Mode: credential.Required, Slot: 16, Value: five})
	}
	for i := range shape.Memberships {
		cases = append(cases, membershipCases(i)...)
	}
	return cases
}

// membershipCases break the assertions on one membership clause, but for its path.
func membershipCases(i int) []breakCase {
	five := credential.ElementFromUint64(5)
	var cases []breakCase
	add := func(name string, mode credential.Mode, slot uint8, members ...credential.Element) {
		cases = append(cases, breakCase{name: fmt.Sprintf("membership %d %s", i, name), family: "P4", native: func(s *scene) (presentation.Public, presentation.Private) {
			c := &s.request.Clauses.Memberships[i]
			c.Mode, c.Slot = mode, slot
			if members != nil {
				s.request.Sets[i] = mustSet(members...)
				c.Root = s.request.Sets[i].Root()
			}
			return s.present()
		}})
	}
	add("not in the set", credential.Required, 0, plus(five, 1), plus(five, 2))
	add("absent", credential.Required, 3, five)
	add("none of the group", credential.AnyOf, 0, plus(five, 1))
	add("negated alone", credential.Negated, 0)
	add("off with slot", 0, 1)
	add("off with root", 0, 0, five)
	assigned := func(name string, member credential.Element, change func(*presentation.Membership)) {
		cases = append(cases, breakCase{name: fmt.Sprintf("membership %d %s", i, name), family: "P4", assigned: func(s *scene) *presentation.Circuit {
			set := mustSet(member)
			s.request.Sets[i] = set
			s.request.Clauses.Memberships[i] = credential.Membership{Mode: credential.Required, Root: set.Root()}
			c := mustAssign(s.present())
			gadget.AssignPath(c.SetPaths[i][:], set.AnyPath(), member)
			change(&c.Memberships[i])
			return c
		}})
	}
	assigned("slot 16", five, func(m *presentation.Membership) { m.Slot = 16 })
	assigned("both groups", five, func(m *presentation.Membership) { m.Mode = 3 })
	assigned("negated", five, func(m *presentation.Membership) { m.Mode = 5 })
	return cases
}

func mustSet(members ...credential.Element) *tree.Set {
	set, err := tree.NewSet(members)
	if err != nil {
		panic(err)
	}
	return set
}

// pathCases forge a node at each level of each path: by not being the child, or by a position bit that is no bit and
// extrapolates from the children to the forged node.
func pathCases(shape *credential.Shape) []breakCase {
	r := circuitstest.NewRand(7)
	stranger := circuitstest.Element31(r)
	five := credential.ElementFromUint64(5)
	var cases []breakCase
	add := func(name, family string, levels int, build func(s *scene) (*presentation.Circuit, []gadget.Level, tree.Path, credential.Element)) {
		for level := range levels {
			for forgery := range 3 {
				cases = append(cases, breakCase{name: fmt.Sprintf("%s, level %d, forgery %d", name, level, forgery), family: family, assigned: func(s *scene) *presentation.Circuit {
					c, path, honest, member := build(s)
					forge(path, level, forgery, honest, member)
					return c
				}})
			}
		}
	}
	add("active path", "P1", credential.ActiveDepth, func(s *scene) (*presentation.Circuit, []gadget.Level, tree.Path, credential.Element) {
		s.active.Set(s.credential.Index, stranger)
		public, private := s.credential.Present(s.active, s.request)
		c := mustAssign(public, private)
		return c, c.ActivePath[:], private.ActivePath, stranger
	})
	add("issuer path", "P2", shape.IssuerDepth, func(s *scene) (*presentation.Circuit, []gadget.Level, tree.Path, credential.Element) {
		var err error
		if s.request.Issuers, err = tree.NewSetOfDepth(shape.IssuerDepth, []credential.Element{stranger, five}); err != nil {
			panic(err)
		}
		public, private := s.present()
		member, path := memberAndPath(s.request.Issuers)
		private.IssuerPath = path
		c := mustAssign(public, private)
		return c, c.IssuerPath[:], path, member
	})
	for i := range shape.Memberships {
		add(fmt.Sprintf("path of set %d", i), "P4", credential.SetDepth, func(s *scene) (*presentation.Circuit, []gadget.Level, tree.Path, credential.Element) {
			set := mustSet(stranger, plus(five, 1))
			s.request.Sets[i] = set
			s.request.Clauses.Memberships[i] = credential.Membership{Mode: credential.Required, Root: set.Root()}
			public, private := s.present()
			member, path := memberAndPath(set)
			private.SetPaths[i] = path
			c := mustAssign(public, private)
			return c, c.SetPaths[i][:], path, member
		})
	}
	return cases
}

// memberAndPath is the first member, with a path whose siblings above level 0 differ, so that positions can be forged.
func memberAndPath(set *tree.Set) (credential.Element, tree.Path) {
	return set.Members()[0], set.AnyPath()
}

// forge makes a path, which was filled for a forged leaf, end in the honest root: from a level on it is the honest path,
// and the forged node's place there is claimed plainly (0), or by the first (1) or second (2) position bit.
func forge(levels []gadget.Level, level, forgery int, honest tree.Path, member credential.Element) {
	forged := levels[level].Children[honest.Position(level)].(fr.Element)
	real := make([]gadget.Level, len(levels))
	gadget.AssignPath(real, honest, member)
	copy(levels[level:], real[level:])
	if forgery == 0 {
		return
	}
	first, second := levels[level].Children[0].(fr.Element), levels[level].Children[forgery].(fr.Element)
	forged.Sub(&forged, &first)
	second.Sub(&second, &first)
	if second.IsZero() {
		panic("forge needs children that differ")
	}
	forged.Div(&forged, &second)
	levels[level].Position = [2]frontend.Variable{0, 0}
	levels[level].Position[forgery-1] = forged
}
