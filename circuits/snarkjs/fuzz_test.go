package snarkjs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/bulla-id/bulla/circuits/snarkjs"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// A proof is refused, or its JSON has the very points of its bytes.
func FuzzProof(f *testing.F) {
	good, err := os.ReadFile("../verifying/testdata/enrolment-1.proof")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:127])
	f.Add(make([]byte, 128))
	f.Add(bytes.Repeat([]byte{0x40}, 128))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := snarkjs.Proof(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		var proof struct {
			A, C [3]string
			B    [3][2]string
		}
		var members map[string]json.RawMessage
		for name, target := range map[string]any{"pi_a": &proof.A, "pi_b": &proof.B, "pi_c": &proof.C} {
			if err := json.Unmarshal(text, &members); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(members[name], target); err != nil {
				t.Fatal(err)
			}
		}
		a, b, c := g1(t, proof.A), g2(t, proof.B), g1(t, proof.C)
		one, two, three := a.Bytes(), b.Bytes(), c.Bytes()
		if again := append(append(one[:], two[:]...), three[:]...); !bytes.Equal(again, data) {
			t.Errorf("%x is written as the proof %x", data, again)
		}
	})
}
