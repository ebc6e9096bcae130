package presentation_test

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits/presentation"
)

// assertion is one assertion of the circuit: the n-th of its family.
type assertion struct {
	Family string
	N      int
}

// recorder evaluates the circuit to its end whatever fails, and notes which assertions do. If only one does, then the
// circuit without it would accept: the assertion is needed, and the case tests it. It has the operations that our
// gadgets use; any other is a nil call, which a test would not survive. It is also ten times as fast as gnark's engine.
type recorder struct {
	frontend.API
	family string
	n      int
	all    []assertion
	failed []assertion
}

// record evaluates an assignment and returns all assertions and those that fail.
func record(assignment *presentation.Circuit) (all, failed []assertion) {
	r := new(recorder)
	for _, family := range presentation.Families {
		r.family, r.n = family.Name, 0
		family.Define(assignment, r)
	}
	return r.all, r.failed
}

func (r *recorder) assert(holds bool) {
	a := assertion{r.family, r.n}
	r.n++
	r.all = append(r.all, a)
	if !holds {
		r.failed = append(r.failed, a)
	}
}

func (r *recorder) AssertIsEqual(a, b frontend.Variable) {
	r.assert(element(a) == element(b))
}

func (r *recorder) AssertIsBoolean(v frontend.Variable) {
	x := element(v)
	r.assert(x.IsZero() || x.IsOne())
}

// ToBinary gives the lowest bits of a number that does not fit.
func (r *recorder) ToBinary(v frontend.Variable, n ...int) []frontend.Variable {
	x := element(v)
	value := x.BigInt(new(big.Int))
	r.assert(value.BitLen() <= n[0])
	bits := make([]frontend.Variable, n[0])
	for i := range bits {
		bits[i] = fr.NewElement(uint64(value.Bit(i)))
	}
	return bits
}

func (r *recorder) IsZero(v frontend.Variable) frontend.Variable {
	x := element(v)
	if x.IsZero() {
		return fr.One()
	}
	return fr.Element{}
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
