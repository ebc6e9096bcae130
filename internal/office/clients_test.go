package office

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/client"
)

func TestClientsOfAConfiguration(t *testing.T) {
	good := IssuerConfig{Clients: []ClientConfig{{ID: "registry", Name: "Registry", Secrets: []credential.Digest{credential.DigestOf([]byte("secret"))}, Roles: []string{"clerk", "auditor"}}}}
	clients, err := clientsOf(good.Clients, issuer.Roles)
	if err != nil {
		t.Fatal(err)
	}
	found, err := clients.Find(context.Background(), "registry")
	if err != nil || len(found.Scopes) != len(issuer.Roles["clerk"])+1 { // the auditor's others are the clerk's
		t.Errorf("%+v, %v", found, err)
	}
	if none, err := clientsOf(nil, issuer.Roles); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
	for name, change := range map[string]func(*IssuerConfig){
		"an unknown role":         func(c *IssuerConfig) { c.Clients[0].Roles = []string{"king"} },
		"no secret":               func(c *IssuerConfig) { c.Clients[0].Secrets = nil },
		"a key that is none":      func(c *IssuerConfig) { c.Clients[0].Keys = []json.RawMessage{[]byte(`{"kty":"oct","k":"AAAA"}`)} },
		"an id with a space":      func(c *IssuerConfig) { c.Clients[0].ID = "a b" },
		"the same twice":          func(c *IssuerConfig) { c.Clients = append(c.Clients, c.Clients[0]) },
		"a provider without keys": func(c *IssuerConfig) { c.Provider = &ProviderConfig{Issuer: "https://id.example"} },
		"a provider's king": func(c *IssuerConfig) {
			c.Provider = &ProviderConfig{Issuer: "https://id.example", Audience: "api", Claim: []string{"roles"}, Roles: map[string][]string{"x": {"king"}}}
		},
		"a provider inside":          func(c *IssuerConfig) { c.Provider = provider("https://10.8.0.1") },
		"a provider of this machine": func(c *IssuerConfig) { c.Provider = provider("http://127.0.0.1:8080") },
		"a network of two spellings": func(c *IssuerConfig) { c.Provider = provider("https://10.8.0.1", "10.8.0.1/16") },
	} {
		c := IssuerConfig{Clients: []ClientConfig{good.Clients[0]}}
		change(&c)
		if err := validateAccess(c.Clients, c.Provider, issuer.Roles); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func provider(issuer string, networks ...string) *ProviderConfig {
	p := &ProviderConfig{Issuer: issuer, Audience: "api", Claim: []string{"roles"}, Roles: map[string][]string{"officer": {"clerk"}}}
	for _, n := range networks {
		p.Networks = append(p.Networks, netip.MustParsePrefix(n))
	}
	return p
}

func TestProvidersThatAreTaken(t *testing.T) {
	for _, p := range []*ProviderConfig{
		provider("https://id.example"), provider("https://id.example:8443/realms/city"), provider("https://10.8.0.1", "10.8.0.0/16"), provider("http://127.0.0.1:8080", "127.0.0.0/8"),
	} {
		if err := validateAccess(nil, p, issuer.Roles); err != nil {
			t.Errorf("%s: %v", p.Issuer, err)
		}
	}
}

// A provider names the address of its keys. It must not send us to one that the operator did not allow, by name or by redirect.
func TestProviderSendsUsNowhere(t *testing.T) {
	var inside atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	secret := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		fmt.Fprint(w, providerKeys(t))
	}))
	secret.Listener.Close()
	secret.Listener = l
	secret.Start()
	defer secret.Close()
	for name, c := range map[string]struct {
		keys func(own string) string // their address
		good bool
	}{
		"its own":  {func(own string) string { return own + "/keys" }, true},
		"another":  {func(string) string { return secret.URL }, false},
		"redirect": {func(own string) string { return own + "/away" }, false},
	} {
		mux := http.NewServeMux()
		server := httptest.NewServer(mux)
		mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, c.keys(server.URL))
		})
		mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, providerKeys(t)) })
		mux.Handle("/away", http.RedirectHandler(secret.URL, http.StatusFound))
		p, fetched, err := provider(server.URL, "127.0.0.1/32").open(issuer.Roles, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Keys.Key(t.Context(), "k"); c.good != (err == nil) {
			t.Errorf("keys at %s: %v", name, err)
		}
		at, failed := fetched.Fetched()
		if failed == c.good || at.IsZero() == c.good {
			t.Errorf("keys at %s are said to be of %v, the last fetch failed: %t", name, at, failed)
		}
		named := slices.ContainsFunc((&agencyWatch{agency: someAgency(t), writes: func() uint64 { return 0 }, provider: fetched}).own(time.Now()), func(a Alarm) bool { return a.Name == "provider" && !a.problem })
		if named == c.good {
			t.Errorf("keys at %s: an alarm %t", name, named)
		}
		server.Close()
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d requests arrived inside", n)
	}
	// The same address is asked if the operator allows it: else the test would prove nothing.
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, secret.URL)
	})
	p, _, err := provider(server.URL, "127.0.0.0/8").open(issuer.Roles, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Keys.Key(t.Context(), "k"); err != nil || inside.Load() != 1 {
		t.Errorf("an allowed address: %v, %d requests", err, inside.Load())
	}
}

// The record key is warned of at half of what it is good for.
func TestAlarmOfTheRecordKey(t *testing.T) {
	for writes, want := range map[uint64]bool{0: false, 1<<31 - 1: false, 1 << 31: true, 1 << 40: true} {
		list := (&agencyWatch{agency: someAgency(t), writes: func() uint64 { return writes }}).own(time.Now())
		if got := len(list) == 1 && list[0].Name == "record-key" && !list[0].problem; got != want {
			t.Errorf("%d writes: %+v", writes, list)
		}
	}
}

// someAgency is one that runs nowhere.
func someAgency(t *testing.T) *issuer.Issuer {
	t.Helper()
	signing, err1 := jose.Generate(jose.EdDSA)
	admin, err2 := jose.Generate(jose.EdDSA)
	enrol, err3 := readVerifyingKey("../../testvectors/proofs/enrolment/verifying.key")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	a, err := issuer.New(issuer.Config{
		DID: bureauDID, Name: credential.Text{English: "Bureau"}, URL: "https://bureau.example", Genesis: credential.DigestOf(nil), Schemas: []*credential.Schema{&permit},
		EnrolmentKey: enrol, Keys: issuer.Keys{Signing: signing, Admin: admin, Records: make([]byte, issuer.RecordKeySize)}, Store: new(records.Memory), Ledger: new(client.Client),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// providerKeys are a set of one key, k.
func providerKeys(t *testing.T) string {
	t.Helper()
	key, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"k","x":%q}]}`, key.Public().X)
}
