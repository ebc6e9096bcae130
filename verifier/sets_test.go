package verifier_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// countySets are as many registries as China has counties, and some districts.
func countySets(t testing.TB) (registries, districts *policy.Set) {
	t.Helper()
	members := []string{civil, civilNorth}
	for i := range 2976 {
		members = append(members, fmt.Sprintf("did:web:%06d.registry.example", 110101+i))
	}
	slices.Sort(members)
	made := func(kind policy.SetKind, name string, members ...string) *policy.Set {
		s, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: name}, Members: members})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return made(policy.IssuerSet, "County registries", members...), made(policy.ValueSet, "Districts", "310101", "310104")
}

// withSets makes the world's verifier ask by sets, as registered.
func withSets(w *world, change func(*verifier.Config)) (*verifier.Verifier, error) {
	registries, districts := countySets(w.t)
	cfg := w.config()
	cfg.Sets = []*policy.Set{registries, districts}
	q := &cfg.Policies[0].Queries[0]
	q.Issuers, q.IssuerSet = nil, registries.Digest()
	q.Clauses = []policy.Clause{{Claim: "district", InSet: districts.Digest()}}
	cfg.Policies = cfg.Policies[:1]
	digest, err := cfg.Policies[0].Digest()
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range w.ledger.registry.Policies {
		if w.ledger.registry.Policies[i].ID == cfg.Policies[0].ID {
			w.ledger.registry.Policies[i].Digest = digest
		}
	}
	w.seal()
	if change != nil {
		change(&cfg)
	}
	return verifier.New(cfg)
}

func TestAskingBySets(t *testing.T) {
	w := newWorld(t)
	v, err := withSets(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	registries, districts := countySets(t)
	if err := v.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	started, err := v.Start(t.Context(), "app", "residence", 0)
	if err != nil {
		t.Fatal(err)
	}
	request := fetch(t, v, started.RequestURI[len("https://verify.example/bulla/oid4vp/requests/"):])
	p, at, err := request.RegisteredPolicy()
	if err != nil || at != "https://verify.example/bulla/oid4vp/sets/" || p.Queries[0].IssuerSet != registries.Digest() {
		t.Errorf("%v, %q, %v", p, at, err)
	}
	if s := request.Query.Credentials[0].Meta.Statement; s.IssuerSet != registries.Digest() || len(s.Issuers) != 0 || s.Clauses[0].InSet != districts.Digest() {
		t.Errorf("statement %+v", s)
	}
	get := func(digest string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		v.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/oid4vp/sets/"+digest, nil))
		return recorder
	}
	got := get(registries.Digest().String())
	if _, err := policy.ParseSetNamed(registries.Digest(), got.Body.Bytes()); err != nil || got.Header().Get("Access-Control-Allow-Origin") != "*" || got.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v: %v", got.Code, got.Header(), err)
	}
	for _, unknown := range []string{credential.DigestOf(nil).String(), registries.Digest().String() + "=", "x"} {
		if got := get(unknown); got.Code != http.StatusNotFound || !strings.Contains(got.Body.String(), "set_unknown") {
			t.Errorf("%s: %d %s", unknown, got.Code, got.Body)
		}
	}
}

// Without a set that its policies name a verifier does not start; with one of another kind neither.
func TestSetsThatAreMissing(t *testing.T) {
	for name, change := range map[string]func(*verifier.Config){
		"none":              func(cfg *verifier.Config) { cfg.Sets = nil },
		"no values":         func(cfg *verifier.Config) { cfg.Sets = cfg.Sets[:1] },
		"values as issuers": func(cfg *verifier.Config) { cfg.Policies[0].Queries[0].IssuerSet = cfg.Sets[1].Digest() },
	} {
		if _, err := withSets(newWorld(t), change); err == nil || !strings.Contains(err.Error(), "policy residence, query ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A set none of whose issuers is in good standing is nothing to ask by.
func TestSetsOfNobody(t *testing.T) {
	w := newWorld(t)
	v, err := withSets(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.ledger.registry.Schemas[0].Issuers = nil // nobody issues it any more
	w.seal()
	_, err = v.Start(t.Context(), "app", "residence", 0)
	var notReady *verifier.NotReadyError
	if !errors.As(err, &notReady) {
		t.Errorf("no issuer in good standing: %v", err)
	}
}

// Who checks a response without the sets cannot say anything about it.
func TestCheckingWithoutSets(t *testing.T) {
	w := newWorld(t)
	v, err := withSets(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	started, err := v.Start(t.Context(), "app", "residence", 0)
	if err != nil {
		t.Fatal(err)
	}
	request := fetch(t, v, started.RequestURI[len("https://verify.example/bulla/oid4vp/requests/"):])
	asked, err := check.NewAsked(w.ledger.hash, request)
	if err != nil {
		t.Fatal(err)
	}
	me := w.resident(w.person())
	w.seal()
	c := check.Checker{Chain: plainChain{w}, Keys: w.keys(), Clock: w.clock.Now}
	token := encode(t, openid.VPToken{request.Query.Credentials[0].ID: {w.present(inline(t, request.Query.Credentials[0]), me, credential.ElementFromUint64(1), credential.Random31())}})
	_, err = c.Verify(t.Context(), asked, token)
	var refusal *check.Refusal
	if err == nil || errors.As(err, &refusal) || !strings.Contains(err.Error(), "is not at hand") {
		t.Errorf("checked without sets: %v", err)
	}
}

// inline is a query with its issuers and values listed.
func inline(t *testing.T, q openid.CredentialQuery) openid.CredentialQuery {
	t.Helper()
	registries, districts := countySets(t)
	s := &q.Meta.Statement
	s.IssuerSet, s.Issuers = credential.Digest{}, registries.Members()
	s.Clauses = []policy.Clause{{Claim: "district", In: districts.Members()}}
	return q
}
