package bench

import (
	"context"
	"fmt"
	"path/filepath"
)

// Presentation is a statement of the presentation figures by itself, for programs that measure it beside others or on
// another platform.
type Presentation struct {
	circuit string
	proofs  *proofs
	subject *subject
}

// NewPresentation makes development keys in dir, or takes those that are there, and one proof of a presentation circuit.
// precompute is that of [proving.Config].
func NewPresentation(ctx context.Context, dir, circuit string, precompute bool) (*Presentation, error) {
	p := newProofs(ctx, dir, func(string) {})
	s, err := p.subject(ctx, circuit)
	if err != nil {
		return nil, fmt.Errorf("prepare a presentation: %w", err)
	}
	if precompute {
		if s.prover, err = s.precomputed(circuit); err != nil {
			return nil, err
		}
	}
	return &Presentation{circuit, p, s}, nil
}

// Prove makes the proof anew.
func (p *Presentation) Prove(ctx context.Context) (err error) {
	p.subject.proof, err = p.subject.prover.Prove(ctx, p.subject.assignment)
	return err
}

// Verify verifies the last proof.
func (p *Presentation) Verify() error { return p.subject.verify(p.circuit) }

// Size is that of a proof, in bytes.
func (p *Presentation) Size() int { return len(p.subject.proof) }

// WriteInputs writes the file that [ProveCold] reads, beside the keys, and returns its path.
func (p *Presentation) WriteInputs() (string, error) {
	file := filepath.Join(p.proofs.dir, "presentation.cold")
	return file, p.proofs.writeCold(file, p.circuit)
}
