package issuers

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/statuslist"
)

var clock = func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func key(t testing.TB, seed byte) *jose.SigningKey {
	t.Helper()
	k, err := jose.FromSeed(append(make([]byte, 31), seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// published is what an issuer at an address says its keys are.
func published(issuer string, keys ...jose.PublicKey) string {
	var list []any
	for _, k := range keys {
		list = append(list, map[string]string{"kty": k.Type, "crv": k.Curve, "x": k.X, "y": k.Y, "kid": k.KeyID(), "use": "sig"})
	}
	text, err := json.Marshal(map[string]any{"issuer": issuer, "jwks": map[string]any{"keys": list}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestKeys(t *testing.T) {
	const issuer = "https://land.example/titles"
	k := key(t, 1).Public()
	good := published(issuer, k, key(t, 2).Public())
	if keys, err := parseKeys(issuer, []byte(good)); err != nil || len(keys) != 2 || keys[k.KeyID()] != k {
		t.Errorf("%v, %v", keys, err)
	}
	for name, text := range map[string]string{
		"of another":      published(issuer+"/", k),
		"no issuer":       `{"jwks":{"keys":[]}}`,
		"a kid twice":     published(issuer, k, k),
		"a member twice":  strings.Replace(good, `"issuer"`, `"issuer":"https://land.example/titles","issuer"`, 1),
		"no object":       `[]`,
		"keys of no list": `{"issuer":"` + issuer + `","jwks":{"keys":{}}}`,
		"cut":             good[:len(good)-1],
	} {
		if keys, err := parseKeys(issuer, []byte(text)); err == nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
	for name, text := range map[string]string{
		"for encryption": strings.Replace(published(issuer, k), `"sig"`, `"enc"`, 1),
		"of no kind":     strings.Replace(published(issuer, k), `"OKP"`, `"RSA"`, 1),
		"without kid":    strings.Replace(published(issuer, k), `"kid"`, `"kit"`, 1),
	} {
		if keys, err := parseKeys(issuer, []byte(text)); err != nil || len(keys) != 0 {
			t.Errorf("a key %s: %v, %v", name, keys, err)
		}
	}
}

// By itself it calls public addresses over https only, whatever the chain says of an issuer; over http nobody but this machine.
func TestWhomItCalls(t *testing.T) {
	called := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called = true
		_, _ = w.Write([]byte(published("http://"+r.Host, key(t, 1).Public())))
	}))
	defer server.Close()
	look := func(cfg egress.Config, issuer string) error {
		c, err := New(Config{Egress: cfg, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Key(t.Context(), issuer, key(t, 1).Public().KeyID())
		return err
	}
	loopback := egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	everything := egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	if err := look(egress.Config{}, server.URL); err == nil || called {
		t.Errorf("loopback was called: %v", err)
	}
	if err := look(loopback, server.URL); err != nil {
		t.Errorf("loopback, where it is allowed: %v", err)
	}
	for _, issuer := range []string{"http://192.0.2.1", "http://land.example", "ftp://127.0.0.1", "https://user@land.example", "x", ""} {
		if err := look(everything, issuer); err == nil {
			t.Errorf("%s was called", issuer)
		}
	}
	if err := look(everything, "http://192.0.2.1"); !strings.Contains(err.Error(), "neither https nor on this machine") {
		t.Errorf("over http, to elsewhere: %v", err)
	}
	if _, err := New(Config{Egress: egress.Config{Ports: []uint16{0}}}); err == nil {
		t.Error("a configuration that cannot be meant")
	}
}

// Many who wait are served by one call, and a site that fails is not asked again at once, by whoever comes.
func TestOneCallServesAll(t *testing.T) {
	var calls atomic.Int64
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		time.Sleep(20 * time.Millisecond)
		if down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(published("http://"+r.Host, key(t, 1).Public())))
	}))
	defer server.Close()
	var now atomic.Int64
	c, err := New(Config{
		Egress: egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Clock:  func() time.Time { return clock().Add(time.Duration(now.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (failed int64) {
		var count atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				// Whoever gives up does not take the answer away from others.
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if _, err := c.Key(ctx, server.URL, key(t, 1).Public().KeyID()); err != nil {
					count.Add(1)
				}
			})
		}
		all.Wait()
		return count.Load()
	}
	if failed := ask(); failed != 0 || calls.Load() != 1 {
		t.Errorf("%d of 20 failed, after %d calls", failed, calls.Load())
	}
	down.Store(true)
	now.Store(int64(2 * time.Minute))
	if failed := ask(); failed != 20 || calls.Load() != 2 {
		t.Errorf("%d of 20 failed, after %d calls", failed, calls.Load())
	}
	down.Store(false)
	if failed := ask(); failed != 20 || calls.Load() != 2 {
		t.Errorf("at once: %d of 20 failed, after %d calls", failed, calls.Load())
	}
	now.Add(int64(failPause))
	if failed := ask(); failed != 0 || calls.Load() != 3 {
		t.Errorf("later: %d of 20 failed, after %d calls", failed, calls.Load())
	}
}

// Whatever an issuer's site answers: no key of somebody else, and no status that its keys did not sign.
func FuzzIssuer(f *testing.F) {
	signer := key(f, 1)
	list, err := statuslist.New(2, 16)
	if err != nil {
		f.Fatal(err)
	}
	if err := list.Set(3, statuslist.Invalid); err != nil {
		f.Fatal(err)
	}
	var keys, token []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/") {
			_, _ = w.Write(keys)
			return
		}
		_, _ = w.Write(token)
	}))
	f.Cleanup(server.Close)
	const issuer = "http://127.0.0.1/a" // in texts that are kept; the server's port differs from run to run
	uri := server.URL + "/a/status-lists/1"
	good, err := (&statuslist.Token{URI: uri, IssuedAt: clock(), ExpiresAt: clock().Add(time.Hour), TTL: time.Minute, List: list}).Sign(signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(published(issuer, signer.Public())), []byte(good))
	f.Add([]byte(published(issuer, key(f, 2).Public())), []byte(good))
	f.Add([]byte(published("https://other.example", signer.Public())), []byte(good))
	f.Add([]byte(published(issuer, signer.Public(), signer.Public())), []byte("x"))
	for _, long := range fuzztest.Long([]byte(published(issuer, signer.Public()))) {
		f.Add(long, long)
	}
	f.Fuzz(func(t *testing.T, k, l []byte) {
		keys, token = []byte(strings.Replace(string(k), issuer, server.URL+"/a", 1)), l
		c, err := New(Config{Egress: egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		defer c.http.CloseIdleConnections()
		standing, err := c.Status(t.Context(), server.URL+"/a", statuslist.Reference{Index: 3, URI: uri})
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if got, err := parseKeys(server.URL+"/a", keys); err != nil || len(got) == 0 {
			t.Errorf("a status without keys: %v", err)
		}
		if string(l) != good || standing.Status != statuslist.Invalid {
			t.Errorf("the status is %s by the list %s", standing.Status, l)
		}
	})
}
