package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// set is a set of n members in its parts, of 20 bytes of JSON for each member.
func (c *chain) set(kind policy.SetKind, n int) (credential.Digest, []entry.SetRegistered) {
	c.t.Helper()
	d := policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: fmt.Sprintf("%d %s", n, kind), Chinese: "名单"}}
	for i := range n {
		d.Members = append(d.Members, fmt.Sprintf("did:web:%04d.example", i))
	}
	s, err := policy.NewSet(d)
	if err != nil {
		c.t.Fatal(err)
	}
	split := s.Split(n * 8)
	var parts []entry.SetRegistered
	for i, members := range split {
		parts = append(parts, entry.SetRegistered{Set: s.Digest(), Kind: string(kind), Name: d.Name, Part: i, Parts: len(split), Members: members})
	}
	if len(parts) < 3 {
		c.t.Fatalf("%d parts", len(parts))
	}
	return s.Digest(), parts
}

func naming(issuers, values credential.Digest) func(*policy.Policy) {
	return func(p *policy.Policy) {
		if !issuers.IsZero() {
			p.Queries[0].Issuers, p.Queries[0].IssuerSet = nil, issuers
		}
		if !values.IsZero() {
			p.Queries[0].Clauses = append(p.Queries[0].Clauses, policy.Clause{Claim: "right", InSet: values})
		}
	}
}

// refused wants a machine to refuse an entry of the verifier, with that reason, and then to take its next one.
func (c *chain) refused(m *ledger.Machine, what string, payload entry.Payload, want error, names string) {
	c.t.Helper()
	size := m.Size()
	_, err := m.Apply(c.numbered(verifierDID, c.next[verifierDID], payload))
	if !errors.Is(err, want) || !strings.Contains(err.Error(), names) || m.Size() != size {
		c.t.Errorf("%s: %v", what, err)
	}
}

func TestSetsAreRegisteredInParts(t *testing.T) {
	c, m := begun(t, 2)
	issuers, parts := c.set(policy.IssuerSet, 2978)
	values, valueParts := c.set(policy.ValueSet, 30)
	take := func(p entry.SetRegistered) { t.Helper(); apply(t, m, c.signed(verifierDID, p)) }

	c.refused(m, "policy before its set", c.policy(naming(issuers, credential.Digest{})), ledger.ErrUnknown, `query "title": set `+issuers.String()+" is not on the chain")
	c.refused(m, "a later part first", parts[1], ledger.ErrConflict, "begin with part 0")
	take(parts[0])
	c.refused(m, "policy before its set is complete", c.policy(naming(issuers, credential.Digest{})), ledger.ErrUnknown, "is not on the chain")
	c.refused(m, "a part left out", parts[2], ledger.ErrConflict, "begin with part 0")
	c.refused(m, "a part of another set", valueParts[1], ledger.ErrConflict, "begin with part 0")
	take(parts[1])
	c.refused(m, "a part twice", parts[1], ledger.ErrConflict, "begin with part 0")
	take(parts[0]) // begins anew
	c.refused(m, "a part of the first try", parts[2], ledger.ErrConflict, "begin with part 0")
	for _, p := range parts[1 : len(parts)-1] {
		take(p)
	}
	last := parts[len(parts)-1]
	for name, change := range map[string]struct {
		change func(*entry.SetRegistered)
		names  string
	}{
		"a member changed":        {func(p *entry.SetRegistered) { p.Members[0] += "x" }, "have the digest"},
		"a member too few":        {func(p *entry.SetRegistered) { p.Members = p.Members[1:] }, "have the digest"},
		"descending over parts":   {func(p *entry.SetRegistered) { p.Members[0] = "did:web:0000.example" }, "ascending"},
		"no DID":                  {func(p *entry.SetRegistered) { p.Members = []string{"e"} }, "is not a DID"},
		"too many in all":         {func(p *entry.SetRegistered) { p.Members = slices.Repeat([]string{"d"}, 2500) }, "members, want"},
		"another kind in the end": {func(p *entry.SetRegistered) { p.Kind = "values" }, "different things"},
		"another name in the end": {func(p *entry.SetRegistered) { p.Name.English = "x" }, "different things"},
	} {
		p := last
		p.Members = slices.Clone(p.Members)
		change.change(&p)
		c.refused(m, name, p, ledger.ErrSet, change.names)
	}
	take(last)
	c.refused(m, "a set that is there", parts[0], ledger.ErrConflict, "is registered")
	c.refused(m, "its last part again", last, ledger.ErrConflict, "is registered")
	c.refused(m, "issuers as values", c.policy(naming(credential.Digest{}, issuers)), ledger.ErrPolicy, `clause 2 on "right": set `+issuers.String()+" is of kind issuers, want values")

	for _, p := range valueParts {
		take(p)
	}
	c.refused(m, "values as issuers", c.policy(naming(values, credential.Digest{})), ledger.ErrPolicy, "is of kind values, want issuers")
	apply(t, m, c.signed(verifierDID, c.policy(naming(issuers, values))))
	if _, ok := m.Registry().Policy(verifierDID, "housing"); !ok {
		t.Error("the policy is not registered")
	}
	// Others do not register sets; a set of one verifier is there for all.
	if _, err := m.Apply(c.signed(landDID, valueParts[0])); !errors.Is(err, ledger.ErrAuthority) {
		t.Errorf("set of an issuer: %v", err)
	}
	if _, err := m.Apply(c.signed(entry.Governance, valueParts[0])); !errors.Is(err, ledger.ErrAuthority) {
		t.Errorf("set of governance: %v", err)
	}
}

// Parts that differ in what they say of the whole before the last are refused with the last.
func TestPartsThatDisagree(t *testing.T) {
	for name, change := range map[string]func(*entry.SetRegistered){
		"parts": func(p *entry.SetRegistered) { p.Parts++ }, "kind": func(p *entry.SetRegistered) { p.Kind = "values" },
		"name": func(p *entry.SetRegistered) { p.Name.Chinese = "" },
	} {
		c, m := begun(t, 0)
		_, parts := c.set(policy.IssuerSet, 30)
		change(&parts[0])
		for _, p := range parts[:len(parts)-1] {
			apply(t, m, c.signed(verifierDID, p))
		}
		c.refused(m, name, parts[len(parts)-1], ledger.ErrSet, "different things")
	}
}

// A machine that starts between two parts goes on with them, and one that replays all has the same rows.
func TestSetsOverRestarts(t *testing.T) {
	c := newChain(t)
	rows := store.NewMemory()
	issuers, parts := c.set(policy.IssuerSet, 100)
	entries := c.opening()
	for _, p := range parts {
		entries = append(entries, c.signed(verifierDID, p))
	}
	entries = append(entries, c.signed(verifierDID, c.policy(naming(issuers, credential.Digest{}))))
	for i, raw := range entries {
		m, err := ledger.NewMachine(rows)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, m, raw)
		changes, err := m.Changes()
		if err != nil || rows.Commit(changes) != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	whole := store.NewMemory()
	if _, err := ledger.Rebuild(t.Context(), ledger.Entries{Reader: rows}, whole, nil); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(allRows(t, whole), allRows(t, rows), bytes.Equal) {
		t.Error("a replay has other rows")
	}
}

func TestAVerifierHasSoManySets(t *testing.T) {
	c, m := begun(t, 0)
	one := func(i int) entry.SetRegistered {
		d := policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "One"}, Members: []string{fmt.Sprint(i)}}
		s, err := policy.NewSet(d)
		if err != nil {
			t.Fatal(err)
		}
		return entry.SetRegistered{Set: s.Digest(), Kind: string(d.Kind), Name: d.Name, Parts: 1, Members: d.Members}
	}
	for i := range 256 {
		apply(t, m, c.signed(verifierDID, one(i)))
	}
	c.refused(m, "set 257", one(256), ledger.ErrFull, "256 sets")
}

// Ledgers and their exports serve sets by digest, those of before the checkpoint at least.
func TestSetsAreServed(t *testing.T) {
	c := newChain(t)
	cfg := c.config()
	var clock hands
	cfg.Now = clock.now
	l := c.open(cfg)
	defer l.Close()
	digest, parts := c.set(policy.IssuerSet, 500)
	get := func() *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		l.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/set/"+digest.String(), nil))
		return recorder
	}
	for _, p := range parts {
		if got := get(); got.Code != http.StatusNotFound || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("before it is complete: %d", got.Code)
		}
		c.submit(l, c.signed(verifierDID, p))
	}
	got := get()
	if _, err := policy.ParseSetNamed(digest, got.Body.Bytes()); err != nil || !strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("%d, %v: %v", got.Code, got.Header(), err)
	}
	if _, err := l.Static().Object("/set/" + digest.String() + "="); !errors.Is(err, ledger.ErrAbsent) {
		t.Errorf("another spelling: %v", err)
	}
	dir := t.TempDir()
	export := func() {
		t.Helper()
		last := c.submit(l, c.issue(landDID, 1))
		clock.seconds.Add(10)
		c.submit(l, c.issue(landDID, 1)) // later than a seal's period
		if _, err := l.Receipt(t.Context(), last.Index, entry.LevelSealed); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Static().Export(t.Context(), dir, clock.now()); err != nil {
			t.Fatal(err)
		}
	}
	export()
	text, err := os.ReadFile(filepath.Join(dir, "set", digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.ParseSetNamed(digest, text); err != nil {
		t.Error(err)
	}
	other, parts := c.set(policy.ValueSet, 50)
	for _, p := range parts {
		c.submit(l, c.signed(verifierDID, p))
	}
	export()
	if _, err := os.Stat(filepath.Join(dir, "set", other.String())); err != nil {
		t.Error(err)
	}
}
