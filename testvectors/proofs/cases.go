package proofs

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/circuits/snarkjs"
	"github.com/bulla-id/bulla/credential"
)

// The layers that refuse a bad case.
const (
	Accepted  = ""
	Encoding  = "encoding"  // a public input is no canonical element
	Malformed = "malformed" // the proof's bytes are no proof: length, form, coordinates, curve or subgroup
	Invalid   = "invalid"   // the pairing equation does not hold
)

// Case is a proof for public inputs, in our own forms.
type Case struct {
	Name   string   `json:"name"`
	Expect string   `json:"expect"`
	Public []string `json:"public,omitempty"` // hex, 64 digits; left out: those of the first case
	Proof  string   `json:"proof"`            // base64url, 128 bytes if it is good
}

// The parts of a proof.
const (
	endA = bn254.SizeOfG1AffineCompressed
	endB = endA + bn254.SizeOfG2AffineCompressed
	size = endB + bn254.SizeOfG1AffineCompressed

	infinityForm = 0b01 << 6 // of gnark-crypto's compressed points, in the two highest bits
	smallestForm = 0b10 << 6
	formMask     = 0b11 << 6
)

// files is what follows from key, statement and proof, by path below the circuit's folder.
func (m *Made) files() (map[string][]byte, error) {
	b := builder{made: m, files: make(map[string][]byte)}
	b.both("good", Accepted, "", m.inputs(), m.Proof)
	rerandomised, err := rerandomise(m.Proof)
	if err != nil {
		return nil, err
	}
	b.both("re-randomised by a stranger", Accepted, "good/re-randomised/", m.inputs(), rerandomised)

	b.both("first public input plus 1", Invalid, "bad/input-changed/", m.change(0, plus(m.Public[0], big.NewInt(1))), m.Proof)
	final := len(m.Public) - 1
	b.both("last public input plus 1", Invalid, "bad/last-input-changed/", m.change(final, plus(m.Public[final], big.NewInt(1))), m.Proof)
	swapped := m.inputs()
	swapped[0], swapped[1] = swapped[1], swapped[0]
	b.both("first two public inputs swapped", Invalid, "bad/inputs-swapped/", swapped, m.Proof)
	b.both("first public input plus the modulus", Encoding, "bad/input-plus-modulus/", m.change(0, plus(m.Public[0], fr.Modulus())), m.Proof)
	b.both("A and C swapped", Invalid, "bad/tampered/", m.inputs(), slices.Concat(m.Proof[endB:], m.Proof[endA:endB], m.Proof[:endA]))
	negated := bytes.Clone(m.Proof)
	negated[0] ^= 1 << 6 // the other of the two points with that x
	b.both("A negated", Invalid, "bad/negated/", m.inputs(), negated)
	b.malformed()
	b.offCurve()
	b.file("vkey.json")(snarkjs.VerifyingKey(m.Key))
	b.file("cases.json")(encode(b.cases))
	return b.files, b.err
}

// builder collects cases and files, and keeps the first error.
type builder struct {
	made  *Made
	cases []Case
	files map[string][]byte
	err   error
}

func (b *builder) file(name string) func([]byte, error) {
	return func(data []byte, err error) {
		b.files[name], b.err = data, errors.Join(b.err, err)
	}
}

// ours adds a case in our own forms.
func (b *builder) ours(name, expect string, public []*big.Int, proof []byte) {
	c := Case{Name: name, Expect: expect, Proof: base64.RawURLEncoding.EncodeToString(proof)}
	for _, v := range public {
		c.Public = append(c.Public, fmt.Sprintf("%064x", v))
	}
	if len(b.cases) > 0 && slices.Equal(c.Public, b.cases[0].Public) {
		c.Public = nil
	}
	b.cases = append(b.cases, c)
}

// both adds a case in our forms and in the layout of snarkjs, in a folder that ends in /.
func (b *builder) both(name, expect, folder string, public []*big.Int, proof []byte) {
	b.ours(name, expect, public, proof)
	b.file(folder + "public.json")(publicJSON(public))
	b.file(folder + "proof.json")(snarkjs.Proof(proof))
}

// malformed are bytes that are no proof. Each but the lengths has one bad point.
func (b *builder) malformed() {
	m := b.made
	with := func(at int, point []byte) []byte {
		out := bytes.Clone(m.Proof)
		copy(out[at:], point)
		return out
	}
	add := func(name string, proof []byte) { b.ours(name, Malformed, m.inputs(), proof) }
	add("empty", nil)
	add("a byte short", m.Proof[:size-1])
	add("a byte long", append(bytes.Clone(m.Proof), 0))
	add("with gnark's empty trailer for commitments", append(bytes.Clone(m.Proof), make([]byte, 36)...))
	infinity := make([]byte, endB-endA)
	infinity[0] = infinityForm
	add("A at infinity", with(0, infinity[:endA]))
	add("B at infinity", with(endA, infinity))
	add("C at infinity", with(endB, infinity[:endA]))
	add("A in uncompressed form", with(0, []byte{m.Proof[0] &^ formMask}))
	modulus := fp.Modulus().FillBytes(make([]byte, endA))
	modulus[0] |= smallestForm
	add("coordinate of A is the modulus", with(0, modulus))
	off, err1 := find(1, func(p []byte) bool { var g bn254.G1Affine; _, err := g.SetBytes(p); return err != nil })
	add("A is not on the curve", with(0, off))
	outside, err2 := find(2, func(p []byte) bool {
		var g bn254.G2Affine
		return bn254.NewDecoder(bytes.NewReader(p), bn254.NoSubgroupChecks()).Decode(&g) == nil && !g.IsInSubGroup()
	})
	add("B is outside the subgroup", with(endA, outside))
	b.err = errors.Join(b.err, err1, err2)
}

// find tries small x coordinates of compressed points of n coordinates.
func find(n int, wanted func([]byte) bool) ([]byte, error) {
	for x := range byte(100) {
		p := make([]byte, n*endA)
		p[0], p[len(p)-1] = smallestForm, x
		if wanted(p) {
			return p, nil
		}
	}
	return nil, errors.New("no such point among the first hundred")
}

// offCurve is a proof.json whose A is on no curve.
func (b *builder) offCurve() {
	data, err := snarkjs.Proof(b.made.Proof)
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	var proof struct {
		A        [3]string       `json:"pi_a"`
		B        json.RawMessage `json:"pi_b"`
		C        json.RawMessage `json:"pi_c"`
		Protocol string          `json:"protocol"`
		Curve    string          `json:"curve"`
	}
	if err := json.Unmarshal(data, &proof); err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	proof.A[0], proof.A[1] = "1", "1"
	b.file("bad/off-curve/public.json")(publicJSON(b.made.inputs()))
	b.file("bad/off-curve/proof.json")(json.MarshalIndent(proof, "", " "))
}

func publicJSON(public []*big.Int) ([]byte, error) {
	out := make([]string, len(public))
	for i, v := range public {
		out[i] = v.String()
	}
	data, err := json.MarshalIndent(out, "", " ")
	return append(data, '\n'), err
}

// inputs are the public inputs as integers, which need not be below the modulus.
func (m *Made) inputs() []*big.Int {
	out := make([]*big.Int, len(m.Public))
	for i, e := range m.Public {
		out[i] = e.BigInt()
	}
	return out
}

func (m *Made) change(at int, value *big.Int) []*big.Int {
	out := m.inputs()
	out[at] = value
	return out
}

func plus(e credential.Element, v *big.Int) *big.Int { return new(big.Int).Add(e.BigInt(), v) }

// rerandomise makes another proof of the same statement, as anybody can: (sA, B/s, C).
func rerandomise(proof []byte) ([]byte, error) {
	var a bn254.G1Affine
	var b bn254.G2Affine
	if _, err := a.SetBytes(proof[:endA]); err != nil {
		return nil, err
	}
	if _, err := b.SetBytes(proof[endA:endB]); err != nil {
		return nil, err
	}
	s := big.NewInt(7)
	a.ScalarMultiplication(&a, s)
	b.ScalarMultiplication(&b, new(big.Int).ModInverse(s, fr.Modulus()))
	first, second := a.Bytes(), b.Bytes()
	return slices.Concat(first[:], second[:], proof[endB:]), nil
}
