package verifier_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
)

func TestNewRefuses(t *testing.T) {
	w := newWorld(t)
	cases := map[string]func(*verifier.Config){
		"no DID":                func(c *verifier.Config) { c.DID = "bank" },
		"relative URL":          func(c *verifier.Config) { c.PublicURL = "/bulla" },
		"URL with query":        func(c *verifier.Config) { c.PublicURL += "?x" },
		"no signing key":        func(c *verifier.Config) { c.SigningKey = nil },
		"one key for both":      func(c *verifier.Config) { c.ResultKey = c.SigningKey },
		"no store":              func(c *verifier.Config) { c.Store = nil },
		"no policies":           func(c *verifier.Config) { c.Policies = nil },
		"another's policy":      func(c *verifier.Config) { c.DID = "did:web:other.example" },
		"a policy twice":        func(c *verifier.Config) { c.Policies = append(c.Policies, c.Policies[0]) },
		"a policy that is none": func(c *verifier.Config) { c.Policies[0].FreshnessSeconds = 0 },
		"unsatisfiable": func(c *verifier.Config) {
			for _, p := range c.Policies {
				p.SeveralPersons = false
			}
		},
		"a bad verifying key": func(c *verifier.Config) { c.VerifyingKeys[0] = c.VerifyingKeys[0][1:] },
		"a long life":         func(c *verifier.Config) { c.Lifetime = time.Hour },
	}
	for name, change := range cases {
		cfg := w.config()
		change(&cfg)
		if _, err := verifier.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What the chain does not have, or has otherwise, is refused with what to do.
func TestStanding(t *testing.T) {
	cases := []struct {
		name   string
		change func(*world)
		code   string
		words  string
	}{
		{"verifier not registered", func(w *world) { w.ledger.registry.Verifiers = nil }, verifier.NotRegistered, "ask governance"},
		{"another key registered", func(w *world) {
			w.ledger.registry.Verifiers[0].Keys = []jose.PublicKey{newKey(w.t, 9).Public()}
		}, verifier.NotRegistered, "ask governance"},
		{"another address registered", func(w *world) {
			w.ledger.registry.Verifiers[0].ResponseURIs = []string{"https://verify.example/other/"}
		}, verifier.NotRegistered, "public URL"},
		{"policy not registered", func(w *world) { w.ledger.registry.Policies = nil }, verifier.PolicyNotRegistered, "Verifier.Register"},
		{"another policy registered", func(w *world) { w.ledger.registry.Policies[0].Digest[0]++ }, verifier.PolicyNotRegistered, "Verifier.Register"},
		{"schema gone", func(w *world) { w.ledger.registry.Schemas = nil }, verifier.PolicyUnprovable, "change the policy"},
		{"no issuer in good standing", func(w *world) {
			w.ledger.registry.Issuers[0].Suspended, w.ledger.registry.Issuers[1].Suspended = true, true
		}, verifier.NoIssuer, "good standing"},
		{"no verifying key", func(w *world) { w.ledger.registry.VerifyingKeys = nil }, verifier.NoVerifyingKey, "get the key"},
		{"the key ends before the request", func(w *world) {
			w.ledger.registry.VerifyingKeys[0].NotAfter = credential.UnixTimeOf(w.clock.Now().Add(time.Minute))
		}, verifier.NoVerifyingKey, "get the key"},
		{"a development key on a real chain", func(w *world) { w.ledger.genesis.Dev = false }, verifier.NoVerifyingKey, "get the key"},
	}
	for _, c := range cases {
		w := newWorld(t)
		c.change(w)
		w.clock.advance(2 * time.Second)
		w.seal()
		_, err := w.verifier.Start(t.Context(), "app", "residence", 0)
		var notReady *verifier.NotReadyError
		if !errors.As(err, &notReady) || notReady.Code != c.code || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestLyingLedger(t *testing.T) {
	w := newWorld(t)
	if _, err := w.verifier.Start(t.Context(), "app", "residence", 0); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Second)
	w.ledger.fail(errors.New("connection refused"))
	if _, err := w.verifier.Start(t.Context(), "app", "residence", 0); err != nil {
		t.Errorf("ledger silent: %v", err)
	}
	w.ledger.fail(client.ErrFork)
	if _, err := w.verifier.Start(t.Context(), "app", "residence", 0); !errors.Is(err, client.ErrFork) {
		t.Errorf("ledger with two histories: %v", err)
	}
}

func TestSharedScopes(t *testing.T) {
	shared := func(once bool, scope entry.RegisteredScope) error {
		w := newWorld(t)
		index := int64(77)
		cfg := w.config()
		cfg.Policies[0].Queries[0].Scope = &policy.Scope{Shared: &index, Once: once}
		cfg.Policies = cfg.Policies[:1]
		digest, err := cfg.Policies[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		w.ledger.registry.Policies[0].Digest = digest
		w.ledger.registry.Scopes = []entry.RegisteredScope{scope}
		w.seal()
		v, err := verifier.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Start(t.Context(), "app", "residence", 0)
		return err
	}
	ours := entry.RegisteredScope{Entry: 77, Service: "s", Consumer: bank, Verifiers: []string{bank, "did:web:other.example"}}
	theirs, none := ours, ours
	theirs.Consumer, none.Verifiers = "did:web:other.example", []string{"did:web:other.example"}
	for name, c := range map[string]struct {
		once  bool
		scope entry.RegisteredScope
		ok    bool
	}{
		"we consume it": {true, ours, true}, "they consume it, we only ask": {false, theirs, true},
		"they consume it, we want once": {true, theirs, false}, "it is not ours": {false, none, false},
	} {
		if err := shared(c.once, c.scope); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadPolicies(t *testing.T) {
	dir := t.TempDir()
	for _, p := range policies()[:2] {
		text, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p.ID+".json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := verifier.LoadPolicies(dir)
	if err != nil || len(loaded) != 2 || loaded[0].ID != "land" {
		t.Errorf("%v, %v", loaded, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "z.json"), []byte(`{"version":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.LoadPolicies(dir); err == nil || !strings.Contains(err.Error(), "z.json") {
		t.Errorf("bad policy: %v", err)
	}

	sets := filepath.Join(dir, "sets")
	if list, err := verifier.LoadSets(sets); err != nil || len(list) != 0 {
		t.Errorf("sets of a folder that is not there: %v, %v", list, err)
	}
	if err := os.Mkdir(sets, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a.json": `{"version": 1, "kind": "values", "name": {"en": "Letters"}, "members": ["a", "b"]}`, "readme.txt": "x",
	} {
		if err := os.WriteFile(filepath.Join(sets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := verifier.LoadSets(sets); err != nil || len(list) != 1 || !list[0].Has("b") {
		t.Errorf("%v, %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(sets, "b.json"), []byte(`{"version":1,"kind":"values","name":{"en":"x"},"members":["b","a"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.LoadSets(sets); err == nil || !strings.Contains(err.Error(), "b.json") || !strings.Contains(err.Error(), "ascending") {
		t.Errorf("bad set: %v", err)
	}
}
