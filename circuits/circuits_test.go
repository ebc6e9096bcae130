package circuits_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
)

var update = flag.Bool("update", false, "write testdata/circuits.golden; only before a circuit is published")

const golden = "testdata/circuits.golden"

// budget is what a presentation may cost: the next power of two would double the prover's FFTs.
const budget = 1 << 14

// Every circuit compiles to what the table says, each time.
func TestGolden(t *testing.T) {
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(want), "\n")
	got := comment + "\n"
	for _, name := range []string{circuits.Presentation, circuits.PresentationSmall, circuits.Enrolment} {
		system, err := compiling.CompileSource(name)
		if err != nil {
			t.Fatal(err)
		}
		again, err := compiling.CompileSource(name)
		if err != nil {
			t.Fatal(err)
		}
		if system.Circuit != again.Circuit {
			t.Errorf("%s compiles to two circuits: %s, %s", name, system.Circuit.Digest, again.Circuit.Digest)
		}
		if system.Circuit.Constraints > budget {
			t.Errorf("%s has %d constraints, the budget is %d", name, system.Circuit.Constraints, budget)
		}
		got += system.Circuit.Format() + "\n"
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(want) {
		t.Errorf("circuits changed. A published circuit never changes: give it a successor.\ngot:\n%s\nwant:\n%s", got, want)
	}
}

func TestPublicInputs(t *testing.T) {
	want := map[string]int{circuits.Enrolment: enrolment.PublicInputs}
	for _, shape := range credential.Shapes {
		want[shape.Circuit] = presentation.PublicInputs(shape)
	}
	if len(want) != len(circuits.Published()) {
		t.Errorf("%d circuits are published, %d have a source", len(circuits.Published()), len(want))
	}
	for name, want := range want {
		c, err := circuits.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		if c.PublicInputs != want {
			t.Errorf("%s has %d public inputs in the table, %d in its package", name, c.PublicInputs, want)
		}
	}
}

func TestLookUp(t *testing.T) {
	for _, c := range circuits.Published() {
		found, err := circuits.WithDigest(c.Digest)
		if err != nil || found != c {
			t.Errorf("WithDigest(%s) = %v, %v, want %v", c.Digest, found, err, c)
		}
	}
	if _, err := circuits.Named("presentation-0"); err == nil {
		t.Error("an unknown name is found")
	}
	if _, err := circuits.WithDigest(credential.Digest{1}); err == nil {
		t.Error("an unknown digest is found")
	}
}
