package keystore

import (
	"errors"
	"testing"
)

func TestDeletedSecretsAreGone(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir(), Passphrase: "open", WorkFactor: 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put("old", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Delete("old"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get("old"); !errors.Is(err, ErrAbsent) {
			t.Errorf("after deleting it: %v", err)
		}
	}
	if err := s.Delete("../old"); err == nil {
		t.Error("a path was taken for a name")
	}
}

func TestChangedPassphraseOpensTheSameSecrets(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir, Passphrase: "old", WorkFactor: 4})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put("key", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if err := s.ChangePassphrase("", 4); err == nil {
		t.Error("an empty passphrase was taken")
	}
	if err := s.ChangePassphrase("new", 4); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, Passphrase: "old"}); err == nil {
		t.Error("the old passphrase still opens the store")
	}
	again, err := Open(Config{Dir: dir, Passphrase: "new"})
	if err != nil {
		t.Fatal(err)
	}
	if secret, err := again.Get("key"); err != nil || string(secret) != "secret" {
		t.Errorf("%q, %v", secret, err)
	}
}
