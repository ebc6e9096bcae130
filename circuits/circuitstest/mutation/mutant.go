package mutation

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
)

// Whole is the mutant that lacks nothing.
const Whole = -1

// Compile compiles a circuit without the assertion at a place in [Record.All], or [Whole]. Decompositions and zero tests are
// spelled out, constraint by constraint as gnark has them, so that each assertion in them can be dropped; a zero test
// takes one constraint more than gnark's.
func Compile(circuit frontend.Circuit, dropped int) (constraint.ConstraintSystem, error) {
	return frontend.Compile(ecc.BN254.ScalarField(), func(field *big.Int, cfg frontend.CompileConfig) (frontend.Builder[constraint.U64], error) {
		b, err := r1cs.NewBuilder[constraint.U64](field, cfg)
		return &mutant{Builder: b, dropped: dropped}, err
	}, circuit)
}

// Solve solves for an assignment with one lie, or none: at is the place of its hint in [Record.Hints].
func Solve(system constraint.ConstraintSystem, assignment frontend.Circuit, lie *Lie, at int) error {
	w, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		return err
	}
	answer := func(_ *big.Int, in, out []*big.Int) error {
		var x fr.Element
		x.SetBigInt(in[1])
		var values []fr.Element
		switch {
		case lie != nil && in[0].IsInt64() && in[0].Int64() == int64(at):
			values = lie.Out
		case in[2].Sign() == 0:
			x.Inverse(&x)
			values = []fr.Element{x}
		default:
			values = lowestBits(x, len(out))
		}
		for i := range out {
			values[i].BigInt(out[i])
		}
		return nil
	}
	_, err = system.Solve(w, solver.OverrideHint(solver.GetHintID(asked), answer))
	return err
}

// asked stands for all hints of a mutant; [Solve] answers. Its inputs are the hint's place, the number, and how many bits of it,
// or 0 for its inverse.
func asked(*big.Int, []*big.Int, []*big.Int) error { panic("mutation: only Solve solves mutants") }

// mutant counts assertions and hints as a recorder does, and leaves one assertion out.
type mutant struct {
	frontend.Builder[constraint.U64]
	dropped  int
	n, calls int
}

func (m *mutant) keep() bool {
	m.n++
	return m.n-1 != m.dropped
}

func (m *mutant) ask(v frontend.Variable, bits int) []frontend.Variable {
	out, err := m.NewHint(asked, max(1, bits), m.calls, v, bits)
	if err != nil {
		panic(err)
	}
	m.calls++
	return out
}

func (m *mutant) AssertIsEqual(a, b frontend.Variable) {
	if m.keep() {
		m.Builder.AssertIsEqual(a, b)
	}
}

func (m *mutant) AssertIsBoolean(v frontend.Variable) {
	if m.keep() {
		m.Builder.AssertIsBoolean(v)
	}
}

func (m *mutant) ToBinary(v frontend.Variable, n ...int) []frontend.Variable {
	bits := m.ask(v, n[0])
	var sum frontend.Variable = 0
	for i, bit := range bits {
		m.AssertIsBoolean(bit)
		sum = m.Add(sum, m.Mul(bit, new(big.Int).Lsh(big.NewInt(1), uint(i))))
	}
	m.AssertIsEqual(sum, v)
	return bits
}

func (m *mutant) IsZero(v frontend.Variable) frontend.Variable {
	zero := m.Sub(1, m.Mul(v, m.ask(v, 0)[0]))
	m.AssertIsEqual(m.Mul(v, zero), 0)
	return zero
}
