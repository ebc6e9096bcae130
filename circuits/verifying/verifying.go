// Package verifying checks proofs. It links no prover's code of ours, so that a relying party carries little.
//
// A proof has 128 bytes: Ar (32), Bs (64), Krs (32), each compressed as gnark-crypto does. That is gnark's own encoding
// without the trailer for commitments, which our circuits have none of. A proof can be re-randomised by anybody into
// other bytes that prove the same: never use the bytes, or a digest of them, to recognise a replay.
package verifying

import (
	"errors"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits/internal/points"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// ProofSize is the length of a proof in bytes.
const ProofSize = 2*points.G1Size + points.G2Size

// The two ways in which a proof is refused. Any other error means that it could not be checked.
var (
	ErrProofMalformed = errors.New("proof is malformed")
	ErrProofInvalid   = errors.New("proof does not prove these public inputs")
)

// Verify checks a proof of the key's circuit for public inputs, in the circuit's order and without the constant one. The
// caller computes them from its own request; a proof says nothing about inputs that somebody sent along. Elements are
// canonical by their type, so that no input has two spellings. Some 2 ms; safe for concurrent use.
func Verify(vk *keys.VerifyingKey, public []credential.Element, proof []byte) error {
	inputs, err := vectorOf(vk, public)
	if err != nil {
		return fmt.Errorf("check proof: %w", err)
	}
	parsed, err := parse(proof)
	if err != nil {
		return err
	}
	return verify(vk, inputs, parsed)
}

// vectorOf is a copy of the public inputs as gnark takes them. It refuses a number of them that is not the key's.
func vectorOf(vk *keys.VerifyingKey, public []credential.Element) (fr.Vector, error) {
	if vk == nil {
		return nil, errors.New("there is no verifying key")
	}
	if len(public) != vk.PublicInputs() {
		return nil, fmt.Errorf("%d public inputs, %s has %d", len(public), vk.Name(), vk.PublicInputs())
	}
	inputs := make(fr.Vector, len(public))
	for i, e := range public {
		inputs[i] = e.Fr()
	}
	return inputs, nil
}

// verify checks the pairing equation of one proof. The error is [ErrProofInvalid] if it does not hold.
func verify(vk *keys.VerifyingKey, inputs fr.Vector, proof *groth16.Proof) error {
	err := groth16.Verify(proof, vk.Groth16(), inputs)
	switch {
	case err == nil:
		return nil
	case err.Error() == pairingMismatch:
		return ErrProofInvalid
	}
	return fmt.Errorf("check proof: %w", err)
}

// pairingMismatch is what gnark says of a wrong proof; it exports no sentinel. A test holds that it still says so.
const pairingMismatch = "pairing doesn't match"

// parse reads the 128 bytes. All errors are [ErrProofMalformed].
func parse(proof []byte) (*groth16.Proof, error) {
	if len(proof) != ProofSize {
		return nil, fmt.Errorf("proof of %d bytes, want %d: %w", len(proof), ProofSize, ErrProofMalformed)
	}
	ar, err1 := points.ParseG1(proof[:points.G1Size])
	bs, err2 := points.ParseG2(proof[points.G1Size : points.G1Size+points.G2Size])
	krs, err3 := points.ParseG1(proof[points.G1Size+points.G2Size:])
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProofMalformed, err)
	}
	return &groth16.Proof{Ar: ar, Bs: bs, Krs: krs}, nil
}
