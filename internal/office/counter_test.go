package office

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/client"
)

// The pass of a counter is signed by the office's registered key, and its folder is of one counter for life.
func TestCounterFolder(t *testing.T) {
	dir := t.TempDir()
	office := filepath.Join(dir, "bank")
	public, err := MakeKeys(KeysConfig{Dir: office, Role: Verifier, Name: "did:web:bank.example", Passphrase: "office", WorkFactor: 8})
	if err != nil {
		t.Fatal(err)
	}
	key, did, err := VerifierKey(office, "office")
	if err != nil || did != "did:web:bank.example" || key.Public() != *public.Key {
		t.Fatalf("%s, %v", did, err)
	}
	if _, _, err := VerifierKey(office, "wrong"); err == nil {
		t.Error("the office opens with another passphrase")
	}
	folder := CounterFolder(filepath.Join(dir, "desk"))
	if _, err := folder.Load("clerk"); err == nil || !strings.Contains(err.Error(), "counter open makes one") {
		t.Errorf("no counter: %v", err)
	}
	cfg := CounterConfig{
		Name: "desk-3", Verifier: did, Signing: key, Profile: client.Profile{Genesis: credential.DigestOf([]byte("g"))},
		Passphrase: "clerk", WorkFactor: 8, Lifetime: 7 * 24 * time.Hour,
	}
	first, err := folder.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	token, err := readFile(folder.file(counterPass))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.VerifyWith(string(token), "bulla-counter-pass", key.Public()); err != nil || first.Key == key.Public() {
		t.Errorf("the pass: %v", err)
	}
	renewed, err := folder.Open(cfg)
	if err != nil || renewed.Key != first.Key {
		t.Errorf("renewed for another key: %v", err)
	}
	for name, change := range map[string]func(*CounterConfig){
		"another name":       func(c *CounterConfig) { c.Name = "desk-4" },
		"another verifier":   func(c *CounterConfig) { c.Verifier = "did:web:x.example" },
		"another chain":      func(c *CounterConfig) { c.Profile.Genesis = credential.DigestOf([]byte("h")) },
		"another passphrase": func(c *CounterConfig) { c.Passphrase = "thief" },
		"31 days":            func(c *CounterConfig) { c.Lifetime = 31 * 24 * time.Hour },
		"no time":            func(c *CounterConfig) { c.Lifetime = 0 },
	} {
		other := cfg
		change(&other)
		if _, err := folder.Open(other); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := folder.Load("clerk"); err == nil {
		t.Error("a counter without a copy of the chain was loaded")
	}
}
