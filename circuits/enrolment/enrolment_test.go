package enrolment_test

import (
	"errors"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/test"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/circuitstest/mutation"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/credential"
)

func satisfies(public enrolment.Public, private enrolment.Private) error {
	return test.IsSolved(new(enrolment.Circuit), enrolment.Assign(public, private), ecc.BN254.ScalarField())
}

// Each constraint is violated alone, and refused by twin and circuit.
func TestBreakEachConstraint(t *testing.T) {
	one := credential.ElementFromUint64(1)
	for _, c := range []struct {
		name, want string
		change     func(*enrolment.Public, *enrolment.Private)
	}{
		{"nothing", "", func(*enrolment.Public, *enrolment.Private) {}},
		{"other challenge", "", func(p *enrolment.Public, _ *enrolment.Private) { p.Challenge = one }}, // before proving, any will do
		{"other commitment", "E1", func(p *enrolment.Public, _ *enrolment.Private) { p.HolderCommitment = one }},
		{"other blinding", "E1", func(_ *enrolment.Public, p *enrolment.Private) { p.Blinding.Element = one }},
		{"other master secret", "E1", func(_ *enrolment.Public, p *enrolment.Private) { p.Master.Element = one }},
		{"other pseudonym", "E2", func(p *enrolment.Public, _ *enrolment.Private) { p.Pseudonym = one }},
		{"other register", "E2", func(p *enrolment.Public, _ *enrolment.Private) { p.RegisterScope = one }},
		{"pseudonym of another", "E2", func(p *enrolment.Public, _ *enrolment.Private) {
			p.Pseudonym = credential.Pseudonym(credential.Secret{Element: one}, p.RegisterScope)
		}},
		{"no register", "E2", func(p *enrolment.Public, q *enrolment.Private) {
			p.RegisterScope = credential.Element{}
			p.Pseudonym = credential.C4(credential.TagPseudonym, q.Master.Element, credential.Element{}, credential.Element{})
		}},
	} {
		public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
		c.change(&public, &private)
		got := ""
		var violation *enrolment.Violation
		if errors.As(enrolment.Holds(public, private), &violation) {
			got = violation.Constraint
		}
		if got != c.want {
			t.Errorf("%s: the twin says %q, want %q", c.name, got, c.want)
		}
		if err := satisfies(public, private); (err == nil) != (c.want == "") {
			t.Errorf("%s: circuit: %v", c.name, err)
		}
	}
}

// Each assertion is violated alone by a case. The zero test of the register's scope has one inside, that scope·(its being
// zero) is 0, which the others imply: E2 says that its being zero is 0.
func TestEveryAssertionIsNeeded(t *testing.T) {
	families := func(c *enrolment.Circuit) []mutation.Family {
		return []mutation.Family{{Name: "E", Define: func(api frontend.API) {
			if err := c.Define(api); err != nil {
				t.Error(err)
			}
		}}}
	}
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
	s := mutation.NewScore(t, families(enrolment.Assign(public, private)))
	one := credential.ElementFromUint64(1)
	for name, change := range map[string]func(*enrolment.Public){
		"other commitment": func(p *enrolment.Public) { p.HolderCommitment = one },
		"other pseudonym":  func(p *enrolment.Public) { p.Pseudonym = one },
		"no register": func(p *enrolment.Public) {
			p.RegisterScope = credential.Element{}
			p.Pseudonym = credential.C4(credential.TagPseudonym, private.Master.Element, credential.Element{}, credential.Element{})
		},
	} {
		changed := public
		change(&changed)
		assignment := enrolment.Assign(changed, private)
		failed := mutation.Evaluate(families(assignment), nil).Failed
		if len(failed) != 1 {
			t.Errorf("%s violates %v, want one assertion", name, failed)
			continue
		}
		s.Catch(failed[0], mutation.Case{Name: name, Assignment: assignment})
		s.LieIn("lie: "+name, assignment, families(assignment), func(mutation.Hint) bool { return true })
	}
	s.Report(t, func(a mutation.Assertion) bool { return a.Kind == mutation.Zero })
	published, err := circuits.Named(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	s.CheckMutants(t, func() frontend.Circuit { return new(enrolment.Circuit) }, published.Constraints, 1)
}

func TestTwinAndCircuitAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := circuitstest.NewRand(rapid.Uint64().Draw(t, "seed"))
		public, private := circuitstest.RandomEnrolment(r)
		fields := []*credential.Element{
			&public.HolderCommitment, &public.RegisterScope, &public.Pseudonym, &public.Challenge, &private.Master.Element, &private.Blinding.Element,
		}
		if i := rapid.IntRange(0, 2*len(fields)).Draw(t, "field"); i < len(fields) {
			*fields[i] = circuitstest.Element(r)
		}
		twin, circuit := enrolment.Holds(public, private), satisfies(public, private)
		if (twin == nil) != (circuit == nil) {
			t.Fatalf("the twin says %v, the circuit %v", twin, circuit)
		}
	})
}

// A prover who lies about the inverse of the register's scope cannot make 0 of it, nor of 0 anything else.
func TestLies(t *testing.T) {
	system, err := compiling.CompileSource(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
	zero := public
	zero.RegisterScope = credential.Element{}
	zero.Pseudonym = credential.C4(credential.TagPseudonym, private.Master.Element, credential.Element{}, credential.Element{})
	for lie := range int64(5) {
		lying := solver.OverrideHint(solver.GetHintID(solver.InvZeroHint), func(_ *big.Int, _, out []*big.Int) error {
			out[0].SetInt64(lie)
			return nil
		})
		for _, statement := range []enrolment.Public{public, zero} {
			w, err := frontend.NewWitness(enrolment.Assign(statement, private), ecc.BN254.ScalarField())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := system.R1CS.Solve(w, lying); err == nil {
				t.Errorf("scope %s: accepted with the inverse %d", statement.RegisterScope, lie)
			}
		}
	}
}

func TestVectorIsTheCircuitsOrder(t *testing.T) {
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
	w, err := frontend.NewWitness(enrolment.Assign(public, private), ecc.BN254.ScalarField(), frontend.PublicOnly())
	if err != nil {
		t.Fatal(err)
	}
	want, got := w.Vector().(fr.Vector), public.Vector()
	if len(got) != enrolment.PublicInputs || len(want) != len(got) {
		t.Fatalf("%d public inputs, gnark has %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != credential.ElementFromFr(want[i]) {
			t.Errorf("public input %d differs from gnark's", i)
		}
	}
}
