// Package proofs makes and checks the vectors of proofs: for each circuit a folder with
//
//	verifying.key   a development verifying key, as package keys writes it
//	proof.txt       a proof, base64url
//	cases.json      proofs and public inputs, good and bad, with the layer that refuses, in our own forms
//	vkey.json, public.json, proof.json
//	                key, public inputs and proof in the layout of snarkjs
//	bad/NAME/       public.json and proof.json of those bad cases that the layout of snarkjs can express
//
// Setup and proving are randomised: [Make] makes key and proof anew, and forgets the proving key. Everything else
// follows from these two files and from statements.json, so [Derive] writes it again without a change. Only the
// generator and tests import this package.
package proofs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/testvectors/statements"
)

// folders are where the vectors of a circuit lie.
var folders = map[string]string{circuits.Presentation: "presentation", circuits.Enrolment: "enrolment"}

// Make sets up development keys, proves one statement of statements.json for each circuit, and writes key and proof
// below dir. It takes some seconds.
func Make(ctx context.Context, dir string, file *statements.File) error {
	temporary, err := os.MkdirTemp("", "bulla-vectors-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	development, err := setup.Develop(ctx, temporary, nil)
	if err != nil {
		return err
	}
	for circuit, folder := range folders {
		proof, err := prove(ctx, development, circuit, file)
		if err != nil {
			return fmt.Errorf("vectors of %s: %w", circuit, err)
		}
		vk, err := development.VerifyingKey(circuit)
		if err != nil {
			return err
		}
		text := base64.RawURLEncoding.EncodeToString(proof) + "\n"
		if err := write(filepath.Join(dir, folder), map[string][]byte{"verifying.key": vk.Bytes(), "proof.txt": []byte(text)}); err != nil {
			return err
		}
	}
	return nil
}

func prove(ctx context.Context, development *setup.Development, circuit string, file *statements.File) ([]byte, error) {
	key, err := development.ProvingKey(circuit)
	if err != nil {
		return nil, err
	}
	prover, err := proving.New(proving.Config{Key: key})
	if err != nil {
		return nil, err
	}
	if circuit == circuits.Enrolment {
		v, err := file.Enrols()
		if err != nil {
			return nil, err
		}
		public, err1 := v.Public.Parse()
		private, err2 := v.Private.Parse()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return prover.ProveEnrolment(ctx, public, private)
	}
	v, err := file.Full()
	if err != nil {
		return nil, err
	}
	public, err1 := v.Public.Parse()
	private, err2 := v.Private.Parse(file.Paths)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return prover.ProvePresentation(ctx, public, private)
}

// publicInputs are those of the statement that is proven.
func publicInputs(circuit string, file *statements.File) ([]credential.Element, error) {
	if circuit == circuits.Enrolment {
		v, err := file.Enrols()
		if err != nil {
			return nil, err
		}
		public, err := v.Public.Parse()
		return public.Vector(), err
	}
	v, err := file.Full()
	if err != nil {
		return nil, err
	}
	public, err := v.Public.Parse()
	return public.Vector(), err
}

// Made is what cannot be made twice alike.
type Made struct {
	Key    *keys.VerifyingKey
	Public []credential.Element
	Proof  []byte
}

// Load reads key and proof of a circuit below dir, and checks that the key is of the published circuit and the proof
// proves the statement.
func Load(dir, circuit string, file *statements.File) (*Made, error) {
	folder := filepath.Join(dir, folders[circuit])
	data, err := os.ReadFile(filepath.Join(folder, "verifying.key"))
	if err != nil {
		return nil, err
	}
	m := new(Made)
	if m.Key, err = keys.ParseVerifyingKey(data); err != nil {
		return nil, fmt.Errorf("%w; if a circuit changed, make the vectors of proofs anew: go run ./testvectors/generate -proofs", err)
	}
	if m.Key.Name() != circuit {
		return nil, fmt.Errorf("verifying key of %s, want %s", m.Key.Name(), circuit)
	}
	text, err := os.ReadFile(filepath.Join(folder, "proof.txt"))
	if err != nil {
		return nil, err
	}
	line, ended := strings.CutSuffix(string(text), "\n")
	if m.Proof, err = credential.ParseBase64(line, verifying.ProofSize); err != nil || !ended {
		return nil, fmt.Errorf("proof.txt of %s: %w", circuit, errors.Join(err, credential.ErrNotCanonical))
	}
	if m.Public, err = publicInputs(circuit, file); err != nil {
		return nil, err
	}
	if err := verifying.Verify(m.Key, m.Public, m.Proof); err != nil {
		return nil, fmt.Errorf("committed proof of %s: %w", circuit, err)
	}
	return m, nil
}

// Derive loads what [Make] made and writes everything that follows from it.
func Derive(dir string, file *statements.File) error {
	for circuit, folder := range folders {
		m, err := Load(dir, circuit, file)
		if err != nil {
			return fmt.Errorf("vectors of %s: %w", circuit, err)
		}
		files, err := m.files()
		if err != nil {
			return fmt.Errorf("vectors of %s: %w", circuit, err)
		}
		if err := os.RemoveAll(filepath.Join(dir, folder, "bad")); err != nil {
			return err
		}
		if err := write(filepath.Join(dir, folder), files); err != nil {
			return err
		}
	}
	return nil
}

// write writes files, by their paths below a folder.
func write(folder string, files map[string][]byte) error {
	for name, data := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// encode is JSON with a case a line.
func encode(cases []Case) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteString("[\n")
	for i, c := range cases {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		buf.Write(line)
		if i < len(cases)-1 {
			buf.WriteByte(',')
		}
		buf.WriteByte('\n')
	}
	buf.WriteString("]\n")
	return buf.Bytes(), nil
}
