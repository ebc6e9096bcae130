package testvectors

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// policies is what policies.json holds: schemas by name, sets, and policies that ask for them.
type policies struct {
	Schemas    map[string]*credential.Schema `json:"schemas"`
	Sets       []namedSetVector              `json:"sets"`
	Policies   []policyVector                `json:"policies"`
	Statements []statementVector             `json:"statements"`
}

// policyVector leads from a policy to public inputs. Layers that refuse: "policy" on reading, "resolve", "compile".
// Every good set is at hand.
type policyVector struct {
	Name       string              `json:"name"`
	Now        credential.UnixTime `json:"now"`
	Genesis    credential.Digest   `json:"genesis"`
	Policy     json.RawMessage     `json:"policy"`
	Expect     string              `json:"expect"`
	Digest     *credential.Digest  `json:"digest,omitempty"`     // SHA-256 of the canonical form
	Statements []string            `json:"statements,omitempty"` // canonical, one for each query
	Contexts   []contextVector     `json:"contexts,omitempty"`   // what each is compiled with
	Inputs     []inputVector       `json:"inputs,omitempty"`
}

// namedSetVector is the text of a set as it comes from whoever has it, under the digest of that text.
type namedSetVector struct {
	Name     string            `json:"name"`
	Document string            `json:"document"`
	Digest   credential.Digest `json:"digest"`
	Expect   string            `json:"expect"` // "set"
}

type contextVector struct {
	Schema    string            `json:"schema"`    // its name above
	Issuers   []string          `json:"issuers"`   // those in good standing
	Disclosed credential.Claims `json:"disclosed"` // null: no values yet
}

// inputVector is the part of the public inputs that follows from a statement.
type inputVector struct {
	Schema       hexElement   `json:"schema"`
	IssuerSet    hexElement   `json:"issuer_set"`
	Now          hexElement   `json:"now"`
	Clauses      []hexElement `json:"clauses"` // 42, of which a smaller circuit has the first of each kind: intervals of mode, slot, low, high; equalities and memberships of mode, slot, value
	Scope        hexElement   `json:"scope"`
	SubjectScope hexElement   `json:"subject_scope"`
}

// statementVector is a statement that nobody resolves to.
type statementVector struct {
	Name      string `json:"name"`
	Statement string `json:"statement"`
	Schema    string `json:"schema"`
	Expect    string `json:"expect"` // "statement"
}

const (
	landDID   = "did:web:land.example"
	surveyDID = "did:web:survey.example"
	shopDID   = "did:web:shop.example"
)

var vectorNow = time.Date(2024, 2, 29, 10, 30, 0, 0, time.UTC)

// policySchemas are those that the policies ask for.
func policySchemas() map[string]*credential.Schema {
	own := land()
	own.EnrolmentRegister, own.SubjectRegister = credential.IssuerRegister, ""
	several := land()
	several.OnePerPerson = false
	return map[string]*credential.Schema{"title": land(), "title, own registers": own, "title, several live": several}
}

func policyVectors() (any, error) {
	out := policies{Schemas: policySchemas()}
	if err := out.addSets(); err != nil {
		return nil, err
	}
	for _, c := range append(goodPolicies(), badPolicies()...) {
		v, err := out.vector(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out.Policies = append(out.Policies, v)
	}
	return out, out.addStatements()
}

// policyCase is a policy with one query, on one of the schemas.
type policyCase struct {
	name, layer string
	schema      string // "title" if empty
	query       policy.Query
	change      func(*policy.Policy)
	issuers     []string // both if nil
	disclosed   credential.Claims
}

func (c policyCase) policy(schemas map[string]*credential.Schema) (*policy.Policy, error) {
	id, err := schemas[c.schema].ID()
	if err != nil {
		return nil, err
	}
	q := c.query
	q.ID, q.Schema, q.Issuers = "title", id, []string{landDID, surveyDID}
	if q.Clauses == nil {
		q.Clauses = []policy.Clause{}
	}
	p := &policy.Policy{
		Version: 1, ID: "purchase", Verifier: shopDID, Name: credential.Text{English: "Purchase"}, Purpose: credential.Text{English: "Buy", Chinese: "购买"},
		RetentionDays: 30, FreshnessSeconds: 3600, Queries: []policy.Query{q},
	}
	if c.change != nil {
		c.change(p)
	}
	return p, nil
}

func (p *policies) lookUp(id credential.Element) (*credential.Schema, error) {
	for _, s := range p.Schemas {
		if known, err := s.ID(); err == nil && known == id {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no schema %s", id)
}

func (p *policies) vector(c policyCase) (policyVector, error) {
	if c.schema == "" {
		c.schema = "title"
	}
	if c.issuers == nil {
		c.issuers = []string{landDID, surveyDID}
	}
	v := policyVector{Name: c.name, Now: credential.UnixTimeOf(vectorNow), Genesis: credential.DigestOf([]byte("genesis")), Expect: c.layer}
	asked, err := c.policy(p.Schemas)
	if err != nil {
		return v, err
	}
	text, err := credential.Canonical(asked)
	if err != nil {
		return v, err
	}
	v.Policy = text
	if _, err := expect("policy", asked.Validate(), only("policy", c.layer)); err != nil || c.layer == "policy" {
		return v, err
	}
	digest := credential.DigestOf(text)
	v.Digest = &digest
	statements, err := asked.Resolve(vectorNow, p.lookUp)
	if _, err := expect("resolve", err, only("resolve", c.layer)); err != nil || c.layer == "resolve" {
		return v, err
	}
	for i := range statements {
		text, err := statements[i].Canonical()
		if err != nil {
			return v, err
		}
		v.Statements = append(v.Statements, string(text))
		context := contextVector{c.schema, c.issuers, c.disclosed}
		v.Contexts = append(v.Contexts, context)
		compiled, err := statements[i].Compile(policy.Context{Genesis: v.Genesis, Schema: p.Schemas[context.Schema], Sets: namedSets(), Issuers: context.Issuers, Disclosed: context.Disclosed})
		if _, err := expect("compile", err, only("compile", c.layer)); err != nil || c.layer == "compile" {
			return v, err
		}
		v.Inputs = append(v.Inputs, inputsOf(compiled))
	}
	return v, nil
}

// only is the layer, if it is the one that refuses.
func only(layer, refuses string) string {
	if layer == refuses {
		return layer
	}
	return ""
}

func inputsOf(c *policy.Compiled) inputVector {
	number := credential.ElementFromUint64
	var clauses []credential.Element
	for _, v := range c.Clauses.Intervals {
		clauses = append(clauses, number(uint64(v.Mode)), number(uint64(v.Slot)), number(v.Low), number(v.High))
	}
	for _, v := range c.Clauses.Equalities {
		clauses = append(clauses, number(uint64(v.Mode)), number(uint64(v.Slot)), v.Value)
	}
	for _, v := range c.Clauses.Memberships {
		clauses = append(clauses, number(uint64(v.Mode)), number(uint64(v.Slot)), v.Root)
	}
	return inputVector{hexElement(c.Schema), hexElement(c.Issuers.Root()), hexElement(number(c.Now)), hexElements(clauses), hexElement(c.Scope), hexElement(c.SubjectScope)}
}

// The good sets, by what they are for.
var (
	registries = setDocument(policy.IssuerSet, "Registries", landDID, surveyDID)
	oneOfficer = setDocument(policy.IssuerSet, "One registry", landDID)
	crowd      = setDocument(policy.IssuerSet, "Many", numbered("did:web:%03d.example", 257)...)
	rights     = setDocument(policy.ValueSet, "Rights", "heir", "owner")
	areas      = setDocument(policy.ValueSet, "Areas", "2.5", "512.5")
	thieves    = setDocument(policy.ValueSet, "Rights", "owner", "thief")
)

func setDocument(kind policy.SetKind, name string, members ...string) policy.SetDocument {
	return policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: name, Chinese: "名单"}, Members: members}
}

func numbered(format string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

// named is the digest of a set that is known to be good.
func named(d policy.SetDocument) credential.Digest {
	s, err := policy.NewSet(d)
	if err != nil {
		panic(err)
	}
	return s.Digest()
}

func namedSets() policy.Sets {
	var list []*policy.Set
	for _, d := range []policy.SetDocument{registries, oneOfficer, crowd, rights, areas, thieves} {
		s, err := policy.NewSet(d)
		if err != nil {
			panic(err)
		}
		list = append(list, s)
	}
	return policy.SetsOf(list...)
}

// addSets adds good sets and texts that are none.
func (p *policies) addSets() error {
	add := func(name, text, want string) error {
		digest := credential.DigestOf([]byte(text))
		_, err := policy.ParseSetNamed(digest, []byte(text))
		if _, err := expect("set", err, want); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
		p.Sets = append(p.Sets, namedSetVector{name, text, digest, want})
		return nil
	}
	for _, good := range []struct {
		name string
		set  policy.SetDocument
	}{
		{"registries", registries}, {"one registry", oneOfficer}, {"257 issuers", crowd}, {"rights", rights}, {"areas", areas}, {"rights that no title has", thieves},
		{"ascending as bytes, not as UTF-16", setDocument(policy.ValueSet, "x", "\uff21", "\U00010000")},
	} {
		text, err := credential.Canonical(good.set)
		if err != nil {
			return err
		}
		if err := add(good.name, string(text), ""); err != nil {
			return err
		}
	}
	text, err := credential.Canonical(rights)
	if err != nil {
		return err
	}
	for _, bad := range []struct{ name, old, new string }{
		{"descending", `"heir","owner"`, `"owner","heir"`}, {"a member twice", `"heir"`, `"owner"`}, {"no members", `"heir","owner"`, ``},
		{"an empty member", `"heir"`, `""`}, {"ascending as UTF-16, not as bytes", `"heir","owner"`, "\"\U00010000\",\"\uff21\""},
		{"not in NFC", `heir`, "he\u0301"}, {"a line break", `heir`, `he\nir`}, {"a mark that reverses", `heir`, "heir\u202e"},
		{"a number", `"heir"`, `1`}, {"no name", `{"en":"Rights","zh-CN":"名单"}`, `{}`}, {"another version", `"version":1`, `"version":2`},
		{"another kind", `"values"`, `"people"`}, {"issuers that are no DIDs", `"values"`, `"issuers"`}, {"an unknown member", `"version"`, `"valid":true,"version"`},
		{"another spelling", `,"version"`, `, "version"`}, {"an escape", `"heir"`, `"\u0068eir"`},
		{"1,001 bytes", `"heir"`, `"` + strings.Repeat("h", 1001) + `"`},
	} {
		if err := add(bad.name, strings.Replace(string(text), bad.old, bad.new, 1), "set"); err != nil {
			return err
		}
	}
	return nil
}

// bySet makes a policy name its issuers.
func bySet(d policy.SetDocument) func(*policy.Policy) {
	return func(p *policy.Policy) { p.Queries[0].Issuers, p.Queries[0].IssuerSet = nil, named(d) }
}

func clauses(c ...policy.Clause) policy.Query { return policy.Query{Clauses: c} }

func goodPolicies() []policyCase {
	entry := int64(17)
	one := func(name string, c policy.Clause) policyCase { return policyCase{name: name, query: clauses(c)} }
	return []policyCase{
		{name: "no clauses"},
		{name: "one issuer in good standing", issuers: []string{surveyDID}},
		one("at least", policy.Clause{Claim: "area", AtLeast: "500.0"}),
		one("at most, not", policy.Clause{Claim: "area", AtMost: "-0.5", Not: true}),
		one("between", policy.Clause{Claim: "since", AtLeast: "2000-01-01", AtMost: "2000-01-01"}),
		one("a year ago, on a leap day", policy.Clause{Claim: "since", AtLeastAgo: "P1Y"}),
		one("within a month and a day, as time", policy.Clause{Claim: "seen", WithinLast: "P1M1D"}),
		one("not within 366 days", policy.Clause{Claim: "since", WithinLast: "P366D", Not: true}),
		one("equals", policy.Clause{Claim: "right", Equals: "owner"}),
		one("equals number", policy.Clause{Claim: "area", Equals: "2.5"}),
		one("equals false", policy.Clause{Claim: "disputed", Equals: false}),
		one("not true", policy.Clause{Claim: "disputed", Equals: true, Not: true}),
		one("in, with a value twice", policy.Clause{Claim: "right", In: []string{"tenant", "owner", "tenant"}}),
		one("present text", policy.Clause{Claim: "parcel", Present: true}),
		one("present date", policy.Clause{Claim: "since", Present: true}),
		{name: "all at once", query: policy.Query{
			Clauses: []policy.Clause{
				{Claim: "area", AtLeast: "500.0"}, {Claim: "since", AtLeastAgo: "P2Y", AnyOf: true}, {Claim: "seen", WithinLast: "P1Y6M", AnyOf: true},
				{Claim: "right", In: []string{"owner", "heir"}}, {Claim: "disputed", Equals: false}, {Claim: "parcel", In: []string{"A", "B"}, AnyOf: true},
			},
			Disclose: []string{"right", "area"}, Scope: &policy.Scope{Service: "counter", Once: true}, SubjectScope: &policy.Scope{Shared: &entry},
		}, disclosed: credential.Claims{"right": "owner", "area": "512.5"}},
		{name: "small circuit", query: policy.Query{
			Circuit: credential.Small.Circuit, Clauses: []policy.Clause{{Claim: "area", AtLeast: "500.0"}, {Claim: "since", AtLeastAgo: "P2Y"}}, Disclose: []string{"right"},
		}, disclosed: credential.Claims{"right": "owner"}},
		{name: "issuers by reference", change: bySet(registries)},
		{name: "issuers by reference, one in good standing", change: bySet(registries), issuers: []string{surveyDID}},
		{name: "values by reference", change: bySet(registries), query: clauses(policy.Clause{Claim: "right", InSet: named(rights)}, policy.Clause{Claim: "area", InSet: named(areas), AnyOf: true})},
		{name: "257 issuers by reference", change: bySet(crowd), issuers: crowd.Members[:200]},
		{name: "one issuer by reference, once per person", schema: "title, own registers", change: bySet(oneOfficer), issuers: []string{landDID}, query: policy.Query{Scope: &policy.Scope{Service: "counter", Once: true}}},
		{name: "companions accepted", query: policy.Query{
			Clauses: []policy.Clause{{Claim: "area", AtLeast: "500.0"}, {Claim: "since", AtLeastAgo: "P2Y"}}, Disclose: []string{"right"}, Companion: true,
		}, disclosed: credential.Claims{"right": "owner"}},
		{name: "shared pseudonym, subject tag once", query: policy.Query{Scope: &policy.Scope{Shared: &entry}, SubjectScope: &policy.Scope{Service: "grant", Once: true}}},
	}
}

func badPolicies() []policyCase {
	bad := func(layer, name string, c ...policy.Clause) policyCase {
		return policyCase{name: name, layer: layer, query: clauses(c...)}
	}
	once := &policy.Scope{Service: "counter", Once: true}
	return []policyCase{
		bad("policy", "two forms in a clause", policy.Clause{Claim: "area", AtLeast: "1.0", Equals: "1.0"}),
		bad("policy", "no form in a clause", policy.Clause{Claim: "area"}),
		bad("policy", "negated set", policy.Clause{Claim: "right", In: []string{"owner"}, Not: true}),
		bad("policy", "absence", policy.Clause{Claim: "right", Present: true, Not: true}),
		bad("policy", "number instead of text", policy.Clause{Claim: "area", Equals: 5}),
		bad("policy", "odd period", policy.Clause{Claim: "since", AtLeastAgo: "P0Y"}),
		{name: "issuers in no order", layer: "policy", change: func(p *policy.Policy) { slices.Reverse(p.Queries[0].Issuers) }},
		{name: "no purpose", layer: "policy", change: func(p *policy.Policy) { p.Purpose = credential.Text{} }},
		{name: "freshness of 8 days", layer: "policy", change: func(p *policy.Policy) { p.FreshnessSeconds = 8 * 86400 }},
		{name: "companions with a pseudonym", layer: "policy", query: policy.Query{Companion: true, Scope: &policy.Scope{Service: "counter"}}},
		{name: "companions with a subject tag", layer: "policy", query: policy.Query{Companion: true, SubjectScope: &policy.Scope{Service: "counter"}}},
		{name: "companions beside another query", layer: "policy", query: policy.Query{Companion: true}, change: func(p *policy.Policy) {
			other := p.Queries[0]
			other.ID, other.Companion = "other", false
			p.Queries = append(p.Queries, other)
		}},
		{name: "circuit that is no plain name", layer: "policy", query: policy.Query{Circuit: "presentation 1"}},
		{name: "circuit that nobody knows", layer: "compile", query: policy.Query{Circuit: "presentation-0"}},
		{name: "circuit for enrolment", layer: "compile", query: policy.Query{Circuit: "enrolment-1"}},
		{name: "circuit that no name means", layer: "policy", query: policy.Query{Circuit: credential.Whole.Circuit}},
		{name: "three intervals in the small circuit", layer: "compile", query: policy.Query{
			Circuit: credential.Small.Circuit, Clauses: slices.Repeat([]policy.Clause{{Claim: "area", AtLeast: "1.0"}}, 3),
		}},
		{name: "set in the small circuit", layer: "compile", query: policy.Query{
			Circuit: credential.Small.Circuit, Clauses: []policy.Clause{{Claim: "right", In: []string{"owner"}}},
		}},
		bad("policy", "a set and a list in a clause", policy.Clause{Claim: "right", In: []string{"owner"}, InSet: named(rights)}),
		bad("policy", "negated set by reference", policy.Clause{Claim: "right", InSet: named(rights), Not: true}),
		{name: "a set and a list of issuers", layer: "policy", change: func(p *policy.Policy) { p.Queries[0].IssuerSet = named(registries) }},
		{name: "no issuers", layer: "policy", change: func(p *policy.Policy) { p.Queries[0].Issuers = nil }},
		bad("compile", "values by reference that nobody has", policy.Clause{Claim: "right", InSet: credential.DigestOf([]byte("nothing"))}),
		bad("compile", "issuers as values", policy.Clause{Claim: "parcel", InSet: named(registries)}),
		bad("compile", "foreign value by reference", policy.Clause{Claim: "right", InSet: named(thieves)}),
		bad("compile", "values of another type by reference", policy.Clause{Claim: "disputed", InSet: named(rights)}),
		bad("compile", "three sets by reference", slices.Repeat([]policy.Clause{{Claim: "right", InSet: named(rights)}}, 3)...),
		{name: "issuers by reference that nobody has", layer: "compile", change: func(p *policy.Policy) {
			p.Queries[0].Issuers, p.Queries[0].IssuerSet = nil, credential.DigestOf([]byte("nothing"))
		}},
		{name: "values as issuers", layer: "compile", change: bySet(rights)},
		{name: "257 issuers by reference in the small circuit", layer: "compile", issuers: crowd.Members[:200], change: func(p *policy.Policy) {
			bySet(crowd)(p)
			p.Queries[0].Circuit = credential.Small.Circuit
		}},
		{name: "issuer that is not in the set", layer: "compile", issuers: []string{landDID, surveyDID}, change: bySet(oneOfficer)},
		{name: "once per person, a set of issuers with a register each", layer: "compile", schema: "title, own registers", change: bySet(registries), query: policy.Query{Scope: once}},
		bad("resolve", "unknown claim", policy.Clause{Claim: "height", AtLeast: "1"}),
		bad("resolve", "period of a number", policy.Clause{Claim: "area", AtLeastAgo: "P1Y"}),
		bad("resolve", "period before the year 0", policy.Clause{Claim: "since", AtLeastAgo: "P9999Y"}),
		bad("compile", "bounds on a text", policy.Clause{Claim: "parcel", AtLeast: "A"}),
		bad("compile", "empty interval", policy.Clause{Claim: "area", AtLeast: "2.0", AtMost: "1.9"}),
		bad("compile", "seven intervals", slices.Repeat([]policy.Clause{{Claim: "area", AtLeast: "1.0"}}, 7)...),
		bad("compile", "five equalities", slices.Repeat([]policy.Clause{{Claim: "right", Equals: "owner"}}, 5)...),
		bad("compile", "three sets", slices.Repeat([]policy.Clause{{Claim: "right", In: []string{"owner"}}}, 3)...),
		bad("compile", "value of another scale", policy.Clause{Claim: "area", AtLeast: "500"}),
		bad("compile", "foreign value", policy.Clause{Claim: "right", Equals: "thief"}),
		{name: "once per person, several live credentials", layer: "compile", schema: "title, several live", query: policy.Query{Scope: once}},
		{name: "once per person, each issuer its own register", layer: "compile", schema: "title, own registers", query: policy.Query{Scope: once}},
		{name: "subject tag without register", layer: "compile", schema: "title, own registers", query: policy.Query{SubjectScope: once}},
		{name: "issuer that is not accepted", layer: "compile", issuers: []string{shopDID}},
		{name: "no issuer in good standing", layer: "compile", issuers: []string{}},
		{name: "disclosed value missing", layer: "compile", query: policy.Query{Disclose: []string{"area"}}, disclosed: credential.Claims{}},
		{name: "disclosed value of another scale", layer: "compile", query: policy.Query{Disclose: []string{"area"}}, disclosed: credential.Claims{"area": "512"}},
		{name: "disclosed value too many", layer: "compile", query: policy.Query{Disclose: []string{"area"}}, disclosed: credential.Claims{"area": "512.5", "right": "owner"}},
	}
}

// addStatements adds statements that say one thing and prove another.
func (p *policies) addStatements() error {
	good := policyCase{schema: "title", query: clauses(policy.Clause{Claim: "since", AtLeastAgo: "P1Y"}, policy.Clause{Claim: "area", AtLeast: "500.0"})}
	asked, err := good.policy(p.Schemas)
	if err != nil {
		return err
	}
	cases := map[string]func(*policy.Statement){
		"bound that does not follow from the period": func(s *policy.Statement) { s.Clauses[0].AtMost = "2023-12-31" },
		"second bound beside a period":               func(s *policy.Statement) { s.Clauses[0].AtLeast = "2000-01-01" },
		"period without bound":                       func(s *policy.Statement) { s.Clauses[0].AtMost = "" },
		"bounds and a value":                         func(s *policy.Statement) { s.Clauses[1].Equals = "1.0" },
		"no such version":                            func(s *policy.Statement) { s.Version = 2 },
		"year 10000":                                 func(s *policy.Statement) { s.Now = 253402300800 },
		"service that is no name":                    func(s *policy.Statement) { s.Scope = &policy.Scope{Service: "a b"} },
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		statements, err := asked.Resolve(vectorNow, p.lookUp)
		if err != nil {
			return err
		}
		cases[name](&statements[0])
		text, err := statements[0].Canonical()
		if err != nil {
			return err
		}
		_, err = statements[0].Compile(policy.Context{Schema: p.Schemas["title"], Issuers: statements[0].Issuers})
		if err == nil {
			return fmt.Errorf("%s: accepted", name)
		}
		p.Statements = append(p.Statements, statementVector{name, string(text), "title", "statement"})
	}
	return nil
}
