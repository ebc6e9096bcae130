package circuitstest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/setup"
)

// Keys are the development keys of all tests on this machine: made once, then kept in the cache folder of the person
// who runs the tests. It skips the test under -short.
func Keys(t testing.TB) *setup.Development {
	t.Helper()
	if testing.Short() {
		t.Skip("real proofs are not made under -short")
	}
	d, err := developmentKeys()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var developmentKeys = sync.OnceValues(func() (*setup.Development, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return setup.Develop(context.Background(), filepath.Join(dir, "bulla", "test-keys"), nil)
})

// VerifyingKey is the test verifying key of a circuit.
func VerifyingKey(t testing.TB, circuit string) *keys.VerifyingKey {
	t.Helper()
	vk, err := Keys(t).VerifyingKey(circuit)
	if err != nil {
		t.Fatal(err)
	}
	return vk
}

// Prover is a new prover with the test proving key of a circuit.
func Prover(t testing.TB, circuit string, unchecked bool) *proving.Prover {
	t.Helper()
	pk, err := Keys(t).ProvingKey(circuit)
	if err != nil {
		t.Fatal(err)
	}
	p, err := proving.New(proving.Config{Key: pk, Unchecked: unchecked})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
