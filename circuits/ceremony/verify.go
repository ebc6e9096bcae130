package ceremony

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/credential"
)

// Fault is the first thing that is wrong with a ceremony, and whose doing it is. Errors of other types mean that it could
// not be checked.
type Fault struct {
	Phase  int    // 1 or 2; 0 for the keys
	Number int    // of the contribution; 0 for the start of the phase, which nobody contributed
	Name   string // the contributor
	Reason error
}

func (f *Fault) Error() string {
	switch {
	case f.Number > 0:
		return fmt.Sprintf("contribution %d to phase %d, by %.100q: %v", f.Number, f.Phase, f.Name, f.Reason)
	case f.Phase > 0:
		return fmt.Sprintf("start of phase %d: %v", f.Phase, f.Reason)
	}
	return f.Reason.Error()
}

func (f *Fault) Unwrap() error { return f.Reason }

// Report is what Verify found to be true.
type Report struct {
	Transcript credential.Digest // of the file
	Finished   bool              // the keys were derived again and are the ones in the transcript
	KeyFiles   int               // how many key files were there and compared
}

// Verify recomputes the ceremony from its files, as far as it has come: that phase 1 starts empty, each contribution
// builds on the one before it by factors that its contributor knew, phase 2 starts from the last contribution to phase 1
// under the beacon and from the circuits, and the keys follow from the last contribution to phase 2 under the other
// beacon. Key files beside the transcript are compared, but need not be there. The first thing that is wrong is a
// [Fault].
func (c *Ceremony) Verify(ctx context.Context) (Report, error) {
	encoded, err := c.replay(ctx)
	if err != nil {
		return Report{}, err
	}
	report := Report{Finished: c.transcript.Finished()}
	if report.Transcript, err = c.transcript.Digest(); err != nil {
		return Report{}, err
	}
	for i, e := range encoded {
		want := c.transcript.Keys[i]
		if got := e.key(want.Circuit); got != want {
			return Report{}, &Fault{Reason: fmt.Errorf("the keys of %s follow as %s and %s from the contributions, the transcript says %s and %s",
				want.Circuit, got.VerifyingKey, got.ProvingKey, want.VerifyingKey, want.ProvingKey)}
		}
		n, err := c.compareKeyFiles(want.Circuit, e)
		if err != nil {
			return Report{}, err
		}
		report.KeyFiles += n
	}
	return report, nil
}

// replay goes through everything, and derives the keys if phase 2 is closed.
func (c *Ceremony) replay(ctx context.Context) ([]encodedKeys, error) {
	last, err := c.replayPowers(ctx)
	if err != nil || len(c.transcript.Phases) == 1 {
		return nil, err
	}
	begun, err := c.begin(ctx, last, c.transcript.Phases[0].Beacon)
	if err != nil {
		return nil, err
	}
	if err := c.compareStart(2, begun.start); err != nil {
		return nil, err
	}
	s, err := c.replayPhase(ctx, 2, begun.start)
	if err != nil || c.transcript.Phases[1].Beacon == nil {
		return nil, err
	}
	return c.seal(ctx, begun, s.(circuitStates), c.transcript.Phases[1].Beacon)
}

// replayPowers goes through phase 1.
func (c *Ceremony) replayPowers(ctx context.Context) (powers, error) {
	start := newPowers(c.transcript.Plan.Powers)
	if err := c.compareStart(1, start); err != nil {
		return powers{}, err
	}
	last, err := c.replayPhase(ctx, 1, start)
	if err != nil {
		return powers{}, err
	}
	return last.(powers), nil
}

// compareStart checks that the transcript names the state that a phase must start from.
func (c *Ceremony) compareStart(phase int, s state) error {
	h, want := c.expected(phase, 0)
	data, err := encodeState(h, s)
	if err != nil {
		return err
	}
	if got := credential.DigestOf(data); got != want {
		return &Fault{Phase: phase, Reason: fmt.Errorf("it follows as %s from what was before, the transcript says %s", got, want)}
	}
	return nil
}

// replayPhase checks each contribution to a phase against the state before it, and returns the last.
func (c *Ceremony) replayPhase(ctx context.Context, phase int, before state) (state, error) {
	for i, line := range c.transcript.Phases[phase-1].Contributions {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.progress(fmt.Sprintf("check contribution %d to phase %d, by %s", line.Number, phase, line.Name))
		next, err := c.readState(phase, i+1)
		if err != nil {
			return nil, err
		}
		if err := before.verify(next); err != nil {
			return nil, &Fault{phase, line.Number, line.Name, err}
		}
		before = next
	}
	return before, ctx.Err()
}

// begun is the start of phase 2 with what the keys need besides.
type begun struct {
	start       circuitStates
	powers      []mpcsetup.SrsCommons
	evaluations []mpcsetup.Phase2Evaluations
}

// begin closes phase 1 and derives the start of phase 2. It changes last.
func (c *Ceremony) begin(ctx context.Context, last powers, beacon *Beacon) (begun, error) {
	value, err := beacon.bytes()
	if err != nil {
		return begun{}, err
	}
	c.progress("close phase 1 with the beacon")
	all := last.Seal(value)
	var b begun
	for _, system := range c.systems {
		if err := ctx.Err(); err != nil {
			return begun{}, err
		}
		c.progress("evaluate " + system.Circuit.Name + " at the powers of tau")
		p, own := new(mpcsetup.Phase2), firstPowers(&all, system)
		b.evaluations = append(b.evaluations, p.Initialize(system.R1CS, &own))
		b.powers = append(b.powers, own)
		b.start = append(b.start, p)
	}
	return b, nil
}

// firstPowers are those that a circuit needs: gnark takes the length for the domain.
func firstPowers(all *mpcsetup.SrsCommons, system *compiling.System) mpcsetup.SrsCommons {
	n, own := domain(system.Circuit), *all
	own.G1.Tau = all.G1.Tau[:2*n-1]
	own.G1.AlphaTau = all.G1.AlphaTau[:n]
	own.G1.BetaTau = all.G1.BetaTau[:n]
	own.G2.Tau = all.G2.Tau[:n]
	return own
}

// seal closes phase 2 and derives the keys. It changes last.
func (c *Ceremony) seal(ctx context.Context, b begun, last circuitStates, beacon *Beacon) ([]encodedKeys, error) {
	value, err := beacon.bytes()
	if err != nil {
		return nil, err
	}
	var out []encodedKeys
	for i, system := range c.systems {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.progress("derive the keys of " + system.Circuit.Name)
		pk, vk := last[i].Seal(&b.powers[i], &b.evaluations[i], value)
		encoded, err := c.source.encode(system.Circuit, pk.(*groth16.ProvingKey), vk.(*groth16.VerifyingKey))
		if err != nil {
			return nil, fmt.Errorf("keys of %s: %w", system.Circuit.Name, err)
		}
		out = append(out, encoded)
	}
	return out, nil
}

func (e encodedKeys) key(circuit string) Key {
	return Key{circuit, credential.DigestOf(e.verifying), credential.DigestOf(e.proving)}
}

// compareKeyFiles checks the key files that are there.
func (c *Ceremony) compareKeyFiles(circuit string, e encodedKeys) (compared int, err error) {
	for name, want := range map[string][]byte{verifyingFile(circuit): e.verifying, provingFile(circuit): e.proving} {
		data, err := readFile(filepath.Join(c.dir, name), len(want))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if string(data) != string(want) {
			return 0, &Fault{Reason: fmt.Errorf("the file %s is not the key that the ceremony yields", name)}
		}
		compared++
	}
	return compared, nil
}
