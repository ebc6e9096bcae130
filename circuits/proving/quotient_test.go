package proving

import (
	"math/big"
	"math/bits"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/fft"
)

// The quotient is what schoolbook division gives: a·b - c = h·(xⁿ - 1), coefficient by coefficient.
func TestQuotient(t *testing.T) {
	const n, constraints = 16, 13
	a, b, c := make([]fr.Element, constraints), make([]fr.Element, constraints), make([]fr.Element, constraints)
	for i := range a {
		a[i].MustSetRandom()
		b[i].MustSetRandom()
		c[i].Mul(&a[i], &b[i])
	}
	domain := quotientDomain(n)
	want := multiply(coefficients(a, domain), coefficients(b, domain))
	for i, x := range coefficients(c, domain) {
		want[i].Sub(&want[i], &x)
	}
	got := make([]fr.Element, 2*n)
	shift := bits.UintSize - bits.TrailingZeros(n)
	for i, x := range quotient(a, b, c, domain) {
		i = int(bits.Reverse(uint(i)) >> shift)
		got[i].Sub(&got[i], &x)
		got[i+n].Add(&got[i+n], &x)
	}
	for i := range want {
		if !got[i].Equal(&want[i]) {
			t.Errorf("coefficient %d of a·b - c is %v, that of h·(xⁿ - 1) is %v", i, &want[i], &got[i])
		}
	}
}

// coefficients of the polynomial with the given values on the domain, by the definition.
func coefficients(values []fr.Element, domain *fft.Domain) []fr.Element {
	n := int64(domain.Cardinality)
	out := make([]fr.Element, n)
	for i := range out {
		for j, v := range values {
			var x fr.Element
			x.Exp(domain.GeneratorInv, big.NewInt(int64(i)*int64(j)%n))
			x.Mul(&x, &v)
			out[i].Add(&out[i], &x)
		}
		out[i].Mul(&out[i], &domain.CardinalityInv)
	}
	return out
}

func multiply(a, b []fr.Element) []fr.Element {
	out := make([]fr.Element, len(a)+len(b))
	for i := range a {
		for j := range b {
			var x fr.Element
			x.Mul(&a[i], &b[j])
			out[i+j].Add(&out[i+j], &x)
		}
	}
	return out
}
