package keystore

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/jose"
)

func open(t *testing.T, dir, passphrase string) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir, Passphrase: passphrase, WorkFactor: 10})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecretsComeBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "right")
	key, err := s.SigningKey("signing", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.Random("records", 32)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put("plain", []byte("very secret words")); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir, "right")
	again, err := s.SigningKey("signing", jose.ES256)
	if err != nil || again.Public() != key.Public() {
		t.Errorf("signing key after reopening: %v, %v", again, err)
	}
	if back, err := s.Random("records", 32); err != nil || !bytes.Equal(back, secret) {
		t.Errorf("random secret after reopening: %v", err)
	}
	if _, err := s.Random("records", 16); err == nil {
		t.Error("a secret of another length was handed out")
	}
	if _, err := s.Get("nothing"); !errors.Is(err, ErrAbsent) {
		t.Errorf("absent secret: %v", err)
	}
}

func TestNothingInClear(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "the passphrase")
	if err := s.Put("plain", []byte("very secret words")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"very secret words", "the passphrase", "AGE-SECRET-KEY"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s has %q in clear", file, secret)
			}
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", file, info.Mode(), err)
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, "right")
	if err := s.Put("a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Passphrase: "wrong"}); err == nil || strings.Contains(err.Error(), "wrong\"") {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("an empty passphrase was taken")
	}
	for _, name := range []string{"", "identity", "../a", "A", "a.b", strings.Repeat("a", 101)} {
		if err := s.Put(name, nil); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
	if err := s.Put("large", make([]byte, MaxSecret+1)); err == nil {
		t.Error("a secret beyond the bound was taken")
	}
	// A file of another store, and one with a flipped bit.
	other := open(t, t.TempDir(), "right")
	if err := other.Put("a", []byte("y")); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(other.dir, "a.age"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.age"), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("a"); err == nil {
		t.Error("a file of another key store was read")
	}
}

func TestWriteFileReplacesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"first, and long", "second"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".new-*")); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}
