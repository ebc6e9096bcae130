package policy_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

func plain(t *testing.T, companion bool) *policy.Policy {
	return &policy.Policy{
		Version: 1, ID: "permit", Verifier: shop, Name: credential.Text{English: "Permit"}, Purpose: credential.Text{English: "test"}, FreshnessSeconds: 60,
		Queries: []policy.Query{{ID: "title", Schema: idOf(t, titles()), Issuers: []string{land}, Companion: companion, Disclose: []string{"right"}, Clauses: []policy.Clause{
			{Claim: "area", AtLeast: "500.0"}, {Claim: "since", AtLeastAgo: "P1Y"}, {Claim: "area", AtMost: "900.0"}, {Claim: "right", Equals: "heir", Not: true},
		}}},
	}
}

// A policy that does not say it accepts companions has the text and digest that it always had.
func TestCompanionIsWritten(t *testing.T) {
	text, err := plain(t, false).Canonical()
	if err != nil || strings.Contains(string(text), "companion") {
		t.Errorf("%s, %v", text, err)
	}
	p := plain(t, true)
	if text, err = p.Canonical(); err != nil || !strings.Contains(string(text), `"companion":true`) {
		t.Fatalf("%s, %v", text, err)
	}
	if err := p.Check(now, known(t, titles()), nil); err != nil {
		t.Fatal(err)
	}
	s := ofPolicy(t, p)
	if !s.Companion || !slices.Equal(s.CompanionClaims(), []string{"area", "since", "right"}) {
		t.Errorf("%+v, claims %q", s, s.CompanionClaims())
	}
	again, err := s.Canonical()
	if err != nil || !strings.Contains(string(again), `"companion":true`) {
		t.Errorf("%s, %v", again, err)
	}
}

func ofPolicy(t *testing.T, p *policy.Policy) policy.Statement {
	t.Helper()
	statements, err := p.Resolve(now, known(t, titles()))
	if err != nil {
		t.Fatal(err)
	}
	return statements[0]
}

// What a companion cannot answer is refused, by everybody who reads the policy, in words that say what to leave out.
func TestCompanionRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*policy.Policy)
		want   string
	}{
		"a pseudonym":   {func(p *policy.Policy) { p.Queries[0].Scope = &policy.Scope{Service: "s"} }, "scope"},
		"once":          {func(p *policy.Policy) { p.Queries[0].Scope = &policy.Scope{Service: "s", Once: true} }, "count once"},
		"a subject tag": {func(p *policy.Policy) { p.Queries[0].SubjectScope = &policy.Scope{Service: "s"} }, "scope"},
		"two queries": {func(p *policy.Policy) {
			second := p.Queries[0]
			second.ID, second.Companion = "other", false
			p.Queries = append(p.Queries, second)
		}, "one query"},
		"two queries of several persons": {func(p *policy.Policy) {
			second := p.Queries[0]
			second.ID = "other"
			p.SeveralPersons, p.Queries = true, append(p.Queries, second)
		}, "one query"},
	} {
		p := plain(t, true)
		c.change(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "companion") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		text, err := p.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policy.Parse(text); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
	s := ofPolicy(t, plain(t, true))
	s.Scope = &policy.Scope{Service: "s"}
	if s.Validate() == nil {
		t.Error("a statement that no policy resolves to")
	}
	for _, claim := range policy.NotClaims() {
		schema := titles()
		schema.Claims = append(schema.Claims, credential.ClaimType{Name: claim, Type: credential.String, Optional: true})
		p := plain(t, true)
		p.Queries[0].Schema = idOf(t, schema)
		if err := p.Check(now, known(t, schema), nil); err == nil || !strings.Contains(err.Error(), claim) {
			t.Errorf("a claim %s: %v", claim, err)
		}
		p.Queries[0].Companion = false
		if err := p.Check(now, known(t, schema), nil); err != nil {
			t.Errorf("a claim %s, without companions: %v", claim, err)
		}
	}
}

// Before and after, people read that values are seen and visits can be linked.
func TestCompanionTexts(t *testing.T) {
	name := func(did string) string { return "<" + did + ">" }
	for language, want := range map[string][]string{
		"en":    {"Area; Registered; Right", "linked", "saw the values of: Area; Right", "<did:web:land.example>", "300 seconds", "as its issuer says"},
		"zh-CN": {"面积；登记日期；权利", "关联", "看到了以下内容的值：面积；权利", "<did:web:land.example>", "300 秒", "据其签发机构"},
	} {
		s := ofPolicy(t, plain(t, true))
		context := policy.Context{Schema: titles(), Issuers: []string{land}}
		before, err := s.Explain(context, name, language)
		if err != nil {
			t.Fatal(err)
		}
		after, err := s.ExplainCompanion(context, name(land), []string{"area", "right"}, 300, language)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range want {
			text := before.Companion
			if i >= 2 {
				text = strings.Join(append(after.Facts, after.Shown...), " ")
			}
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q lacks %q", language, text, part)
			}
		}
		if len(after.Facts) != len(before.Facts) || after.Facts[1] != before.Facts[1] || strings.Contains(strings.Join(after.Shown, ""), before.Shown[1]) {
			t.Errorf("%s: %q, of a proof %q", language, after, before)
		}
		s.Companion = false
		if e, err := s.Explain(context, name, language); err != nil || e.Companion != "" || !reflect.DeepEqual(e.Shown, before.Shown) {
			t.Errorf("%s: without companions %q, %v", language, e, err)
		}
		s = policy.Statement{
			Version: 1, Verifier: shop, Query: "q", Now: credential.UnixTimeOf(now), FreshnessSeconds: 60, Schema: idOf(t, titles()), Issuers: []string{land},
			Clauses: []policy.Clause{}, Companion: true,
		}
		if e, err := s.Explain(context, name, language); err != nil || e.Companion == "" || strings.Contains(e.Companion, "%!") || strings.Contains(fmt.Sprint(after), "%!") {
			t.Errorf("%s: without claims %q, %v", language, e.Companion, err)
		}
	}
}
