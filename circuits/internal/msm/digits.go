package msm

import "math/bits"

// digits takes the digits of one window, from -2^(width-1) to 2^(width-1)-1, out of numbers without a carry from the
// windows below: with half a window's range added to every window, they are the plain digits less that half.
type digits struct {
	offset [3]uint64 // half of the range, in every window
	word   int       // where the window begins
	shift  int
	half   int32 // of the range
}

func newDigits(width, window int) *digits {
	d := &digits{word: width * window / 64, shift: width * window % 64, half: 1 << (width - 1)}
	for w := range windows(width) {
		bit := w*width + width - 1
		d.offset[bit/64] |= 1 << (bit % 64)
	}
	return d
}

func (d *digits) of(h *half) int32 {
	if h.magnitude.isZero() {
		return 0
	}
	var x [4]uint64
	var carry uint64
	x[0], carry = bits.Add64(h.magnitude.lo, d.offset[0], 0)
	x[1], carry = bits.Add64(h.magnitude.hi, d.offset[1], carry)
	x[2] = d.offset[2] + carry
	plain := x[d.word]>>d.shift | x[d.word+1]<<(64-d.shift)
	digit := int32(plain&uint64(2*d.half-1)) - d.half
	if h.negative {
		return -digit
	}
	return digit
}
