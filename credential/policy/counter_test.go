package policy

import (
	"testing"

	"github.com/bulla-id/bulla/credential"
)

func TestWhatACounterMayAsk(t *testing.T) {
	shared := int64(7)
	for name, c := range map[string]struct {
		change func(*Policy)
		may    bool
	}{
		"plain":            {func(*Policy) {}, true},
		"a pseudonym":      {func(p *Policy) { p.Queries[0].Scope = &Scope{Service: "reader"} }, true},
		"once per person":  {func(p *Policy) { p.Queries[1].Scope = &Scope{Service: "subsidy", Once: true} }, false},
		"once, shared":     {func(p *Policy) { p.Queries[0].Scope = &Scope{Shared: &shared, Once: true} }, false},
		"once per thing":   {func(p *Policy) { p.Queries[1].SubjectScope = &Scope{Service: "pledge", Once: true} }, false},
		"several persons":  {func(p *Policy) { p.SeveralPersons = true }, false},
		"a set of issuers": {func(p *Policy) { p.Queries[0].IssuerSet = credential.DigestOf([]byte("set")) }, true},
		"a set of values": {func(p *Policy) {
			p.Queries[1].Clauses = []Clause{{Claim: "district", InSet: credential.DigestOf([]byte("set"))}}
		}, true},
	} {
		p := &Policy{ID: "p", Queries: []Query{{ID: "a"}, {ID: "b"}}}
		c.change(p)
		if err := p.CheckCounter(); (err == nil) != c.may {
			t.Errorf("%s: %v", name, err)
		}
	}
}
