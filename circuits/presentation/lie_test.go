package presentation_test

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/math/bits"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
)

// The hints of the circuit, with what a lying prover would say in their place.
var (
	bitsHint    = bits.GetHints()[1]
	inverseHint = solver.InvZeroHint
)

// bitLies change a decomposition that has at least two bits.
var bitLies = map[string]func(out []*big.Int){
	"top bit":     func(out []*big.Int) { top := out[len(out)-1]; top.Xor(top, big.NewInt(1)) },
	"lowest bit":  func(out []*big.Int) { out[0].Xor(out[0], big.NewInt(1)) },
	"carry":       func(out []*big.Int) { out[0].Add(out[0], big.NewInt(2)); out[1].Sub(out[1], big.NewInt(1)) },
	"carry back":  func(out []*big.Int) { out[0].Sub(out[0], big.NewInt(2)); out[1].Add(out[1], big.NewInt(1)) },
	"borrow from": func(out []*big.Int) { borrow(out) },
	"not a bit":   func(out []*big.Int) { out[len(out)-1].SetInt64(2) },
}

// borrow makes the top bit its complement and takes the difference from the lowest: the sum stays right.
func borrow(out []*big.Int) {
	weight := new(big.Int).Lsh(big.NewInt(1), uint(len(out)-1))
	top := out[len(out)-1]
	if top.Sign() == 0 {
		weight.Neg(weight)
	}
	top.Xor(top, big.NewInt(1))
	out[0].Add(out[0], weight)
}

// inverseLies replace an inverse.
var inverseLies = map[string]func(out *big.Int){
	"zero":     func(out *big.Int) { out.SetInt64(0) },
	"one":      func(out *big.Int) { out.SetInt64(1) },
	"plus one": func(out *big.Int) { out.Add(out, big.NewInt(1)) },
}

// liar answers like the honest hint, but lies at one call.
type liar struct {
	honest solver.Hint
	at     int
	lie    func(in, out []*big.Int) (told bool)

	calls int
	told  bool
}

func (l *liar) hint(field *big.Int, in, out []*big.Int) error {
	if err := l.honest(field, in, out); err != nil {
		return err
	}
	if l.calls == l.at {
		l.told = l.lie(in, out)
	}
	l.calls++
	return nil
}

// solve solves with one lie, one task at a time, so that calls come in a fixed order.
func (l *liar) solve(t *testing.T, system *compiling.System, public presentation.Public, private presentation.Private) error {
	t.Helper()
	w, err := frontend.NewWitness(mustAssign(public, private), ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	l.calls, l.told = 0, false
	_, err = system.R1CS.Solve(w, solver.WithNbTasks(1), solver.OverrideHint(solver.GetHintID(l.honest), l.hint))
	return err
}

// No hinted value has a second solution: each is lied about in a statement that holds, and refused. Only the inverse of
// 0 may be anything.
func TestLiesAreRefused(t *testing.T) { eachShape(t, liesAreRefused) }

func liesAreRefused(t *testing.T, shape *credential.Shape) {
	system, err := compiling.CompileSource(shape.Circuit)
	if err != nil {
		t.Fatal(err)
	}
	public, private := circuitstest.RandomStatementOf(shape, circuitstest.NewRand(12))
	count := func(hint solver.Hint) int {
		l := liar{honest: hint, at: -1}
		if err := l.solve(t, system, public, private); err != nil {
			t.Fatal(err)
		}
		return l.calls
	}
	nBits, nInverses := count(bitsHint), count(inverseHint)
	if nBits != 2+4*shape.Intervals+2*shape.Equalities+2*shape.Memberships || nInverses == 0 {
		t.Fatalf("the circuit asks for %d decompositions and %d inverses", nBits, nInverses)
	}
	step := 1
	if testing.Short() {
		step = 10
	}
	for at := 0; at < nBits; at += step {
		for name, lie := range bitLies {
			l := liar{honest: bitsHint, at: at, lie: func(_, out []*big.Int) bool { lie(out); return true }}
			if l.solve(t, system, public, private) == nil {
				t.Errorf("decomposition %d, lie %q: accepted", at, name)
			}
		}
	}
	told := 0
	for at := 0; at < nInverses; at += step {
		for name, lie := range inverseLies {
			l := liar{honest: inverseHint, at: at, lie: func(in, out []*big.Int) bool { lie(out[0]); return in[0].Sign() != 0 && in[0].Cmp(big.NewInt(1)) != 0 }}
			err := l.solve(t, system, public, private)
			if l.told && err == nil {
				t.Errorf("inverse %d, lie %q: accepted", at, name)
			}
			if l.told {
				told++
			}
		}
	}
	if told == 0 {
		t.Error("no inverse was lied about")
	}
}

// No lie makes a statement provable that does not hold.
func TestLiesDoNotHelp(t *testing.T) { eachShape(t, liesDoNotHelp) }

func liesDoNotHelp(t *testing.T, shape *credential.Shape) {
	system, err := compiling.CompileSource(shape.Circuit)
	if err != nil {
		t.Fatal(err)
	}
	const bad = "expired, out of range, absent, wrong value, without subject, past every slot"
	statements := []func(s *scene){
		func(s *scene) { s.request.Now = s.credential.Envelope.ValidUntil + 1 },
		func(s *scene) {
			s.request.Clauses.Intervals[0] = credential.Interval{Mode: credential.Required, Low: 6, High: 9}
		},
		func(s *scene) {
			s.request.Clauses.Intervals[0] = credential.Interval{Mode: credential.Required, Slot: 3, Low: 1, High: 9}
		},
		func(s *scene) {
			s.request.Clauses.Equalities[0] = credential.Equality{Mode: credential.Required, Value: credential.ElementFromUint64(6)}
		},
		func(s *scene) { s.credential.Envelope.SubjectKey = credential.Secret{} },
		func(s *scene) {
			s.request.Clauses.Equalities[0] = credential.Equality{Mode: credential.Required, Slot: 16, Value: credential.ElementFromUint64(5)}
		},
	}
	for i, change := range statements {
		if testing.Short() && i > 1 {
			break
		}
		s := newScene(shape)
		change(s)
		public, private := s.present()
		for at := range 4 + 4*shape.Intervals {
			for name, lie := range bitLies {
				l := liar{honest: bitsHint, at: at, lie: func(_, out []*big.Int) bool { lie(out); return true }}
				if l.solve(t, system, public, private) == nil {
					t.Errorf("statement %d of %q: accepted with the lie %q in decomposition %d", i, bad, name, at)
				}
			}
			for name, lie := range inverseLies {
				l := liar{honest: inverseHint, at: at, lie: func(_, out []*big.Int) bool { lie(out[0]); return true }}
				if l.solve(t, system, public, private) == nil {
					t.Errorf("statement %d of %q: accepted with the lie %q in inverse %d", i, bad, name, at)
				}
			}
		}
	}
}
