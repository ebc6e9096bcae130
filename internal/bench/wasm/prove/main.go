//go:build js

// Command prove is what `make bench-wasm` runs in node: it loads the proving key, compiles the circuit, proves and
// verifies, and says how long each took and how much memory the process had at most. It is built for js/wasm only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall/js"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
)

// job is the part of the file of internal/bench that a presentation needs.
type job struct {
	Circuit    string
	ProvingKey string // path, in a folder of development keys
	Digest     credential.Digest
	Inputs     struct {
		Presentation        presentation.Public
		PresentationPrivate presentation.Private
		Small               presentation.Public
		SmallPrivate        presentation.Private
	}
}

// result are times in milliseconds, and bytes.
type result struct {
	LoadKey float64
	Compile float64
	Prove   []float64
	Verify  []float64
	Peak    float64
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

// run takes the file and how many proofs to make.
func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: prove FILE PROOFS")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 || n > 1000 {
		return fmt.Errorf("%q is no number of proofs between 1 and 1000", args[1])
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	r, err := j.measure(n)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func (j *job) measure(n int) (*result, error) {
	r := new(result)
	var key *keys.ProvingKey
	var prover *proving.Prover
	var proof []byte
	circuit, err := circuits.Named(j.Circuit)
	if err != nil {
		return nil, err
	}
	if r.LoadKey, err = timed(func() (err error) {
		key, err = keys.LoadProvingKey(j.ProvingKey, circuit, j.Digest)
		return err
	}); err != nil {
		return nil, err
	}
	if r.Compile, err = timed(func() (err error) {
		prover, err = proving.New(proving.Config{Key: key})
		return err
	}); err != nil {
		return nil, err
	}
	vk, err := j.verifyingKey(key.VerifyingKey())
	if err != nil {
		return nil, err
	}
	public, private := j.Inputs.Presentation, j.Inputs.PresentationPrivate
	if j.Circuit == circuits.PresentationSmall {
		public, private = j.Inputs.Small, j.Inputs.SmallPrivate
	}
	for range n {
		took, err := timed(func() (err error) {
			proof, err = prover.ProvePresentation(context.Background(), public, private)
			return err
		})
		if err != nil {
			return nil, err
		}
		r.Prove = append(r.Prove, took)
		if took, err = timed(func() error { return verifying.Verify(vk, public.Vector(), proof) }); err != nil {
			return nil, err
		}
		r.Verify = append(r.Verify, took)
	}
	// libuv gives kibibytes on every platform.
	r.Peak = js.Global().Get("process").Call("resourceUsage").Get("maxRSS").Float() * 1024
	return r, nil
}

// verifyingKey is the one beside the proving key. The loader of circuits/setup is not asked, as it reads all keys, which
// would count as memory of this proof.
func (j *job) verifyingKey(digest credential.Digest) (*keys.VerifyingKey, error) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(j.ProvingKey), j.Circuit+".*.verifying"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("%d verifying keys beside %s, want 1", len(files), j.ProvingKey)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	vk, err := keys.ParseVerifyingKey(data)
	if err == nil && vk.Digest() != digest {
		err = fmt.Errorf("%s: %w", files[0], keys.ErrWrongKey)
	}
	return vk, err
}

func timed(do func() error) (milliseconds float64, err error) {
	start := time.Now()
	err = do()
	return float64(time.Since(start)) / float64(time.Millisecond), err
}
