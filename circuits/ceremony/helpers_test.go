package ceremony

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/credential"
)

// small proves that Y is X to the power of 2^squarings: few constraints, so that a ceremony takes milliseconds.
type small struct {
	X         frontend.Variable
	Y         frontend.Variable `gnark:",public"`
	squarings int
}

func (c *small) Define(api frontend.API) error {
	x := c.X
	for range c.squarings {
		x = api.Mul(x, x)
	}
	api.AssertIsEqual(x, c.Y)
	return nil
}

// smallCircuits has two of different sizes. Their keys have gnark's form, as ours is for published circuits only.
var smallCircuits = source{
	compile: func(name string) (*compiling.System, error) {
		squarings, known := map[string]int{"small-1": 3, "small-2": 6}[name]
		if !known {
			return nil, fmt.Errorf("there is no circuit %q", name)
		}
		compiled, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &small{squarings: squarings})
		if err != nil {
			return nil, err
		}
		system := compiled.(*cs.R1CS)
		var buf bytes.Buffer
		_, err = system.WriteTo(&buf)
		return &compiling.System{R1CS: system, Circuit: circuits.Circuit{
			Name: name, Constraints: system.GetNbConstraints(), PublicInputs: 1, Digest: credential.DigestOf(buf.Bytes()),
		}}, err
	},
	encode: func(_ circuits.Circuit, pk *groth16.ProvingKey, vk *groth16.VerifyingKey) (encodedKeys, error) {
		var p, v bytes.Buffer
		if _, err := pk.WriteRawTo(&p); err != nil {
			return encodedKeys{}, err
		}
		_, err := vk.WriteTo(&v)
		return encodedKeys{v.Bytes(), p.Bytes()}, err
	},
}

// begin makes a ceremony of the small circuits.
func beginSmall(t testing.TB, dir string) *Ceremony {
	t.Helper()
	c, err := initialise(dir, "a test", []string{"small-2", "small-1"}, smallCircuits, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// again opens it as the next contributor does.
func again(t testing.TB, dir string) *Ceremony {
	t.Helper()
	c, err := open(dir, smallCircuits, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// contribute adds contributions, each by an own opening of the folder.
func contribute(t testing.TB, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := again(t, dir).Contribute(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

func beacon(value byte) Beacon {
	return Beacon{Value: hex.EncodeToString(bytes.Repeat([]byte{value}, 32)), Source: "a test"}
}

func next(t testing.TB, dir string) {
	t.Helper()
	if err := again(t, dir).Next(t.Context(), beacon(1)); err != nil {
		t.Fatal(err)
	}
}

// finishedSmall is the folder of a finished ceremony.
func finishedSmall(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	contribute(t, dir, "Ada", "Bo")
	next(t, dir)
	contribute(t, dir, "Bo", "Chi", "Dee")
	if _, err := again(t, dir).Finish(t.Context(), beacon(2)); err != nil {
		t.Fatal(err)
	}
	return dir
}
