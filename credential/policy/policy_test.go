package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// now is a moment on a leap day, where periods are at their worst.
var now = time.Date(2024, 2, 29, 10, 30, 0, 0, time.UTC)

const (
	land   = "did:web:land.example"
	survey = "did:web:survey.example"
	shop   = "did:web:shop.example"
)

// titles is a schema with a claim of each type.
func titles() *credential.Schema {
	return &credential.Schema{
		Type: "urn:bulla:schema:title:1",
		Claims: []credential.ClaimType{
			{Name: "parcel", Type: credential.String, Display: &credential.Text{English: "Parcel", Chinese: "地块"}},
			{Name: "area", Type: credential.Integer, Scale: 1, Display: &credential.Text{English: "Area", Chinese: "面积"}, Unit: &credential.Text{English: "m²", Chinese: "平方米"}},
			{Name: "since", Type: credential.Date, Optional: true, Display: &credential.Text{English: "Registered", Chinese: "登记日期"}},
			{Name: "seen", Type: credential.DateTime, Optional: true, Display: &credential.Text{English: "Inspected", Chinese: "查验时间"}},
			{Name: "right", Type: credential.Enum, Values: []string{"owner", "tenant", "heir"}, Display: &credential.Text{English: "Right", Chinese: "权利"},
				Labels: map[string]credential.Text{"owner": {English: "Owner", Chinese: "所有人"}, "tenant": {English: "Tenant"}}},
			{Name: "disputed", Type: credential.Boolean, Optional: true, Display: &credential.Text{English: "Disputed", Chinese: "有争议"}},
			{Name: "floors", Type: credential.Integer, Optional: true},
		},
		EnrolmentRegister: "people",
		OnePerPerson:      true,
		SubjectRegister:   "parcels",
	}
}

func idOf(t testing.TB, s *credential.Schema) credential.Element {
	t.Helper()
	id, err := s.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// known looks schemas up among those given.
func known(t testing.TB, schemas ...*credential.Schema) policy.Schemas {
	byID := make(map[credential.Element]*credential.Schema)
	for _, s := range schemas {
		byID[idOf(t, s)] = s
	}
	return func(id credential.Element) (*credential.Schema, error) {
		if s, ok := byID[id]; ok {
			return s, nil
		}
		return nil, errors.New("no such schema on the chain")
	}
}

func shared(index int64) *int64 { return &index }

// purchase is a policy with those clauses on one title.
func purchase(t testing.TB, schema *credential.Schema, clauses ...policy.Clause) *policy.Policy {
	t.Helper()
	return &policy.Policy{
		Version: 1, ID: "purchase", Verifier: shop, Name: credential.Text{English: "Purchase"}, Purpose: credential.Text{English: "Buy", Chinese: "购买"},
		RetentionDays: 30, FreshnessSeconds: 3600,
		Queries: []policy.Query{{ID: "title", Schema: idOf(t, schema), Issuers: []string{land, survey}, Clauses: append([]policy.Clause{}, clauses...)}},
	}
}

func TestPolicyRoundTrip(t *testing.T) {
	p := purchase(t, titles(), policy.Clause{Claim: "area", AtLeast: "500.0"}, policy.Clause{Claim: "right", In: []string{"owner", "heir"}}, policy.Clause{Claim: "disputed", Equals: false},
		policy.Clause{Claim: "since", AtLeastAgo: "P2Y", Not: true, AnyOf: true}, policy.Clause{Claim: "seen", WithinLast: "P1M", AnyOf: true}, policy.Clause{Claim: "floors", Present: true})
	p.Queries[0].Disclose = []string{"parcel"}
	p.Queries[0].Scope = &policy.Scope{Service: "counter", Once: true}
	p.Queries[0].SubjectScope = &policy.Scope{Shared: shared(0)}
	text, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"freshness_seconds":3600,"id":"purchase","name":{"en":"Purchase"},"purpose":{"en":"Buy","zh-CN":"购买"},"queries":[{"clauses":[` +
		`{"at_least":"500.0","claim":"area"},{"claim":"right","in":["owner","heir"]},{"claim":"disputed","equals":false},` +
		`{"any_of":true,"at_least_ago":"P2Y","claim":"since","not":true},{"any_of":true,"claim":"seen","within_last":"P1M"},{"claim":"floors","present":true}],` +
		`"disclose":["parcel"],"id":"title","issuers":["did:web:land.example","did:web:survey.example"],"schema":"` + idOf(t, titles()).String() +
		`","scope":{"once":true,"service":"counter"},"subject_scope":{"shared_entry":0}}],"retention_days":30,"verifier":"did:web:shop.example","version":1}`
	if string(text) != want {
		t.Errorf("canonical form\n%s, want\n%s", text, want)
	}
	var spaced bytes.Buffer
	if err := json.Indent(&spaced, text, " ", "\t"); err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{text, spaced.Bytes()} {
		again, err := policy.Parse(form)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := again.Digest()
		if want, _ := p.Digest(); err != nil || digest != want || digest != credential.DigestOf(text) {
			t.Errorf("digest %s, %v", digest, err)
		}
	}
	statements, err := p.Resolve(now, known(t, titles()))
	if err != nil {
		t.Fatal(err)
	}
	text, err = statements[0].Canonical()
	if err != nil {
		t.Fatal(err)
	}
	again, err := policy.ParseStatement(text)
	if err != nil {
		t.Fatal(err)
	}
	if text2, err := again.Canonical(); err != nil || !bytes.Equal(text, text2) {
		t.Errorf("statement %s comes back as %s, %v", text, text2, err)
	}
	if _, err := policy.ParseStatement(append(text, '\n')); err == nil {
		t.Error("a statement that is not canonical is parsed")
	}
}

func TestPolicyValidate(t *testing.T) {
	clause := func(c policy.Clause) func(*policy.Policy) {
		return func(p *policy.Policy) { p.Queries[0].Clauses = []policy.Clause{c} }
	}
	query := func(change func(*policy.Query)) func(*policy.Policy) {
		return func(p *policy.Policy) { change(&p.Queries[0]) }
	}
	tests := []struct {
		name   string
		change func(*policy.Policy)
		names  string // what the error names; empty if the policy is fine
	}{
		{"as it is", func(*policy.Policy) {}, ""},
		{"no clauses", query(func(q *policy.Query) { q.Clauses = []policy.Clause{} }), ""},
		{"version", func(p *policy.Policy) { p.Version = 2 }, "version 2"},
		{"id", func(p *policy.Policy) { p.ID = "a b" }, "policy id"},
		{"verifier", func(p *policy.Policy) { p.Verifier = "shop" }, "verifier"},
		{"no name", func(p *policy.Policy) { p.Name = credential.Text{} }, "name"},
		{"no purpose", func(p *policy.Policy) { p.Purpose = credential.Text{} }, "purpose"},
		{"long purpose", func(p *policy.Policy) { p.Purpose.English = strings.Repeat("a", 1001) }, "purpose"},
		{"purpose of two lines", func(p *policy.Policy) { p.Purpose.English = "Buy\nNothing is shown." }, "purpose: text contains the control character U+000A"},
		{"purpose in reverse", func(p *policy.Policy) { p.Purpose.Chinese = "\u202etxt" }, "U+202E"},
		{"purpose not NFC", func(p *policy.Policy) { p.Purpose.English = "e\u0301" }, "normalisation"},
		{"retention", func(p *policy.Policy) { p.RetentionDays = -1 }, "retention"},
		{"long retention", func(p *policy.Policy) { p.RetentionDays = 36501 }, "retention"},
		{"freshness 0", func(p *policy.Policy) { p.FreshnessSeconds = 0 }, "freshness"},
		{"freshness of 8 days", func(p *policy.Policy) { p.FreshnessSeconds = 8 * 86400 }, "freshness"},
		{"no queries", func(p *policy.Policy) { p.Queries = nil }, "0 queries"},
		{"five queries", func(p *policy.Policy) {
			for _, id := range []string{"b", "c", "d", "e"} {
				q := p.Queries[0]
				q.ID = id
				p.Queries = append(p.Queries, q)
			}
		}, "5 queries"},
		{"query twice", func(p *policy.Policy) { p.Queries = append(p.Queries, p.Queries[0]) }, `"title"`},
		{"query id", query(func(q *policy.Query) { q.ID = "" }), `query ""`},
		{"no issuers", query(func(q *policy.Query) { q.Issuers = nil }), "0 issuers"},
		{"issuers descending", query(func(q *policy.Query) { slices.Reverse(q.Issuers) }), "ascending"},
		{"issuer twice", query(func(q *policy.Query) { q.Issuers = []string{land, land} }), "ascending"},
		{"odd issuer", query(func(q *policy.Query) { q.Issuers = []string{"did:web:é"} }), "DIDs"},
		{"4,097 issuers", query(func(q *policy.Query) { q.Issuers = manyIssuers(4097) }), "4097 issuers"},
		{"policy too large", query(func(q *policy.Query) { q.Issuers = manyIssuers(4096) }), "bytes, at most"},
		{"clauses missing", query(func(q *policy.Query) { q.Clauses = nil }), "clauses are missing"},
		{"13 clauses", query(func(q *policy.Query) { q.Clauses = slices.Repeat([]policy.Clause{{Claim: "a", Present: true}}, 13) }), "13 clauses"},
		{"clause of no claim", clause(policy.Clause{Present: true}), "clause 1 names no claim"},
		{"clause of a long claim", clause(policy.Clause{Claim: strings.Repeat("a", 1000), Present: true}), "clause 1 names no claim"},
		{"empty clause", clause(policy.Clause{Claim: "area"}), `clause 1 on "area": want exactly one`},
		{"two forms", clause(policy.Clause{Claim: "area", AtLeast: "1.0", Present: true}), "exactly one"},
		{"bound and period", clause(policy.Clause{Claim: "since", AtMost: "2020-01-01", AtLeastAgo: "P1Y"}), "exactly one"},
		{"two periods", clause(policy.Clause{Claim: "since", WithinLast: "P1Y", AtLeastAgo: "P1Y"}), "exactly one"},
		{"equals and in", clause(policy.Clause{Claim: "right", Equals: "owner", In: []string{"owner"}}), "exactly one"},
		{"negated set", clause(policy.Clause{Claim: "right", In: []string{"owner"}, Not: true}), "set cannot be negated"},
		{"absence", clause(policy.Clause{Claim: "right", Present: true, Not: true}), "absent cannot be proven"},
		{"odd period", clause(policy.Clause{Claim: "since", AtLeastAgo: "2 years"}), "period"},
		{"number", clause(policy.Clause{Claim: "area", Equals: 5.0}), "equals takes"},
		{"list", clause(policy.Clause{Claim: "right", Equals: []any{"owner"}}), "equals takes"},
		{"object", clause(policy.Clause{Claim: "right", Equals: map[string]any{"a": "b"}}), "equals takes"},
		{"value of two lines", clause(policy.Clause{Claim: "right", Equals: "owner\nor not"}), "U+000A"},
		{"member in reverse", clause(policy.Clause{Claim: "right", In: []string{"a", "\u202eb"}}), "U+202E"},
		{"disclosed twice", query(func(q *policy.Query) { q.Disclose = []string{"area", "area"} }), `discloses "area" twice`},
		{"five disclosed", query(func(q *policy.Query) { q.Disclose = []string{"a", "b", "c", "d", "e"} }), "discloses 5"},
		{"no claim disclosed", query(func(q *policy.Query) { q.Disclose = []string{""} }), "disclosure 1"},
		{"empty scope", query(func(q *policy.Query) { q.Scope = &policy.Scope{} }), "scope names either"},
		{"both scopes", query(func(q *policy.Query) { q.Scope = &policy.Scope{Service: "a", Shared: shared(1)} }), "scope names either"},
		{"odd service", query(func(q *policy.Query) { q.SubjectScope = &policy.Scope{Service: "e\u0301"} }), "scope names either"},
		{"negative entry", query(func(q *policy.Query) { q.SubjectScope = &policy.Scope{Shared: shared(-1)} }), "entry -1"},
		{"entry beyond 2^53", query(func(q *policy.Query) { q.Scope = &policy.Scope{Shared: shared(1 << 53)} }), "entry 9007199254740992"},
	}
	for _, test := range tests {
		p := purchase(t, titles(), policy.Clause{Claim: "area", AtLeast: "500.0"})
		test.change(p)
		err := p.Validate()
		if (err == nil) != (test.names == "") || err != nil && !strings.Contains(err.Error(), test.names) {
			t.Errorf("%s: error %v, want one that names %s", test.name, err, test.names)
		}
		// What resolves to a statement without validation must not pass there either.
		if err != nil && len(p.Queries) == 1 && strings.Contains(test.names, "clause") {
			s := policy.Statement{Version: 1, Verifier: shop, Query: "title", FreshnessSeconds: 1, Schema: p.Queries[0].Schema, Issuers: p.Queries[0].Issuers, Clauses: p.Queries[0].Clauses}
			if s.Validate() == nil {
				t.Errorf("%s: a statement with it is accepted", test.name)
			}
		}
	}
}

func manyIssuers(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("did:web:i%05d.example", i))
	}
	return out
}

func TestParseRefuses(t *testing.T) {
	text, err := purchase(t, titles()).Canonical()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) string {
		out := strings.Replace(string(text), old, new, 1)
		if out == string(text) {
			t.Fatalf("%s does not contain %s", text, old)
		}
		return out
	}
	for name, bad := range map[string]string{
		"nothing":           "",
		"null":              "null",
		"list":              "[]",
		"null clauses":      edit(`"clauses":[]`, `"clauses":null`),
		"missing clauses":   edit(`"clauses":[],`, ``),
		"case variant":      edit(`"version":1`, `"version":1,"Version":1`),
		"unknown member":    edit(`"version":1`, `"version":1,"more":1`),
		"unknown in clause": edit(`"clauses":[]`, `"clauses":[{"claim":"area","at_least":"1.0","or":true}]`),
		"text for a list":   edit(`"clauses":[]`, `"clauses":"none"`),
		"number for a text": edit(`"clauses":[]`, `"clauses":[{"claim":"area","at_least":1}]`),
		"null to equal":     edit(`"clauses":[]`, `"clauses":[{"claim":"area","equals":null}]`),
		"empty set":         edit(`"clauses":[]`, `"clauses":[{"claim":"area","in":[]}]`),
		"null for a set":    edit(`"clauses":[]`, `"clauses":[{"claim":"area","present":true,"in":null}]`),
		"fraction":          edit(`"version":1`, `"version":1.5`),
		"schema plus a bit": edit(`"schema":"`, `"schema":"A`),
		"large entry":       edit(`"schema":`, `"scope":{"shared_entry":9007199254740993},"schema":`),
		"entry as a float":  edit(`"schema":`, `"scope":{"shared_entry":1.5},"schema":`),
		"trailing data":     string(text) + "{}",
		"too large":         edit(`"en":"Buy"`, `"en":"`+strings.Repeat("a", 4*policy.MaxSize)+`"`),
		"deep":              edit(`"clauses":[]`, `"clauses":[{"claim":"a","equals":`+strings.Repeat("[", 50000)+`}]`),
		"name twice":        edit(`"en":"Purchase"`, `"en":"Purchase","en":"Sale"`),
	} {
		if p, err := policy.Parse([]byte(bad)); err == nil {
			t.Errorf("%s: accepted as %+v", name, p)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func FuzzParse(f *testing.F) {
	p := purchase(f, titles(), policy.Clause{Claim: "area", AtLeast: "500.0"}, policy.Clause{Claim: "since", AtLeastAgo: "P1Y2M3D"}, policy.Clause{Claim: "disputed", Equals: true, Not: true})
	p.Queries[0].Scope = &policy.Scope{Shared: shared(5), Once: true}
	text, err := p.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, long := range fuzztest.Long(text) {
		f.Add(long)
	}
	f.Add(bytes.ReplaceAll(text, []byte("P1Y2M3D"), []byte("P9999Y")))
	f.Add(bytes.ReplaceAll(text, []byte(`"equals":true`), []byte(`"equals":[{}]`)))
	f.Add([]byte(`{"clauses":null}`))
	schemas := known(f, titles())
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policy.Parse(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		canonical, err := p.Canonical()
		if err != nil {
			t.Fatalf("valid, but: %v", err)
		}
		again, err := policy.Parse(canonical)
		if err != nil {
			t.Fatalf("canonical form %s is refused: %v", canonical, err)
		}
		if text2, err := again.Canonical(); err != nil || !bytes.Equal(text2, canonical) {
			t.Fatalf("%s comes back as %s, %v", canonical, text2, err)
		}
		statements, err := p.Resolve(now, schemas)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for i := range statements {
			if err := statements[i].Validate(); err != nil {
				t.Fatalf("%s resolves to what is refused: %v", canonical, err)
			}
			compiled, err := statements[i].Compile(policy.Context{Schema: titles(), Issuers: statements[i].Issuers})
			if err == nil && compiled.Clauses.Validate() != nil {
				t.Fatalf("%s compiles to clauses that mean nothing", canonical)
			}
		}
	})
}
