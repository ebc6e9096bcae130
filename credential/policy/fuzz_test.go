package policy_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// What a verifier sends as a statement is refused, or has one spelling, one meaning, and words for it.
func FuzzParseStatement(f *testing.F) {
	rights := setOf(f, policy.ValueSet, "Rights", "owner", "heir")
	registries := setOf(f, policy.IssuerSet, "Registries", land, survey)
	sets := policy.SetsOf(rights, registries)
	named := statement(f, titles(), policy.Clause{Claim: "right", InSet: rights.Digest()})
	named.Issuers, named.IssuerSet = nil, registries.Digest()
	text, err := named.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, clauses := range [][]policy.Clause{
		{},
		{{Claim: "area", AtLeast: "500.0"}, {Claim: "disputed", Equals: true, Not: true}},
		{{Claim: "since", AtLeastAgo: "P1Y2M3D"}, {Claim: "seen", WithinLast: "P30D"}},
		{{Claim: "right", In: []string{"heir", "owner"}, AnyOf: true}, {Claim: "floors", Present: true, AnyOf: true}},
	} {
		text, err := statement(f, titles(), clauses...).Canonical()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		for _, long := range fuzztest.Long(text) {
			f.Add(long)
		}
		f.Add(bytes.ReplaceAll(text, []byte(`"at_most":`), []byte(`"at_least":`)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := policy.ParseStatement(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := s.Canonical(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%s is a second spelling of %s, %v", text, again, err)
		}
		accepted, err := s.Accepted(sets)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		compiled, err := s.Compile(policy.Context{Genesis: credential.DigestOf([]byte("genesis")), Schema: titles(), Sets: sets, Issuers: accepted})
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if n, err := s.Narrow(policy.Context{Schema: titles(), Sets: sets}); err != nil || len(n.Lines(titles(), "en")) < 3 {
			t.Fatalf("%s is proven, and not counted: %v", text, err)
		}
		if err := compiled.Clauses.Validate(); err != nil {
			t.Errorf("%s compiles to clauses that mean nothing: %v", text, err)
		}
	})
}

// A period leads back in time, by the calendar, and people can read it.
func FuzzPeriod(f *testing.F) {
	for _, period := range []string{"P1D", "P2Y", "P1Y2M3D", "P9999Y9999M99999D", "P", "P0D", "P-1D", "P1M1Y", "p1d", "P01D"} {
		f.Add(period)
	}
	schemas := known(f, titles())
	f.Fuzz(func(t *testing.T, period string) {
		p := purchase(t, titles(), policy.Clause{Claim: "since", AtLeastAgo: policy.Period(period)})
		statements, err := p.Resolve(now, schemas)
		if err := p.Validate(); err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		bound := statements[0].Clauses[0].AtMost
		if period == "" {
			t.Fatal("a clause without condition is valid")
		}
		if then, err := time.Parse(time.DateOnly, bound); err != nil || !then.Before(now) {
			t.Errorf("%s before %s is %q, %v", period, now, bound, err)
		}
		for _, language := range []string{"en", "zh-CN"} {
			if policy.Period(period).Text(language) == "" {
				t.Errorf("%s has no words in %s", period, language)
			}
		}
	})
}
