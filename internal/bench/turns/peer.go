package turns

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Peer is a program that says when it is ready, {"ready":true}, and answers each line on standard input with a line of
// JSON. It takes times itself, so that the pipe does not count.
type Peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// StartPeer runs a program in a folder and waits until it is ready.
func StartPeer(ctx context.Context, folder, name string, args ...string) (_ *Peer, err error) {
	p := &Peer{cmd: exec.CommandContext(ctx, name, args...)}
	p.cmd.Dir, p.cmd.Stderr = folder, os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewScanner(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var first struct {
		Ready bool `json:"ready"`
	}
	err = p.read(&first)
	if err == nil && !first.Ready {
		err = errors.New("it said something else first")
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("wait until %s is ready: %w", p.cmd, err)
	}
	return p, nil
}

// Ask sends a line and reads the answer.
func (p *Peer) Ask(what string, answer any) error {
	if _, err := fmt.Fprintln(p.in, what); err != nil {
		return fmt.Errorf("ask it for %q: %w", what, err)
	}
	return p.read(answer)
}

// Close ends the peer.
func (p *Peer) Close() {
	p.in.Close()
	_ = p.cmd.Wait() // it has said what it had to say
}

func (p *Peer) read(v any) error {
	if !p.out.Scan() {
		if err := p.out.Err(); err != nil {
			return err
		}
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(p.out.Bytes(), v); err != nil {
		return fmt.Errorf("line %q: %w", p.out.Text(), err)
	}
	return nil
}

// Build builds the program of a folder, which is a module of its own, in dir, unless it was built there before.
func Build(ctx context.Context, folder, dir string) (program string, err error) {
	program, err = filepath.Abs(filepath.Join(dir, filepath.Base(folder)+".program"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(program); !errors.Is(err, os.ErrNotExist) {
		return program, err
	}
	return program, Output(ctx, folder, "go", "build", "-o", program, ".")
}

// Output runs a command in a folder and gives the end of what it wrote if it fails.
func Output(ctx context.Context, folder, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out[max(0, len(out)-1000):])
	}
	return nil
}
