// Package compiling turns the name of a circuit into its constraint system, and checks that it is the published one.
package compiling

import (
	"crypto/sha256"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/enrolment"
	_ "github.com/bulla-id/bulla/circuits/internal/silence"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
)

// System is a compiled circuit. It is safe for concurrent use as long as nobody changes it.
type System struct {
	Circuit circuits.Circuit
	R1CS    *cs.R1CS
}

// Compile compiles a circuit, which takes some 200 ms, and refuses one that differs from the published one: keys and
// proofs of that would mean something else.
func Compile(name string) (*System, error) {
	published, err := circuits.Named(name)
	if err != nil {
		return nil, err
	}
	system, err := CompileSource(name)
	if err != nil {
		return nil, err
	}
	if system.Circuit != published {
		return nil, fmt.Errorf("circuit %s compiles to %s, but %s was published: this program was built from other sources", name, system.Circuit.Digest, published.Digest)
	}
	return system, nil
}

// CompileSource compiles a circuit as its source is, published or not. Only the test that writes the table needs it.
func CompileSource(name string) (*System, error) {
	circuit, err := source(name)
	if err != nil {
		return nil, err
	}
	compiled, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, circuit)
	if err != nil {
		return nil, fmt.Errorf("compile circuit %s: %w", name, err)
	}
	system := &System{R1CS: compiled.(*cs.R1CS)}
	system.Circuit, err = describe(name, system.R1CS)
	return system, err
}

func source(name string) (frontend.Circuit, error) {
	if name == circuits.Enrolment {
		return new(enrolment.Circuit), nil
	}
	shape, err := credential.ShapeOf(name)
	if err != nil {
		return nil, err
	}
	return presentation.NewCircuit(shape), nil
}

func describe(name string, system *cs.R1CS) (circuits.Circuit, error) {
	h := sha256.New()
	if _, err := system.WriteTo(h); err != nil {
		return circuits.Circuit{}, fmt.Errorf("serialise circuit %s: %w", name, err)
	}
	return circuits.Circuit{
		Name:         name,
		Constraints:  system.GetNbConstraints(),
		PublicInputs: system.GetNbPublicVariables() - 1,
		Digest:       credential.Digest(h.Sum(nil)),
	}, nil
}
