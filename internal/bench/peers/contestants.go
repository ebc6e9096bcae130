package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/bulla-id/bulla/internal/bench"
	"github.com/bulla-id/bulla/internal/bench/turns"
)

// ours runs in this process.
type ours struct{ presentation *bench.Presentation }

func newOurs(ctx context.Context, keys, circuit string, precompute bool) (contestant, error) {
	p, err := bench.NewPresentation(ctx, keys, circuit, precompute)
	if err != nil {
		return nil, err
	}
	return proving{ours{p}}, nil
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
		if err := turns.Output(ctx, folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
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
	program, err := turns.Build(ctx, filepath.Join(folder, "gabi"), dir)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return startPeer(ctx, folder, program, filepath.Join(cache, "bulla", "peers"))
}

// peer is a program that answers each line "prove" or "verify".
type peer struct{ *turns.Peer }

func startPeer(ctx context.Context, folder, name string, args ...string) (contestant, error) {
	p, err := turns.StartPeer(ctx, folder, name, args...)
	return proving{peer{p}}, err
}

type answer struct {
	MS   float64 `json:"ms"`
	Size int     `json:"size"`
}

func (p peer) Prove(context.Context) (float64, int, error) {
	a, err := p.ask("prove")
	return a.MS, a.Size, err
}

func (p peer) Verify(context.Context) (float64, error) {
	a, err := p.ask("verify")
	return a.MS, err
}

func (p peer) ask(what string) (a answer, err error) {
	if err = p.Ask(what, &a); err == nil && a.MS <= 0 {
		err = fmt.Errorf("it took %v ms to %s, which cannot be", a.MS, what)
	}
	return a, err
}
