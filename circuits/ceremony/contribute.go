package ceremony

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/bulla-id/bulla/credential"
)

// Contribute adds one contribution to the open phase: it checks the last one against the one before it, multiplies
// fresh factors from crypto/rand into it, proves that it knew them, and writes the next state file and a line of the
// transcript. The factors stay in the memory of this process, which should end afterwards. name is whose contribution
// this is; the returned digest is what that person keeps and later compares with the published transcript.
//
// The error is a [Fault] if the last contribution is bad: then nothing was written, and [Ceremony.Drop] removes it.
func (c *Ceremony) Contribute(ctx context.Context, name string) (Contribution, error) {
	number, phase, err := c.phase()
	if err != nil {
		return Contribution{}, err
	}
	line := Contribution{Number: len(phase.Contributions) + 1, Name: name, Previous: phase.last()}
	if err := validateLine(phase.Contributions, line); err != nil {
		return Contribution{}, err
	}
	s, err := c.checkLast(ctx, number, phase)
	if err != nil {
		return Contribution{}, err
	}
	c.progress(fmt.Sprintf("contribute to phase %d", number))
	s.contribute()
	h := header{phase: number, number: line.Number, plan: c.transcript.Plan.digest(), previous: line.Previous, name: name}
	data, err := encodeState(h, s)
	if err != nil {
		return Contribution{}, err
	}
	line.Digest = credential.DigestOf(data)
	if err := c.checkOwn(ctx, h, data); err != nil {
		return Contribution{}, err
	}
	if err := c.place(number, line.Number, data); err != nil {
		return Contribution{}, err
	}
	phase.Contributions = append(phase.Contributions, line)
	return line, c.save(os.Rename)
}

// checkLast reads the last state of the open phase and checks it against the one before it. The whole chain is checked
// when the phase is closed, and by Verify.
func (c *Ceremony) checkLast(ctx context.Context, number int, phase *Phase) (state, error) {
	k := len(phase.Contributions)
	if k == 0 {
		c.progress(fmt.Sprintf("read the start of phase %d", number))
		return c.readState(number, 0)
	}
	c.progress(fmt.Sprintf("check contribution %d to phase %d, by %s", k, number, phase.Contributions[k-1].Name))
	last, err := c.readState(number, k)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	before, err := c.readState(number, k-1)
	if err != nil {
		return nil, err
	}
	if err := before.verify(last); err != nil {
		return nil, &Fault{number, k, phase.Contributions[k-1].Name, err}
	}
	return last, ctx.Err()
}

// checkOwn reads what is about to be handed on, so that a faulty machine does not spoil the ceremony.
func (c *Ceremony) checkOwn(ctx context.Context, h header, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.progress("check the own contribution")
	before, err := c.readState(h.phase, h.number-1)
	if err != nil {
		return err
	}
	own, err := c.decodeState(h, data)
	if err == nil {
		err = before.verify(own)
	}
	if err != nil {
		return fmt.Errorf("the own contribution is bad, is this machine sound? %w", err)
	}
	return ctx.Err()
}

// place writes a contribution's state, if nobody was faster.
func (c *Ceremony) place(phase, number int, data []byte) error {
	path := c.statePath(phase, number)
	err := writeFile(path, data, os.Link)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already, though the transcript that was read does not name it: another contributor was faster, or stopped half-way; in the latter case remove the file", path)
	}
	return err
}

// Drop removes the first bad contribution of the open phase and all that build on it, and returns its fault. Their
// files stay, renamed to end in .refused. It is an error if there is none.
func (c *Ceremony) Drop(ctx context.Context) (*Fault, error) {
	number, phase, err := c.phase()
	if err != nil {
		return nil, err
	}
	start, err := c.readState(number, 0)
	if err != nil {
		return nil, err
	}
	_, err = c.replayPhase(ctx, number, start)
	var fault *Fault
	if err == nil {
		return nil, fmt.Errorf("every contribution to phase %d is good, there is nothing to drop", number)
	}
	if !errors.As(err, &fault) {
		return nil, err
	}
	dropped := len(phase.Contributions)
	phase.Contributions = phase.Contributions[:fault.Number-1]
	if err := c.save(os.Rename); err != nil {
		return nil, err
	}
	for k := fault.Number; k <= dropped; k++ {
		if err := os.Rename(c.statePath(number, k), c.statePath(number, k)+".refused"); err != nil {
			return nil, err
		}
	}
	return fault, nil
}
