package points

import (
	"bytes"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// What is read is a point of the group, not at infinity, and its bytes are the only ones for it.
func FuzzParseG1(f *testing.F) {
	_, _, generator, _ := bn254.Generators()
	good, raw := generator.Bytes(), generator.RawBytes()
	f.Add(good[:])
	f.Add(raw[:])
	f.Add(append([]byte{infinityID}, make([]byte, G1Size-1)...))
	f.Add(append([]byte{smallestY}, bytes.Repeat([]byte{0xff}, G1Size-1)...))
	f.Add(bytes.Repeat([]byte{0xff}, G1Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseG1(b)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again := p.Bytes(); !bytes.Equal(again[:], b) || p.IsInfinity() || !p.IsOnCurve() || !p.IsInSubGroup() {
			t.Errorf("%x is read as %s", b, p.String())
		}
	})
}

func FuzzParseG2(f *testing.F) {
	_, _, _, generator := bn254.Generators()
	good, raw := generator.Bytes(), generator.RawBytes()
	f.Add(good[:])
	f.Add(raw[:])
	f.Add(append([]byte{infinityID}, make([]byte, G2Size-1)...))
	f.Add(append([]byte{largestY}, make([]byte, G2Size-1)...)) // on the curve or not, but outside the subgroup
	f.Add(append([]byte{smallestY}, bytes.Repeat([]byte{0xff}, G2Size-1)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseG2(b)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again := p.Bytes(); !bytes.Equal(again[:], b) || p.IsInfinity() || !p.IsOnCurve() || !p.IsInSubGroup() {
			t.Errorf("%x is read as %s", b, p.String())
		}
	})
}
