package policy_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

func setOf(t testing.TB, kind policy.SetKind, name string, members ...string) *policy.Set {
	t.Helper()
	members = slices.Sorted(slices.Values(members))
	s, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: name, Chinese: "名单"}, Members: slices.Compact(members)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetDocument(t *testing.T) {
	const good = `{"kind":"values","members":["a","b"],"name":{"en":"Letters"},"version":1}`
	s, err := policy.ParseSetNamed(credential.DigestOf([]byte(good)), []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if s.Kind() != policy.ValueSet || !slices.Equal(s.Members(), []string{"a", "b"}) || s.Name().English != "Letters" || s.Digest() != credential.DigestOf([]byte(good)) {
		t.Errorf("read %+v", s)
	}
	free, err := policy.ParseSet([]byte(strings.ReplaceAll(good, ",", " ,\n")))
	if err != nil || free.Digest() != s.Digest() || !bytes.Equal(free.Canonical(), []byte(good)) || !free.Has("b") || free.Has("c") {
		t.Errorf("formatted freely: %v, %v", free, err)
	}
	if again, err := credential.Canonical(s); err != nil || string(again) != good {
		t.Errorf("as JSON: %s, %v", again, err)
	}
	replaced := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	many := func(n int) string {
		return replaced(`"a","b"`, `"`+strings.Join(numberedDIDs(n), `","`)+`"`)
	}
	issuers := replaced(`"values"`, `"issuers"`)
	for name, bad := range map[string]struct{ text, names string }{
		"nothing":                {``, "JSON"},
		"no version":             {replaced(`,"version":1`, ""), "version 0"},
		"another version":        {replaced(`:1}`, `:2}`), "version 2"},
		"no kind":                {replaced(`"kind":"values",`, ""), "kind"},
		"another kind":           {replaced(`"values"`, `"people"`), "kind"},
		"no name":                {replaced(`{"en":"Letters"}`, `{}`), "name"},
		"a name of lines":        {replaced(`Letters`, `a\nb`), "name"},
		"no members":             {replaced(`["a","b"]`, `[]`), "0 members"},
		"null members":           {replaced(`["a","b"]`, `null`), "null"},
		"descending":             {replaced(`"a","b"`, `"b","a"`), "ascending"},
		"a member twice":         {replaced(`"a","b"`, `"a","a"`), "ascending"},
		"an empty member":        {replaced(`"a"`, `""`), "0 bytes"},
		"a long member":          {replaced(`"a"`, `"`+strings.Repeat("a", 1001)+`"`), "1001 bytes"},
		"a hidden direction":     {replaced(`"a"`, "\"a\u202e\""), "control"},
		"not in NFC":             {replaced(`"a"`, `"e`+"\u0301"+`"`), "normalisation"},
		"a number":               {replaced(`"a"`, `1`), "decode"},
		"a member too many":      {many(4097), "4097 members"},
		"an unknown member":      {replaced(`"version"`, `"valid":true,"version"`), "unknown"},
		"a member of JSON twice": {replaced(`"version"`, `"kind":"values","version"`), ""},
		"issuers that are none":  {issuers, "DID"},
		"a DID that is none":     {strings.Replace(issuers, `"a","b"`, `"did:web:é"`, 1), "DID"},
		"more behind":            {good + `{}`, ""},
		"too large":              {replaced(`"a","b"`, `"`+strings.Join(longMembers(300), `","`)+`"`), "bytes, at most"},
		"far too large":          {good + strings.Repeat(" ", 4*policy.MaxSetSize), "bytes, at most"},
	} {
		if _, err := policy.ParseSet([]byte(bad.text)); err == nil || !strings.Contains(err.Error(), bad.names) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := policy.ParseSetNamed(credential.DigestOf([]byte(bad.text)), []byte(bad.text)); err == nil {
			t.Errorf("%s, by digest: accepted", name)
		}
	}
	for name, text := range map[string]string{"other bytes": replaced("Letters", "Letter"), "another spelling": good + " ", "no bytes": ""} {
		if _, err := policy.ParseSetNamed(s.Digest(), []byte(text)); err == nil || !strings.Contains(err.Error(), "digest") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := policy.ParseSetNamed(credential.DigestOf([]byte(good+" ")), []byte(good+" ")); !errors.Is(err, credential.ErrNotCanonical) {
		t.Errorf("another spelling under its own digest: %v", err)
	}
	if _, err := policy.ParseSet([]byte(many(4096))); err != nil {
		t.Errorf("4,096 members: %v", err)
	}
}

// numberedDIDs are issuers, ascending.
func numberedDIDs(n int) []string {
	dids := make([]string, n)
	for i := range dids {
		dids[i] = fmt.Sprintf("did:web:%04d.land.example", i)
	}
	return dids
}

func longMembers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%0999d", i)
	}
	return list
}

// referring is a policy that names its issuers and values by the sets' digests.
func referring(t testing.TB, schema *credential.Schema, issuers *policy.Set, clauses ...policy.Clause) *policy.Policy {
	t.Helper()
	p := purchase(t, schema, clauses...)
	if issuers != nil {
		p.Queries[0].Issuers, p.Queries[0].IssuerSet = nil, issuers.Digest()
	}
	return p
}

func TestPoliciesNameSets(t *testing.T) {
	schema := titles()
	issuers, values := setOf(t, policy.IssuerSet, "Registries", land, survey), setOf(t, policy.ValueSet, "Rights", "owner", "heir")
	sets := policy.SetsOf(issuers, values)
	p := referring(t, schema, issuers, policy.Clause{Claim: "right", InSet: values.Digest()})
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	text, err := p.Canonical()
	if err != nil || bytes.Contains(text, []byte(`"issuers"`)) || bytes.Contains(text, []byte(`"in"`)) {
		t.Errorf("%s, %v", text, err)
	}
	again, err := policy.Parse(text)
	if err != nil || again.Queries[0].IssuerSet != issuers.Digest() || again.Queries[0].Clauses[0].InSet != values.Digest() {
		t.Errorf("%+v, %v", again, err)
	}
	if err := errors.Join(p.Check(now, known(t, schema), sets), p.CheckSets(sets)); err != nil {
		t.Error(err)
	}
	if uses := p.SetUses(); len(uses) != 2 || uses[0] != (policy.SetUse{Digest: issuers.Digest(), Kind: policy.IssuerSet, Where: `query "title"`}) ||
		uses[1] != (policy.SetUse{Digest: values.Digest(), Kind: policy.ValueSet, Where: `query "title", clause 1 on "right"`}) {
		t.Errorf("uses %+v", uses)
	}
	if uses := purchase(t, schema).SetUses(); len(uses) != 0 {
		t.Errorf("a policy without sets uses %+v", uses)
	}

	refused := func(name string, p *policy.Policy, sets policy.Sets, names string) {
		t.Helper()
		if err := p.Check(now, known(t, schema), sets); err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := setOf(t, policy.ValueSet, "Other", "owner", "thief")
	refused("no sets", p, nil, issuers.Digest().String())
	refused("no values", p, policy.SetsOf(issuers), `query "title", clause 1 on "right": set `+values.Digest().String())
	refused("values for issuers", referring(t, schema, values), sets, "is of kind values, want issuers")
	refused("issuers for values", purchase(t, schema, policy.Clause{Claim: "right", InSet: issuers.Digest()}), sets, "is of kind issuers, want values")
	refused("another set than asked for", p, func(credential.Digest) (*policy.Set, error) { return issuers, nil }, "was found")
	refused("a value that the claim cannot have", purchase(t, schema, policy.Clause{Claim: "right", InSet: wrong.Digest()}), policy.SetsOf(wrong), `value "thief"`)
	refused("values on a boolean", purchase(t, schema, policy.Clause{Claim: "disputed", InSet: values.Digest()}), sets, `clause 1 on "disputed"`)

	small := referring(t, schema, setOf(t, policy.IssuerSet, "Many", numberedDIDs(257)...))
	small.Queries[0].Circuit = credential.Small.Circuit
	refused("too many issuers for the circuit", small, policy.SetsOf(setOf(t, policy.IssuerSet, "Many", numberedDIDs(257)...)), "257 issuers, presentation-small-1 takes 256")
	small = purchase(t, schema, policy.Clause{Claim: "right", InSet: values.Digest()})
	small.Queries[0].Circuit = credential.Small.Circuit
	refused("values for a circuit without sets", small, sets, `clause 1 on "right": more than 0 clauses on sets`)

	for name, bad := range map[string]struct {
		change func(*policy.Query)
		names  string
	}{
		"issuers and a set of them": {func(q *policy.Query) { q.Issuers = []string{land} }, "want one"},
		"neither":                   {func(q *policy.Query) { q.IssuerSet = credential.Digest{} }, "0 issuers"},
		"values and a set of them":  {func(q *policy.Query) { q.Clauses[0].In = []string{"owner"} }, "exactly one"},
		"a negated set":             {func(q *policy.Query) { q.Clauses[0].Not = true }, "cannot be negated"},
	} {
		p := referring(t, schema, issuers, policy.Clause{Claim: "right", InSet: values.Digest()})
		bad.change(&p.Queries[0])
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), bad.names) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"a short digest": strings.Replace(string(text), issuers.Digest().String(), "AAAA", 1),
		"a zero digest":  strings.Replace(string(text), values.Digest().String(), credential.Digest{}.String(), 1),
	} {
		if _, err := policy.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Once per person, and subject tags: what holds for one issuer does not hold for a set of two.
func TestSetsCountAsIssuers(t *testing.T) {
	schema := titles()
	schema.EnrolmentRegister, schema.SubjectRegister = credential.IssuerRegister, credential.IssuerRegister
	one, two := setOf(t, policy.IssuerSet, "One", land), setOf(t, policy.IssuerSet, "Two", land, survey)
	scope := &policy.Scope{Service: "counter", Once: true}
	for _, change := range []func(*policy.Query){func(q *policy.Query) { q.Scope = scope }, func(q *policy.Query) { q.SubjectScope = scope }} {
		for _, issuers := range []*policy.Set{one, two} {
			p := referring(t, schema, issuers)
			change(&p.Queries[0])
			err := p.Check(now, known(t, schema), policy.SetsOf(one, two))
			if issuers == one && err != nil || issuers == two && (!errors.Is(err, policy.ErrUnprovable) || !strings.Contains(err.Error(), "do not share")) {
				t.Errorf("%d issuers: %v", len(issuers.Members()), err)
			}
		}
	}
}

// A statement that lists its issuers and values, and one that names sets of the same, compile to the same public inputs.
func TestReferencesCompileAsLists(t *testing.T) {
	schema := titles()
	schema.Claims[4] = credential.ClaimType{Name: "right", Type: credential.String}
	id := idOf(t, schema)
	rapid.Check(t, func(t *rapid.T) {
		list := func(name string, of *rapid.Generator[string], atMost int) []string {
			return slices.Sorted(slices.Values(rapid.SliceOfNDistinct(of, 1, atMost, rapid.ID[string]).Draw(t, name)))
		}
		issuers := list("issuers", rapid.StringMatching(`did:web:[a-z]{1,8}\.example`), 40)
		good := issuers[:rapid.IntRange(1, len(issuers)).Draw(t, "good")]
		texts, numbers := list("texts", rapid.StringMatching(`[a-z 省县]{1,9}`), 70), list("numbers", rapid.StringMatching(`[1-9][0-9]{0,6}\.[0-9]`), 70)
		anyOf := rapid.Bool().Draw(t, "any of")
		named := func(kind policy.SetKind, members []string) *policy.Set {
			s, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: "x"}, Members: members})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		accepted, names, areas := named(policy.IssuerSet, issuers), named(policy.ValueSet, texts), named(policy.ValueSet, numbers)
		compile := func(query policy.Query) *policy.Compiled {
			query.ID, query.Schema = "title", id
			p := &policy.Policy{
				Version: 1, ID: "p", Verifier: shop, Name: credential.Text{English: "x"}, Purpose: credential.Text{English: "x"}, FreshnessSeconds: 60,
				Queries: []policy.Query{query},
			}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			statements, err := p.Resolve(now, func(credential.Element) (*credential.Schema, error) { return schema, nil })
			if err != nil {
				t.Fatal(err)
			}
			c := policy.Context{Schema: schema, Issuers: good, Sets: policy.SetsOf(accepted, names, areas)}
			out, err := statements[0].Compile(c)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := statements[0].Explain(c, strings.ToUpper, "en"); err != nil || len(text.Facts) < 2 {
				t.Fatalf("explained as %q, %v", text, err)
			}
			return out
		}
		inline := compile(policy.Query{Issuers: issuers, Clauses: []policy.Clause{{Claim: "right", In: texts, AnyOf: anyOf}, {Claim: "area", In: numbers}}})
		byName := compile(policy.Query{IssuerSet: accepted.Digest(), Clauses: []policy.Clause{{Claim: "right", InSet: names.Digest(), AnyOf: anyOf}, {Claim: "area", InSet: areas.Digest()}}})
		if inline.Clauses != byName.Clauses || inline.Issuers.Root() != byName.Issuers.Root() || inline.Schema != byName.Schema || inline.Now != byName.Now {
			t.Fatal("the public inputs differ")
		}
		for i := range inline.Sets {
			if !slices.Equal(inline.Sets[i].Members(), byName.Sets[i].Members()) {
				t.Fatalf("set %d has other members", i+1)
			}
		}
	})
}

// The tree over a set of issuers is kept, and never taken for that of others in good standing or of another circuit.
func TestIssuersAreKeptByStanding(t *testing.T) {
	schema := titles()
	issuers := setOf(t, policy.IssuerSet, "Registries", numberedDIDs(9)...)
	for _, circuit := range []string{"", credential.Small.Circuit, ""} {
		for _, good := range [][]string{issuers.Members(), issuers.Members()[:3], issuers.Members()[3:6], issuers.Members()} {
			p := referring(t, schema, issuers)
			p.Queries[0].Circuit = circuit
			listed := purchase(t, schema)
			listed.Queries[0].Circuit, listed.Queries[0].Issuers = circuit, issuers.Members()
			var roots []credential.Element
			for _, p := range []*policy.Policy{p, listed, p} {
				statements, err := p.Resolve(now, known(t, schema))
				if err != nil {
					t.Fatal(err)
				}
				out, err := statements[0].Compile(policy.Context{Schema: schema, Issuers: good, Sets: policy.SetsOf(issuers)})
				if err != nil {
					t.Fatal(err)
				}
				roots = append(roots, out.Issuers.Root())
			}
			if roots[0] != roots[1] || roots[2] != roots[1] {
				t.Errorf("%s: %d issuers have the roots %v", circuit, len(good), roots)
			}
		}
	}
	s := referring(t, schema, issuers)
	statements, err := s.Resolve(now, known(t, schema))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := statements[0].Compile(policy.Context{Schema: schema, Issuers: []string{numberedDIDs(1)[0], land}, Sets: policy.SetsOf(issuers)}); err == nil || !strings.Contains(err.Error(), "is not accepted") {
		t.Errorf("an issuer that is no member: %v", err)
	}
}

// One set means different elements for claims of different types: what is kept of one is not taken for the other.
func TestASetIsKeptByClaim(t *testing.T) {
	schema := titles()
	schema.Claims[6].Scale = 1 // floors, as area
	schema.Claims[0].Type = credential.String
	values := setOf(t, policy.ValueSet, "Numbers", "1.0", "2.0")
	root := func(claim string) credential.Element {
		t.Helper()
		s := statement(t, schema, policy.Clause{Claim: claim, InSet: values.Digest()})
		c := context(schema)
		c.Sets = policy.SetsOf(values)
		out, err := s.Compile(c)
		if err != nil {
			t.Fatal(err)
		}
		return out.Clauses.Memberships[0].Root
	}
	want := func(claim int) credential.Element {
		var members []credential.Element
		for _, v := range values.Members() {
			e, err := schema.Claims[claim].Encode(v)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, e)
		}
		set, err := tree.NewSet(members)
		if err != nil {
			t.Fatal(err)
		}
		return set.Root()
	}
	for range 2 {
		if root("area") != want(1) || root("parcel") != want(0) || root("floors") != want(6) {
			t.Fatal("a set was taken for another")
		}
	}
	if want(0) == want(1) {
		t.Fatal("texts and numbers encode alike")
	}
}

func TestSetsInWords(t *testing.T) {
	schema := titles()
	many := setOf(t, policy.IssuerSet, "County registries", numberedDIDs(2978)...)
	few := setOf(t, policy.IssuerSet, "Registries", land, survey)
	rights, areas := setOf(t, policy.ValueSet, "Rights", "owner", "heir"), setOf(t, policy.ValueSet, "Lots", decimals(1200)...)
	digest := func(s *policy.Set) string { return s.Digest().String()[:12] }
	name := func(did string) string { return strings.TrimSuffix(strings.TrimPrefix(did, "did:web:"), ".example") }
	for _, test := range []struct {
		issuers  *policy.Set
		good     []string
		clause   policy.Clause
		language string
		want     []string
	}{
		{many, nil, policy.Clause{Claim: "area", InSet: areas.Digest()}, "en", []string{
			"Issued by one of the 2,978 members of “County registries” (set " + digest(many) + "…), valid today and not revoked",
			"Area is one of the 1,200 values of “Lots” (set " + digest(areas) + "…)",
		}},
		{many, numberedDIDs(2), policy.Clause{Claim: "right", InSet: rights.Digest()}, "en", []string{
			"Issued by one of the 2,978 members of “County registries” (set " + digest(many) + "…), of which 2 may be accepted today: 0000.land; 0001.land, valid today and not revoked",
			"Right is one of: heir; Owner (all of “Rights”, set " + digest(rights) + "…)",
		}},
		{many, numberedDIDs(100), policy.Clause{Claim: "area", AtLeast: "1.0"}, "en", []string{
			"Issued by one of the 2,978 members of “County registries” (set " + digest(many) + "…), of which 100 may be accepted today, valid today and not revoked",
			"Area is at least 1.0 m²",
		}},
		{few, nil, policy.Clause{Claim: "right", InSet: rights.Digest()}, "zh-CN", []string{
			"由land；survey（即“名单”的全部，集合 " + digest(few) + "…）签发，今日有效且未被吊销",
			"权利为以下之一：heir；所有人（即“名单”的全部，集合 " + digest(rights) + "…）",
		}},
		{many, nil, policy.Clause{Claim: "area", InSet: areas.Digest()}, "zh-CN", []string{
			"由 2978 个“名单”成员之一（集合 " + digest(many) + "…）签发，今日有效且未被吊销",
			"面积为所列 1200 项之一：“名单”（集合 " + digest(areas) + "…）",
		}},
	} {
		statements, err := referring(t, schema, test.issuers, test.clause).Resolve(now, known(t, schema))
		if err != nil {
			t.Fatal(err)
		}
		c := policy.Context{Schema: schema, Issuers: test.good, Sets: policy.SetsOf(many, few, rights, areas)}
		e, err := statements[0].Explain(c, name, test.language)
		if err != nil || !slices.Equal(e.Facts, test.want) {
			t.Errorf("got %q, %v\nwant %q", e.Facts, err, test.want)
		}
		if _, err := statements[0].Explain(policy.Context{Schema: schema}, name, test.language); err == nil {
			t.Error("explained without the sets")
		}
	}
}

func decimals(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%d.5", i)
	}
	return list
}

// Whatever is offered as a set is refused, or has one spelling and one digest, and can be compiled.
func FuzzParseSet(f *testing.F) {
	for _, s := range []*policy.Set{
		setOf(f, policy.IssuerSet, "Registries", land, survey), setOf(f, policy.ValueSet, "Rights", "owner", "heir"), setOf(f, policy.ValueSet, "地区", "北京市", "上海市"),
	} {
		f.Add(s.Canonical())
		for _, long := range fuzztest.Long(s.Canonical()) {
			f.Add(long)
		}
		f.Add(bytes.Replace(s.Canonical(), []byte(`","`), []byte(`","\u0041","`), 1))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := policy.ParseSet(text)
		named, namedErr := policy.ParseSetNamed(credential.DigestOf(text), text)
		if err != nil {
			fuzztest.Refused(t, err)
			if namedErr == nil {
				t.Fatalf("%s is refused, but not by its digest", text)
			}
			return
		}
		if again, err := policy.ParseSetNamed(s.Digest(), s.Canonical()); err != nil || !slices.Equal(again.Members(), s.Members()) {
			t.Fatalf("%s does not come back: %v", text, err)
		}
		if (namedErr == nil) != bytes.Equal(text, s.Canonical()) {
			t.Fatalf("%s by its digest: %v, %v", text, named, namedErr)
		}
		if !slices.IsSorted(s.Members()) || len(s.Members()) > policy.MaxSetMembers || len(s.Canonical()) > policy.MaxSetSize {
			t.Fatalf("%s is a set", text)
		}
	})
}

// What compiling the largest sets again costs: their trees are kept.
func BenchmarkCompileLargestSets(b *testing.B) {
	schema := titles()
	schema.Claims[0].Type = credential.String
	issuers, values := setOf(b, policy.IssuerSet, "x", numberedDIDs(4096)...), setOf(b, policy.ValueSet, "x", numberedDIDs(4096)...)
	p := referring(b, schema, issuers, policy.Clause{Claim: "parcel", InSet: values.Digest()})
	statements, err := p.Resolve(now, known(b, schema))
	if err != nil {
		b.Fatal(err)
	}
	c := policy.Context{Schema: schema, Issuers: issuers.Members(), Sets: policy.SetsOf(issuers, values)}
	for b.Loop() {
		if _, err := statements[0].Compile(c); err != nil {
			b.Fatal(err)
		}
	}
}
