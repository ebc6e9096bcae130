// Package points reads points of BN254 strictly: compressed form only, exact length, canonical coordinates, on the
// curve, in the prime-order subgroup, not the point at infinity.
package points

import (
	"errors"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254"
)

// The lengths of compressed points, in bytes.
const (
	G1Size = bn254.SizeOfG1AffineCompressed
	G2Size = bn254.SizeOfG2AffineCompressed
)

// The form stands in the two highest bits of the first byte.
const (
	formMask   = 0b11 << 6
	smallestY  = 0b10 << 6
	largestY   = 0b11 << 6
	infinityID = 0b01 << 6
)

// checkForm refuses everything but compressed points that are not infinity, before a library sees them.
func checkForm(b []byte, size int) error {
	switch {
	case len(b) != size:
		return fmt.Errorf("point has %d bytes, want %d", len(b), size)
	case b[0]&formMask == infinityID:
		return errors.New("point at infinity")
	case b[0]&formMask != smallestY && b[0]&formMask != largestY:
		return errors.New("point is not in compressed form")
	}
	return nil
}

// ParseG1 reads 32 bytes.
func ParseG1(b []byte) (p bn254.G1Affine, err error) {
	if err := checkForm(b, G1Size); err != nil {
		return p, err
	}
	if _, err := p.SetBytes(b); err != nil { // checks coordinate, curve and subgroup
		return bn254.G1Affine{}, err
	}
	if again := p.Bytes(); string(again[:]) != string(b) || p.IsInfinity() {
		return bn254.G1Affine{}, errors.New("point is not in canonical form")
	}
	return p, nil
}

// ParseG2 reads 64 bytes.
func ParseG2(b []byte) (p bn254.G2Affine, err error) {
	if err := checkForm(b, G2Size); err != nil {
		return p, err
	}
	if _, err := p.SetBytes(b); err != nil {
		return bn254.G2Affine{}, err
	}
	if again := p.Bytes(); string(again[:]) != string(b) || p.IsInfinity() {
		return bn254.G2Affine{}, errors.New("point is not in canonical form")
	}
	return p, nil
}
