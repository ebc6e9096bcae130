package presentation_test

import (
	"math/rand/v2"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/circuitstest/mutation"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// change alters a statement somewhere, for better or worse.
type change func(r *rand.Rand, public *presentation.Public, private *presentation.Private)

var changes = []change{
	func(r *rand.Rand, public *presentation.Public, _ *presentation.Private) {
		fields := []*credential.Element{
			&public.Root, &public.Schema, &public.IssuerSet, &public.Challenge, &public.N, &public.Link, &public.Item,
			&public.Scope, &public.Pseudonym, &public.SubjectScope, &public.SubjectTag,
		}
		*fields[r.IntN(len(fields))] = value(r)
	},
	func(r *rand.Rand, _ *presentation.Public, private *presentation.Private) {
		fields := []*credential.Element{
			&private.Master.Element, &private.Blinding.Element, &private.Issuer, &private.Envelope.SubjectKey.Element,
			&private.Envelope.Salt.Element, &private.Claims[r.IntN(credential.Slots)],
		}
		*fields[r.IntN(len(fields))] = value(r)
	},
	func(r *rand.Rand, public *presentation.Public, private *presentation.Private) {
		e := private.Envelope
		public.Now = []uint64{e.ValidFrom, e.ValidUntil, e.ValidFrom - 1, e.ValidUntil + 1, 0, 1<<64 - 1, r.Uint64()}[r.IntN(7)]
	},
	func(r *rand.Rand, public *presentation.Public, private *presentation.Private) {
		c := &public.Clauses.Intervals[r.IntN(credential.Intervals)]
		claim := private.Claims[c.Slot%credential.Slots].BigInt().Uint64()
		switch r.IntN(4) {
		case 0:
			c.Mode = modeOf(r)
		case 1:
			c.Slot = uint8(r.IntN(18))
		case 2:
			c.Low = number(r, claim)
		case 3:
			c.High = number(r, claim)
		}
	},
	func(r *rand.Rand, public *presentation.Public, private *presentation.Private) {
		c := &public.Clauses.Equalities[r.IntN(credential.Equalities)]
		switch r.IntN(3) {
		case 0:
			c.Mode = modeOf(r)
		case 1:
			c.Slot = uint8(r.IntN(18))
		case 2:
			c.Value = []credential.Element{value(r), private.Claims[r.IntN(credential.Slots)]}[r.IntN(2)]
		}
	},
	func(r *rand.Rand, public *presentation.Public, private *presentation.Private) {
		c := &public.Clauses.Memberships[r.IntN(credential.Memberships)]
		switch r.IntN(3) {
		case 0:
			c.Mode = modeOf(r)
		case 1:
			c.Slot = uint8(r.IntN(18))
		case 2:
			c.Root = value(r)
		}
	},
	func(r *rand.Rand, _ *presentation.Public, private *presentation.Private) {
		paths := []*tree.Path{&private.ActivePath, &private.IssuerPath, &private.SetPaths[0], &private.SetPaths[1]}
		path := paths[r.IntN(len(paths))]
		if len(path.Siblings) == 0 {
			return
		}
		level := r.IntN(len(path.Siblings))
		if r.IntN(2) == 0 {
			path.Index ^= uint64(1+r.IntN(3)) << (2 * level)
			return
		}
		siblings := append([][tree.Arity - 1]credential.Element(nil), path.Siblings...)
		siblings[level][r.IntN(tree.Arity-1)] = value(r)
		path.Siblings = siblings
	},
}

// value is an element that is likely to mean something.
func value(r *rand.Rand) credential.Element {
	switch r.IntN(3) {
	case 0:
		return credential.Element{}
	case 1:
		return credential.ElementFromUint64(circuitstest.Number(r))
	}
	return circuitstest.Element(r)
}

// number is one at or beside a claim, or at the edges.
func number(r *rand.Rand, claim uint64) uint64 {
	return []uint64{claim, claim - 1, claim + 1, 0, 1, 1<<64 - 1, circuitstest.Number(r)}[r.IntN(7)]
}

func modeOf(r *rand.Rand) credential.Mode {
	if r.IntN(10) == 0 {
		return credential.Mode(r.IntN(256))
	}
	return credential.Mode(r.IntN(8))
}

// Whatever is changed, twin and circuit agree, and the twin names a constraint that the circuit violates. The compiled
// circuit agrees with both.
func TestTwinAndCircuitAgree(t *testing.T) { eachShape(t, twinAndCircuitAgree) }

func twinAndCircuitAgree(t *testing.T, shape *credential.Shape) {
	system, err := compiling.CompileSource(shape.Circuit)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	total := rounds(300)
	if shape != credential.Whole {
		total = rounds(100)
	}
	for seed := range uint64(total) {
		r := circuitstest.NewRand(1000 + seed)
		public, private := circuitstest.RandomStatementOf(shape, r)
		for range 1 + r.IntN(2) {
			changes[r.IntN(len(changes))](r, &public, &private)
		}
		if shape.Fits(&public.Clauses) != nil { // TestClausesThatDoNotFit
			continue
		}
		violated := constraintOf(t, presentation.Holds(public, private))
		assignment := mustAssign(public, private)
		failed := mutation.Evaluate(families(assignment), nil).Failed
		named := violated == ""
		for _, a := range failed {
			named = named || a.Family == violated
		}
		if (violated == "") != (len(failed) == 0) || !named {
			t.Errorf("seed %d: the twin says %q, the circuit violates %v", seed, violated, failed)
		}
		if violated == "" {
			held++
		}
		if seed%4 != 0 {
			continue
		}
		w, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := system.R1CS.Solve(w); (err == nil) != (violated == "") {
			t.Errorf("seed %d: the twin says %q, the compiled circuit %v", seed, violated, err == nil)
		}
	}
	if held < total/50 || held > total*4/5 {
		t.Errorf("%d of %d statements hold: the changes test one side only", held, total)
	}
	t.Logf("%d of %d statements hold", held, total)
}
