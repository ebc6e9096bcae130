// Package snarkjs writes keys, public inputs and proofs in the JSON layout of snarkjs, so that anybody can check our
// proofs with a program that is not ours:
//
//	snarkjs groth16 verify vkey.json public.json proof.json
//
// Numbers are decimal strings. Points are projective with z = 1; coordinates in the quadratic extension are [c0, c1].
// The precomputed pairing vk_alphabeta_12 is left out, as snarkjs computes it itself. Nothing here is read back.
package snarkjs

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"

	"github.com/bulla-id/bulla/circuits/internal/points"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

type (
	g1 [3]string
	g2 [3][2]string
)

// verifyingKey is the layout of vkey.json.
type verifyingKey struct {
	Protocol string `json:"protocol"`
	Curve    string `json:"curve"`
	NPublic  int    `json:"nPublic"`
	Alpha    g1     `json:"vk_alpha_1"`
	Beta     g2     `json:"vk_beta_2"`
	Gamma    g2     `json:"vk_gamma_2"`
	Delta    g2     `json:"vk_delta_2"`
	IC       []g1   `json:"IC"`
}

// proof is the layout of proof.json.
type proof struct {
	A        g1     `json:"pi_a"`
	B        g2     `json:"pi_b"`
	C        g1     `json:"pi_c"`
	Protocol string `json:"protocol"`
	Curve    string `json:"curve"`
}

// VerifyingKey is vkey.json.
func VerifyingKey(vk *keys.VerifyingKey) ([]byte, error) {
	k := vk.Groth16()
	out := verifyingKey{
		Protocol: "groth16", Curve: "bn128", NPublic: vk.PublicInputs(),
		Alpha: formatG1(k.G1.Alpha), Beta: formatG2(k.G2.Beta), Gamma: formatG2(k.G2.Gamma), Delta: formatG2(k.G2.Delta),
	}
	for _, p := range k.G1.K {
		out.IC = append(out.IC, formatG1(p))
	}
	return marshal(out)
}

// Public is public.json.
func Public(public []credential.Element) ([]byte, error) {
	out := make([]string, len(public))
	for i, e := range public {
		out[i] = e.BigInt().String()
	}
	return marshal(out)
}

// Proof is proof.json, from the 128 bytes of a proof.
func Proof(data []byte) ([]byte, error) {
	if len(data) != 2*points.G1Size+points.G2Size {
		return nil, fmt.Errorf("proof of %d bytes, want %d", len(data), 2*points.G1Size+points.G2Size)
	}
	a, err := points.ParseG1(data[:points.G1Size])
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	b, err := points.ParseG2(data[points.G1Size : points.G1Size+points.G2Size])
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	c, err := points.ParseG1(data[points.G1Size+points.G2Size:])
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	return marshal(proof{A: formatG1(a), B: formatG2(b), C: formatG1(c), Protocol: "groth16", Curve: "bn128"})
}

func formatG1(p bn254.G1Affine) g1 { return g1{decimal(p.X), decimal(p.Y), "1"} }

func formatG2(p bn254.G2Affine) g2 {
	return g2{{decimal(p.X.A0), decimal(p.X.A1)}, {decimal(p.Y.A0), decimal(p.Y.A1)}, {"1", "0"}}
}

func decimal(e fp.Element) string { return e.BigInt(new(big.Int)).String() }

func marshal(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", " ")
	return append(b, '\n'), err
}
