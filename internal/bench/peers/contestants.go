package main

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
	"time"

	"github.com/bulla-id/bulla/internal/bench"
)

// ours runs in this process.
type ours struct{ presentation *bench.Presentation }

func newOurs(ctx context.Context, keys, circuit string, precompute bool) (contestant, error) {
	p, err := bench.NewPresentation(ctx, keys, circuit, precompute)
	if err != nil {
		return nil, err
	}
	return ours{p}, nil
}

func (o ours) Prove(ctx context.Context) (float64, int, error) {
	start := time.Now()
	err := o.presentation.Prove(ctx)
	return time.Since(start).Seconds() * 1000, o.presentation.Size(), err
}

func (o ours) Verify(context.Context) (float64, error) {
	start := time.Now()
	err := o.presentation.Verify()
	return time.Since(start).Seconds() * 1000, err
}

func (ours) Close() {}

// startSemaphore installs what package-lock.json pins, unless it is there. npm writes its inner lock file when it is done,
// so a newer one means that all is installed.
func startSemaphore(ctx context.Context, folder string) (contestant, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%w; install node 20 or later", err)
		}
	}
	if !newer(filepath.Join(folder, "node_modules/.package-lock.json"), filepath.Join(folder, "package-lock.json")) {
		if err := output(ctx, folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
			return nil, err
		}
	}
	return startPeer(ctx, folder, "node", "semaphore.mjs")
}

func newer(path, than string) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := os.Stat(than)
	return err == nil && a.ModTime().After(b.ModTime())
}

// startGabi builds it in dir. Its key is kept in the person's cache folder.
func startGabi(ctx context.Context, folder, dir string) (contestant, error) {
	program := filepath.Join(dir, "gabi")
	if err := output(ctx, filepath.Join(folder, "gabi"), "go", "build", "-o", program, "."); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return startPeer(ctx, folder, program, filepath.Join(cache, "bulla", "peers"))
}

// peer is a program that says when it is ready and answers each line "prove" or "verify" with a line of JSON.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// answer is such a line. The peer takes the time itself, so that the pipe does not count.
type answer struct {
	Ready bool    `json:"ready"`
	MS    float64 `json:"ms"`
	Size  int     `json:"size"`
}

func startPeer(ctx context.Context, folder, name string, args ...string) (_ contestant, err error) {
	p := &peer{cmd: exec.CommandContext(ctx, name, args...)}
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
	a, err := p.read()
	if err == nil && !a.Ready {
		err = errors.New("it said something else first")
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("wait until %s is ready: %w", p.cmd, err)
	}
	return p, nil
}

func (p *peer) Prove(context.Context) (float64, int, error) {
	a, err := p.ask("prove")
	return a.MS, a.Size, err
}

func (p *peer) Verify(context.Context) (float64, error) {
	a, err := p.ask("verify")
	return a.MS, err
}

// Close ends the peer.
func (p *peer) Close() {
	p.in.Close()
	_ = p.cmd.Wait() // it has said what it had to say
}

func (p *peer) ask(what string) (answer, error) {
	if _, err := fmt.Fprintln(p.in, what); err != nil {
		return answer{}, fmt.Errorf("ask it to %s: %w", what, err)
	}
	a, err := p.read()
	if err == nil && a.MS <= 0 {
		err = fmt.Errorf("it took %v ms to %s, which cannot be", a.MS, what)
	}
	return a, err
}

func (p *peer) read() (a answer, err error) {
	if !p.out.Scan() {
		if err := p.out.Err(); err != nil {
			return a, err
		}
		return a, io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(p.out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("line %q: %w", p.out.Text(), err)
	}
	return a, nil
}
