package snarkjs_test

import (
	"encoding/json"
	"math/big"
	"os"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/snarkjs"
	"github.com/bulla-id/bulla/credential"
)

// What is written, read by nothing of ours but the numbers, satisfies Groth16's equation as the paper states it:
// e(A, B) = e(α, β) e(Σ, γ) e(C, δ).
func TestEquation(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile("../verifying/testdata/enrolment-1." + name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	vk, err := keys.ParseVerifyingKey(read("verifying"))
	if err != nil {
		t.Fatal(err)
	}
	var inputs []credential.Element
	if err := json.Unmarshal(read("public.json"), &inputs); err != nil {
		t.Fatal(err)
	}
	vkJSON, err1 := snarkjs.VerifyingKey(vk)
	publicJSON, err2 := snarkjs.Public(inputs)
	proofJSON, err3 := snarkjs.Proof(read("proof"))
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}

	var key struct {
		Alpha [3]string    `json:"vk_alpha_1"`
		Beta  [3][2]string `json:"vk_beta_2"`
		Gamma [3][2]string `json:"vk_gamma_2"`
		Delta [3][2]string `json:"vk_delta_2"`
		IC    [][3]string  `json:"IC"`
	}
	var public []string
	var proof struct {
		A [3]string    `json:"pi_a"`
		B [3][2]string `json:"pi_b"`
		C [3]string    `json:"pi_c"`
	}
	unmarshal(t, vkJSON, &key)
	unmarshal(t, publicJSON, &public)
	unmarshal(t, proofJSON, &proof)

	if len(public) != 4 || len(key.IC) != 5 {
		t.Fatalf("%d public inputs and %d points", len(public), len(key.IC))
	}
	holds := func() bool {
		sum := g1(t, key.IC[0])
		for i, text := range public {
			var x fr.Element
			if _, err := x.SetString(text); err != nil {
				t.Fatal(err)
			}
			p := g1(t, key.IC[i+1])
			p.ScalarMultiplication(&p, x.BigInt(new(big.Int)))
			sum.Add(&sum, &p)
		}
		a := g1(t, proof.A)
		a.Neg(&a)
		ok, err := bn254.PairingCheck(
			[]bn254.G1Affine{a, g1(t, key.Alpha), sum, g1(t, proof.C)},
			[]bn254.G2Affine{g2(t, proof.B), g2(t, key.Beta), g2(t, key.Gamma), g2(t, key.Delta)})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !holds() {
		t.Error("an honest proof does not satisfy the equation")
	}
	public[3] = "1"
	if holds() {
		t.Error("another public input satisfies the equation")
	}
}

func TestProofRefused(t *testing.T) {
	for _, size := range []int{0, 127, 128, 129} {
		if _, err := snarkjs.Proof(make([]byte, size)); err == nil {
			t.Errorf("%d zeros are a proof", size)
		}
	}
}

func unmarshal(t *testing.T, data []byte, target any) {
	t.Helper()
	if err := json.Unmarshal(data, target); err != nil {
		t.Fatal(err)
	}
}

func coordinate(t *testing.T, text string) fp.Element {
	t.Helper()
	var x fp.Element
	if _, err := x.SetString(text); err != nil {
		t.Fatal(err)
	}
	return x
}

func g1(t *testing.T, p [3]string) bn254.G1Affine {
	t.Helper()
	if p[2] != "1" {
		t.Fatalf("z is %s", p[2])
	}
	return bn254.G1Affine{X: coordinate(t, p[0]), Y: coordinate(t, p[1])}
}

func g2(t *testing.T, p [3][2]string) (q bn254.G2Affine) {
	t.Helper()
	q.X.A0, q.X.A1 = coordinate(t, p[0][0]), coordinate(t, p[0][1])
	q.Y.A0, q.Y.A1 = coordinate(t, p[1][0]), coordinate(t, p[1][1])
	return q
}
