package proofs

import (
	"bytes"
	"fmt"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/testvectors/statements"
)

// Solidity writes the contracts that check the circuits' proofs on an EVM, as presentation.sol and enrolment.sol below
// out, for the committed keys below dir. gnark makes them; each has one contract, Verifier.
func Solidity(dir, out string, file *statements.File) error {
	for circuit, folder := range folders {
		m, err := Load(dir, circuit, file)
		if err != nil {
			return fmt.Errorf("contract of %s: %w", circuit, err)
		}
		source, err := contract(m.Key)
		if err != nil {
			return fmt.Errorf("contract of %s: %w", circuit, err)
		}
		if err := write(out, map[string][]byte{folder + ".sol": source}); err != nil {
			return err
		}
	}
	return nil
}

// contract exports a copy of the key, as gnark changes what it exports while it does so.
func contract(vk *keys.VerifyingKey) ([]byte, error) {
	copied, err := keys.ParseVerifyingKey(vk.Bytes())
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := copied.Groth16().ExportSolidity(&buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
