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
	shape, err := credential.ShapeOf(public.Circuit())
	if err != nil {
		t.Fatal(err)
	}
	return test.IsSolved(presentation.NewCircuit(shape), assignment, ecc.BN254.ScalarField())
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

// eachShape runs a test for the circuit of each shape.
func eachShape(t *testing.T, test func(*testing.T, *credential.Shape)) {
	for _, shape := range credential.Shapes {
		t.Run(shape.Circuit, func(t *testing.T) { test(t, shape) })
	}
}

// Random statements that hold satisfy twin and circuit.
func TestGoodStatements(t *testing.T) { eachShape(t, goodStatements) }

func goodStatements(t *testing.T, shape *credential.Shape) {
	for seed := range uint64(rounds(60)) {
		public, private := circuitstest.RandomStatementOf(shape, circuitstest.NewRand(seed))
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
func TestVectorIsTheCircuitsOrder(t *testing.T) { eachShape(t, vectorIsTheCircuitsOrder) }

func vectorIsTheCircuitsOrder(t *testing.T, shape *credential.Shape) {
	public, private := circuitstest.RandomStatementOf(shape, circuitstest.NewRand(1))
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
	number := map[*credential.Shape]int{credential.Whole: 54, credential.Small: 32}[shape]
	if presentation.PublicInputs(shape) != number || len(got) != number || len(want) != number {
		t.Fatalf("%d public inputs, gnark has %d, want %d", len(got), len(want), number)
	}
	for i := range got {
		if got[i] != credential.ElementFromFr(want[i]) {
			t.Errorf("public input %d is %s, gnark has %s", i, got[i].Hex(), want[i].Text(16))
		}
	}
}

// Clauses that a circuit has no place for are refused, not left out.
func TestClausesThatDoNotFit(t *testing.T) {
	for name, change := range map[string]func(*credential.Clauses){
		"interval": func(c *credential.Clauses) {
			c.Intervals[2] = credential.Interval{Mode: credential.Required, Low: 1, High: 9}
		},
		"membership": func(c *credential.Clauses) { c.Memberships[0].Slot = 1 },
	} {
		public, private := circuitstest.RandomStatementOf(credential.Small, circuitstest.NewRand(5))
		change(&public.Clauses)
		if got := constraintOf(t, presentation.Holds(public, private)); got != "P4" {
			t.Errorf("%s: the twin says %q, want P4", name, got)
		}
		if _, err := presentation.Assign(public, private); err == nil {
			t.Errorf("%s: assigned", name)
		}
	}
}
