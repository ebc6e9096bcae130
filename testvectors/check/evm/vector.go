package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
)

const wordSize = 32

// vector is a proof with its public inputs as the EVM takes them: numbers of 32 bytes, big endian, reduced or not.
type vector struct {
	public []*big.Int
	proof  [8]*big.Int // A (x, y), B (x imaginary, x real, y imaginary, y real), C (x, y)
}

// readVector reads public.json and proof.json in the layout of snarkjs.
func readVector(folder string) (*vector, error) {
	var public []string
	var proof struct {
		A [3]string    `json:"pi_a"`
		B [3][2]string `json:"pi_b"`
		C [3]string    `json:"pi_c"`
	}
	if err := readJSON(filepath.Join(folder, "public.json"), &public); err != nil {
		return nil, err
	}
	if err := readJSON(filepath.Join(folder, "proof.json"), &proof); err != nil {
		return nil, err
	}
	if proof.A[2] != "1" || proof.B[2] != [2]string{"1", "0"} || proof.C[2] != "1" {
		return nil, fmt.Errorf("%s: a point of the proof is not affine", folder)
	}
	v := &vector{public: make([]*big.Int, len(public))}
	for i, text := range public {
		if err := parseWord(&v.public[i], text); err != nil {
			return nil, fmt.Errorf("%s: public input %d: %w", folder, i, err)
		}
	}
	a, b, c := proof.A, proof.B, proof.C
	for i, text := range []string{a[0], a[1], b[0][1], b[0][0], b[1][1], b[1][0], c[0], c[1]} {
		if err := parseWord(&v.proof[i], text); err != nil {
			return nil, fmt.Errorf("%s: proof: %w", folder, err)
		}
	}
	return v, nil
}

func readJSON(path string, to any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// parseWord reads a decimal number that fits a word.
func parseWord(to **big.Int, text string) error {
	v, ok := new(big.Int).SetString(text, 10)
	if !ok || v.Sign() < 0 || v.BitLen() > 8*wordSize {
		return fmt.Errorf("%q is no word", text)
	}
	*to = v
	return nil
}

// withInputPlusOne is a copy with one public input changed.
func (v *vector) withInputPlusOne(i int) *vector {
	out := &vector{public: slices.Clone(v.public), proof: v.proof}
	out.public[i] = new(big.Int).Add(v.public[i], big.NewInt(1))
	return out
}

// words concatenates numbers of 32 bytes.
func words(numbers ...*big.Int) []byte {
	out := make([]byte, 0, len(numbers)*wordSize)
	for _, n := range numbers {
		out = append(out, n.FillBytes(make([]byte, wordSize))...)
	}
	return out
}
