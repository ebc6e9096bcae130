package checkpoint_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/ledger/checkpoint"
)

// What is read is canonical; what is believed has seals without gaps and the registry of each.
func FuzzParseExcerpt(f *testing.F) {
	profile, err := checkpoint.ReadProfile("testdata/profile.json")
	if err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile("testdata/excerpt.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"registries":[`), []byte(`"registries":[null,`), 1))
	f.Add(bytes.Replace(good, []byte(`"seals":[`), []byte(`"seals":["",`), 1))
	f.Add(bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := checkpoint.ParseExcerpt(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := credential.Canonical(e); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("a second spelling was read: %v", err)
		}
		chain, err := e.Verify(profile, nil)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for i, s := range chain.Seals {
			if chain.RegistryAt(s) == nil || i > 0 && s.Follows(chain.Seals[i-1]) != nil {
				t.Errorf("seal %d is believed", s.Height)
			}
		}
	})
}

// The kept excerpt is believed: the target above would prove little otherwise.
func TestKeptExcerpt(t *testing.T) {
	profile, err := checkpoint.ReadProfile("testdata/profile.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/excerpt.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := checkpoint.ParseExcerpt(text)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := e.Verify(profile, nil)
	if err != nil || len(chain.Seals) != 2 || chain.Genesis.Dev {
		t.Fatalf("%+v, %v", chain, err)
	}
}
