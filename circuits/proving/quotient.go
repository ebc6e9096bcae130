package proving

import (
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/fft"
)

// quotientDomain has the n-th roots of one, and as its coset the n-th roots of minus one.
func quotientDomain(n uint64) *fft.Domain {
	shift, err := fft.Generator(2 * n)
	if err != nil {
		panic(err) // the key's own domain is of that size
	}
	return fft.NewDomain(n, fft.WithShift(shift))
}

// quotient is h = (a·b - c) / (xⁿ - 1) for the polynomials with the given values on the n-th roots of one. Modulo xⁿ + 1,
// where xⁿ is -1, a·b is c - 2h, and no power is too high to be told there: so h is half of c less what a·b is on the roots
// of minus one. That c needs no values there saves one transform of seven. The coefficients come in bit-reversed order
// and without the highest, which is 0, like the bases of the key. It uses up a, b and c.
func quotient(a, b, c []fr.Element, domain *fft.Domain) []fr.Element {
	padding := make([]fr.Element, int(domain.Cardinality)-len(a))
	a, b, c = append(a, padding...), append(b, padding...), append(c, padding...)
	one := fft.WithNbTasks(1) // the other processors have other things to do
	for _, values := range [][]fr.Element{a, b, c} {
		domain.FFTInverse(values, fft.DIF, one)
	}
	domain.FFT(a, fft.DIT, fft.OnCoset(), one)
	domain.FFT(b, fft.DIT, fft.OnCoset(), one)
	for i := range a {
		a[i].Mul(&a[i], &b[i])
	}
	domain.FFTInverse(a, fft.DIF, fft.OnCoset(), one)
	for i := range c {
		c[i].Sub(&c[i], &a[i])
		c[i].Halve()
	}
	return c[:len(c)-1]
}
