// Package proving makes proofs, for wallets. The bytes are those that circuits/verifying describes: Ar, Bs and Krs,
// compressed, 128 bytes.
package proving

import (
	"context"
	"errors"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/backend/witness"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/presentation"
)

// ErrUnsatisfied is returned if the private inputs do not satisfy the circuit. With the twin in front of it only an
// unchecked prover sees it.
var ErrUnsatisfied = errors.New("circuit is not satisfied")

// Config is what a prover needs.
type Config struct {
	// Key is the proving key. Its circuit is compiled, which takes some 200 ms for the presentation.
	Key *keys.ProvingKey
	// Concurrency is how many proofs are made at a time, one by default; each uses all processors and some 12 MB beside
	// the key and the circuit.
	Concurrency int
	// Precompute spends some 0.5 s on two processors and 16 MB so that proofs take a tenth less time. It is for those who
	// make many.
	Precompute bool
	// Helpers compute parts of proofs elsewhere; nil: there are none, and this process does it all on its processors.
	Helpers Helpers
	// Unchecked leaves the twin out and lets the circuit itself refuse. It is for tests and for demonstrations of an
	// adversarial wallet: it can make nothing provable.
	Unchecked bool
}

// Prover makes the proofs of one circuit. It is safe for concurrent use.
type Prover struct {
	system    *compiling.System
	key       *prepared
	helpers   Helpers
	unchecked bool
	slots     chan struct{}
}

// New compiles the key's circuit.
func New(cfg Config) (*Prover, error) {
	if cfg.Key == nil {
		return nil, errors.New("new prover: there is no proving key")
	}
	if cfg.Helpers != nil && cfg.Precompute {
		return nil, errors.New("new prover: helpers have no precomputed tables, so that their parts are others")
	}
	system, err := compiling.Compile(cfg.Key.Circuit().Name)
	if err != nil {
		return nil, fmt.Errorf("new prover: %w", err)
	}
	if system.Circuit != cfg.Key.Circuit() {
		return nil, fmt.Errorf("new prover: the key is of another circuit than %s: %w", system.Circuit.Name, keys.ErrWrongKey)
	}
	key := prepare(cfg.Key.Groth16(), system.R1CS.GetNbPublicVariables(), cfg.Precompute)
	return &Prover{system, key, cfg.Helpers, cfg.Unchecked, make(chan struct{}, max(1, cfg.Concurrency))}, nil
}

// Circuit describes the prover's circuit.
func (p *Prover) Circuit() circuits.Circuit { return p.system.Circuit }

// ProvePresentation proves a presentation. A statement that does not hold gives a [*presentation.Violation] that names
// the constraint. ctx ends the wait for a turn, not the second or so of proving.
func (p *Prover) ProvePresentation(ctx context.Context, public presentation.Public, private presentation.Private) ([]byte, error) {
	if err := p.expect(public.Circuit()); err != nil {
		return nil, err
	}
	if !p.unchecked {
		if err := presentation.Holds(public, private); err != nil {
			return nil, fmt.Errorf("prove presentation: %w", err)
		}
	}
	assignment, err := presentation.Assign(public, private)
	if err != nil {
		return nil, fmt.Errorf("prove presentation: %w", err)
	}
	return p.Prove(ctx, assignment)
}

// ProveEnrolment proves an enrolment. A statement that does not hold gives an [*enrolment.Violation].
func (p *Prover) ProveEnrolment(ctx context.Context, public enrolment.Public, private enrolment.Private) ([]byte, error) {
	if err := p.expect(circuits.Enrolment); err != nil {
		return nil, err
	}
	if !p.unchecked {
		if err := enrolment.Holds(public, private); err != nil {
			return nil, fmt.Errorf("prove enrolment: %w", err)
		}
	}
	return p.Prove(ctx, enrolment.Assign(public, private))
}

func (p *Prover) expect(circuit string) error {
	if p.system.Circuit.Name != circuit {
		return fmt.Errorf("this prover is for %s, not %s", p.system.Circuit.Name, circuit)
	}
	return nil
}

// Prove proves an assignment of the prover's circuit without asking the twin. It fails with [ErrUnsatisfied], and the
// number of the constraint, if the circuit refuses.
func (p *Prover) Prove(ctx context.Context, assignment frontend.Circuit) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		return nil, fmt.Errorf("fill circuit %s: %w", p.system.Circuit.Name, err)
	}
	proof, err := p.proveWitness(witness)
	var unsatisfied *cs.UnsatisfiedConstraintError
	switch {
	case errors.As(err, &unsatisfied):
		// Not the error itself: its text has the values of private wires.
		return nil, fmt.Errorf("constraint %d of %s: %w", unsatisfied.CID, p.system.Circuit.Name, ErrUnsatisfied)
	case err != nil:
		return nil, fmt.Errorf("prove %s: %w", p.system.Circuit.Name, err)
	}
	return encode(proof), nil
}

// proveWitness solves the circuit, which is where it refuses, and proves.
func (p *Prover) proveWitness(witness witness.Witness) (*groth16.Proof, error) {
	solved, err := p.system.R1CS.Solve(witness)
	if err != nil {
		return nil, err
	}
	var r, s fr.Element
	if _, err := r.SetRandom(); err != nil {
		return nil, err
	}
	if _, err := s.SetRandom(); err != nil {
		return nil, err
	}
	return p.key.prove(solved.(*cs.R1CSSolution), r, s, p.helpers), nil
}

// encode is Ar ‖ Bs ‖ Krs.
func encode(proof *groth16.Proof) []byte {
	ar, bs, krs := proof.Ar.Bytes(), proof.Bs.Bytes(), proof.Krs.Bytes()
	return append(append(ar[:], bs[:]...), krs[:]...)
}
