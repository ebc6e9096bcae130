package policy_test

import (
	"slices"
	"testing"

	"github.com/bulla-id/bulla/credential/policy"
)

// What a visit is recognised by is that of all its statements together: one that is recognised by nothing changes nothing.
func TestLinking(t *testing.T) {
	shared := int64(17)
	plain := &policy.Statement{}
	service := &policy.Statement{Scope: &policy.Scope{Service: "grant"}}
	thing := &policy.Statement{SubjectScope: &policy.Scope{Service: "grant"}}
	both := &policy.Statement{Scope: &policy.Scope{Shared: &shared}, SubjectScope: &policy.Scope{Shared: &shared}}
	companion := &policy.Statement{Companion: true}
	for name, test := range map[string]struct {
		statements []*policy.Statement
		kinds      []policy.LinkingKind
		last       string
	}{
		"nothing":           {[]*policy.Statement{plain, plain}, []policy.LinkingKind{policy.LinkedByNothing}, "Nothing that is sent links this visit to any other."},
		"a service":         {[]*policy.Statement{plain, service}, []policy.LinkingKind{policy.LinkedByService}, "The verifier recognises you at your next visit, within “grant”."},
		"a thing":           {[]*policy.Statement{thing}, []policy.LinkingKind{policy.LinkedByThing}, "The verifier recognises the same thing at the next visit, within “grant”."},
		"shared scopes":     {[]*policy.Statement{both}, []policy.LinkingKind{policy.LinkedWidely, policy.LinkedWidely}, "This verifier and others that share a scope recognise the same thing at every visit (shared scope 17)."},
		"service and thing": {[]*policy.Statement{service, thing}, []policy.LinkingKind{policy.LinkedByService, policy.LinkedByThing}, "The verifier recognises the same thing at the next visit, within “grant”."},
		"a companion":       {[]*policy.Statement{companion}, []policy.LinkingKind{policy.LinkedByNothing, policy.LinkedByCompanion}, "Whoever shows an ordinary credential (companion) from another wallet instead is recognised at every visit."},
	} {
		var kinds []policy.LinkingKind
		list := policy.LinkingOf(test.statements, "en")
		for i, l := range list {
			kinds = append(kinds, l.Kind)
			if other := policy.LinkingOf(test.statements, "zh-CN")[i]; other.Kind != l.Kind || other.Text == l.Text {
				t.Errorf("%s, in Chinese: %+v", name, other)
			}
		}
		if !slices.Equal(kinds, test.kinds) || list[len(list)-1].Text != test.last {
			t.Errorf("%s: %+v", name, list)
		}
	}
}
