package proving

import (
	"errors"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/circuits/internal/msm"
	"github.com/bulla-id/bulla/circuits/keys"
)

// Helpers compute parts of proofs where this process cannot: in a browser a process has one thread, and other workers have others. A
// request has the proof's secrets, so a helper is as trusted as we are, and ends when we do. A helper that fails, or answers something
// that is no point, costs time and nothing else.
type Helpers interface {
	// Count is how many there are.
	Count() int
	// Start hands a request to a helper and returns at once. The function waits for the answer of [Helper.Compute]; it must return.
	Start(helper int, request []byte) (wait func() ([]byte, error))
}

// Helper computes what [Helpers] are asked for, with the same proving key.
type Helper struct{ sums }

// NewHelper prepares a key's points. It compiles no circuit.
func NewHelper(key *keys.ProvingKey) *Helper { return &Helper{newSums(key.Groth16(), 1)} }

var errRequest = errors.New("not a request of a prover with this key")

// A request is a byte that names the sum, a byte that counts parts, a byte for the number of each, and the sum's scalars, 32 bytes
// each, big-endian. The answer is the parts as points in affine coordinates, uncompressed: 64 bytes each, or 128 in the second group.

// Compute answers a request. An error means that it is of another key, or malformed.
func (h *Helper) Compute(request []byte) ([]byte, error) {
	if len(request) < 2 || int(request[0]) >= sumCount || len(request) < 2+int(request[1]) {
		return nil, errRequest
	}
	sum, numbers, rest := int(request[0]), request[2:2+int(request[1])], request[2+int(request[1]):]
	if len(rest) != fr.Bytes*h.points[sum] {
		return nil, errRequest
	}
	scalars := make([]fr.Element, h.points[sum])
	for i := range scalars {
		if err := scalars[i].SetBytesCanonical(rest[i*fr.Bytes : (i+1)*fr.Bytes]); err != nil {
			return nil, errRequest
		}
	}
	halves, f := msm.Split(scalars), h.newFound()
	for _, number := range numbers {
		if int(number) >= h.count(sum) {
			return nil, errRequest
		}
		h.compute(f, part{sum, int(number)}, halves)
	}
	return f.encode(sum, numbers), nil
}

// count is how many parts a sum has.
func (s *sums) count(sum int) int {
	switch sum {
	case sumA:
		return s.a.Parts()
	case sumB:
		return s.b.Parts()
	}
	return s.krs.Parts()
}

// ask has a helper compute parts of a sum. The function waits for them, and returns those that it failed at.
func (s *sums) ask(f *found, helpers Helpers, helper, sum int, numbers []int, scalars []fr.Element) (wait func() []part) {
	request := make([]byte, 0, 2+len(numbers)+fr.Bytes*len(scalars))
	request = append(request, byte(sum), byte(len(numbers)))
	asked := make([]part, len(numbers))
	for i, number := range numbers {
		request, asked[i] = append(request, byte(number)), part{sum, number}
	}
	for i := range scalars {
		text := scalars[i].Bytes()
		request = append(request, text[:]...)
	}
	answered := helpers.Start(helper, request)
	return func() []part {
		answer, err := answered()
		if err == nil {
			err = f.decode(sum, numbers, answer)
		}
		if err != nil {
			return asked
		}
		return nil
	}
}

func (f *found) g1(sum int) []bn254.G1Jac {
	if sum == sumA {
		return f.a
	}
	return f.krs
}

func (f *found) encode(sum int, numbers []byte) (out []byte) {
	for _, number := range numbers {
		if sum == sumB {
			var p bn254.G2Affine
			text := p.FromJacobian(&f.b[number]).RawBytes()
			out = append(out, text[:]...)
			continue
		}
		var p bn254.G1Affine
		text := p.FromJacobian(&f.g1(sum)[number]).RawBytes()
		out = append(out, text[:]...)
	}
	return out
}

// decode takes an answer, all of it or nothing that counts: the parts are computed anew after an error.
func (f *found) decode(sum int, numbers []int, answer []byte) error {
	size := bn254.SizeOfG1AffineUncompressed
	if sum == sumB {
		size = bn254.SizeOfG2AffineUncompressed
	}
	if len(answer) != size*len(numbers) {
		return fmt.Errorf("a helper answered %d bytes, not %d", len(answer), size*len(numbers))
	}
	for i, number := range numbers {
		text := answer[i*size : (i+1)*size]
		if sum == sumB {
			var p bn254.G2Affine
			if _, err := p.SetBytes(text); err != nil {
				return fmt.Errorf("a helper's point: %w", err)
			}
			f.b[number].FromAffine(&p)
			continue
		}
		var p bn254.G1Affine
		if _, err := p.SetBytes(text); err != nil {
			return fmt.Errorf("a helper's point: %w", err)
		}
		f.g1(sum)[number].FromAffine(&p)
	}
	return nil
}
