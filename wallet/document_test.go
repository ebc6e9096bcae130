package wallet

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

var homes = credential.Schema{
	Type: "urn:bulla:schema:home:1", EnrolmentRegister: "population",
	Claims: []credential.ClaimType{
		{Name: "district", Type: credential.String}, {Name: "since", Type: credential.Date},
		{Name: "rooms", Type: credential.Integer}, {Name: "owned", Type: credential.Boolean},
	},
}

// sample is a document with something in every part.
func sample(t testing.TB) *document {
	t.Helper()
	d := &document{
		Version: 1, Genesis: credential.DigestOf([]byte("genesis")), Master: credential.Secret{Element: credential.ElementFromUint64(7)},
		NextID: 3, Chain: `{"checkpoint":"x\n1\ny\n"}`,
		Pending:  []pending{{ID: "2", Issuer: "https://civil.example", Configuration: homes.Type, Blinding: credential.Secret{Element: credential.ElementFromUint64(9)}, Started: 1}},
		Answered: []answered{{Verifier: "did:web:bank.example", Nonce: "n", At: 5}},
		Revealed: []revealed{{Verifier: "did:web:bank.example", Credential: "1", Clauses: []policy.Clause{{Claim: "district", In: []string{"a", "b"}}}, At: 5}},
		Sets:     []policy.SetDocument{{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "letters"}, Members: []string{"a", "b"}}},
		Events:   []Event{{At: 5, Kind: EventReceived, Party: "did:web:civil.example", Outcome: OutcomeDone}},
	}
	c := Credential{ID: "1", Blinding: credential.Secret{Element: credential.ElementFromUint64(8)}, State: StateActive, Issued: openid.IssuedCredential{
		Version: 1, Genesis: d.Genesis, Issuer: "did:web:civil.example", Schema: homes, ValidFrom: "2025-01-01", ValidUntil: "2027-01-01",
		Salt:   credential.Secret{Element: credential.ElementFromUint64(5)},
		Claims: credential.Claims{"district": "a", "since": "2020-02-29", "rooms": "3", "owned": true},
	}}
	c.Issued.HolderCommitment = credential.HolderCommitment(d.Master, c.Blinding)
	d.Credentials = []Credential{c}
	if err := d.validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDocument(t *testing.T) {
	text, err := sample(t).encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseDocument(text); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"another version":             {`"version":1}`, `"version":2}`},
		"credential's version":        {`"version":1},"received"`, `"version":2},"received"`},
		"unknown member":              {`{"answered"`, `{"also":1,"answered"`},
		"space":                       {`{"answered"`, `{ "answered"`},
		"no master secret":            {sample(t).Master.Element.String(), credential.Element{}.String()},
		"another master secret":       {sample(t).Master.Element.String(), credential.ElementFromUint64(6).String()},
		"claim of another credential": {`"2020-02-29"`, `"2020-02-30"`},
		"validity":                    {`"2025-01-01"`, `"2028-01-01"`},
	} {
		at := max(0, bytes.LastIndex(text, []byte(change[0])))
		spoiled := append(bytes.Clone(text[:at]), bytes.Replace(text[at:], []byte(change[0]), []byte(change[1]), 1)...)
		if bytes.Equal(spoiled, text) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := parseDocument(spoiled); err == nil {
			t.Errorf("%s: was read", name)
		} else if strings.Contains(err.Error(), "2020-02-30") {
			t.Errorf("%s: the error quotes a claim: %v", name, err)
		}
	}
	twice := sample(t)
	twice.Credentials = append(twice.Credentials, twice.Credentials[0])
	if twice.validate() == nil {
		t.Error("two credentials have one id")
	}
}

// TestDocumentBounds: what grows by itself loses its oldest part, and never stops the wallet.
func TestDocumentBounds(t *testing.T) {
	d := sample(t)
	for i := range 2 * maxAnswered {
		d.Answered = appendBounded(d.Answered, maxAnswered, answered{Nonce: string(rune('a' + i%26))})
	}
	if len(d.Answered) != maxAnswered {
		t.Errorf("%d nonces kept", len(d.Answered))
	}
	d.Chain = strings.Repeat("x", maxDocument)
	if _, err := d.encode(); CodeOf(err) != CodeVaultFull {
		t.Errorf("error is %v, want that the vault is full", err)
	}
}

func FuzzDocument(f *testing.F) {
	text, err := sample(f).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, long := range fuzztest.Long(text) {
		f.Add(long)
	}
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDocument(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		again, err := d.encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s\nwas read, but is written as\n%s (%v)", data, again, err)
		}
	})
}

func FuzzSealedVault(f *testing.F) {
	storage := new(InMemory)
	v, err := CreateVault(VaultConfig{Storage: storage, Passphrase: "x", WorkFactor: 1, Genesis: credential.Digest{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v.raw)
	written, err := parseSealed(v.raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sealed, err := parseSealed(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		opened := &Vault{identity: v.identity} // without the cost of a scrypt, which guards only the identity
		if err := opened.adopt(data, sealed); err == nil && sealed.Document != written.Document {
			t.Fatal("a document opens that the vault never wrote")
		}
	})
}

// TestImplies: what a verifier can conclude from what it learned.
func TestImplies(t *testing.T) {
	type clause = policy.Clause
	for _, c := range []struct {
		name         string
		known, asked clause
		want         bool
	}{
		{"the same", clause{Claim: "rooms", AtLeast: "3"}, clause{Claim: "rooms", AtLeast: "3"}, true},
		{"wider", clause{Claim: "rooms", AtLeast: "3"}, clause{Claim: "rooms", AtLeast: "2"}, true},
		{"narrower", clause{Claim: "rooms", AtLeast: "2"}, clause{Claim: "rooms", AtLeast: "3"}, false},
		{"as numbers, not as text", clause{Claim: "rooms", AtLeast: "10"}, clause{Claim: "rooms", AtLeast: "9"}, true},
		{"other side", clause{Claim: "rooms", AtLeast: "2"}, clause{Claim: "rooms", AtMost: "5"}, false},
		{"other claim", clause{Claim: "rooms", AtLeast: "2"}, clause{Claim: "since", AtLeast: "2020-01-01"}, false},
		{"later date", clause{Claim: "since", AtMost: "2020-01-01", AtLeastAgo: "P5Y"}, clause{Claim: "since", AtMost: "2020-01-02", AtLeastAgo: "P4Y"}, true},
		{"value known", clause{Claim: "rooms", Equals: "4"}, clause{Claim: "rooms", AtLeast: "3", AtMost: "9"}, true},
		{"value known, outside", clause{Claim: "rooms", Equals: "4"}, clause{Claim: "rooms", AtLeast: "5"}, false},
		{"value known, negated", clause{Claim: "rooms", Equals: "4"}, clause{Claim: "rooms", AtLeast: "5", Not: true}, true},
		{"interval is not a value", clause{Claim: "rooms", AtLeast: "4"}, clause{Claim: "rooms", Equals: "4"}, false},
		{"interval of one value", clause{Claim: "rooms", AtLeast: "4", AtMost: "4"}, clause{Claim: "rooms", Equals: "4"}, true},
		{"larger set", clause{Claim: "district", In: []string{"a"}}, clause{Claim: "district", In: []string{"b", "a"}}, true},
		{"smaller set", clause{Claim: "district", In: []string{"a", "b"}}, clause{Claim: "district", In: []string{"a"}}, false},
		{"one of a set", clause{Claim: "district", Equals: "a"}, clause{Claim: "district", In: []string{"b", "a"}}, true},
		{"not another", clause{Claim: "district", In: []string{"a", "b"}}, clause{Claim: "district", Equals: "c", Not: true}, true},
		{"not that one", clause{Claim: "district", In: []string{"a", "b"}}, clause{Claim: "district", Equals: "b", Not: true}, false},
		{"same negation", clause{Claim: "district", Equals: "c", Not: true}, clause{Claim: "district", Equals: "c", Not: true}, true},
		{"negation dropped", clause{Claim: "district", Equals: "c", Not: true}, clause{Claim: "district", Equals: "c"}, false},
		{"presence from anything", clause{Claim: "owned", Equals: false}, clause{Claim: "owned", Present: true}, true},
		{"presence says nothing", clause{Claim: "owned", Present: true}, clause{Claim: "owned", Equals: true}, false},
		{"other boolean", clause{Claim: "owned", Equals: false}, clause{Claim: "owned", Equals: true}, false},
	} {
		if got := implies(&homes, nil, c.known, c.asked); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// TestImpliesWithSets: values by reference count like values in a list, as far as the set is kept.
func TestImpliesWithSets(t *testing.T) {
	named := func(name string, members ...string) *policy.Set {
		s, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: name}, Members: members})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ab, abc, gone := named("two", "a", "b"), named("three", "a", "b", "c"), named("gone", "a")
	sets := policy.SetsOf(ab, abc)
	in := func(s *policy.Set) policy.Clause { return policy.Clause{Claim: "district", InSet: s.Digest()} }
	list := func(values ...string) policy.Clause { return policy.Clause{Claim: "district", In: values} }
	for _, c := range []struct {
		name         string
		known, asked policy.Clause
		want         bool
	}{
		{"the same set", in(ab), in(ab), true},
		{"the same set, no longer kept", in(gone), in(gone), true},
		{"a larger set", in(ab), in(abc), true},
		{"a smaller set", in(abc), in(ab), false},
		{"a list in a set", list("b", "a"), in(abc), true},
		{"a set in a list", in(ab), list("c", "b", "a"), true},
		{"a list beyond a set", list("a", "d"), in(abc), false},
		{"a value of a set", policy.Clause{Claim: "district", Equals: "b"}, in(ab), true},
		{"no value of a set", policy.Clause{Claim: "district", Equals: "c"}, in(ab), false},
		{"not another", in(ab), policy.Clause{Claim: "district", Equals: "c", Not: true}, true},
		{"not that one", in(ab), policy.Clause{Claim: "district", Equals: "b", Not: true}, false},
		{"that it is there", in(gone), policy.Clause{Claim: "district", Present: true}, true},
		{"a set that is no longer kept", in(gone), in(ab), false},
		{"a value, of a set that is no longer kept", policy.Clause{Claim: "district", Equals: "a"}, in(gone), false},
		{"another claim", policy.Clause{Claim: "rooms", InSet: ab.Digest()}, in(ab), false},
	} {
		if got := implies(&homes, sets, c.known, c.asked); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// TestKeptSets: a vault keeps the sets of what was revealed, the newest first, within its room, and each once.
func TestKeptSets(t *testing.T) {
	d := sample(t)
	d.Revealed = nil
	var sets []*policy.Set
	for i := range 4 {
		var members []string
		for j := range 100 {
			members = append(members, fmt.Sprintf("%d %03d %0900d", i, j, 0)) // 90 KiB
		}
		s, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "x"}, Members: members})
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, s)
		for range 2 {
			d.Revealed = append(d.Revealed, revealed{Verifier: "v", Credential: "1", Clauses: []policy.Clause{{Claim: "district", InSet: s.Digest()}}})
		}
		d.keepSets(policy.SetsOf(s))
	}
	kept := d.keptSets()
	for i, want := range []bool{false, false, true, true} {
		if _, err := kept(sets[i].Digest()); (err == nil) != want {
			t.Errorf("set %d: %v", i, err)
		}
	}
	text, err := d.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseDocument(text); err != nil || len(d.Sets) != 2 {
		t.Errorf("%d sets, %v", len(d.Sets), err)
	}
	if got := factText(textsIn("en"), &homes, kept, &d.Revealed[0], "en"); !strings.Contains(got, "keeps no longer (set "+sets[0].Digest().String()+")") {
		t.Errorf("in words: %s", got)
	}
	for name, harm := range map[string]func(){
		"a set that is none": func() { d.Sets[0].Members = []string{"b", "a"} },
		"too many":           func() { d.Sets = slices.Repeat(d.Sets[1:], 4) },
	} {
		harm()
		text, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseDocument(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
		d.keepSets(policy.SetsOf(sets...))
	}
	d.Revealed = nil
	if d.keepSets(nil); len(d.Sets) != 0 {
		t.Errorf("%d sets that nothing names", len(d.Sets))
	}
}

// TestReveals: any-of groups count as one fact, and facts of one credential say nothing about another.
func TestReveals(t *testing.T) {
	d := sample(t)
	d.Revealed = nil
	fact := func(credentialID string, clauses ...policy.Clause) *revealed {
		return &revealed{Verifier: "v", Credential: credentialID, Clauses: clauses}
	}
	either := []policy.Clause{{Claim: "rooms", AtLeast: "5", AnyOf: true}, {Claim: "owned", Equals: true, AnyOf: true}}
	d.Revealed = append(d.Revealed, *fact("1", either...), revealed{Verifier: "v", Credential: "1", Tag: "reader"})
	for name, c := range map[string]struct {
		fact *revealed
		want bool
	}{
		"the same group":      {fact("1", either...), true},
		"a larger group":      {fact("1", append(either[:2:2], policy.Clause{Claim: "district", Equals: "a"})...), true},
		"one of the group":    {fact("1", either[0]), false},
		"of another":          {fact("2", either...), false},
		"to another verifier": {&revealed{Verifier: "w", Credential: "1", Clauses: either}, false},
		"the same pseudonym":  {&revealed{Verifier: "v", Credential: "1", Tag: "reader"}, true},
		"another pseudonym":   {&revealed{Verifier: "v", Credential: "1", Tag: "voter"}, false},
		"tag of another kind": {&revealed{Verifier: "v", Credential: "1", Tag: "reader", Subject: true}, false},
		"a clause, not a tag": {fact("1", policy.Clause{Claim: "district", Present: true}), false},
	} {
		if got := d.knows(&homes, nil, c.fact); got != c.want {
			t.Errorf("%s: known %t, want %t", name, got, c.want)
		}
	}
}

// TestQueriesOfACarelessChain: what the ledger should never have registered is refused by the wallet, too.
func TestQueriesOfACarelessChain(t *testing.T) {
	circuit, err := circuits.Named(circuits.Presentation)
	if err != nil {
		t.Fatal(err)
	}
	id, err := homes.ID()
	if err != nil {
		t.Fatal(err)
	}
	const bank, civil = "did:web:bank.example", "did:web:civil.example"
	key := credential.DigestOf([]byte("key"))
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	shared := int64(4)
	for _, c := range []struct {
		name   string
		change func(*policy.Query)
		code   Code
	}{
		{"as it should be", func(*policy.Query) {}, ""},
		{"too many single values", func(q *policy.Query) { q.Disclose = []string{"district", "since", "rooms", "owned"} }, CodeUnprovable},
		{"claim that the schema lacks", func(q *policy.Query) { q.Clauses[0].Claim = "income" }, CodeNotRegistered},
		{"bounds on a text", func(q *policy.Query) { q.Clauses = []policy.Clause{{Claim: "district", AtLeast: "a"}} }, CodeUnprovable},
		{"once per person, of a schema that is not", func(q *policy.Query) { q.Scope = &policy.Scope{Service: "vote", Once: true} }, CodeUnprovable},
		{"tag of no subject", func(q *policy.Query) { q.SubjectScope = &policy.Scope{Service: "pledge"} }, CodeUnprovable},
		{"shared scope of others", func(q *policy.Query) { q.Scope = &policy.Scope{Shared: &shared} }, CodeNotRegistered},
	} {
		query := policy.Query{ID: "home", Schema: id, Issuers: []string{civil}, Clauses: []policy.Clause{{Claim: "district", Equals: "a"}}}
		c.change(&query)
		p := &policy.Policy{
			Version: 1, ID: "home", Verifier: bank, Name: credential.Text{English: "x"}, Purpose: credential.Text{English: "x"},
			FreshnessSeconds: 600, Queries: []policy.Query{query},
		}
		registry := &entry.Registry{
			Issuers: []entry.RegisteredIssuer{{DID: civil}}, Schemas: []entry.RegisteredSchema{{ID: id, Schema: homes, Issuers: []string{civil}}},
			Scopes: []entry.RegisteredScope{{Entry: 4, Service: "vote", Consumer: civil, Verifiers: []string{civil}}},
			VerifyingKeys: []entry.VerifyingKey{{
				Circuit: circuit.Name, CircuitDigest: circuit.Digest, KeyDigest: key, NotAfter: credential.UnixTimeOf(now.AddDate(1, 0, 0)),
			}},
		}
		r := &Request{policy: p, view: &client.View{Registry: registry, Census: new(entry.Census)}, object: new(openid.RequestObject)}
		statement := policy.Statement{
			Version: 1, Verifier: bank, Query: "home", Now: credential.UnixTimeOf(now), FreshnessSeconds: 600, Schema: id, Issuers: query.Issuers,
			Clauses: query.Clauses, Disclose: query.Disclose, Scope: query.Scope, SubjectScope: query.SubjectScope,
		}
		if statement.Policy, err = p.Digest(); err != nil {
			t.Fatal(err)
		}
		r.object.Query.Credentials = []openid.CredentialQuery{{ID: "home", Format: openid.Format, Meta: openid.Meta{
			TypeValues: []string{homes.Type}, Statement: statement,
			Systems: []openid.System{{ID: "g", System: openid.ProofSystem, Circuit: circuit.Name, CircuitDigest: circuit.Digest, VerifyingKey: key}},
		}}}
		if err := r.checkQueries(now); CodeOf(err) != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%s: error is %v, want the code %q", c.name, err, c.code)
		}
	}
}

// TestTexts: every code has a text in both languages.
func TestTexts(t *testing.T) {
	for code, text := range refusalTexts {
		if text.English == "" || text.Chinese == "" {
			t.Errorf("%s has no text in both languages", code)
		}
	}
	if got := (&Refusal{Code: "unheard_of"}).Text("en"); got == "" {
		t.Error("an unknown code has no text")
	}
}
