package msm

import (
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
)

// pair asks for to += from. Within one batch all of these points are different places.
type pair[P any] struct{ to, from *P }

// adder does a batch of additions in affine coordinates with one inversion: six multiplications an addition, where
// Jacobian coordinates need eleven. Equal, opposite and infinite points are treated as they must be.
type adder[P any] interface {
	add(batch []pair[P])
}

// adderG1 adds in the first group. Its fields are scratch space.
type adderG1 struct{ differences, products []fp.Element }

func (a *adderG1) add(batch []pair[bn254.G1Affine]) {
	if len(batch) == 0 {
		return
	}
	a.differences = resize(a.differences, len(batch))
	a.products = resize(a.products, len(batch))
	var product fp.Element
	product.SetOne()
	for i, p := range batch {
		d := &a.differences[i] // what the slope is divided by, or zero where nothing is left to do
		subtract(d, &p.from.X, &p.to.X)
		switch {
		case p.from.IsInfinity():
			d.SetZero()
		case p.to.IsInfinity():
			*p.to = *p.from
			d.SetZero()
		case !d.IsZero():
		case p.from.Y.Equal(&p.to.Y):
			d.Double(&p.to.Y)
		default:
			p.to.SetInfinity()
		}
		a.products[i] = product
		if !d.IsZero() {
			product.Mul(&product, d)
		}
	}
	var inverse, slope, t fp.Element
	inverse.Inverse(&product)
	for i := len(batch) - 1; i >= 0; i-- {
		d, to, from := &a.differences[i], batch[i].to, batch[i].from
		if d.IsZero() {
			continue
		}
		if to.X.Equal(&from.X) {
			t.Square(&to.X)
			slope.Double(&t)
			slope.Add(&slope, &t)
		} else {
			subtract(&slope, &from.Y, &to.Y)
		}
		t.Mul(&inverse, &a.products[i])
		inverse.Mul(&inverse, d)
		slope.Mul(&slope, &t)
		t.Square(&slope)
		subtract(&t, &t, &to.X)
		subtract(&t, &t, &from.X)
		subtract(&to.X, &to.X, &t)
		slope.Mul(&slope, &to.X)
		subtract(&to.Y, &slope, &to.Y)
		to.X = t
	}
}

// adderG2 is the text of adderG1 over the other field: generic code would call every multiplication indirectly.
type adderG2 struct{ differences, products []bn254.E2 }

func (a *adderG2) add(batch []pair[bn254.G2Affine]) {
	if len(batch) == 0 {
		return
	}
	a.differences = resize(a.differences, len(batch))
	a.products = resize(a.products, len(batch))
	var product bn254.E2
	product.SetOne()
	for i, p := range batch {
		d := &a.differences[i]
		d.Sub(&p.from.X, &p.to.X)
		switch {
		case p.from.IsInfinity():
			d.SetZero()
		case p.to.IsInfinity():
			*p.to = *p.from
			d.SetZero()
		case !d.IsZero():
		case p.from.Y.Equal(&p.to.Y):
			d.Double(&p.to.Y)
		default:
			p.to.SetInfinity()
		}
		a.products[i] = product
		if !d.IsZero() {
			product.Mul(&product, d)
		}
	}
	var inverse, slope, t bn254.E2
	inverse.Inverse(&product)
	for i := len(batch) - 1; i >= 0; i-- {
		d, to, from := &a.differences[i], batch[i].to, batch[i].from
		if d.IsZero() {
			continue
		}
		if to.X.Equal(&from.X) {
			t.Square(&to.X)
			slope.Double(&t)
			slope.Add(&slope, &t)
		} else {
			slope.Sub(&from.Y, &to.Y)
		}
		t.Mul(&inverse, &a.products[i])
		inverse.Mul(&inverse, d)
		slope.Mul(&slope, &t)
		t.Square(&slope)
		t.Sub(&t, &to.X)
		t.Sub(&t, &from.X)
		to.X.Sub(&to.X, &t)
		slope.Mul(&slope, &to.X)
		to.Y.Sub(&slope, &to.Y)
		to.X = t
	}
}

func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return make([]T, n)
}
