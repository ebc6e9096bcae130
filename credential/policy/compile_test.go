package policy_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
)

// statement resolves a policy with those clauses on one title.
func statement(t testing.TB, schema *credential.Schema, clauses ...policy.Clause) *policy.Statement {
	t.Helper()
	statements, err := purchase(t, schema, clauses...).Resolve(now, known(t, schema))
	if err != nil {
		t.Fatal(err)
	}
	return &statements[0]
}

func context(schema *credential.Schema) policy.Context {
	return policy.Context{Genesis: credential.DigestOf([]byte("genesis")), Schema: schema, Issuers: []string{land, survey}}
}

func encoded(t testing.TB, schema *credential.Schema, claim, value string) uint64 {
	t.Helper()
	slot, _ := schema.Slot(claim)
	n, err := schema.Claims[slot].Number(value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func text(s string) credential.Element { return credential.F("claim", []byte(s)) }

func TestCompileClauses(t *testing.T) {
	schema := titles()
	number := func(claim, value string) uint64 { return encoded(t, schema, claim, value) }
	const top = uint64(math.MaxUint64)
	intervals := []struct {
		clause policy.Clause
		want   credential.Interval
	}{
		{policy.Clause{Claim: "area", AtLeast: "500.0"}, credential.Interval{Mode: 1, Slot: 1, Low: number("area", "500.0"), High: top}},
		{policy.Clause{Claim: "area", AtMost: "-0.5", Not: true}, credential.Interval{Mode: 5, Slot: 1, Low: 1, High: 1<<63 - 5}},
		{policy.Clause{Claim: "area", AtLeast: "1.0", AtMost: "1.0", AnyOf: true}, credential.Interval{Mode: 2, Slot: 1, Low: 1<<63 + 10, High: 1<<63 + 10}},
		{policy.Clause{Claim: "since", AtLeastAgo: "P1Y"}, credential.Interval{Mode: 1, Slot: 2, Low: 1, High: number("since", "2023-02-28")}},
		{policy.Clause{Claim: "since", WithinLast: "P1M", Not: true, AnyOf: true}, credential.Interval{Mode: 6, Slot: 2, Low: number("since", "2024-01-29"), High: number("since", "2024-02-29")}},
		{policy.Clause{Claim: "seen", WithinLast: "P1D"}, credential.Interval{Mode: 1, Slot: 3, Low: number("seen", "2024-02-28T10:30:00Z"), High: number("seen", "2024-02-29T10:30:00Z")}},
	}
	for _, test := range intervals {
		got, err := statement(t, schema, test.clause).Compile(context(schema))
		if err != nil || got.Clauses != (credential.Clauses{Intervals: [credential.Intervals]credential.Interval{test.want}}) {
			t.Errorf("%+v compiles to %+v, %v", test.clause, got, err)
		}
	}
	equalities := []struct {
		clause policy.Clause
		want   credential.Equality
	}{
		{policy.Clause{Claim: "right", Equals: "owner"}, credential.Equality{Mode: 1, Slot: 4, Value: text("owner")}},
		{policy.Clause{Claim: "disputed", Equals: false}, credential.Equality{Mode: 1, Slot: 5, Value: credential.ElementFromUint64(1)}},
		{policy.Clause{Claim: "disputed", Equals: true, Not: true}, credential.Equality{Mode: 5, Slot: 5, Value: credential.ElementFromUint64(2)}},
		{policy.Clause{Claim: "area", Equals: "2.5", AnyOf: true}, credential.Equality{Mode: 2, Slot: 1, Value: credential.ElementFromUint64(1<<63 + 25)}},
		{policy.Clause{Claim: "right", Present: true}, credential.Equality{Mode: 5, Slot: 4, Value: credential.ElementFromUint64(1)}},
		{policy.Clause{Claim: "since", Present: true, AnyOf: true}, credential.Equality{Mode: 6, Slot: 2, Value: credential.F("impossible", nil)}},
	}
	for _, test := range equalities {
		got, err := statement(t, schema, test.clause).Compile(context(schema))
		if err != nil || got.Clauses != (credential.Clauses{Equalities: [credential.Equalities]credential.Equality{test.want}}) {
			t.Errorf("%+v compiles to %+v, %v", test.clause, got, err)
		}
	}
	set, err := tree.NewSet([]credential.Element{text("owner"), text("heir")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := statement(t, schema, policy.Clause{Claim: "right", In: []string{"heir", "owner", "heir"}}).Compile(context(schema))
	want := credential.Membership{Mode: 1, Slot: 4, Root: set.Root()}
	if err != nil || got.Clauses != (credential.Clauses{Memberships: [credential.Memberships]credential.Membership{want}}) || got.Sets[0].Root() != want.Root || got.Sets[1] != nil {
		t.Errorf("a set compiles to %+v, %v", got, err)
	}
}

func TestCompileContext(t *testing.T) {
	schema := titles()
	s := statement(t, schema)
	s.Scope, s.SubjectScope = &policy.Scope{Service: "counter"}, &policy.Scope{Shared: shared(9), Once: true}
	s.Disclose = []string{"right", "area"}
	c := context(schema)
	c.Disclosed = credential.Claims{"area": "12.5", "right": "owner"}
	c.Issuers = []string{survey}
	got, err := s.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	issuers, err := tree.NewSet([]credential.Element{credential.IssuerID(survey)})
	if err != nil {
		t.Fatal(err)
	}
	want := [credential.Equalities]credential.Equality{{Mode: 1, Slot: 4, Value: text("owner")}, {Mode: 1, Slot: 1, Value: credential.ElementFromUint64(1<<63 + 125)}}
	switch {
	case got.Schema != idOf(t, schema):
		t.Errorf("schema %s", got.Schema)
	case got.Now != credential.EncodeTime(now):
		t.Errorf("now %d", got.Now)
	case got.Issuers.Root() != issuers.Root():
		t.Error("the issuer set is not that of the issuers in good standing")
	case got.Scope != credential.VerifierScope(shop, "counter") || got.SubjectScope != credential.SharedScope(c.Genesis, 9):
		t.Errorf("scopes %s, %s", got.Scope, got.SubjectScope)
	case got.Clauses.Equalities != want:
		t.Errorf("disclosures %+v", got.Clauses.Equalities)
	}
}

func TestUnprovable(t *testing.T) {
	on := func(clauses ...policy.Clause) func(*policy.Policy, *credential.Schema) {
		return func(p *policy.Policy, _ *credential.Schema) { p.Queries[0].Clauses = clauses }
	}
	repeat := func(c policy.Clause, n int) func(*policy.Policy, *credential.Schema) {
		return on(slices.Repeat([]policy.Clause{c}, n)...)
	}
	many := make([]string, 4097)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	once := &policy.Scope{Service: "counter", Once: true}
	tests := []struct {
		name       string
		change     func(*policy.Policy, *credential.Schema)
		names      string
		unprovable bool
	}{
		{"bounds on text", on(policy.Clause{Claim: "parcel", AtLeast: "A"}), `query "title", clause 1 on "parcel": bounds are for numbers`, true},
		{"bounds on enum", on(policy.Clause{Claim: "right", AtMost: "owner"}), `clause 1 on "right": bounds are for numbers`, true},
		{"bounds on boolean", on(policy.Clause{Claim: "disputed", AtMost: "true"}), `clause 1 on "disputed": bounds are for numbers`, true},
		{"seven intervals", repeat(policy.Clause{Claim: "area", AtLeast: "1.0"}, 7), `clause 7 on "area": more than 6`, true},
		{"five equalities", repeat(policy.Clause{Claim: "right", Equals: "owner"}, 5), `clause 5 on "right": more than 4`, true},
		{"three sets", repeat(policy.Clause{Claim: "right", In: []string{"owner"}}, 3), `clause 3 on "right": more than 2`, true},
		{"empty interval", on(policy.Clause{Claim: "floors", Present: true}, policy.Clause{Claim: "area", AtLeast: "2.0", AtMost: "1.9"}), `clause 2 on "area": nothing lies between 2.0 and 1.9`, true},
		{"4,097 values", on(policy.Clause{Claim: "parcel", In: many}), `clause 1 on "parcel"`, true},
		{"unknown claim", on(policy.Clause{Claim: "height", AtLeast: "1"}), `query "title", clause 1 on "height"`, false},
		{"scale", on(policy.Clause{Claim: "area", AtLeast: "500"}), `clause 1 on "area": "500"`, false},
		{"no date", on(policy.Clause{Claim: "since", AtMost: "2023-02-29"}), `clause 1 on "since": "2023-02-29" is not a date`, false},
		{"time for date", on(policy.Clause{Claim: "since", AtMost: "2023-02-28T00:00:00Z"}), `clause 1 on "since"`, false},
		{"foreign value", on(policy.Clause{Claim: "right", Equals: "thief"}), `clause 1 on "right": "thief"`, false},
		{"foreign member", on(policy.Clause{Claim: "right", In: []string{"owner", "thief"}}), `clause 1 on "right": value "thief"`, false},
		{"text for boolean", on(policy.Clause{Claim: "disputed", Equals: "true"}), `clause 1 on "disputed"`, false},
		{"boolean for text", on(policy.Clause{Claim: "parcel", Equals: true}), `clause 1 on "parcel"`, false},
		{"empty text", on(policy.Clause{Claim: "parcel", Equals: ""}), `clause 1 on "parcel": text is empty`, false},
		{"set of booleans", on(policy.Clause{Claim: "disputed", In: []string{"true"}}), `clause 1 on "disputed": value "true"`, false},
		{"-2^63", on(policy.Clause{Claim: "floors", AtLeast: "-9223372036854775808"}), `clause 1 on "floors": -2^63`, false},
		{"period of a number", on(policy.Clause{Claim: "area", AtLeastAgo: "P1Y"}), `clause 1 on "area": periods are for dates`, false},
		{"period before the calendar", on(policy.Clause{Claim: "since", AtLeastAgo: "P9999Y"}), `query "title", clause 1 on "since": P9999Y before 2024-02-29 is outside`, false},
		{"disclosure of nothing", func(p *policy.Policy, _ *credential.Schema) { p.Queries[0].Disclose = []string{"height"} }, `query "title": disclosure of "height"`, false},
		{"too many disclosures", func(p *policy.Policy, _ *credential.Schema) {
			p.Queries[0].Clauses = slices.Repeat([]policy.Clause{{Claim: "right", Equals: "owner"}}, 3)
			p.Queries[0].Disclose = []string{"area", "parcel"}
		}, `query "title": disclosure of "parcel": more than 4`, true},
		{"once, several live", func(p *policy.Policy, s *credential.Schema) { p.Queries[0].Scope = once; s.OnePerPerson = false }, `query "title": once per person`, true},
		{"once, own registers", func(p *policy.Policy, s *credential.Schema) {
			p.Queries[0].Scope = once
			s.EnrolmentRegister = credential.IssuerRegister
		}, `query "title": once per person: the accepted issuers`, true},
		{"subject without register", func(p *policy.Policy, s *credential.Schema) { p.Queries[0].SubjectScope = once; s.SubjectRegister = "" }, `query "title": subject tag: schema urn:bulla:schema:title:1 names no`, true},
		{"subject, own registers", func(p *policy.Policy, s *credential.Schema) {
			p.Queries[0].SubjectScope = once
			s.SubjectRegister = credential.IssuerRegister
		}, `query "title": subject tag: the accepted issuers`, true},
		{"unknown schema", func(p *policy.Policy, _ *credential.Schema) { p.Queries[0].Schema = credential.ElementFromUint64(1) }, `query "title": no such schema`, false},
	}
	for _, test := range tests {
		schema := titles()
		p := purchase(t, schema)
		test.change(p, schema)
		if p.Queries[0].Schema != credential.ElementFromUint64(1) {
			p.Queries[0].Schema = idOf(t, schema)
		}
		err := p.Check(now, known(t, schema), nil)
		if err == nil || !strings.Contains(err.Error(), test.names) || !strings.Contains(err.Error(), `query "title"`) {
			t.Errorf("%s: error %v, want one that names %s", test.name, err, test.names)
		}
		if errors.Is(err, policy.ErrUnprovable) != test.unprovable {
			t.Errorf("%s: %v: unprovable %t, want %t", test.name, err, !test.unprovable, test.unprovable)
		}
	}
}

// Once is fine where it means what it says.
// A query that names the small circuit may ask no more than that proves, and its issuers are in a set of that depth.
func TestSmallCircuit(t *testing.T) {
	schema := titles()
	small := func(clauses ...policy.Clause) (*policy.Compiled, error) {
		s := statement(t, schema, clauses...)
		s.Circuit = credential.Small.Circuit
		return s.Compile(context(schema))
	}
	area := policy.Clause{Claim: "area", AtLeast: "1.0"}
	got, err := small(area, area)
	if err != nil {
		t.Fatal(err)
	}
	issuers, err := tree.NewSetOfDepth(4, []credential.Element{credential.IssuerID(land), credential.IssuerID(survey)})
	if err != nil {
		t.Fatal(err)
	}
	if got.Shape != credential.Small || got.Issuers.Root() != issuers.Root() {
		t.Errorf("compiled for %s with the issuer set %s", got.Shape.Circuit, got.Issuers.Root())
	}
	for name, clauses := range map[string][]policy.Clause{
		"three intervals": {area, area, area}, "a set": {{Claim: "right", In: []string{"owner", "heir"}}},
	} {
		if _, err := small(clauses...); !errors.Is(err, policy.ErrUnprovable) {
			t.Errorf("%s: %v, want %v", name, err, policy.ErrUnprovable)
		}
		if _, err := statement(t, schema, clauses...).Compile(context(schema)); err != nil {
			t.Errorf("%s, whole: %v", name, err)
		}
	}
	// A policy may name a circuit that is newer than this program: a ledger takes it, but here it cannot be proven.
	for circuit, provable := range map[string]bool{"presentation-1": false, "pre sentation": false, "presentation-9": true, "enrolment-1": true} {
		p := purchase(t, schema, area)
		p.Queries[0].Circuit = circuit
		if err := p.Validate(); (err == nil) != provable {
			t.Errorf("policy with the circuit %q: %v", circuit, err)
		}
		if err := p.Check(now, known(t, schema), nil); err == nil || provable && !errors.Is(err, policy.ErrUnprovable) {
			t.Errorf("circuit %q: %v", circuit, err)
		}
	}
	p := purchase(t, schema, area)
	p.Queries[0].Circuit, p.Queries[0].Issuers = credential.Small.Circuit, nil
	for i := range 257 {
		p.Queries[0].Issuers = append(p.Queries[0].Issuers, fmt.Sprintf("did:web:%03d.example", i))
	}
	if err := p.Check(now, known(t, schema), nil); !errors.Is(err, policy.ErrUnprovable) || !strings.Contains(err.Error(), "257 issuers, presentation-small-1 takes 256") {
		t.Errorf("257 issuers: %v", err)
	}
}

func TestProvableScopes(t *testing.T) {
	once := &policy.Scope{Service: "counter", Once: true}
	for name, change := range map[string]func(*policy.Policy, *credential.Schema){
		"shared register": func(p *policy.Policy, _ *credential.Schema) { p.Queries[0].Scope = once },
		"one issuer": func(p *policy.Policy, s *credential.Schema) {
			p.Queries[0].Scope, p.Queries[0].Issuers = once, []string{land}
			s.EnrolmentRegister = credential.IssuerRegister
		},
		"pseudonym alone": func(p *policy.Policy, s *credential.Schema) {
			p.Queries[0].Scope = &policy.Scope{Service: "counter"}
			s.OnePerPerson, s.EnrolmentRegister = false, credential.IssuerRegister
		},
		"shared subject register": func(p *policy.Policy, _ *credential.Schema) { p.Queries[0].SubjectScope = once },
	} {
		schema := titles()
		p := purchase(t, schema)
		change(p, schema)
		p.Queries[0].Schema = idOf(t, schema)
		if err := p.Check(now, known(t, schema), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A hostile statement must not show one thing and prove another, nor bring down whoever reads it.
func TestHostileStatements(t *testing.T) {
	schema := titles()
	tests := []struct {
		name   string
		change func(*policy.Statement)
		names  string
	}{
		{"version", func(s *policy.Statement) { s.Version = 0 }, "version"},
		{"verifier", func(s *policy.Statement) { s.Verifier = "did:e\u0301" }, "verifier"},
		{"query", func(s *policy.Statement) { s.Query = "" }, "id"},
		{"freshness", func(s *policy.Statement) { s.FreshnessSeconds = -1 }, "freshness"},
		{"year 10000", func(s *policy.Statement) { s.Now = 253402300800 }, "years 0000 to 9999"},
		{"end of time", func(s *policy.Statement) { s.Now = math.MaxInt64 }, "years 0000 to 9999"},
		{"beginning of time", func(s *policy.Statement) { s.Now = math.MinInt64 }, "years 0000 to 9999"},
		{"issuers out of order", func(s *policy.Statement) { s.Issuers = []string{survey, land} }, "ascending"},
		{"null clauses", func(s *policy.Statement) { s.Clauses = nil }, "missing"},
		{"other bound than the period's", func(s *policy.Statement) { s.Clauses[0].AtMost = "2023-12-31" }, "do not follow"},
		{"another bound beside it", func(s *policy.Statement) { s.Clauses[0].AtLeast = "2000-01-01" }, "do not follow"},
		{"period not resolved", func(s *policy.Statement) { s.Clauses[0].AtMost = "" }, "do not follow"},
		{"other day", func(s *policy.Statement) { s.Now -= 5 * 86400 }, "do not follow"},
		{"bounds and value", func(s *policy.Statement) { s.Clauses[1].Equals = "1.0" }, "exactly one"},
		{"bounds and set", func(s *policy.Statement) { s.Clauses[1].In = []string{"1.0"} }, "exactly one"},
		{"bounds and presence", func(s *policy.Statement) { s.Clauses[1].Present = true }, "exactly one"},
		{"period and value", func(s *policy.Statement) { s.Clauses[0].Equals = "2020-01-01" }, "exactly one"},
		{"clause says nothing", func(s *policy.Statement) { s.Clauses[1] = policy.Clause{Claim: "area"} }, "exactly one"},
		{"negated set", func(s *policy.Statement) {
			s.Clauses[1] = policy.Clause{Claim: "right", In: []string{"owner"}, Not: true}
		}, "negated"},
		{"service that is no name", func(s *policy.Statement) { s.Scope = &policy.Scope{Service: "e\u0301"} }, "scope"},
		{"negative scope", func(s *policy.Statement) { s.Scope = &policy.Scope{Shared: shared(-1)} }, "entry -1"},
		{"two scopes in one", func(s *policy.Statement) { s.SubjectScope = &policy.Scope{Service: "a", Shared: shared(1)} }, "scope"},
		{"other schema", func(s *policy.Statement) { s.Schema = credential.ElementFromUint64(7) }, "schema"},
	}
	for _, test := range tests {
		s := statement(t, schema, policy.Clause{Claim: "since", AtLeastAgo: "P1Y"}, policy.Clause{Claim: "area", AtLeast: "500.0"})
		if _, err := s.Compile(context(schema)); err != nil {
			t.Fatal(err)
		}
		test.change(s)
		if _, err := s.Compile(context(schema)); err == nil || !strings.Contains(err.Error(), test.names) {
			t.Errorf("%s: compile: %v, want an error that names %s", test.name, err, test.names)
		}
		if _, err := s.Explain(policy.Context{Schema: schema}, strings.ToUpper, "en"); err == nil || !strings.Contains(err.Error(), test.names) {
			t.Errorf("%s: explain: %v, want an error that names %s", test.name, err, test.names)
		}
	}
	if _, err := statement(t, schema).Compile(policy.Context{Issuers: []string{land}}); err == nil {
		t.Error("compiled without a schema")
	}
}

func TestCompileRefusesContext(t *testing.T) {
	schema := titles()
	s := statement(t, schema)
	s.Disclose = []string{"area", "right"}
	good := func() policy.Context {
		c := context(schema)
		c.Disclosed = credential.Claims{"area": "12.5", "right": "owner"}
		return c
	}
	if _, err := s.Compile(good()); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*policy.Context)
		names  string
	}{
		{"value missing", func(c *policy.Context) { delete(c.Disclosed, "area") }, "1 values disclosed, want 2"},
		{"none", func(c *policy.Context) { c.Disclosed = credential.Claims{} }, "0 values disclosed, want 2"},
		{"value extra", func(c *policy.Context) { c.Disclosed["parcel"] = "A" }, "3 values disclosed, want 2"},
		{"another claim's value", func(c *policy.Context) { delete(c.Disclosed, "area"); c.Disclosed["parcel"] = "A" }, `disclosure of "area": the value is missing`},
		{"JSON number", func(c *policy.Context) { c.Disclosed["area"] = 12.5 }, `disclosure of "area"`},
		{"second spelling", func(c *policy.Context) { c.Disclosed["area"] = "012.5" }, `disclosure of "area"`},
		{"null", func(c *policy.Context) { c.Disclosed["right"] = nil }, `disclosure of "right"`},
		{"no issuer in good standing", func(c *policy.Context) { c.Issuers = nil }, "issuers in good standing"},
		{"foreign issuer", func(c *policy.Context) { c.Issuers = []string{land, shop} }, "issuer did:web:shop.example is not accepted"},
		{"another schema", func(c *policy.Context) { c.Schema = &credential.Schema{} }, "not the one asked for"},
	}
	for _, test := range tests {
		c := good()
		test.change(&c)
		if _, err := s.Compile(c); err == nil || !strings.Contains(err.Error(), test.names) || !strings.Contains(err.Error(), `query "title"`) {
			t.Errorf("%s: error %v, want one that names %s", test.name, err, test.names)
		}
	}
	// Without disclosures, values are not asked for, and not taken.
	plain := statement(t, schema)
	if _, err := plain.Compile(policy.Context{Schema: schema, Issuers: []string{land}, Disclosed: credential.Claims{"area": "1.0"}}); err == nil {
		t.Error("a value that was not asked for is taken")
	}
}

func TestResolve(t *testing.T) {
	schema := titles()
	p := purchase(t, schema, policy.Clause{Claim: "since", WithinLast: "P1Y"}, policy.Clause{Claim: "seen", AtLeastAgo: "P1M"})
	at := time.Date(2024, 3, 1, 1, 0, 0, 999, time.FixedZone("", 8*3600)) // still February in UTC
	statements, err := p.Resolve(at, known(t, schema))
	if err != nil {
		t.Fatal(err)
	}
	s := statements[0]
	if s.Now.Time() != time.Date(2024, 2, 29, 17, 0, 0, 0, time.UTC) {
		t.Errorf("now is %s", s.Now)
	}
	if c := s.Clauses[0]; c.AtLeast != "2023-02-28" || c.AtMost != "2024-02-29" || c.WithinLast != "P1Y" {
		t.Errorf("%+v", c)
	}
	if c := s.Clauses[1]; c.AtLeast != "" || c.AtMost != "2024-01-29T17:00:00Z" || c.AtLeastAgo != "P1M" {
		t.Errorf("%+v", c)
	}
	if p.Queries[0].Clauses[0].AtLeast != "" {
		t.Error("Resolve changes the policy")
	}
	for _, year := range []int{-1, 10000} {
		if _, err := p.Resolve(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), known(t, schema)); err == nil {
			t.Errorf("resolved in the year %d", year)
		}
	}
}

// The same statement gives the same inputs, whatever the order of issuers and of values in a set.
func TestCompileIsDeterministic(t *testing.T) {
	schema := titles()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.Permutation([]string{"owner", "tenant", "heir"}).Draw(t, "values")
		issuers := rapid.Permutation([]string{land, survey}).Draw(t, "issuers")
		build := func(values, issuers []string) *policy.Compiled {
			s := policy.Statement{
				Version: 1, Verifier: shop, Query: "title", Now: credential.UnixTimeOf(now), FreshnessSeconds: 60, Schema: mustID(t, schema), Issuers: []string{land, survey},
				Clauses: []policy.Clause{{Claim: "right", In: values}, {Claim: "area", AtLeast: "5.0"}, {Claim: "disputed", Equals: false, AnyOf: true}},
			}
			c := context(schema)
			c.Issuers = issuers
			out, err := s.Compile(c)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		a, b := build(values, issuers), build([]string{"owner", "tenant", "heir"}, []string{land, survey})
		if a.Clauses != b.Clauses || a.Issuers.Root() != b.Issuers.Root() || a.Now != b.Now || a.Schema != b.Schema || a.Scope != b.Scope {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

func mustID(t interface{ Fatal(...any) }, s *credential.Schema) credential.Element {
	id, err := s.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func ExampleStatement_Compile() {
	schema := &credential.Schema{
		Type: "urn:bulla:schema:residence:1", EnrolmentRegister: "people",
		Claims: []credential.ClaimType{{Name: "district", Type: credential.String}, {Name: "since", Type: credential.Date}},
	}
	id, err := schema.ID()
	if err != nil {
		fmt.Println(err)
		return
	}
	p := policy.Policy{
		Version: 1, ID: "subsidy", Verifier: "did:web:city.example", Name: credential.Text{English: "Subsidy"}, Purpose: credential.Text{English: "Rent subsidy"},
		FreshnessSeconds: 3600,
		Queries: []policy.Query{{
			ID: "residence", Schema: id, Issuers: []string{"did:web:civil.example"},
			Clauses: []policy.Clause{{Claim: "district", In: []string{"110101", "110102"}}, {Claim: "since", AtLeastAgo: "P2Y"}},
		}},
	}
	schemas := func(credential.Element) (*credential.Schema, error) { return schema, nil }
	statements, err := p.Resolve(time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC), schemas)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(statements[0].Clauses[1].AtMost)
	compiled, err := statements[0].Compile(policy.Context{Schema: schema, Issuers: statements[0].Issuers})
	fmt.Println(compiled.Clauses.Intervals[0].High-1<<63, compiled.Clauses.Memberships[0].Root == compiled.Sets[0].Root(), err)
	// Output:
	// 2024-01-15
	// 19737 true <nil>
}
