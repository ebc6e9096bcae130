package verifier_test

import (
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// published are the keys of results, as an application fetches them.
func (w *world) published(t *testing.T) []jose.PublicKey {
	t.Helper()
	r := w.call("GET", "/jwks.json", "", "", "")
	if got := r.Header().Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control %q", got)
	}
	var keys []jose.PublicKey
	for _, k := range decode[struct {
		Keys []struct {
			jose.PublicKey
			ID  string `json:"kid"`
			Use string `json:"use"`
		}
	}](t, r, 200).Keys {
		if k.ID != k.KeyID() || k.Use != "sig" {
			t.Errorf("key %s is published as %s for %q", k.KeyID(), k.ID, k.Use)
		}
		keys = append(keys, k.PublicKey)
	}
	return keys
}

// Results stay good over a rotation, with the keys of before and of after it, and no other key makes one.
func TestRotatingResultKeys(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	first, second, third, stranger := w.results, newKey(t, 12), newKey(t, 13), newKey(t, 14)
	next := func(k *jose.SigningKey) *jose.PublicKey { public := k.Public(); return &public }
	ask := func() (token, session string) {
		t.Helper()
		w.seal() // so that the root is fresh
		started, request, id := w.begin("residence")
		if err := w.respond(id, request, w.answer(request, me)); err != nil {
			t.Fatal(err)
		}
		return w.status(started.ID).Result, started.ID
	}
	good := func(token, session string, keys ...jose.PublicKey) bool {
		_, err := check.VerifyResult(token, jose.Keys(keys...), check.Expected{Verifier: bank, Audience: "app", Session: session, Now: w.clock.Now()})
		return err == nil
	}
	want := func(keys ...*jose.SigningKey) []jose.PublicKey {
		t.Helper()
		var list []jose.PublicKey
		for _, k := range keys {
			list = append(list, k.Public())
		}
		got := w.published(t)
		if !slices.Equal(got, list) {
			t.Errorf("%d keys are published, want %d", len(got), len(list))
		}
		return got
	}

	w.with(func(c *verifier.Config) { c.NextResultKey = next(second) })
	before := want(first, second)
	old, oldSession := ask()
	if !good(old, oldSession, before...) {
		t.Error("a result is not good before the rotation")
	}
	w.clock.advance(10 * time.Minute)
	rotated := w.clock.Now()
	after := func(c *verifier.Config) {
		c.ResultKey, c.NextResultKey, c.RetiredResultKeys = second, next(third), []verifier.RetiredKey{{Key: first.Public(), At: rotated}}
	}
	w.with(after)
	now := want(second, third, first)
	fresh, freshSession := ask()
	if !good(old, oldSession, now...) || !good(fresh, freshSession, now...) || !good(fresh, freshSession, before...) {
		t.Error("a result is not good in the overlap, with the keys of now or those fetched before")
	}
	if good(old, oldSession, second.Public(), third.Public()) {
		t.Error("a result is good without its key")
	}
	w.with(func(c *verifier.Config) { after(c); c.ResultKey = stranger })
	foreign, foreignSession := ask()
	w.with(after)
	if good(foreign, foreignSession, now...) || !good(foreign, foreignSession, stranger.Public()) {
		t.Error("a stranger's result is good")
	}

	w.clock.advance(time.Hour + 5*time.Minute - time.Second) // the last result of the old key expires, and caches
	want(second, third, first)
	w.clock.advance(time.Second)
	last := want(second, third)
	if good(old, oldSession, last...) {
		t.Error("a result of a key that is published no longer is good")
	}
}

func TestResultKeysRefused(t *testing.T) {
	w := newWorld(t)
	public := func(k *jose.SigningKey) jose.PublicKey { return k.Public() }
	next, signing := public(w.results), public(w.signing)
	for name, change := range map[string]func(*verifier.Config){
		"the next one signs":       func(c *verifier.Config) { c.NextResultKey = &next },
		"the next one is asked by": func(c *verifier.Config) { c.NextResultKey = &signing },
		"a retired one signs":      func(c *verifier.Config) { c.RetiredResultKeys = []verifier.RetiredKey{{Key: next, At: w.clock.Now()}} },
		"a retired one is no key":  func(c *verifier.Config) { c.RetiredResultKeys = []verifier.RetiredKey{{At: w.clock.Now()}} },
		"two retired ones the same": func(c *verifier.Config) {
			k := verifier.RetiredKey{Key: public(newKey(t, 9))}
			c.RetiredResultKeys = []verifier.RetiredKey{k, k}
		},
		"too many": func(c *verifier.Config) {
			for i := range byte(31) {
				c.RetiredResultKeys = append(c.RetiredResultKeys, verifier.RetiredKey{Key: public(newKey(t, 20+i))})
			}
		},
	} {
		cfg := w.config()
		change(&cfg)
		if _, err := verifier.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
