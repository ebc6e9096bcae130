package wallet

import (
	"slices"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/entry"
)

// “By nothing” is said only where many could have sent the answer, and of companions nothing, as this wallet sends none.
func TestLinkingSign(t *testing.T) {
	for name, test := range map[string]struct {
		statement policy.Statement
		crowds    []uint64
		want      policy.LinkingKind
	}{
		"a crowd":               {policy.Statement{Companion: true}, []uint64{SmallCrowd, SmallCrowd + 1}, policy.LinkedByNothing},
		"one of them is small":  {policy.Statement{}, []uint64{SmallCrowd, SmallCrowd - 1}, LinkedByCrowd},
		"a pseudonym in a few":  {policy.Statement{Scope: &policy.Scope{Service: "grant"}}, []uint64{1}, policy.LinkedByService},
		"a companion, in a few": {policy.Statement{Companion: true}, []uint64{1}, LinkedByCrowd},
	} {
		e := &Explanation{Language: "en"}
		for _, crowd := range test.crowds {
			e.Queries = append(e.Queries, QueryExplanation{Crowd: crowd})
		}
		e.addLinking(textsIn("en"), &Request{queries: []query{{statement: test.statement}}})
		if len(e.Linking) != 1 || e.Linking[0].Kind != test.want {
			t.Errorf("%s: %+v", name, e.Linking)
		}
	}
}

// What is disclosed, and what a clause names outright, is not said to stay here.
func TestUnsent(t *testing.T) {
	schema := credential.Schema{Claims: []credential.ClaimType{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}}}
	q := &query{schema: entry.RegisteredSchema{Schema: schema}, statement: policy.Statement{
		Disclose: []string{"a"}, Clauses: []policy.Clause{{Claim: "b", Equals: "x"}, {Claim: "c", In: []string{"x"}}, {Claim: "d", In: []string{"x", "y"}}},
	}}
	if got := q.unsent("en"); !slices.Equal(got, []string{"d", "e"}) {
		t.Errorf("%q", got)
	}
}
