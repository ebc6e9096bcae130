package mutation

import "github.com/consensys/gnark-crypto/ecc/bn254/fr"

// Lies are answers to a hint that only one assertion notices where the answer is used no further: the bits sum up but one of
// them is none, or the inverse is none.
func (h Hint) Lies() []Lie {
	if h.Bits == 0 {
		return h.inverseLies()
	}
	var lies []Lie
	for bit := range h.Bits {
		for _, other := range []int{none, 0, 1, h.Bits - 1} {
			if other == bit {
				continue
			}
			out := make([]fr.Element, h.Bits)
			if other != none {
				out[other].SetOne()
			}
			out[bit] = rest(h.In, other, bit)
			if !isBit(out[bit]) {
				lies = append(lies, Lie{h, Assertion{h.Family, h.First + bit, Bit, bit, h.Bits}, out})
			}
		}
	}
	return lies
}

// none is no bit.
const none = -1

// rest is what a bit has to be for the sum to be v, if of the others only one is 1, or none is.
func rest(v fr.Element, other, bit int) fr.Element {
	if other != none {
		weight := power(other)
		v.Sub(&v, &weight)
	}
	weight := power(bit)
	v.Div(&v, &weight)
	return v
}

func power(bit int) fr.Element {
	p := fr.One()
	for range bit {
		p.Double(&p)
	}
	return p
}

// inverseLies make the zero test of a number that is not 0 say 1, then -1.
func (h Hint) inverseLies() []Lie {
	if h.In.IsZero() {
		return nil
	}
	target := Assertion{Family: h.Family, N: h.First, Kind: Zero}
	var double fr.Element
	double.Inverse(&h.In).Double(&double)
	return []Lie{{h, target, make([]fr.Element, 1)}, {h, target, []fr.Element{double}}}
}
