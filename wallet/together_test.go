package wallet

import (
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/entry"
)

// What a verifier learned before is counted together with what it asks now, if it was this verifier and this credential.
func TestTogether(t *testing.T) {
	const shop, bank = "did:web:shop.example", "did:web:bank.example"
	id, err := homes.ID()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	asked := policy.Statement{
		Version: 1, Verifier: bank, Query: "home", Now: credential.UnixTimeOf(at), FreshnessSeconds: 60, Schema: id, Issuers: []string{"did:web:civil.example"},
		Clauses: []policy.Clause{{Claim: "since", AtMost: "2020-03-01"}, {Claim: "rooms", AtLeast: "2", AtMost: "5"}},
	}
	q := &query{statement: asked, schema: entry.RegisteredSchema{ID: id, Schema: homes}, issuers: asked.Issuers}
	r := &Request{verifier: entry.RegisteredVerifier{DID: bank}}
	alone, err := asked.Narrow(policy.Context{Schema: &homes})
	if err != nil {
		t.Fatal(err)
	}
	fact := func(clauses ...policy.Clause) revealed {
		return revealed{Verifier: bank, Schema: id, Credential: "1", Clauses: clauses}
	}
	since := fact(policy.Clause{Claim: "since", AtLeast: "2020-02-01"})
	other := func(change func(*revealed)) revealed {
		f := since
		change(&f)
		return f
	}
	point := "since lies within 30 days (30 of 54,787 possible days)"
	for name, test := range map[string]struct {
		facts []revealed
		want  []string
	}{
		"nothing before":     {nil, nil},
		"an interval":        {[]revealed{since}, []string{point}},
		"two claims":         {[]revealed{since, fact(policy.Clause{Claim: "rooms", AtLeast: "3"})}, []string{point, "rooms: 3 values remain; how many are possible, nobody states"}},
		"a claim not asked":  {[]revealed{fact(policy.Clause{Claim: "owned", Equals: true})}, nil},
		"nothing new":        {[]revealed{fact(policy.Clause{Claim: "since", AtMost: "2021-01-01"})}, nil},
		"a tag":              {[]revealed{{Verifier: bank, Schema: id, Credential: "1", Tag: "loan"}}, nil},
		"an alternative":     {[]revealed{fact(policy.Clause{Claim: "since", AtLeast: "2020-02-01"}, policy.Clause{Claim: "rooms", AtLeast: "9"})}, []string{point}},
		"another verifier":   {[]revealed{other(func(f *revealed) { f.Verifier = shop })}, nil},
		"another credential": {[]revealed{other(func(f *revealed) { f.Credential = "2" })}, nil},
		"another schema":     {[]revealed{other(func(f *revealed) { f.Schema = credential.Element{} })}, nil},
		"a set kept no more": {[]revealed{fact(policy.Clause{Claim: "district", InSet: credential.DigestOf(nil)}), since}, []string{point}},
	} {
		d := &document{Revealed: test.facts}
		lines, err := d.together(r, q, &Credential{ID: "1"}, alone, "en")
		var got []string
		for _, line := range lines {
			got = append(got, line.Text)
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
}
