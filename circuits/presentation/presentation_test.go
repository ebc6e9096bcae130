package presentation_test

import (
	"errors"
	"os"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/test"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
)

// satisfies runs the circuit on a statement in gnark's test engine.
func satisfies(t *testing.T, public presentation.Public, private presentation.Private) error {
	t.Helper()
	assignment, err := presentation.Assign(public, private)
	if err != nil {
		t.Fatal(err)
	}
	return test.IsSolved(new(presentation.Circuit), assignment, ecc.BN254.ScalarField())
}

// constraintOf is the constraint that the twin names.
func constraintOf(t *testing.T, err error) string {
	t.Helper()
	var violation *presentation.Violation
	if err != nil && !errors.As(err, &violation) {
		t.Fatalf("error %v is no violation", err)
	}
	if violation == nil {
		return ""
	}
	return violation.Constraint
}

// soak says that there are hours: BULLA_SOAK=1.
var soak = os.Getenv("BULLA_SOAK") != ""

// rounds is how many random statements a test tries.
func rounds(full int) int {
	switch {
	case soak:
		return 10_000
	case testing.Short():
		return max(1, full/10)
	}
	return full
}

// Random statements that hold satisfy twin and circuit.
func TestGoodStatements(t *testing.T) {
	for seed := range uint64(rounds(60)) {
		public, private := circuitstest.RandomStatement(circuitstest.NewRand(seed))
		if err := public.Clauses.Validate(); err != nil {
			t.Fatalf("seed %d: the generator makes bad clauses: %v", seed, err)
		}
		if err := presentation.Holds(public, private); err != nil {
			t.Errorf("seed %d: twin: %v", seed, err)
		}
		if err := satisfies(t, public, private); err != nil {
			t.Errorf("seed %d: circuit: %v", seed, err)
		}
	}
}

// The vector is what gnark takes from the assignment, in the same order.
func TestVectorIsTheCircuitsOrder(t *testing.T) {
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(1))
	assignment, err := presentation.Assign(public, private)
	if err != nil {
		t.Fatal(err)
	}
	w, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField(), frontend.PublicOnly())
	if err != nil {
		t.Fatal(err)
	}
	want := w.Vector().(fr.Vector)
	got := public.Vector()
	if presentation.PublicInputs != 54 || len(got) != 54 || len(want) != 54 {
		t.Fatalf("%d public inputs, gnark has %d, want 54", len(got), len(want))
	}
	for i := range got {
		if got[i] != credential.ElementFromFr(want[i]) {
			t.Errorf("public input %d is %s, gnark has %s", i, got[i].Hex(), want[i].Text(16))
		}
	}
}
