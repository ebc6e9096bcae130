// Command evm judges the vectors of proofs by the contracts that gnark exports, in go-ethereum's EVM: it accepts the good
// ones and refuses the bad ones, and says what that costs in gas.
//
//	evm PROOFS CONTRACTS
//
// PROOFS is the folder of the vectors, CONTRACTS one with presentation.json and enrolment.json as compile.mjs writes them.
// It is a module of its own, so that nothing of go-ethereum is linked to, or chosen for, what Bulla runs.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: evm PROOFS CONTRACTS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "evm:", err)
		os.Exit(1)
	}
}

func run(proofs, contracts string) error {
	for _, circuit := range []string{"presentation", "enrolment"} {
		c, err := deploy(filepath.Join(contracts, circuit+".json"))
		if err != nil {
			return fmt.Errorf("%s: %w", circuit, err)
		}
		j := judge{contract: c}
		if err := j.circuit(filepath.Join(proofs, circuit)); err != nil {
			return fmt.Errorf("%s: %w", circuit, err)
		}
		fmt.Printf("evm: %s: %d public inputs, %d judged; contract of %d bytes by solc %s, deployed for %d gas\n",
			circuit, c.inputs, j.count, c.size, c.compiler, c.deployGas)
		fmt.Printf("evm: %s: verifyProof %v; verifyCompressedProof %v\n", circuit, j.plain, j.compressed)
	}
	return nil
}

// judge judges the vectors of one circuit.
type judge struct {
	contract          *contract
	count             int
	plain, compressed cost // of a good proof
}

// circuit judges the folder of a circuit: the proof itself, good/NAME and bad/NAME.
func (j *judge) circuit(folder string) error {
	if err := j.good(folder); err != nil {
		return err
	}
	if err := j.everyInput(folder); err != nil {
		return err
	}
	for kind, check := range map[string]func(string) error{"good": j.good, "bad": j.bad} {
		entries, err := os.ReadDir(filepath.Join(folder, kind))
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			return fmt.Errorf("there are no %s vectors", kind)
		}
		for _, e := range entries {
			if err := check(filepath.Join(folder, kind, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// good wants acceptance, in both forms of a proof.
func (j *judge) good(folder string) error {
	v, err := readVector(folder)
	if err != nil {
		return err
	}
	j.count++
	if j.plain, err = j.contract.verify(v); err != nil {
		return fmt.Errorf("%s: a good proof is refused: %w", folder, err)
	}
	if j.compressed, err = j.contract.verifyCompressed(v); err != nil {
		return fmt.Errorf("%s: a good proof is refused in compressed form: %w", folder, err)
	}
	return nil
}

// bad wants refusal by the contract's own error; running out of gas, say, is not one.
func (j *judge) bad(folder string) error {
	v, err := readVector(folder)
	if err != nil {
		return err
	}
	want := errProofInvalid
	if filepath.Base(folder) == "input-plus-modulus" {
		want = errInputNotInField
	}
	j.count++
	if _, err := j.contract.verify(v); !errors.Is(err, want) {
		return fmt.Errorf("%s: a bad proof gives %v, want %w", folder, err, want)
	}
	if _, err := j.contract.verifyCompressed(v); err == nil {
		return fmt.Errorf("%s: a bad proof is accepted in compressed form", folder)
	}
	return nil
}

// everyInput changes each public input of a good proof in turn.
func (j *judge) everyInput(folder string) error {
	v, err := readVector(folder)
	if err != nil {
		return err
	}
	for i := range v.public {
		j.count++
		if _, err := j.contract.verify(v.withInputPlusOne(i)); !errors.Is(err, errProofInvalid) {
			return fmt.Errorf("%s: with public input %d changed: %v, want %w", folder, i, err, errProofInvalid)
		}
	}
	return nil
}
