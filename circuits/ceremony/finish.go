package ceremony

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bulla-id/bulla/credential"
)

// Next closes phase 1: it checks every contribution, applies the beacon and writes the start of phase 2. The beacon must
// have been unknown when the last contribution was published; see doc/spec/ceremony.md.
func (c *Ceremony) Next(ctx context.Context, beacon Beacon) error {
	number, phase, err := c.phase()
	if err == nil && number != 1 {
		err = fmt.Errorf("phase 1 is closed already")
	}
	if err != nil {
		return err
	}
	closed := *phase
	closed.Beacon = &beacon
	if err := closed.validate(1); err != nil {
		return err
	}
	last, err := c.replayPowers(ctx)
	if err != nil {
		return err
	}
	begun, err := c.begin(ctx, last, &beacon)
	if err != nil {
		return err
	}
	start, err := encodeState(header{phase: 2, plan: c.transcript.Plan.digest(), previous: phase.last()}, begun.start)
	if err != nil {
		return err
	}
	if err := writeFile(c.statePath(2, 0), start, os.Rename); err != nil {
		return err
	}
	c.transcript.Phases = []Phase{closed, newPhase(start)}
	return c.save(os.Rename)
}

// Finish closes phase 2: it checks the whole ceremony from its beginning, applies the beacon and writes the keys and the
// final transcript, whose digest it returns.
func (c *Ceremony) Finish(ctx context.Context, beacon Beacon) (credential.Digest, error) {
	number, phase, err := c.phase()
	if err == nil && number != 2 {
		err = fmt.Errorf("phase 1 is still open")
	}
	if err != nil {
		return credential.Digest{}, err
	}
	closed := *phase
	closed.Beacon = &beacon
	if err := closed.validate(2); err != nil {
		return credential.Digest{}, err
	}
	if beacon.Value == c.transcript.Phases[0].Beacon.Value {
		return credential.Digest{}, fmt.Errorf("this beacon closed phase 1 and was known before phase 2 began: take a new one")
	}
	open := *phase
	*phase = closed
	encoded, err := c.replay(ctx)
	if err != nil {
		*phase = open
		return credential.Digest{}, err
	}
	return c.writeKeys(encoded)
}

// writeKeys writes the keys first, then the transcript that names them.
func (c *Ceremony) writeKeys(encoded []encodedKeys) (credential.Digest, error) {
	for i, e := range encoded {
		name := c.transcript.Plan.Circuits[i].Name
		if err := writeFile(filepath.Join(c.dir, verifyingFile(name)), e.verifying, os.Rename); err != nil {
			return credential.Digest{}, err
		}
		if err := writeFile(filepath.Join(c.dir, provingFile(name)), e.proving, os.Rename); err != nil {
			return credential.Digest{}, err
		}
		c.transcript.Keys = append(c.transcript.Keys, e.key(name))
	}
	if err := c.save(os.Rename); err != nil {
		return credential.Digest{}, err
	}
	return c.transcript.Digest()
}

func verifyingFile(circuit string) string { return circuit + ".verifying" }
func provingFile(circuit string) string   { return circuit + ".proving" }
