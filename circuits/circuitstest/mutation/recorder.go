// Package mutation drops the assertions of a circuit one at a time, those inside gnark's decompositions and zero tests
// included. A [Recorder] evaluates an assignment to its end and says which assertions fail: if only one does, the circuit
// without it would accept. A mutant is the compiled circuit without it, which then has to accept indeed.
package mutation

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
)

// Kind is what an assertion says.
type Kind string

const (
	Equal   Kind = "equality"
	Boolean Kind = "boolean"
	Bit     Kind = "bit"       // of a decomposition is boolean
	Sum     Kind = "sum"       // of a decomposition's weighted bits is the number
	Zero    Kind = "zero test" // a number times its being zero is zero
)

// Assertion is one assertion of a circuit: the n-th of its family.
type Assertion struct {
	Family string
	N      int
	Kind   Kind
	Bit    int // which bit, of how many
	Bits   int // in the decomposition, else 0
}

func (a Assertion) String() string {
	if a.Kind == Bit {
		return fmt.Sprintf("%s/%d (bit %d of %d)", a.Family, a.N, a.Bit, a.Bits)
	}
	return fmt.Sprintf("%s/%d (%s)", a.Family, a.N, a.Kind)
}

// Hint is a value that the prover is asked for: the bits of a number, or its inverse.
type Hint struct {
	Family string
	Call   int // the n-th of its family
	Bits   int // 0: the inverse
	In     fr.Element
	First  int // N of the first assertion on it
}

// Lie changes what a hint answers.
type Lie struct {
	Hint   Hint
	Target Assertion // that is to notice
	Out    []fr.Element
}

// Family is a part of a circuit, on an assignment.
type Family struct {
	Name   string
	Define func(frontend.API)
}

// Record is what an evaluation found.
type Record struct {
	All, Failed []Assertion
	Hints       []Hint
}

// Evaluate evaluates families to their ends, whatever fails. The lie may be nil.
func Evaluate(families []Family, lie *Lie) Record {
	r := recorder{lie: lie}
	for _, family := range families {
		r.family, r.n, r.calls = family.Name, 0, 0
		family.Define(&r)
	}
	return r.record
}

// recorder has the operations that our gadgets use; any other is a nil call, which a test would not survive. It is also
// ten times as fast as gnark's engine.
type recorder struct {
	frontend.API
	lie    *Lie
	family string
	n      int
	calls  int
	record Record
}

func (r *recorder) assert(holds bool, kind Kind, bit ...int) {
	a := Assertion{Family: r.family, N: r.n, Kind: kind}
	if len(bit) == 2 {
		a.Bit, a.Bits = bit[0], bit[1]
	}
	r.n++
	r.record.All = append(r.record.All, a)
	if !holds {
		r.record.Failed = append(r.record.Failed, a)
	}
}

// ask notes a hint and puts the lie in the place of an honest answer.
func (r *recorder) ask(in fr.Element, bits int, out []fr.Element) {
	if r.lie != nil && r.lie.Hint.Family == r.family && r.lie.Hint.Call == r.calls {
		copy(out, r.lie.Out)
	}
	r.record.Hints = append(r.record.Hints, Hint{r.family, r.calls, bits, in, r.n})
	r.calls++
}

func (r *recorder) AssertIsEqual(a, b frontend.Variable) {
	r.assert(element(a) == element(b), Equal)
}

func (r *recorder) AssertIsBoolean(v frontend.Variable) { r.assert(isBit(element(v)), Boolean) }

func isBit(x fr.Element) bool { return x.IsZero() || x.IsOne() }

// ToBinary gives the lowest bits of a number that does not fit.
func (r *recorder) ToBinary(v frontend.Variable, n ...int) []frontend.Variable {
	x := element(v)
	bits := lowestBits(x, n[0])
	r.ask(x, len(bits), bits)
	out := make([]frontend.Variable, len(bits))
	var sum fr.Element
	for i := len(bits) - 1; i >= 0; i-- {
		sum.Double(&sum)
		sum.Add(&sum, &bits[i])
		out[i] = bits[i]
	}
	for i := range bits {
		r.assert(isBit(bits[i]), Bit, i, len(bits))
	}
	r.assert(sum == x, Sum)
	return out
}

func lowestBits(x fr.Element, n int) []fr.Element {
	value := x.BigInt(new(big.Int))
	bits := make([]fr.Element, n)
	for i := range bits {
		bits[i].SetUint64(uint64(value.Bit(i)))
	}
	return bits
}

func (r *recorder) IsZero(v frontend.Variable) frontend.Variable {
	x := element(v)
	inverse := []fr.Element{x}
	inverse[0].Inverse(&x) // 0 for 0
	r.ask(x, 0, inverse)
	m, product := fr.One(), fr.Element{}
	m.Sub(&m, product.Mul(&x, &inverse[0]))
	product.Mul(&x, &m)
	r.assert(product.IsZero(), Zero)
	return m
}

func (r *recorder) Add(a, b frontend.Variable, more ...frontend.Variable) frontend.Variable {
	x, y := element(a), element(b)
	x.Add(&x, &y)
	for _, v := range more {
		y = element(v)
		x.Add(&x, &y)
	}
	return x
}

func (r *recorder) Sub(a, b frontend.Variable, more ...frontend.Variable) frontend.Variable {
	x, y := element(a), element(b)
	x.Sub(&x, &y)
	for _, v := range more {
		y = element(v)
		x.Sub(&x, &y)
	}
	return x
}

func (r *recorder) Mul(a, b frontend.Variable, more ...frontend.Variable) frontend.Variable {
	x, y := element(a), element(b)
	x.Mul(&x, &y)
	for _, v := range more {
		y = element(v)
		x.Mul(&x, &y)
	}
	return x
}

func element(v frontend.Variable) fr.Element {
	var x fr.Element
	switch v := v.(type) {
	case fr.Element:
		return v
	case *big.Int:
		x.SetBigInt(v)
	case int:
		x.SetInt64(int64(v))
	case uint8:
		x.SetUint64(uint64(v))
	case uint64:
		x.SetUint64(v)
	default:
		panic(fmt.Sprintf("a wire of type %T", v))
	}
	return x
}
