package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/consensys/gnark-crypto/ecc"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/backend/witness"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
)

// proofs makes what the figures of circuits need, when it is first needed.
type proofs struct {
	dir      string
	keys     func() (*setup.Development, error)
	inputs   func() (*inputs, error)
	progress func(string)
}

func newProofs(ctx context.Context, dir string, progress func(string)) *proofs {
	return &proofs{dir: dir, progress: progress, inputs: sync.OnceValues(newInputs), keys: sync.OnceValues(func() (*setup.Development, error) {
		progress("development keys (not a figure)")
		return setup.Develop(ctx, dir, nil)
	})}
}

// subject is one circuit, ready to be proven.
type subject struct {
	system     *compiling.System
	assignment frontend.Circuit
	public     []credential.Element
	prover     *proving.Prover
	keys       *setup.Development
	witness    witness.Witness
	proof      []byte
}

func (p *proofs) subject(ctx context.Context, circuit string) (*subject, error) {
	s := new(subject)
	in, err := p.inputs()
	if err != nil {
		return nil, err
	}
	if s.assignment, s.public, err = in.assign(circuit); err != nil {
		return nil, err
	}
	if s.system, err = compiling.Compile(circuit); err != nil {
		return nil, err
	}
	if s.witness, err = frontend.NewWitness(s.assignment, ecc.BN254.ScalarField()); err != nil {
		return nil, err
	}
	if s.keys, err = p.keys(); err != nil {
		return nil, err
	}
	key, err := s.keys.ProvingKey(circuit)
	if err != nil {
		return nil, err
	}
	if s.prover, err = proving.New(proving.Config{Key: key}); err != nil {
		return nil, err
	}
	s.proof, err = s.prover.Prove(ctx, s.assignment)
	return s, err
}

// precomputed is another prover, with precomputed bases.
func (s *subject) precomputed(circuit string) (*proving.Prover, error) {
	key, err := s.keys.ProvingKey(circuit)
	if err != nil {
		return nil, err
	}
	return proving.New(proving.Config{Key: key, Precompute: true})
}

func (s *subject) verify(circuit string) error {
	vk, err := s.keys.VerifyingKey(circuit)
	if err != nil {
		return err
	}
	return verifying.Verify(vk, s.public, s.proof)
}

// verifyBatch verifies n proofs at once. That they are the same one makes no difference to the time.
func (s *subject) verifyBatch(circuit string, n int) error {
	vk, err := s.keys.VerifyingKey(circuit)
	if err != nil {
		return err
	}
	return verifying.VerifyBatch(vk, slices.Repeat([]verifying.Item{{Public: s.public, Proof: s.proof}}, n))
}

// measures are the figures of one circuit.
func (p *proofs) measures(circuit, name string, cfg Config) []measure {
	var s *subject
	var once sync.Once
	var failed error
	// ready is the subject; making it does not count.
	ready := func() error {
		once.Do(func() { s, failed = p.subject(context.Background(), circuit) })
		return failed
	}
	var prepared *proving.Prover // over precomputed bases
	var prepare sync.Once
	precomputed := func() error {
		if err := ready(); err != nil {
			return err
		}
		prepare.Do(func() { prepared, failed = s.precomputed(circuit) })
		return failed
	}
	list := []measure{
		fact(name+"_constraints", "constraints", func() (int, error) {
			c, err := circuits.Named(circuit)
			return c.Constraints, err
		}),
		timed(name+"_compile", cfg.Runs, false, nil, func(context.Context) error {
			_, err := compiling.Compile(circuit)
			return err
		}),
		timed(name+"_setup", cfg.Runs, false, ready, func(context.Context) error {
			return groth16.Setup(s.system.R1CS, new(groth16.ProvingKey), new(groth16.VerifyingKey))
		}),
		timed(name+"_solve", quick*cfg.Runs, true, ready, func(context.Context) error {
			_, err := s.system.R1CS.Solve(s.witness)
			return err
		}),
	}
	if cfg.Cold != nil {
		list = append(list, p.cold(circuit, name, cfg)...)
	}
	return append(list,
		timed(name+"_prove_warm", 2*cfg.Runs, true, ready, func(ctx context.Context) (err error) {
			s.proof, err = s.prover.Prove(ctx, s.assignment)
			return err
		}),
		timed(name+"_prove_precomputed", 2*cfg.Runs, true, precomputed, func(ctx context.Context) error {
			_, err := prepared.Prove(ctx, s.assignment)
			return err
		}),
		timed(name+"_verify", quick*cfg.Runs, true, ready, func(context.Context) error { return s.verify(circuit) }),
		timed(name+"_verify_batch_64", 4*cfg.Runs, true, ready, func(context.Context) error { return s.verifyBatch(circuit, 64) }),
		fact(name+"_proof_size", "bytes", func() (int, error) { err := ready(); return len(s.proof), err }),
		fact(name+"_proving_key_size", "bytes", func() (int, error) {
			if err := ready(); err != nil {
				return 0, err
			}
			path, _, err := s.keys.ProvingKeyFile(circuit)
			if err != nil {
				return 0, err
			}
			info, err := os.Stat(path)
			if err != nil {
				return 0, err
			}
			return int(info.Size()), nil
		}),
		fact(name+"_verifying_key_size", "bytes", func() (int, error) {
			if err := ready(); err != nil {
				return 0, err
			}
			vk, err := s.keys.VerifyingKey(circuit)
			if err != nil {
				return 0, err
			}
			return len(vk.Bytes()), nil
		}),
	)
}

// cold is the time from the start of a process to its first proof, with the end of the process, and the memory it took.
func (p *proofs) cold(circuit, name string, cfg Config) []measure {
	file := filepath.Join(p.dir, name+".cold")
	var once sync.Once
	var failed error
	prepare := func() error {
		once.Do(func() { failed = p.writeCold(file, circuit) })
		return failed
	}
	prove := func(ctx context.Context) (ColdProof, error) {
		cold, err := cfg.Cold(ctx, file)
		if err == nil && len(cold.Proof) != verifying.ProofSize {
			err = fmt.Errorf("the process wrote %d bytes, a proof has %d", len(cold.Proof), verifying.ProofSize)
		}
		return cold, err
	}
	return []measure{
		timed(name+"_prove_cold", cfg.Runs, false, prepare, func(ctx context.Context) error {
			_, err := prove(ctx)
			return err
		}),
		{name + "_prove_memory", "bytes", cfg.Runs, false, func(ctx context.Context) (float64, error) {
			if err := prepare(); err != nil {
				return 0, err
			}
			cold, err := prove(ctx)
			return float64(cold.Peak), err
		}},
	}
}
