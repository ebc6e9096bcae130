// Package setup makes development keys: keys whose secret was known to the one process that made them, which could have
// kept it, and with it forge any proof. They serve only on chains whose genesis says dev.
//
// A folder of development keys has, for each circuit,
//
//	NAME.json               the index: which files belong together, by digest
//	NAME.XXXXXXXX.verifying the verifying key
//	NAME.XXXXXXXX.proving   the proving key
//
// where XXXXXXXX begins the digest of the file. Keys are written first and the index last, by a link that fails if there
// is one already: of several processes that start at once in a fresh folder all use the keys of the first to finish. (Only
// if several find the same damage at once, one may have to be restarted.) Whoever can write to this folder can make this
// development chain accept everything.
package setup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// Progress is told of each step: what is being done, and how many of all steps are done. It is called from one goroutine
// at a time. It also hears of files that do not fit and are made anew.
type Progress func(stage string, done, total int)

// Development is the development keys of every circuit.
type Development struct {
	pairs map[string]*pair
}

// pair is the keys of one circuit; the proving key stays on disk until it is asked for.
type pair struct {
	circuit       circuits.Circuit
	verifying     *keys.VerifyingKey
	provingPath   string
	provingDigest credential.Digest
}

// inProcess keeps the callers of one process from doing the same work at once. Between processes the link decides.
var inProcess sync.Mutex

// Develop makes development keys for every published circuit in a folder, or loads those that are there. It takes a few
// seconds the first time. Files that were damaged, or belong to another circuit, are made anew. progress may be nil. ctx
// is looked at between steps.
func Develop(ctx context.Context, dir string, progress Progress) (*Development, error) {
	inProcess.Lock()
	defer inProcess.Unlock()
	if progress == nil {
		progress = func(string, int, int) {}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("development keys: %w", err)
	}
	steps := &steps{report: progress, total: 3 * len(published)}
	d := &Development{pairs: make(map[string]*pair)}
	for _, name := range published {
		p, err := developOne(ctx, dir, name, steps)
		if err != nil {
			return nil, fmt.Errorf("development keys of %s: %w", name, err)
		}
		d.pairs[name] = p
	}
	steps.say("development keys are ready", 0)
	return d, nil
}

// published are the circuits that keys are made for: all.
var published = []string{circuits.Presentation, circuits.PresentationSmall, circuits.Enrolment}

// Circuits are the names of the circuits that have keys.
func (d *Development) Circuits() []string { return slices.Sorted(maps.Keys(d.pairs)) }

// Load reads the development keys of a folder and makes none. A folder may lack keys of circuits that are newer than it;
// where there are no keys at all it fails with [os.ErrNotExist].
func Load(dir string) (*Development, error) {
	d := &Development{pairs: make(map[string]*pair)}
	for _, name := range published {
		circuit, err := circuits.Named(name)
		if err != nil {
			return nil, err
		}
		p, err := load(dir, circuit)
		switch {
		case err == nil:
			d.pairs[name] = p
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("development keys of %s: %w", name, err)
		}
	}
	if len(d.pairs) == 0 {
		return nil, fmt.Errorf("development keys in %s: %w", dir, os.ErrNotExist)
	}
	return d, nil
}

// steps counts what was done.
type steps struct {
	report      Progress
	done, total int
}

func (s *steps) say(stage string, more int) {
	s.done += more
	s.report(stage, s.done, s.total)
}

// developOne loads the keys of a circuit, or makes them and loads what is then there.
func developOne(ctx context.Context, dir, name string, s *steps) (*pair, error) {
	circuit, err := circuits.Named(name)
	if err != nil {
		return nil, err
	}
	p, err := load(dir, circuit)
	if err == nil {
		s.say("load development keys of "+name, 3)
		return p, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		s.say(fmt.Sprintf("development keys of %s are made anew, as those in %s do not fit: %v", name, dir, err), 0)
	}
	if err := os.Remove(indexPath(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := create(ctx, dir, circuit, s); err != nil {
		return nil, err
	}
	return load(dir, circuit)
}

// create runs the setup and writes the files.
func create(ctx context.Context, dir string, circuit circuits.Circuit, s *steps) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.say("compile "+circuit.Name, 0)
	system, err := compiling.Compile(circuit.Name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.say("set up "+circuit.Name+" (development keys)", 1)
	var pk groth16.ProvingKey
	var vk groth16.VerifyingKey
	if err := groth16.Setup(system.R1CS, &pk, &vk); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.say("write keys of "+circuit.Name, 1)
	verifying, err := keys.NewVerifyingKey(circuit, &vk)
	if err != nil {
		return err
	}
	proving, err := keys.EncodeProvingKey(&pk, verifying)
	if err != nil {
		return err
	}
	if err := write(dir, circuit, verifying, proving); err != nil {
		return err
	}
	s.say("keys of "+circuit.Name+" are written", 1)
	return nil
}

// load reads index and verifying key, and checks that the proving key is there and undamaged.
func load(dir string, circuit circuits.Circuit) (*pair, error) {
	index, err := readIndex(dir, circuit.Name)
	if err != nil {
		return nil, err
	}
	if index.Circuit != circuit.Digest {
		return nil, fmt.Errorf("they are of the circuit %s, this program has %s", index.Circuit, circuit.Digest)
	}
	data, err := os.ReadFile(filepath.Join(dir, fileName(circuit.Name, index.VerifyingKey, "verifying")))
	if err != nil {
		return nil, damaged(err)
	}
	vk, err := keys.ParseVerifyingKey(data)
	if err != nil {
		return nil, err
	}
	if vk.Digest() != index.VerifyingKey || vk.Circuit() != circuit.Digest {
		return nil, fmt.Errorf("verifying key has the digest %s, the index says %s", vk.Digest(), index.VerifyingKey)
	}
	p := &pair{circuit, vk, filepath.Join(dir, fileName(circuit.Name, index.ProvingKey, "proving")), index.ProvingKey}
	if _, err := p.provingKey(); err != nil {
		return nil, damaged(err)
	}
	return p, nil
}

// damaged hides that a file is missing, since an index without its files is damage, not a fresh folder.
func damaged(err error) error { return fmt.Errorf("%v", err) }

func (p *pair) provingKey() (*keys.ProvingKey, error) {
	pk, err := keys.LoadProvingKey(p.provingPath, p.circuit, p.provingDigest)
	if err != nil {
		return nil, err
	}
	if pk.VerifyingKey() != p.verifying.Digest() {
		return nil, fmt.Errorf("proving key belongs to the verifying key %s, not %s: %w", pk.VerifyingKey(), p.verifying.Digest(), keys.ErrWrongKey)
	}
	return pk, nil
}

// VerifyingKey is the verifying key of a circuit.
func (d *Development) VerifyingKey(circuit string) (*keys.VerifyingKey, error) {
	p, ok := d.pairs[circuit]
	if !ok {
		return nil, fmt.Errorf("there are no development keys of %q", circuit)
	}
	return p.verifying, nil
}

// ProvingKey loads the proving key of a circuit, in some 20 ms.
func (d *Development) ProvingKey(circuit string) (*keys.ProvingKey, error) {
	p, ok := d.pairs[circuit]
	if !ok {
		return nil, fmt.Errorf("there are no development keys of %q", circuit)
	}
	return p.provingKey()
}

// ProvingKeyFile is where the proving key of a circuit lies, and the digest by which to pin it.
func (d *Development) ProvingKeyFile(circuit string) (path string, digest credential.Digest, err error) {
	p, ok := d.pairs[circuit]
	if !ok {
		return "", credential.Digest{}, fmt.Errorf("there are no development keys of %q", circuit)
	}
	return p.provingPath, p.provingDigest, nil
}
