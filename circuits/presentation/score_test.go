package presentation_test

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest/mutation"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
)

// families are those of the circuit on an assignment.
func families(assignment *presentation.Circuit) []mutation.Family {
	var out []mutation.Family
	for _, f := range presentation.Families {
		out = append(out, mutation.Family{Name: f.Name, Define: func(api frontend.API) { f.Define(assignment, api) }})
	}
	return out
}

// implied tells of assertions that no assignment violates alone, as the others leave it no room. All are inside gnark's
// gadgets, which have them anyway:
//
//   - that the lowest bit of a mode, required, is boolean. If it is not, then anyOf is 0, as required·anyOf is; off is not 0, so
//     negated and all fields are; and a clause with such fields is false (of a set: but for a preimage of the root 0), which
//     required·(1−truth) = 0 refuses;
//   - that the group's zero test says 0 where some of it holds, as members·(what it says) = 0, and then there are members.
func implied(s *mutation.Score) func(mutation.Assertion) bool {
	groupsZeroTest := s.Last("P4", mutation.Zero)
	return func(a mutation.Assertion) bool {
		return a.Kind == mutation.Bit && a.Bits <= 3 && a.Bit == 0 || a == groupsZeroTest
	}
}

// Each case violates exactly one assertion, each assertion is violated alone by some case, and both twin and compiled
// circuit refuse them all. The score is that of a mutation run in which assertions are dropped one at a time: a circuit
// without the one that alone fails would accept. A few such circuits, or all when there is time, are compiled, and do.
func TestEveryAssertionIsNeeded(t *testing.T) { eachShape(t, everyAssertionIsNeeded) }

func everyAssertionIsNeeded(t *testing.T, shape *credential.Shape) {
	s := mutation.NewScore(t, families(mustAssign(newScene(shape).present())))
	breakAll(t, s, shape)
	if testing.Short() {
		return
	}
	lieAll(s, shape)
	s.Report(t, implied(s))
	published, err := circuits.Named(shape.Circuit)
	if err != nil {
		t.Fatal(err)
	}
	step := 400
	if soak {
		step = 1
	}
	s.CheckMutants(t, func() frontend.Circuit { return presentation.NewCircuit(shape) }, published.Constraints, step)
}

// breakAll gathers the cases of assignments.
func breakAll(t *testing.T, s *mutation.Score, shape *credential.Shape) {
	system, err := compiling.CompileSource(shape.Circuit)
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range breakCases(shape) {
		if testing.Short() && n%20 != 0 {
			continue
		}
		assignment := c.assignment(t, shape)
		failed := mutation.Evaluate(families(assignment), nil).Failed
		if len(failed) != 1 || failed[0].Family != c.family {
			t.Errorf("%s violates %v, want one assertion of %s", c.name, failed, c.family)
			continue
		}
		s.Catch(failed[0], mutation.Case{Name: c.name, Assignment: assignment})
		w, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := system.R1CS.Solve(w); err == nil {
			t.Errorf("%s satisfies the compiled circuit", c.name)
		}
		if c.native != nil {
			public, private := c.native(newScene(shape))
			if got := constraintOf(t, presentation.Holds(public, private)); got != c.family {
				t.Errorf("%s: the twin says %q, want %s", c.name, got, c.family)
			}
		}
	}
}

// lieAll gathers the cases of lies. Scenes need not hold: one in which the lie would help is as good.
func lieAll(s *mutation.Score, shape *credential.Shape) {
	every := func(mutation.Hint) bool { return true }
	try := func(name string, asked func(mutation.Hint) bool, scene func(*scene), changed func(*presentation.Public)) {
		sc := newScene(shape)
		scene(sc)
		public, private := sc.present()
		changed(&public)
		assignment := mustAssign(public, private)
		s.LieIn("lie: "+name, assignment, families(assignment), asked)
	}
	asIs := func(*presentation.Public) {}
	try("no clauses", every, func(*scene) {}, asIs)
	try("no pseudonym in a scope", every, func(*scene) {}, func(p *presentation.Public) { p.Pseudonym = credential.Element{} })
	try("no subject tag in a scope", every, func(*scene) {}, func(p *presentation.Public) { p.SubjectTag = credential.Element{} })
	try("no subject scope", every, func(s *scene) { s.request.SubjectScope = credential.Element{} }, asIs)
	try("all required", every, func(s *scene) { s.allClauses(credential.Required) }, asIs)
	try("all in the group", every, func(s *scene) { s.allClauses(credential.AnyOf) }, asIs)
	try("equalities with other values", every, func(s *scene) {
		s.allClauses(credential.AnyOf)
		for i := range s.request.Clauses.Equalities {
			s.request.Clauses.Equalities[i].Value = credential.ElementFromUint64(6)
		}
	}, asIs)
	required := func(h mutation.Hint) bool { return (h.Bits == 2 || h.Bits == 3) && h.In.IsOne() }
	for i := range shape.Intervals {
		try("one interval of nothing", required, func(s *scene) {
			s.oneInGroup(0).Intervals[i] = credential.Interval{Mode: credential.Required}
		}, asIs)
	}
	for i := range shape.Equalities {
		try("one equality with nothing", required, func(s *scene) {
			s.oneInGroup((i + 1) % credential.Equalities).Equalities[i] = credential.Equality{Mode: credential.Required}
		}, asIs)
	}
	for i := range shape.Memberships {
		try("one membership in nothing", required, func(s *scene) {
			s.oneInGroup(0).Memberships[i] = credential.Membership{Mode: credential.Required}
		}, asIs)
	}
}

// oneInGroup empties slot 0 and asks, in the group, for the text in slot 2 by one equality.
func (s *scene) oneInGroup(equality int) *credential.Clauses {
	s.credential.Claims[0] = credential.Element{}
	s.request.Clauses.Equalities[equality] = credential.Equality{Mode: credential.AnyOf, Slot: 2, Value: s.credential.Claims[2]}
	return &s.request.Clauses
}

// allClauses asks for the number 5 in slot 0, in every way.
func (s *scene) allClauses(mode credential.Mode) {
	five := credential.ElementFromUint64(5)
	c, shape := &s.request.Clauses, s.request.Shape
	for i := range c.Intervals[:shape.Intervals] {
		c.Intervals[i] = credential.Interval{Mode: mode, Low: 1, High: 9}
	}
	for i := range c.Equalities[:shape.Equalities] {
		c.Equalities[i] = credential.Equality{Mode: mode, Value: five}
	}
	for i := range c.Memberships[:shape.Memberships] {
		s.request.Sets[i] = mustSet(five)
		c.Memberships[i] = credential.Membership{Mode: mode, Root: s.request.Sets[i].Root()}
	}
}
