package check

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/sdjwt"
)

var parcel = credential.Schema{
	Type: "urn:bulla:schema:parcel:1", EnrolmentRegister: credential.IssuerRegister,
	Claims: []credential.ClaimType{
		{Name: "area", Type: credential.Integer}, {Name: "price", Type: credential.Integer, Scale: 2, Optional: true}, {Name: "since", Type: credential.Date},
		{Name: "seen", Type: credential.DateTime, Optional: true}, {Name: "disputed", Type: credential.Boolean, Optional: true},
		{Name: "use", Type: credential.Enum, Values: []string{"field", "house"}}, {Name: "commune", Type: credential.String, Optional: true},
	},
}

// Clauses of every form, on values as companions write them.
func TestCompanionClauses(t *testing.T) {
	communes, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: policy.ValueSet, Name: credential.Text{English: "communes"}, Members: []string{"91216", "91434"}})
	if err != nil {
		t.Fatal(err)
	}
	area, price := policy.Clause{Claim: "area", AtLeast: "500", AtMost: "900"}, policy.Clause{Claim: "price", AtMost: "99.50"}
	notHouse, orArea := policy.Clause{Claim: "use", Equals: "house", Not: true}, policy.Clause{Claim: "area", AtLeast: "500", AnyOf: true}
	orPrice := policy.Clause{Claim: "price", AtMost: "99.50", AnyOf: true}
	number := func(s string) json.Number { return json.Number(s) }
	for name, c := range map[string]struct {
		clauses  []policy.Clause
		disclose []string
		shown    sdjwt.Claims
		want     Code // empty: it holds
	}{
		"nothing asked":                     {nil, nil, sdjwt.Claims{}, ""},
		"nothing asked, something shown":    {nil, nil, sdjwt.Claims{"use": "field"}, CompanionExcess},
		"a number within":                   {[]policy.Clause{area}, nil, sdjwt.Claims{"area": number("900")}, ""},
		"a number above":                    {[]policy.Clause{area}, nil, sdjwt.Claims{"area": number("901")}, CompanionUnmet},
		"a number as text":                  {[]policy.Clause{area}, nil, sdjwt.Claims{"area": "900"}, CompanionMalformed},
		"a number with an exponent":         {[]policy.Clause{area}, nil, sdjwt.Claims{"area": number("9e2")}, CompanionMalformed},
		"a number with a point":             {[]policy.Clause{area}, nil, sdjwt.Claims{"area": number("900.0")}, CompanionMalformed},
		"a negative number":                 {[]policy.Clause{{Claim: "area", AtMost: "-3"}}, nil, sdjwt.Claims{"area": number("-3")}, ""},
		"null":                              {[]policy.Clause{area}, nil, sdjwt.Claims{"area": nil}, CompanionMalformed},
		"not there":                         {[]policy.Clause{area}, nil, sdjwt.Claims{}, CompanionUnmet},
		"a decimal":                         {[]policy.Clause{price}, nil, sdjwt.Claims{"price": "99.50"}, ""},
		"a decimal above":                   {[]policy.Clause{price}, nil, sdjwt.Claims{"price": "99.51"}, CompanionUnmet},
		"a decimal as number":               {[]policy.Clause{price}, nil, sdjwt.Claims{"price": number("99.50")}, CompanionMalformed},
		"a decimal of fewer digits":         {[]policy.Clause{price}, nil, sdjwt.Claims{"price": "99.5"}, CompanionMalformed},
		"a date, two years to the day":      {[]policy.Clause{{Claim: "since", AtLeastAgo: "P2Y"}}, nil, sdjwt.Claims{"since": "2024-11-22"}, ""},
		"a date, a day less":                {[]policy.Clause{{Claim: "since", AtLeastAgo: "P2Y"}}, nil, sdjwt.Claims{"since": "2024-11-23"}, CompanionUnmet},
		"a time":                            {[]policy.Clause{{Claim: "seen", WithinLast: "P1D"}}, nil, sdjwt.Claims{"seen": "2026-11-21T12:00:00Z"}, ""},
		"a time before":                     {[]policy.Clause{{Claim: "seen", WithinLast: "P1D"}}, nil, sdjwt.Claims{"seen": "2026-11-21T11:59:59Z"}, CompanionUnmet},
		"a truth":                           {[]policy.Clause{{Claim: "disputed", Equals: false}}, nil, sdjwt.Claims{"disputed": false}, ""},
		"another truth":                     {[]policy.Clause{{Claim: "disputed", Equals: false}}, nil, sdjwt.Claims{"disputed": true}, CompanionUnmet},
		"a truth as text":                   {[]policy.Clause{{Claim: "disputed", Equals: false}}, nil, sdjwt.Claims{"disputed": "false"}, CompanionMalformed},
		"not that":                          {[]policy.Clause{notHouse}, nil, sdjwt.Claims{"use": "field"}, ""},
		"just that":                         {[]policy.Clause{notHouse}, nil, sdjwt.Claims{"use": "house"}, CompanionUnmet},
		"not that, of what is not there":    {[]policy.Clause{notHouse}, nil, sdjwt.Claims{}, CompanionUnmet},
		"a value that the schema lacks":     {[]policy.Clause{notHouse}, nil, sdjwt.Claims{"use": "forest"}, CompanionMalformed},
		"present":                           {[]policy.Clause{{Claim: "commune", Present: true}}, nil, sdjwt.Claims{"commune": "x"}, ""},
		"not present":                       {[]policy.Clause{{Claim: "commune", Present: true}}, nil, sdjwt.Claims{}, CompanionUnmet},
		"in a list":                         {[]policy.Clause{{Claim: "commune", In: []string{"a", "b"}}}, nil, sdjwt.Claims{"commune": "b"}, ""},
		"in no list":                        {[]policy.Clause{{Claim: "commune", In: []string{"a", "b"}}}, nil, sdjwt.Claims{"commune": "c"}, CompanionUnmet},
		"in a set":                          {[]policy.Clause{{Claim: "commune", InSet: communes.Digest()}}, nil, sdjwt.Claims{"commune": "91216"}, ""},
		"in no set":                         {[]policy.Clause{{Claim: "commune", InSet: communes.Digest()}}, nil, sdjwt.Claims{"commune": "91217"}, CompanionUnmet},
		"in no set, not there":              {[]policy.Clause{{Claim: "commune", InSet: communes.Digest()}}, nil, sdjwt.Claims{}, CompanionUnmet},
		"one of two":                        {[]policy.Clause{orArea, orPrice}, nil, sdjwt.Claims{"area": number("1"), "price": "1.00"}, ""},
		"one of two, the other not shown":   {[]policy.Clause{orArea, orPrice}, nil, sdjwt.Claims{"price": "1.00"}, ""},
		"none of two":                       {[]policy.Clause{orArea, orPrice}, nil, sdjwt.Claims{"area": number("1"), "price": "100.00"}, CompanionUnmet},
		"none of two, none shown":           {[]policy.Clause{orArea, orPrice}, nil, sdjwt.Claims{}, CompanionUnmet},
		"disclosed":                         {nil, []string{"use", "area"}, sdjwt.Claims{"use": "field", "area": number("7")}, ""},
		"disclosed in part":                 {nil, []string{"use", "area"}, sdjwt.Claims{"use": "field"}, DisclosureMismatch},
		"a claim that no schema has":        {[]policy.Clause{area}, nil, sdjwt.Claims{"area": number("600"), "sub": "x"}, CompanionExcess},
		"a condition and what is disclosed": {[]policy.Clause{area}, []string{"area"}, sdjwt.Claims{"area": number("600")}, ""},
	} {
		f := fulfilling(t, c.clauses, c.disclose)
		checker := Checker{Sets: policy.SetsOf(communes)}
		f.Sets = checker.Sets
		err := f.take(c.shown)
		if err == nil {
			err = checker.meets(&Asked{}, f)
		}
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Code != c.want || err == nil && c.want != "" || err != nil && refusal == nil {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil && (len(f.Disclosed) != len(c.disclose) || len(f.Companion.Claims) != len(c.shown)) {
			t.Errorf("%s: disclosed %v, seen %q", name, f.Disclosed, f.Companion.Claims)
		}
	}
}

// fulfilling is a fact before anything was shown.
func fulfilling(t *testing.T, clauses []policy.Clause, disclose []string) *companionFact {
	t.Helper()
	id, err := parcel.ID()
	if err != nil {
		t.Fatal(err)
	}
	if clauses == nil {
		clauses = []policy.Clause{}
	}
	p := policy.Policy{
		Version: 1, ID: "p", Verifier: "did:web:bank.example", Name: credential.Text{English: "p"}, Purpose: credential.Text{English: "p"}, FreshnessSeconds: 60,
		Queries: []policy.Query{{ID: "q", Schema: id, Issuers: []string{"did:web:land.example"}, Clauses: clauses, Disclose: disclose, Companion: true}},
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	statements, err := p.Resolve(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), func(credential.Element) (*credential.Schema, error) { return &parcel, nil })
	if err != nil {
		t.Fatal(err)
	}
	return &companionFact{Fact: Fact{
		Statement: &statements[0], Schema: &parcel, Issuers: []string{"did:web:land.example"}, Companion: &Shown{Issuer: "did:web:land.example"},
	}}
}
