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
