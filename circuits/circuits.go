// Package circuits names the statements that Bulla proves, and the exact circuits that were published for them. The
// folders below hold the rest:
//
//	gadget        the parts of circuits
//	presentation  the statement of every presentation, with its native twin
//	enrolment     the statement of a person who enrols, with its native twin
//	compiling     from a name to the constraint system
//	keys          files of verifying and proving keys
//	setup         development keys
//	proving       private inputs in, proof out (wallets)
//	verifying     public inputs and proof in, an error or none out (relying parties, issuers)
//	snarkjs       the JSON that snarkjs reads, so that others can check us
//
// This package and verifying link no prover.
package circuits

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/bulla-id/bulla/credential"
)

// The names of the circuits. A published circuit never changes: it gets a successor with the next number, and both stay
// in the table. See doc/spec/presentation.md, "Several circuits".
const (
	Presentation      = "presentation-1"
	PresentationSmall = "presentation-small-1"
	Enrolment         = "enrolment-1"
)

// Circuit describes a published circuit.
type Circuit struct {
	Name         string
	Constraints  int
	PublicInputs int               // without Groth16's constant one
	Digest       credential.Digest // SHA-256 of the compiled constraint system as gnark serialises it
}

// Format is the circuit's line of the table: name, constraints, public inputs, digest.
func (c Circuit) Format() string {
	return fmt.Sprintf("%s %d %d %s", c.Name, c.Constraints, c.PublicInputs, c.Digest)
}

//go:embed testdata/circuits.golden
var table string

// Published lists the published circuits.
var Published = sync.OnceValue(func() []Circuit {
	var out []Circuit
	for line := range strings.Lines(table) {
		if c, err := parseLine(line); err != nil {
			panic(fmt.Sprintf("circuits: testdata/circuits.golden: %v", err)) // the file is part of the program
		} else if c.Name != "" {
			out = append(out, c)
		}
	}
	return out
})

// parseLine reads a line of the table. Comments give the zero circuit.
func parseLine(line string) (c Circuit, err error) {
	if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
		return Circuit{}, nil
	}
	var digest string
	if _, err := fmt.Sscanf(line, "%s %d %d %s", &c.Name, &c.Constraints, &c.PublicInputs, &digest); err != nil {
		return Circuit{}, fmt.Errorf("line %.100q: %w", line, err)
	}
	return c, c.Digest.UnmarshalText([]byte(digest))
}

// Named finds a published circuit by name.
func Named(name string) (Circuit, error) {
	for _, c := range Published() {
		if c.Name == name {
			return c, nil
		}
	}
	return Circuit{}, fmt.Errorf("there is no circuit %.100q", name)
}

// WithDigest finds a published circuit by digest.
func WithDigest(digest credential.Digest) (Circuit, error) {
	for _, c := range Published() {
		if c.Digest == digest {
			return c, nil
		}
	}
	return Circuit{}, fmt.Errorf("circuit %s is not one that this program knows", digest)
}
