package proofs_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/testvectors/proofs"
	"github.com/bulla-id/bulla/testvectors/statements"
)

func readStatements(t *testing.T) *statements.File {
	t.Helper()
	file, err := statements.Read("../statements.json")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Every case is refused by the layer that it names.
func TestCases(t *testing.T) {
	file := readStatements(t)
	for circuit, folder := range map[string]string{circuits.Presentation: "presentation", circuits.Enrolment: "enrolment"} {
		made, err := proofs.Load(".", circuit, file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(folder, "cases.json"))
		if err != nil {
			t.Fatal(err)
		}
		var cases []proofs.Case
		if err := json.Unmarshal(text, &cases); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, c := range cases {
			if c.Public == nil {
				c.Public = cases[0].Public
			}
			if layer := refusal(t, made, c); layer != c.Expect {
				t.Errorf("%s, %s: refused by %q, want %q", circuit, c.Name, layer, c.Expect)
			}
			seen[c.Expect] = true
		}
		if len(seen) != 4 {
			t.Errorf("%s: the cases name %d layers, want 4", circuit, len(seen))
		}
	}
}

// refusal is the layer that refuses a case.
func refusal(t *testing.T, made *proofs.Made, c proofs.Case) string {
	t.Helper()
	public := make([]credential.Element, len(c.Public))
	for i, text := range c.Public {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if public[i], err = credential.ParseElement(b); err != nil {
			return proofs.Encoding
		}
	}
	proof, err := base64.RawURLEncoding.DecodeString(c.Proof)
	if err != nil {
		t.Fatal(err)
	}
	err = verifying.Verify(made.Key, public, proof)
	switch {
	case err == nil:
		return proofs.Accepted
	case errors.Is(err, verifying.ErrProofMalformed):
		return proofs.Malformed
	case errors.Is(err, verifying.ErrProofInvalid):
		return proofs.Invalid
	}
	t.Fatalf("%s: %v", c.Name, err)
	return ""
}

// Everything but key and proof follows from them.
func TestFilesAreWhatTheGeneratorWrites(t *testing.T) {
	file, dir := readStatements(t), t.TempDir()
	for _, folder := range []string{"presentation", "enrolment"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
	}
	if err := proofs.Derive(dir, file); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"presentation", "enrolment"} {
		want, got := tree(t, folder), tree(t, filepath.Join(dir, folder))
		if len(want) != len(got) {
			t.Errorf("%s: %d files, the generator writes %d", folder, len(want), len(got))
		}
		for name, data := range got {
			if !bytes.Equal(data, want[name]) {
				t.Errorf("%s/%s is stale: run go generate ./testvectors", folder, name)
			}
		}
	}
}

func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, root := make(map[string][]byte), os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = fs.ReadFile(root, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestMake(t *testing.T) {
	if testing.Short() {
		t.Skip("sets up keys")
	}
	file, dir := readStatements(t), t.TempDir()
	if err := proofs.Make(t.Context(), dir, file); err != nil {
		t.Fatal(err)
	}
	if err := proofs.Derive(dir, file); err != nil {
		t.Fatal(err)
	}
}
