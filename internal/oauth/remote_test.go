package oauth_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

// provider is an OpenID provider whose answers a test may change.
type provider struct {
	*httptest.Server
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := new(provider)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		(*p.answer.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) answers(handle http.HandlerFunc) { p.answer.Store(&handle) }

// publishes answers with keys under names.
func (p *provider) publishes(keys map[string]*jose.SigningKey) {
	set := oauth.KeySet{}
	for name, key := range keys {
		set.Keys = append(set.Keys, oauth.PublishedKey{PublicKey: key.Public(), KeyID: name, Use: "sig", Algorithm: key.Public().Algorithm()})
	}
	text, _ := json.Marshal(set)
	p.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
}

func (p *provider) keys(t testing.TB, c *clock, change func(*oauth.RemoteConfig)) *oauth.RemoteKeys {
	t.Helper()
	cfg := oauth.RemoteConfig{Issuer: p.URL, KeysURL: p.URL + "/keys?v=1", Client: &http.Client{Timeout: 5 * time.Second}, Clock: c.Now, Logger: newWorld(t).logger}
	if change != nil {
		change(&cfg)
	}
	keys, err := oauth.NewRemoteKeys(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestRemoteKeys(t *testing.T) {
	var c clock
	p := newProvider(t)
	a, b := generated(t, jose.ES256), generated(t, jose.EdDSA)
	p.publishes(map[string]*jose.SigningKey{"a": a})
	keys := p.keys(t, &c, nil)
	look := func(step, id string, want error, asked int32) {
		t.Helper()
		if _, err := keys.Key(t.Context(), id); !errors.Is(err, want) || p.asked.Load() != asked {
			t.Errorf("%s: key %s: %v, want %v; asked %d times, want %d", step, id, err, want, p.asked.Load(), asked)
		}
	}
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	look("the first", "a", nil, 1)
	look("cached", "a", nil, 1)
	look("unknown, within the pause", "b", oauth.ErrUnknownKey, 1)
	p.publishes(map[string]*jose.SigningKey{"a": a, "b": b})
	look("still within it", "b", oauth.ErrUnknownKey, 1)
	c.pass(30 * time.Second)
	look("after the pause", "b", nil, 2)
	look("cached", "a", nil, 2)
	c.pass(30 * time.Second)
	look("unknown", "c", oauth.ErrUnknownKey, 3)
	look("unknown, a flood", "c", oauth.ErrUnknownKey, 3)
	p.publishes(map[string]*jose.SigningKey{"b": b})
	c.pass(time.Hour)
	look("fresh no more", "a", nil, 3) // an hour to the second
	c.pass(time.Second)
	look("taken back", "a", oauth.ErrUnknownKey, 4)
	p.answers(down)
	c.pass(2 * time.Hour)
	look("down", "b", nil, 5)
	look("down, within the pause", "b", nil, 5)
	c.pass(20 * time.Hour)
	look("down, unknown", "c", oauth.ErrUnknownKey, 6)
	c.pass(2 * time.Hour)
	look("a day", "b", nil, 7)
	c.pass(time.Second)
	look("more than a day", "b", oauth.ErrUnavailable, 7)
	c.pass(time.Minute)
	look("down still", "b", oauth.ErrUnavailable, 8)
	p.publishes(map[string]*jose.SigningKey{"b": b})
	look("up, within the pause", "b", oauth.ErrUnavailable, 8)
	c.pass(30 * time.Second)
	look("up", "b", nil, 9)
	if err := keys.Ready(t.Context()); err != nil || p.asked.Load() != 9 {
		t.Errorf("ready: %v", err)
	}
}

// What a provider may do wrong: nothing of it counts, and none of it replaces keys that we have.
func TestBadProvider(t *testing.T) {
	good := generated(t, jose.ES256)
	elsewhere := newProvider(t)
	elsewhere.publishes(map[string]*jose.SigningKey{"a": good})
	for name, answer := range map[string]http.HandlerFunc{
		"an error":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"a page":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"nothing":   func(http.ResponseWriter, *http.Request) {},
		"no keys":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) },
		"redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`+strings.Repeat(" ", 1<<20)+`]}`)
		},
		"huge once unpacked": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, strings.Repeat(" ", 64<<20))
			_ = z.Close()
		},
		"symmetric": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`)
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"keys":[]}`)
		},
		"says another length": func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = connection.Close()
			}
		},
	} {
		var c clock
		p := newProvider(t)
		p.answers(answer)
		keys := p.keys(t, &c, nil)
		if _, err := keys.Key(t.Context(), "a"); !errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("%s, at first: %v", name, err)
		}
		if err := keys.Ready(t.Context()); !errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("%s: ready: %v", name, err)
		}
		c.pass(time.Minute)
		p.publishes(map[string]*jose.SigningKey{"a": good})
		if _, err := keys.Key(t.Context(), "a"); err != nil {
			t.Errorf("%s, then good: %v", name, err)
		}
		c.pass(2 * time.Hour)
		p.answers(answer)
		if _, err := keys.Key(t.Context(), "a"); err != nil {
			t.Errorf("%s, later: %v", name, err)
		}
	}
	if elsewhere.asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// A slow provider holds up only who needs a key that we do not have, and those together, once.
func TestSlowProvider(t *testing.T) {
	var c clock
	p := newProvider(t)
	key := generated(t, jose.ES256)
	p.publishes(map[string]*jose.SigningKey{"a": key})
	keys := p.keys(t, &c, nil)
	if _, err := keys.Key(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}, 9), make(chan struct{})
	text, _ := json.Marshal(oauth.KeySet{Keys: []oauth.PublishedKey{{PublicKey: key.Public(), KeyID: "b"}}})
	p.answers(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = w.Write(text)
	})
	c.pass(time.Minute)
	left, leave := context.WithCancel(t.Context())
	results := make(chan error, 9)
	var wait sync.WaitGroup
	wait.Go(func() {
		_, err := keys.Key(left, "b") // who leaves does not stop the fetch
		results <- err
	})
	<-arrived
	leave()
	joined := make(chan struct{}, 9)
	for range 4 {
		wait.Go(func() {
			_, err := keys.Key(waiting{t.Context(), joined}, "b")
			results <- err
		})
	}
	for range 4 {
		<-joined // who came after the clock goes on would ask anew
	}
	if _, err := keys.Key(t.Context(), "a"); err != nil {
		t.Errorf("a key that we have: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := keys.Key(gone, "b"); !errors.Is(err, oauth.ErrUnavailable) {
		t.Errorf("who does not wait: %v", err)
	}
	c.pass(2 * time.Hour)
	if _, err := keys.Key(t.Context(), "a"); err != nil {
		t.Errorf("a key that we have, not fresh: %v", err)
	}
	close(release)
	wait.Wait()
	for range 5 {
		if err := <-results; err != nil {
			t.Errorf("who waited: %v", err)
		}
	}
	if got := p.asked.Load(); got != 2 {
		t.Errorf("asked %d times", got)
	}
}

// waiting is a context that tells when somebody waits for its end.
type waiting struct {
	context.Context
	joined chan<- struct{}
}

// Done tells so.
func (w waiting) Done() <-chan struct{} {
	w.joined <- struct{}{}
	return w.Context.Done()
}

func TestDiscovery(t *testing.T) {
	key := generated(t, jose.ES256)
	for name, c := range map[string]struct {
		discovery string // %[1]s: the provider
		want      error
	}{
		"good":             {`{"issuer":"%[1]s","jwks_uri":"%[1]s/keys","more":1}`, nil},
		"another issuer":   {`{"issuer":"%[1]s/","jwks_uri":"%[1]s/keys"}`, oauth.ErrUnavailable},
		"no issuer":        {`{"jwks_uri":"%[1]s/keys"}`, oauth.ErrUnavailable},
		"no keys":          {`{"issuer":"%[1]s"}`, oauth.ErrUnavailable},
		"keys over http":   {`{"issuer":"%[1]s","jwks_uri":"http://a.example/keys"}`, oauth.ErrUnavailable},
		"keys in a file":   {`{"issuer":"%[1]s","jwks_uri":"file:///etc/passwd"}`, oauth.ErrUnavailable},
		"not JSON":         {`issuer %[1]s`, oauth.ErrUnavailable},
		"far too large":    {`{"issuer":"%[1]s","jwks_uri":"%[1]s/keys"}` + strings.Repeat(" ", 64<<10), oauth.ErrUnavailable},
		"keys with a user": {`{"issuer":"%[1]s","jwks_uri":"https://u:p@a.example/keys"}`, oauth.ErrUnavailable},
	} {
		var cl clock
		p := newProvider(t)
		p.publishes(map[string]*jose.SigningKey{"a": key})
		published := *p.answer.Load()
		p.answers(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/.well-known/openid-configuration":
				fmt.Fprintf(w, c.discovery, p.URL)
			case "/keys":
				published(w, r)
			default:
				t.Errorf("%s: asked for %s", name, r.URL.Path)
			}
		})
		keys := p.keys(t, &cl, func(cfg *oauth.RemoteConfig) { cfg.KeysURL = "" })
		if _, err := keys.Key(t.Context(), "a"); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRemoteConfig(t *testing.T) {
	good := oauth.RemoteConfig{Issuer: "https://a.example", Client: http.DefaultClient, Clock: time.Now, Logger: newWorld(t).logger}
	for name, change := range map[string]func(*oauth.RemoteConfig){
		"no client":     func(c *oauth.RemoteConfig) { c.Client = nil },
		"no clock":      func(c *oauth.RemoteConfig) { c.Clock = nil },
		"no logger":     func(c *oauth.RemoteConfig) { c.Logger = nil },
		"HS256":         func(c *oauth.RemoteConfig) { c.Algorithms = []jose.Algorithm{"HS256"} },
		"none":          func(c *oauth.RemoteConfig) { c.Algorithms = []jose.Algorithm{"none"} },
		"http":          func(c *oauth.RemoteConfig) { c.Issuer = "http://a.example" },
		"keys by http":  func(c *oauth.RemoteConfig) { c.KeysURL = "http://a.example/keys" },
		"a long memory": func(c *oauth.RemoteConfig) { c.Stale = 8 * 24 * time.Hour },
		"no pause":      func(c *oauth.RemoteConfig) { c.Pause = time.Millisecond },
		"never stale":   func(c *oauth.RemoteConfig) { c.Stale = time.Minute },
	} {
		cfg := good
		change(&cfg)
		if _, err := oauth.NewRemoteKeys(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
	good.Algorithms = []jose.Algorithm{foreign.RS256}
	if _, err := oauth.NewRemoteKeys(good); err != nil {
		t.Error(err)
	}
}

// An officer of the agency's own provider does what the role says, from key set to HTTP.
func TestOfficerOverHTTP(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	key := generated(t, jose.ES256)
	p.publishes(map[string]*jose.SigningKey{"2026": key})
	cfg := w.resource()
	cfg.Providers = append(cfg.Providers, oauth.Provider{
		Issuer: p.URL, Audience: "bulla", Keys: p.keys(t, w.clock, nil),
		Roles: &oauth.Roles{Claim: []string{"groups"}, Scopes: map[string][]string{"/auditors": {read}}},
	})
	w.serve(cfg)
	now := start.Unix()
	for group, status := range map[string]int{"/auditors": 200, "/clerks": 403} {
		token, err := jose.SignHeader(key, members{"alg": "ES256", "kid": "2026", "typ": "at+jwt", "x5t": "x"}, members{
			"iss": p.URL, "sub": "li.na", "aud": "bulla", "azp": "console", "iat": now, "exp": now + 300, "groups": []string{group}})
		if err != nil {
			t.Fatal(err)
		}
		if a := w.who("Bearer", token, ""); a.status != status || status == 200 && a.member("Subject") != "li.na" {
			t.Errorf("%s: %+v", group, a)
		}
	}
}
