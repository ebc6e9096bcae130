package ceremony

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	gnark "github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/credential"
)

// The keys of a ceremony prove and verify, and verify follows them from the beginning.
func TestCeremony(t *testing.T) {
	dir := finishedSmall(t)
	c := again(t, dir)
	report, err := c.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, TranscriptFile))
	if err != nil {
		t.Fatal(err)
	}
	if !report.Finished || report.KeyFiles != 4 || report.Transcript != credential.DigestOf(file) {
		t.Errorf("report %+v", report)
	}
	if n := len(c.Transcript().Phases[1].Contributions); n != 3 {
		t.Errorf("%d contributions to phase 2", n)
	}
	for i, y := range []any{"18446744073709551616", 256} { // 2^64 and 2^8
		proveSmall(t, c, i, y)
	}
}

// proveSmall proves with the keys of a small circuit that y is a power of 2.
func proveSmall(t *testing.T, c *Ceremony, circuit int, y any) {
	t.Helper()
	system := c.systems[circuit]
	pk, vk := gnark.NewProvingKey(ecc.BN254), gnark.NewVerifyingKey(ecc.BN254)
	for name, key := range map[string]io.ReaderFrom{provingFile(system.Circuit.Name): pk, verifyingFile(system.Circuit.Name): vk} {
		data, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := key.ReadFrom(bytes.NewReader(data)); err != nil || int(n) != len(data) {
			t.Fatalf("%s: %d of %d bytes, %v", name, n, len(data), err)
		}
	}
	w, err := frontend.NewWitness(&small{X: 2, Y: y}, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := gnark.Prove(system.R1CS, pk, w)
	if err != nil {
		t.Fatal(err)
	}
	public, err := w.Public()
	if err != nil {
		t.Fatal(err)
	}
	if err := gnark.Verify(proof, vk, public); err != nil {
		t.Error(err)
	}
}
