// Package ceremony makes Groth16 keys from many contributors, so that nobody can forge proofs unless all of them conspire:
// the secret of the keys is the product of what each one drew, proved to know, and forgot. It drives gnark's
// multi-party setup (Bowe, Gabizon and Miers, eprint 2017/1050) through files, so that contributors work one after
// another, in processes and on machines of their own.
//
//	Init        the plan: which circuits, how large; the empty state of phase 1
//	Contribute  phase 1, powers of tau: as often as there are contributors
//	Next        closes phase 1 with a random beacon and derives the start of phase 2 from the circuits
//	Contribute  phase 2, one δ for each circuit: as often as there are contributors
//	Finish      closes phase 2 with another beacon and writes the keys
//	Verify      anybody, at any time: recomputes all of it from the files
//	Keys        loads the keys of a finished ceremony
//
// One folder holds it: transcript.json ([Transcript]), the states (state.go) and in the end the keys (circuits/keys). All
// of it is public. doc/spec/ceremony.md describes the files, what Verify proves and what must be trusted.
//
// Whoever can write to the folder can stop the ceremony or leave a contribution out, but not change one unnoticed:
// contributors compare the digest they were given with the published transcript.
package ceremony

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consensys/gnark-crypto/ecc"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// TranscriptFile is the name of the transcript in the ceremony's folder.
const TranscriptFile = "transcript.json"

// Progress is told what is being done. It is called from the goroutine of the caller.
type Progress func(stage string)

// Ceremony is an opened folder. It is not safe for concurrent use; several processes may use one folder.
type Ceremony struct {
	dir, path  string // of the folder, of the transcript in it
	source     source
	systems    []*compiling.System // in the plan's order
	transcript Transcript
	progress   Progress
}

// source knows the circuits and the form of their keys: the published ones, or those of a test.
type source struct {
	compile func(name string) (*compiling.System, error)
	encode  func(circuits.Circuit, *groth16.ProvingKey, *groth16.VerifyingKey) (encodedKeys, error)
}

var published = source{compiling.Compile, encodeKeys}

// Init begins a ceremony for published circuits in a folder that must not hold one yet. progress may be nil. title is
// for readers.
func Init(dir, title string, names []string, progress Progress) (*Ceremony, error) {
	return initialise(dir, title, names, published, progress)
}

func initialise(dir, title string, names []string, from source, progress Progress) (*Ceremony, error) {
	c := &Ceremony{dir: dir, path: filepath.Join(dir, TranscriptFile), source: from, progress: silent(progress)}
	plan := Plan{Format: format, Version: version, Title: title, Circuits: []PlannedCircuit{}}
	for _, name := range names {
		system, err := c.compile(name)
		if err != nil {
			return nil, err
		}
		plan.Circuits = append(plan.Circuits, planned(system))
		plan.Powers = max(plan.Powers, domain(system.Circuit))
	}
	if err := plan.validate(); err != nil {
		return nil, err
	}
	start, err := encodeState(header{phase: 1, plan: plan.digest()}, newPowers(plan.Powers))
	if err != nil {
		return nil, err
	}
	c.transcript = Transcript{Plan: plan, Phases: []Phase{newPhase(start)}, Keys: []Key{}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(c.path); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is there already: begin in an empty folder", c.path)
	}
	if err := writeFile(c.statePath(1, 0), start, os.Rename); err != nil {
		return nil, err
	}
	return c, c.save(os.Link)
}

// Open opens the ceremony in a folder; path is the folder or the transcript in it. The transcript must be well formed
// and its circuits the ones this program has; nothing else is checked yet. progress may be nil.
func Open(path string, progress Progress) (*Ceremony, error) { return open(path, published, progress) }

func open(path string, from source, progress Progress) (*Ceremony, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		path = filepath.Join(path, TranscriptFile)
	}
	c := &Ceremony{dir: filepath.Dir(path), path: path, source: from, progress: silent(progress)}
	var err error
	if c.transcript, err = readTranscript(path); err != nil {
		return nil, err
	}
	for _, want := range c.transcript.Plan.Circuits {
		system, err := c.compile(want.Name)
		if err != nil {
			return nil, err
		}
		if planned(system) != want {
			return nil, fmt.Errorf("transcript: circuit %s is another one than this program has", want.Name)
		}
	}
	return c, nil
}

func silent(progress Progress) Progress {
	if progress == nil {
		return func(string) {}
	}
	return progress
}

// compile adds a circuit to the systems.
func (c *Ceremony) compile(name string) (*compiling.System, error) {
	c.progress("compile " + name)
	system, err := c.source.compile(name)
	if err != nil {
		return nil, err
	}
	c.systems = append(c.systems, system)
	return system, nil
}

// Transcript is what is written down so far. It must not be changed.
func (c *Ceremony) Transcript() *Transcript { return &c.transcript }

// phase is the number of the phase that is open, and what happened in it.
func (c *Ceremony) phase() (int, *Phase, error) {
	number := len(c.transcript.Phases)
	phase := &c.transcript.Phases[number-1]
	if phase.Beacon != nil {
		return 0, nil, errors.New("the ceremony is finished")
	}
	return number, phase, nil
}

func (c *Ceremony) statePath(phase, number int) string {
	return filepath.Join(c.dir, fmt.Sprintf("phase%d-%04d.state", phase, number))
}

// save writes the transcript.
func (c *Ceremony) save(place func(from, to string) error) error {
	if err := c.transcript.Validate(); err != nil {
		return err
	}
	data, err := credential.Canonical(c.transcript)
	if err != nil {
		return err
	}
	return writeFile(c.path, data, place)
}

func planned(s *compiling.System) PlannedCircuit {
	return PlannedCircuit{s.Circuit.Name, s.Circuit.Digest, s.Circuit.Constraints, s.Circuit.PublicInputs, domain(s.Circuit)}
}

// domain is how many roots of unity a circuit needs: the least power of two that is not below its constraints, and at
// least 2, as powers of tau begin with two.
func domain(c circuits.Circuit) int {
	return int(ecc.NextPowerOfTwo(uint64(max(c.Constraints, 2))))
}

// encodedKeys are the files of the keys of a circuit.
type encodedKeys struct{ verifying, proving []byte }

func encodeKeys(circuit circuits.Circuit, pk *groth16.ProvingKey, vk *groth16.VerifyingKey) (encodedKeys, error) {
	verifying, err := keys.NewVerifyingKey(circuit, vk)
	if err != nil {
		return encodedKeys{}, err
	}
	proving, err := keys.EncodeProvingKey(pk, verifying)
	return encodedKeys{verifying.Bytes(), proving}, err
}
