package msm

import (
	"math/bits"

	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
)

// The modulus of the curve's field, least significant word first.
const (
	modulus0 = 0x3c208c16d87cfd47
	modulus1 = 0x97816a916871ca8d
	modulus2 = 0xb85045b68181585d
	modulus3 = 0x30644e72e131a029
)

// subtract is z = x - y. gnark-crypto's own asks whether there was a borrow, which is as good as random, and the
// processor guesses wrong half of the time; here the modulus is masked instead.
func subtract(z, x, y *fp.Element) {
	t0, b := bits.Sub64(x[0], y[0], 0)
	t1, b := bits.Sub64(x[1], y[1], b)
	t2, b := bits.Sub64(x[2], y[2], b)
	t3, b := bits.Sub64(x[3], y[3], b)
	mask := -b
	var c uint64
	z[0], c = bits.Add64(t0, modulus0&mask, 0)
	z[1], c = bits.Add64(t1, modulus1&mask, c)
	z[2], c = bits.Add64(t2, modulus2&mask, c)
	z[3], _ = bits.Add64(t3, modulus3&mask, c)
}
