package statements_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/test"

	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/testvectors/statements"
)

const file = "../statements.json"

func read(t *testing.T) *statements.File {
	t.Helper()
	f, err := statements.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// solved runs a circuit in gnark's test engine.
func solved(circuit, assignment frontend.Circuit) bool {
	return test.IsSolved(circuit, assignment, ecc.BN254.ScalarField()) == nil
}

func TestPresentation(t *testing.T) {
	f := read(t)
	for _, v := range f.Presentation {
		t.Run(v.Name, func(t *testing.T) {
			public, err := v.Public.Parse()
			if refused := err != nil; refused != (v.Expect == statements.Encoding) {
				t.Fatalf("parse: %v, expected layer %q", err, v.Expect)
			}
			if err != nil {
				checkBadVector(t, v.Vector)
				return
			}
			private, err := v.Private.Parse(f.Paths)
			if err != nil {
				t.Fatal(err)
			}
			if v.Expect == statements.Holds {
				checkVector(t, v.Vector, public.Vector())
			}
			if err := public.Clauses.Validate(); (err != nil) != (v.Expect == statements.Policy) && v.Expect != "P4" {
				t.Errorf("clauses: %v, expected layer %q", err, v.Expect)
			}
			family := ""
			if err := presentation.Holds(public, private); err != nil {
				var violation *presentation.Violation
				if !errors.As(err, &violation) {
					t.Fatal(err)
				}
				family = violation.Constraint
			}
			if want := inCircuit(v.Expect); family != want {
				t.Errorf("the twin says %q, want %q", family, want)
			}
			assignment, err := presentation.Assign(public, private)
			if err != nil {
				t.Fatal(err)
			}
			shape, err := credential.ShapeOf(public.Circuit())
			if err != nil {
				t.Fatal(err)
			}
			if got := solved(presentation.NewCircuit(shape), assignment); got != (family == "") {
				t.Errorf("the circuit accepts: %v, the twin says %q", got, family)
			}
		})
	}
}

func TestEnrolment(t *testing.T) {
	for _, v := range read(t).Enrolment {
		t.Run(v.Name, func(t *testing.T) {
			public, err := v.Public.Parse()
			if refused := err != nil; refused != (v.Expect == statements.Encoding) {
				t.Fatalf("parse: %v, expected layer %q", err, v.Expect)
			}
			if err != nil {
				checkBadVector(t, v.Vector)
				return
			}
			private, err := v.Private.Parse()
			if err != nil {
				t.Fatal(err)
			}
			checkVector(t, v.Vector, public.Vector())
			family := ""
			if err := enrolment.Holds(public, private); err != nil {
				var violation *enrolment.Violation
				if !errors.As(err, &violation) {
					t.Fatal(err)
				}
				family = violation.Constraint
			}
			if family != v.Expect {
				t.Errorf("the twin says %q, want %q", family, v.Expect)
			}
			if got := solved(new(enrolment.Circuit), enrolment.Assign(public, private)); got != (family == "") {
				t.Errorf("the circuit accepts: %v, the twin says %q", got, family)
			}
		})
	}
}

// inCircuit is what the circuit has to say where another layer refuses.
func inCircuit(expect string) string {
	if expect == statements.Policy {
		return ""
	}
	return expect
}

func checkVector(t *testing.T, got []string, want []credential.Element) {
	t.Helper()
	for i, e := range want {
		if i >= len(got) || got[i] != e.Hex() {
			t.Fatalf("vector[%d] is not %s", i, e.Hex())
		}
	}
	if len(got) != len(want) {
		t.Fatalf("vector of %d, want %d", len(got), len(want))
	}
}

// checkBadVector holds that whoever reads the vector alone refuses it too, but for widths that only names know.
func checkBadVector(t *testing.T, vector []string) {
	t.Helper()
	for _, text := range vector {
		b, err := hex.DecodeString(text)
		if e, parseErr := credential.ParseElement(b); err != nil || parseErr != nil || e.Hex() != text {
			return
		}
	}
	for at, bits := range map[int]int{3: 64, 47: 248} {
		if len(vector) > at {
			b, _ := hex.DecodeString(vector[at])
			var v fr.Element
			if v.SetBytes(b); v.BitLen() > bits {
				return
			}
		}
	}
	t.Error("nothing is wrong with the vector")
}

// Every layer and every constraint family has a vector that only it refuses.
func TestCoverage(t *testing.T) {
	f := read(t)
	var expected, names []string
	for _, v := range f.Presentation {
		expected, names = append(expected, v.Expect), append(names, "presentation "+v.Name)
	}
	for _, v := range f.Enrolment {
		expected, names = append(expected, v.Expect), append(names, "enrolment "+v.Name)
	}
	for _, layer := range []string{"", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "E1", "E2", statements.Encoding, statements.Policy} {
		if !slices.Contains(expected, layer) {
			t.Errorf("no vector expects %q", layer)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(expected) {
		t.Error("two vectors have one name")
	}
}

func TestFileIsWhatTheGeneratorWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "statements.json")
	if err := statements.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("statements.json is stale: run go generate ./testvectors and commit the result with its reason")
	}
	if bytes.Contains(want, []byte("\r")) || !strings.HasSuffix(string(want), "\n") {
		t.Error("line ends")
	}
}
