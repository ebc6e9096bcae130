package msm

import (
	"math/bits"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// Scalar is a scalar k of the field as two of half the length: k = halves[0] + λ·halves[1] mod r, each below 2^127 in
// magnitude. λ is the eigenvalue of the endomorphism (x, y) ↦ (βx, y), so a multiplication by λ costs one of field
// elements, and there are half as many windows to go through. A small k stays as it is.
type Scalar [2]half

// half is an integer between -2^127 and 2^127.
type half struct {
	magnitude u128
	negative  bool
}

type u128 struct{ lo, hi uint64 }

// The lattice of all (a, b) with a + λb = 0 mod r has the short basis v1 = (short, -long1), v2 = (long2, short).
// ratio1 and ratio2 are short/r and long1/r, times 2^320, rounded down.
var (
	short  = u128{lo: 0x89d3256894d213e3}
	long1  = u128{lo: 0x8211bbeb7d4f1128, hi: 0x6f4d8248eeb859fc}
	long2  = u128{lo: 0x0be4e1541221250b, hi: 0x6f4d8248eeb859fd}
	ratio1 = [4]uint64{0x6eb9c714773a6ef2, 0xd91d232ec7e0b3d7, 0x0000000000000002, 0x0000000000000000}
	ratio2 = [4]uint64{0xa5e38cfb5eaa26d9, 0x7a7bd9d4391eb18d, 0x4ccef014a773d2cf, 0x0000000000000002}
)

// Split prepares scalars, once for all sums that they occur in.
func Split(scalars ...[]fr.Element) []Scalar {
	var n int
	for _, part := range scalars {
		n += len(part)
	}
	out := make([]Scalar, 0, n)
	for _, part := range scalars {
		for i := range part {
			out = append(out, split(&part[i]))
		}
	}
	return out
}

// split takes from (k, 0) its whole multiples of v1 and v2. The first half that is left is never negative, the second
// one is at most the short vector's length above zero.
func split(scalar *fr.Element) Scalar {
	k := scalar.Bits()
	c1, c2 := scaleDown(&k, &ratio1), scaleDown(&k, &ratio2)
	first := u128{k[0], k[1]}.minus(c1.times(short)).minus(c2.times(long2))
	second := c1.times(long1).minus(c2.times(short))
	if second.hi>>63 == 0 {
		return Scalar{{first, false}, {second, false}}
	}
	return Scalar{{first, false}, {u128{}.minus(second), true}}
}

// scaleDown is k·ratio / 2^320, rounded down.
func scaleDown(k, ratio *[4]uint64) u128 {
	var product [8]uint64
	for i, a := range k {
		var carry uint64
		for j, b := range ratio {
			hi, lo := bits.Mul64(a, b)
			var c uint64
			lo, c = bits.Add64(lo, product[i+j], 0)
			hi += c
			product[i+j], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		product[i+len(ratio)] = carry
	}
	return u128{product[5], product[6]}
}

// times and minus are modulo 2^128.
func (a u128) times(b u128) u128 {
	hi, lo := bits.Mul64(a.lo, b.lo)
	return u128{lo, hi + a.hi*b.lo + a.lo*b.hi}
}

func (a u128) minus(b u128) u128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return u128{lo, hi}
}

func (a u128) isZero() bool { return a.lo|a.hi == 0 }
