package keys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/internal/points"
	_ "github.com/bulla-id/bulla/circuits/internal/silence"
	"github.com/bulla-id/bulla/credential"
)

// MaxVerifyingKey bounds a verifying key, in bytes.
const MaxVerifyingKey = 64 << 10

// VerifyingKey checks the proofs of one circuit. It is immutable and safe for concurrent use.
type VerifyingKey struct {
	circuit circuits.Circuit
	data    []byte
	key     groth16.VerifyingKey
}

// NewVerifyingKey wraps the result of a setup for a circuit.
func NewVerifyingKey(circuit circuits.Circuit, key *groth16.VerifyingKey) (*VerifyingKey, error) {
	buf := bytes.NewBuffer(appendHeader(nil, verifying, circuit.Digest))
	if _, err := key.WriteTo(buf); err != nil {
		return nil, fmt.Errorf("serialise verifying key of %s: %w", circuit.Name, err)
	}
	return ParseVerifyingKey(buf.Bytes())
}

// ParseVerifyingKey reads the file form, whole and canonical or not at all. The key must be of a published circuit and
// have its number of public inputs; each point must be in the subgroup and not at infinity, as a public input whose
// point is at infinity could be swapped after proving.
func ParseVerifyingKey(data []byte) (*VerifyingKey, error) {
	if len(data) > MaxVerifyingKey {
		return nil, fmt.Errorf("verifying key of %d bytes, at most %d are read", len(data), MaxVerifyingKey)
	}
	circuit, payload, err := parseHeader(data, verifying)
	if err != nil {
		return nil, fmt.Errorf("verifying key: %w", err)
	}
	vk := &VerifyingKey{circuit: circuit, data: bytes.Clone(data)}
	if err := vk.parsePayload(payload); err != nil {
		return nil, fmt.Errorf("verifying key of %s: %w", circuit.Name, err)
	}
	return vk, nil
}

func (vk *VerifyingKey) parsePayload(payload []byte) error {
	count := vk.circuit.PublicInputs + 1
	r := reader{rest: payload}
	if want := 3*points.G1Size + 3*points.G2Size + 4 + count*points.G1Size + 8; len(payload) != want {
		return fmt.Errorf("%d bytes of points, want %d", len(payload), want)
	}
	k := &vk.key
	k.G1.Alpha = r.g1()
	k.G1.Beta = r.g1()
	k.G2.Beta = r.g2()
	k.G2.Gamma = r.g2()
	k.G1.Delta = r.g1()
	k.G2.Delta = r.g2()
	if got := binary.BigEndian.Uint32(r.next(4)); got != uint32(count) {
		return fmt.Errorf("%d points for public inputs, want %d", got, count)
	}
	for range count {
		k.G1.K = append(k.G1.K, r.g1())
	}
	if r.err != nil {
		return r.err
	}
	if !bytes.Equal(r.rest, make([]byte, 8)) {
		return errors.New("it has commitments, and no circuit of ours makes any")
	}
	k.PublicAndCommitmentCommitted = [][]int{}
	if err := samePower(k.G1.Beta, k.G2.Beta); err != nil {
		return fmt.Errorf("β: %w", err)
	}
	if err := samePower(k.G1.Delta, k.G2.Delta); err != nil {
		return fmt.Errorf("δ: %w", err)
	}
	return k.Precompute()
}

// samePower checks that two points are the generators times the same secret. Verifying uses only the one in G2; a key
// in which the other is anything else was not made by a setup.
func samePower(a bn254.G1Affine, b bn254.G2Affine) error {
	_, _, g1, g2 := bn254.Generators()
	g1.Neg(&g1)
	ok, err := bn254.PairingCheck([]bn254.G1Affine{a, g1}, []bn254.G2Affine{g2, b})
	if err == nil && !ok {
		err = errors.New("the points in G1 and G2 do not belong together")
	}
	return err
}

// reader takes points off a payload whose length was checked, and keeps the first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) next(n int) (b []byte) {
	b, r.rest = r.rest[:n], r.rest[n:]
	return b
}

func (r *reader) g1() bn254.G1Affine {
	p, err := points.ParseG1(r.next(points.G1Size))
	r.err = errors.Join(r.err, err)
	return p
}

func (r *reader) g2() bn254.G2Affine {
	p, err := points.ParseG2(r.next(points.G2Size))
	r.err = errors.Join(r.err, err)
	return p
}

// Digest is the SHA-256 of the file form.
func (vk *VerifyingKey) Digest() credential.Digest { return credential.DigestOf(vk.data) }

// Circuit is the digest of the circuit.
func (vk *VerifyingKey) Circuit() credential.Digest { return vk.circuit.Digest }

// Name is the name of the circuit.
func (vk *VerifyingKey) Name() string { return vk.circuit.Name }

// PublicInputs is how many public inputs a proof has.
func (vk *VerifyingKey) PublicInputs() int { return vk.circuit.PublicInputs }

// Bytes is the file form.
func (vk *VerifyingKey) Bytes() []byte { return bytes.Clone(vk.data) }

// Groth16 is the key as gnark knows it. It must not be changed.
func (vk *VerifyingKey) Groth16() *groth16.VerifyingKey { return &vk.key }
