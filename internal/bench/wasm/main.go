// Command wasm measures the presentation as browsers run it: the circuit, the proving key and the prover as js/wasm, in
// node, on one thread. It builds the program in prove, makes development keys and a statement, runs node several times
// and prints one JSON line a figure, as `bulla bench` does.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench-wasm:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("wasm", flag.ContinueOnError)
	processes := flags.Int("n", 3, "processes of node, one after the other")
	circuit := flags.String("circuit", circuits.Presentation, "presentation circuit")
	proofs := flags.Int("proofs", 3, "proofs of each")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *processes < 1 || *proofs < 1 {
		return errors.New("at least one process and one proof")
	}
	dir, err := os.MkdirTemp("", "bulla-wasm-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(os.Stderr, bench.Machine()+"; "+bench.Load())
	program, err := build(ctx, dir)
	if err != nil {
		return err
	}
	statement, err := bench.NewPresentation(ctx, filepath.Join(dir, "keys"), *circuit, false)
	if err != nil {
		return err
	}
	file, err := statement.WriteInputs()
	if err != nil {
		return err
	}
	var all results
	for i := range *processes {
		fmt.Fprintf(os.Stderr, "node process %d of %d\n", i+1, *processes)
		r, err := program.run(ctx, file, *proofs)
		if err != nil {
			return err
		}
		all.add(r)
	}
	fmt.Fprintln(os.Stderr, bench.Load())
	return all.print(os.Stdout, program.gzip)
}

// program is the built one.
type program struct {
	path string
	exec string // wasm_exec_node.js of the toolchain that built it: the two must be of one version
	gzip float64
}

func build(ctx context.Context, dir string) (*program, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("ask go for its root: %w", err)
	}
	p := &program{
		path: filepath.Join(dir, "prove.wasm"),
		exec: filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec_node.js"),
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", p.path, "github.com/bulla-id/bulla/internal/bench/wasm/prove")
	cmd.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build for js/wasm: %w", err)
	}
	code, err := os.ReadFile(p.path)
	if err != nil {
		return nil, err
	}
	p.gzip, err = compressed(code)
	return p, err
}

// compressed is the size after gzip at its best.
func compressed(data []byte) (float64, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	if _, err := w.Write(data); err != nil {
		return 0, err
	}
	return float64(b.Len()), w.Close()
}

// result is what the program in prove writes.
type result struct {
	LoadKey, Compile float64
	Prove, Verify    []float64
	Peak             float64
}

func (p *program) run(ctx context.Context, file string, proofs int) (r result, err error) {
	// The stack is the one that Go's own runner gives to node.
	cmd := exec.CommandContext(ctx, "node", "--stack-size=8192", p.exec, p.path, file, strconv.Itoa(proofs))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // wasm_exec.js has room for 12 kB of environment and arguments
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("run node (20 or later is needed): %w", err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("read what node wrote: %w", err)
	}
	return r, nil
}

// results are those of all processes.
type results struct {
	loadKey, compile, first, prove, verify, peak []float64
}

func (all *results) add(r result) {
	all.loadKey = append(all.loadKey, r.LoadKey)
	all.compile = append(all.compile, r.Compile)
	all.peak = append(all.peak, r.Peak)
	all.first = append(all.first, r.Prove[0])
	all.prove = append(all.prove, r.Prove...)
	all.verify = append(all.verify, r.Verify...)
}

func (all *results) print(w io.Writer, size float64) error {
	out := json.NewEncoder(w)
	for _, f := range []bench.Figure{
		bench.NewFigure("wasm_load_key", "ms", all.loadKey),
		bench.NewFigure("wasm_compile", "ms", all.compile),
		bench.NewFigure("wasm_prove_first", "ms", all.first),
		bench.NewFigure("wasm_prove", "ms", all.prove),
		bench.NewFigure("wasm_verify", "ms", all.verify),
		bench.NewFigure("wasm_peak_memory", "bytes", all.peak),
		bench.NewFigure("wasm_size_gzip", "bytes", []float64{size}),
	} {
		if err := out.Encode(f); err != nil {
			return err
		}
	}
	return nil
}
