package proving_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/circuits/snarkjs"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
)

// A proof is accepted for its public inputs, and for no others: each is changed alone, and neighbours are swapped.
func TestPresentationIsBoundToEachPublicInput(t *testing.T) {
	vk := circuitstest.VerifyingKey(t, circuits.Presentation)
	prover := circuitstest.Prover(t, circuits.Presentation, false)
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(4))
	proof, err := prover.ProvePresentation(t.Context(), public, private)
	if err != nil {
		t.Fatal(err)
	}
	writeSnarkjs(t, public.Vector(), proof)
	inputs := public.Vector()
	if err := verifying.Verify(vk, inputs, proof); err != nil {
		t.Fatalf("honest proof: %v", err)
	}
	for i := range inputs {
		changed := public.Vector()
		x, one := changed[i].Fr(), fr.One()
		x.Add(&x, &one)
		changed[i] = credential.ElementFromFr(x)
		if err := verifying.Verify(vk, changed, proof); !errors.Is(err, verifying.ErrProofInvalid) {
			t.Errorf("public input %d plus one: %v, want ErrProofInvalid", i, err)
		}
		swapped := public.Vector()
		next := (i + 1) % len(swapped)
		swapped[i], swapped[next] = swapped[next], swapped[i]
		if swapped[i] != swapped[next] && !errors.Is(verifying.Verify(vk, swapped, proof), verifying.ErrProofInvalid) {
			t.Errorf("public inputs %d and %d are interchangeable", i, next)
		}
	}
}

// writeSnarkjs leaves the proof for snarkjs in the folder that BULLA_SNARKJS names, if it names one.
func writeSnarkjs(t *testing.T, public []credential.Element, proof []byte) {
	dir := os.Getenv("BULLA_SNARKJS")
	if dir == "" {
		return
	}
	vkey, err1 := snarkjs.VerifyingKey(circuitstest.VerifyingKey(t, circuits.Presentation))
	inputs, err2 := snarkjs.Public(public)
	out, err3 := snarkjs.Proof(proof)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"vkey.json": vkey, "public.json": inputs, "proof.json": out} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnrolment(t *testing.T) {
	vk := circuitstest.VerifyingKey(t, circuits.Enrolment)
	prover := circuitstest.Prover(t, circuits.Enrolment, false)
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
	proof, err := prover.ProveEnrolment(t.Context(), public, private)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifying.Verify(vk, public.Vector(), proof); err != nil {
		t.Fatal(err)
	}
	other := public
	other.Challenge = credential.ElementFromUint64(1)
	if err := verifying.Verify(vk, other.Vector(), proof); !errors.Is(err, verifying.ErrProofInvalid) {
		t.Errorf("another challenge: %v", err)
	}
	other.Challenge, private.Master = public.Challenge, credential.Secret{Element: credential.ElementFromUint64(7)}
	var violation *enrolment.Violation
	if _, err := prover.ProveEnrolment(t.Context(), other, private); !errors.As(err, &violation) || violation.Constraint != "E1" {
		t.Errorf("another master secret: %v, want E1", err)
	}
	if _, err := prover.ProvePresentation(t.Context(), presentation.Public{}, presentation.Private{}); err == nil {
		t.Error("an enrolment prover takes a presentation")
	}
}

// The checked prover names the constraint; the unchecked one is refused by the circuit, without telling private values.
func TestRefusals(t *testing.T) {
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(2))
	public.Now = private.Envelope.ValidUntil + 1
	var violation *presentation.Violation
	if _, err := circuitstest.Prover(t, circuits.Presentation, false).ProvePresentation(t.Context(), public, private); !errors.As(err, &violation) || violation.Constraint != "P3" {
		t.Errorf("expired: %v, want P3", err)
	}
	_, err := circuitstest.Prover(t, circuits.Presentation, true).ProvePresentation(t.Context(), public, private)
	if !errors.Is(err, proving.ErrUnsatisfied) {
		t.Fatalf("expired, unchecked: %v, want ErrUnsatisfied", err)
	}
	if len(err.Error()) > 100 || strings.Contains(err.Error(), "==") {
		t.Errorf("the error may tell private values: %v", err)
	}
}

// Precomputed tables change nothing but the time. Two proofs of one statement have nothing in common.
func TestPrecompute(t *testing.T) {
	key, err := circuitstest.Keys(t).ProvingKey(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(5))
	seen := make(map[string]bool)
	for _, precompute := range []bool{false, true} {
		prover, err := proving.New(proving.Config{Key: key, Precompute: precompute})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			proof, err := prover.ProveEnrolment(t.Context(), public, private)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifying.Verify(circuitstest.VerifyingKey(t, circuits.Enrolment), public.Vector(), proof); err != nil {
				t.Errorf("precompute %t: %v", precompute, err)
			}
			for _, part := range []string{string(proof[:32]), string(proof[32:96]), string(proof[96:])} {
				if seen[part] {
					t.Error("part of a proof occurs twice")
				}
				seen[part] = true
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	prover := circuitstest.Prover(t, circuits.Enrolment, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
	if _, err := prover.ProveEnrolment(ctx, public, private); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
}

// Callers of one prover wait for one another.
func TestConcurrentCallers(t *testing.T) {
	prover := circuitstest.Prover(t, circuits.Enrolment, false)
	vk := circuitstest.VerifyingKey(t, circuits.Enrolment)
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(seed))
			proof, err := prover.ProveEnrolment(t.Context(), public, private)
			if err == nil {
				err = verifying.Verify(vk, public.Vector(), proof)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestNewNeedsAKey(t *testing.T) {
	if _, err := proving.New(proving.Config{}); err == nil {
		t.Error("a prover without a key")
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := compiling.Compile(circuits.Presentation); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSetup(b *testing.B) {
	for b.Loop() {
		if _, err := setup.Develop(b.Context(), b.TempDir(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadKeys(b *testing.B) {
	keys := circuitstest.Keys(b)
	for b.Loop() {
		if _, err := keys.ProvingKey(circuits.Presentation); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSolve(b *testing.B) {
	system, err := compiling.Compile(circuits.Presentation)
	if err != nil {
		b.Fatal(err)
	}
	assignment, err := presentation.Assign(circuitstest.RandomStatement(circuitstest.NewRand(3)))
	if err != nil {
		b.Fatal(err)
	}
	w, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := system.R1CS.Solve(w); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProvePresentation(b *testing.B) {
	prover := circuitstest.Prover(b, circuits.Presentation, false)
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(3))
	for b.Loop() {
		if _, err := prover.ProvePresentation(b.Context(), public, private); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProvePresentationPrecomputed(b *testing.B) {
	key, err := circuitstest.Keys(b).ProvingKey(circuits.Presentation)
	if err != nil {
		b.Fatal(err)
	}
	prover, err := proving.New(proving.Config{Key: key, Precompute: true})
	if err != nil {
		b.Fatal(err)
	}
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(3))
	for b.Loop() {
		if _, err := prover.ProvePresentation(b.Context(), public, private); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProveEnrolment(b *testing.B) {
	prover := circuitstest.Prover(b, circuits.Enrolment, false)
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(3))
	for b.Loop() {
		if _, err := prover.ProveEnrolment(b.Context(), public, private); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	vk := circuitstest.VerifyingKey(b, circuits.Presentation)
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(3))
	proof, err := circuitstest.Prover(b, circuits.Presentation, false).ProvePresentation(b.Context(), public, private)
	if err != nil {
		b.Fatal(err)
	}
	inputs := public.Vector()
	for b.Loop() {
		if err := verifying.Verify(vk, inputs, proof); err != nil {
			b.Fatal(err)
		}
	}
}
