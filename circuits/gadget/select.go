package gadget

import (
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/credential"
)

// Bits decomposes v into n bits, least significant first: n booleans whose weighted sum is v. There is no solution for
// a v of 2^n and above. Sound for n up to 253, where no two decompositions differ by the modulus; n < 2 is not for this.
func Bits(api frontend.API, v frontend.Variable, n int) []frontend.Variable {
	if n < 2 || n > 253 {
		panic("gadget: decomposition is sound for 2 to 253 bits")
	}
	return api.ToBinary(v, n)
}

// IsZero is 1 where v is 0, and 0 elsewhere. The result is unique; only the hinted inverse of 0 is free, and nothing
// else depends on it.
func IsZero(api frontend.API, v frontend.Variable) frontend.Variable { return api.IsZero(v) }

// Not is 1 - v, sound for a boolean v.
func Not(api frontend.API, v frontend.Variable) frontend.Variable { return api.Sub(1, v) }

// Mux is values[i], where bits spell i with the least significant first. There must be 2^len(bits) values. Bits must be
// boolean, which the caller has to have constrained: other bits extrapolate beyond the values.
func Mux(api frontend.API, bits, values []frontend.Variable) frontend.Variable {
	if len(values) != 1<<len(bits) {
		panic("gadget: a mux of n bits has 2^n values")
	}
	for _, bit := range bits {
		next := make([]frontend.Variable, len(values)/2)
		for i := range next {
			low, high := values[2*i], values[2*i+1]
			next[i] = api.Add(low, api.Mul(api.Sub(high, low), bit)) // the bit on the right: see sBox
		}
		values = next
	}
	return values[0]
}

// Claim is the claim in a slot. There is no solution for a slot of 16 and above.
func Claim(api frontend.API, claims [credential.Slots]frontend.Variable, slot frontend.Variable) frontend.Variable {
	return Mux(api, Bits(api, slot, 4), claims[:])
}
