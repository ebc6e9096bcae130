package oauth_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

func TestRotation(t *testing.T) {
	w := newWorld(t)
	old, next := generated(t, jose.EdDSA), generated(t, jose.ES256)
	begins := start.Add(time.Hour)
	if err := w.ring.Replace(oauth.RingKey{Key: next, From: begins}, oauth.RingKey{Key: old}); err != nil {
		t.Fatal(err)
	}
	issue := func() string { return w.ask("desk", form()).member("access_token") }
	signer := func(token string) string {
		header, _, err := jose.PeekCompact(token)
		if err != nil {
			t.Fatal(err)
		}
		return header.KeyID
	}
	published := func() int { return len(w.ring.Document().Keys) }
	if signer(issue()) != old.Public().KeyID() || published() != 2 {
		t.Error("the next key is announced, and does not sign")
	}
	w.clock.pass(time.Hour - time.Second)
	last := issue()
	if signer(last) != old.Public().KeyID() {
		t.Error("the next key signs before its time")
	}
	w.clock.pass(time.Second)
	if signer(issue()) != next.Public().KeyID() {
		t.Error("the next key does not sign in its time")
	}
	w.clock.pass(10 * time.Minute)
	if a := w.who("Bearer", last, ""); a.status != 200 || published() != 2 {
		t.Errorf("the last token of the old key: %+v", a)
	}
	w.clock.pass(50 * time.Minute)
	if _, err := w.ring.Key(t.Context(), old.Public().KeyID()); err != nil {
		t.Errorf("at the end of the overlap: %v", err)
	}
	w.clock.pass(time.Second)
	if _, err := w.ring.Key(t.Context(), old.Public().KeyID()); !errors.Is(err, oauth.ErrUnknownKey) || published() != 1 {
		t.Errorf("after the overlap: %v", err)
	}
}

// A key that is taken out takes its tokens with it.
func TestLeakedKey(t *testing.T) {
	w := newWorld(t)
	token := w.ask("desk", form()).member("access_token")
	if a := w.who("Bearer", token, ""); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	if err := w.ring.Replace(oauth.RingKey{Key: generated(t, jose.EdDSA)}); err != nil {
		t.Fatal(err)
	}
	if a := w.who("Bearer", token, ""); a.member("code") != "token-invalid" {
		t.Errorf("%+v", a)
	}
}

func TestRingRefuses(t *testing.T) {
	key, other := generated(t, jose.EdDSA), generated(t, jose.EdDSA)
	now := func() time.Time { return start }
	for name, keys := range map[string][]oauth.RingKey{
		"none":                {},
		"none that has begun": {{Key: key, From: start.Add(time.Second)}},
		"no key":              {{}},
		"one twice":           {{Key: key}, {Key: key, From: start}},
		"two at a time":       {{Key: key, From: start}, {Key: other, From: start}},
		"far too many":        make([]oauth.RingKey, 9),
	} {
		if _, err := oauth.NewKeyRing(time.Hour, now, keys...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := oauth.NewKeyRing(time.Second, now, oauth.RingKey{Key: key}); err == nil {
		t.Error("an overlap of a second: accepted")
	}
}

func TestRingRace(t *testing.T) {
	w := newWorld(t)
	a, b := generated(t, jose.EdDSA), generated(t, jose.ES256)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 20 {
				if err := w.ring.Replace(oauth.RingKey{Key: a}, oauth.RingKey{Key: b, From: start}); err != nil {
					t.Error(err)
				}
				token, err := w.mint.Issue(oauth.Grant{Client: "desk", Scopes: []string{read}, Lifetime: time.Minute})
				if err != nil || token == "" || len(w.ring.Document().Keys) == 0 {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

// No token outlives the key that signs it.
func TestMintRefuses(t *testing.T) {
	w := newWorld(t)
	for name, g := range map[string]oauth.Grant{
		"too long": {Client: "desk", Scopes: []string{read}, Lifetime: time.Hour + time.Second},
		"no time":  {Client: "desk", Scopes: []string{read}},
		"a scope":  {Client: "desk", Scopes: []string{"a b"}, Lifetime: time.Minute},
	} {
		if _, err := w.mint.Issue(g); err == nil {
			t.Errorf("%s: issued", name)
		}
	}
	cfg := w.serverConfig()
	for name, change := range map[string]func(*oauth.ServerConfig){
		"lifetime beyond the overlap": func(c *oauth.ServerConfig) { c.Lifetime = time.Hour },
		"no clients":                  func(c *oauth.ServerConfig) { c.Clients = nil },
		"no store":                    func(c *oauth.ServerConfig) { c.Assertions = nil },
		"plain http":                  func(c *oauth.ServerConfig) { c.TokenURL = "http://a.example/token" },
		"no issuer":                   func(c *oauth.ServerConfig) { c.Mint.Issuer = "" },
		"no keys":                     func(c *oauth.ServerConfig) { c.Mint.Keys = nil },
		"a scope twice":               func(c *oauth.ServerConfig) { c.Scopes = []string{read, read} },
	} {
		bad := cfg
		change(&bad)
		if _, err := oauth.NewServer(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestClientRefused(t *testing.T) {
	_, digest := oauth.NewSecret()
	good := oauth.Client{ID: "desk", Secrets: []credential.Digest{digest}, Scopes: []string{read}}
	if _, err := oauth.NewFixed(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*oauth.Client){
		"no id":           func(c *oauth.Client) { c.ID = "" },
		"a space":         func(c *oauth.Client) { c.ID = "a b" },
		"a colon":         func(c *oauth.Client) { c.ID = "a:b" },
		"a long id":       func(c *oauth.Client) { c.ID = string(make([]byte, 65)) },
		"no way in":       func(c *oauth.Client) { c.Secrets = nil },
		"an empty secret": func(c *oauth.Client) { c.Secrets = append(c.Secrets, credential.Digest{}) },
		"three secrets":   func(c *oauth.Client) { c.Secrets = []credential.Digest{digest, digest, digest} },
		"RSA":             func(c *oauth.Client) { c.Keys = []foreign.Key{{Algorithm: foreign.RS256}} },
		"no scope":        func(c *oauth.Client) { c.Scopes = []string{""} },
		"a scope twice":   func(c *oauth.Client) { c.Scopes = []string{read, read} },
	} {
		bad := good
		change(&bad)
		if _, err := oauth.NewFixed(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := oauth.NewFixed(good, good); err == nil {
		t.Error("one twice: accepted")
	}
}
