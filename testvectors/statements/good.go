package statements

import (
	"encoding/binary"
	"fmt"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

const (
	required = credential.Required
	anyOf    = credential.AnyOf
	negated  = credential.Negated
)

// full is the name of the good vector that uses every clause and both scopes.
const full = "every clause in use, both scopes"

// vectors collects presentations.
type vectors struct{ file *File }

func (v *vectors) add(name, expect string, public presentation.Public, private presentation.Private) *Presentation {
	f := v.file
	f.Presentation = append(f.Presentation, f.formatPresentation(name, expect, public, private))
	return &f.Presentation[len(f.Presentation)-1]
}

// before changes the scene before its leaf enters the tree and the request is answered.
func (v *vectors) before(name, expect string, change func(*scene)) {
	v.after(name, expect, change, func(*presentation.Public, *presentation.Private) {})
}

// after changes the honest answer, too.
func (v *vectors) after(name, expect string, before func(*scene), after func(*presentation.Public, *presentation.Private)) {
	s := newScene()
	before(s)
	public, private := s.present()
	after(&public, &private)
	v.add(name, expect, public, private)
}

// answer changes the honest answer to a request with both scopes.
func (v *vectors) answer(name, expect string, change func(*presentation.Public, *presentation.Private)) {
	v.after(name, expect, (*scene).scopes, change)
}

// interval, equality and membership have one clause.
func (v *vectors) interval(name, expect string, c credential.Interval) {
	v.before("interval: "+name, expect, func(s *scene) { s.request.Clauses.Intervals[0] = c })
}

func (v *vectors) equality(name, expect string, c credential.Equality) {
	v.before("equality: "+name, expect, func(s *scene) { s.request.Clauses.Equalities[0] = c })
}

// good are statements that hold.
func (v *vectors) good() {
	v.before("no clauses, no scopes", Holds, func(*scene) {})
	v.before(full, Holds, everything)
	v.before("pseudonym only", Holds, func(s *scene) { s.scopes(); s.request.SubjectScope = credential.Element{} })
	v.before("subject tag only", Holds, func(s *scene) { s.scopes(); s.request.Scope = credential.Element{} })
	v.before("no subject key, and none asked", Holds, func(s *scene) { s.credential.Envelope.SubjectKey = credential.Secret{} })
	v.before("first second of validity", Holds, func(s *scene) { s.request.Now = s.credential.Envelope.ValidFrom })
	v.before("last second of validity", Holds, func(s *scene) { s.request.Now = s.credential.Envelope.ValidUntil })
	v.goodClauses()
	v.before("first leaf of the tree", Holds, func(s *scene) { s.credential.Index = 0 })
	v.before("last leaf of the tree", Holds, func(s *scene) { s.credential.Index = tree.Capacity - 1 })
	v.before("alone in the tree", Holds, func(s *scene) { s.active = circuitstest.NewTree() })
	v.before("one issuer", Holds, func(s *scene) { s.request.Issuers = set(s.credential.Issuer) })
	v.before("4,096 issuers", Holds, func(s *scene) {
		members := []credential.Element{s.credential.Issuer}
		for i := uint64(1); i < tree.SetCapacity; i++ {
			members = append(members, credential.F("issuer", binary.BigEndian.AppendUint64(nil, i)))
		}
		s.request.Issuers = set(members...)
	})
	for seed := range uint64(4) {
		public, private := circuitstest.RandomStatement(circuitstest.NewRand(1000 + seed))
		v.add(fmt.Sprintf("random %d", seed), Holds, public, private)
	}
}

// small are statements of the small circuit.
func (v *vectors) small() {
	of := func(seed uint64) (presentation.Public, presentation.Private) {
		return circuitstest.RandomStatementOf(credential.Small, circuitstest.NewRand(2000+seed))
	}
	for seed := range uint64(3) {
		public, private := of(seed)
		v.add(fmt.Sprintf("small, random %d", seed), Holds, public, private)
	}
	bad := func(name, expect string, change func(*presentation.Public)) {
		public, private := of(0)
		change(&public)
		v.add("small, "+name, expect, public, private)
	}
	bad("issuer set as deep as the whole circuit's", "P2", func(p *presentation.Public) {
		_, private := of(0)
		p.IssuerSet = set(private.Issuer).Root()
	})
	bad("empty interval", Policy, func(p *presentation.Public) {
		p.Clauses.Intervals[1] = credential.Interval{Mode: anyOf, Slot: 0, Low: 9, High: 8}
		p.Clauses.Equalities[3] = credential.Equality{Mode: anyOf | negated, Slot: 0, Value: credential.ElementFromUint64(3)}
	})
	bad("false interval", "P4", func(p *presentation.Public) {
		p.Clauses.Intervals[1] = credential.Interval{Mode: required | negated, Slot: 0, Low: 1, High: mostNumber}
	})
	bad("another pseudonym", "P6", func(p *presentation.Public) { p.Pseudonym = next(p.Pseudonym) })
}

func (v *vectors) goodClauses() {
	v.interval("required", Holds, credential.Interval{Mode: required, Slot: area, Low: encodedArea - 242, High: mostNumber})
	v.interval("bounds are inclusive", Holds, credential.Interval{Mode: required, Slot: area, Low: encodedArea, High: encodedArea})
	v.interval("smallest claim", Holds, credential.Interval{Mode: required, Slot: smallest, Low: 1, High: 1})
	v.interval("greatest claim", Holds, credential.Interval{Mode: required, Slot: greatest, Low: mostNumber, High: mostNumber})
	v.interval("negated, below", Holds, credential.Interval{Mode: required | negated, Slot: area, Low: encodedArea + 1, High: mostNumber})
	v.interval("negated, above", Holds, credential.Interval{Mode: required | negated, Slot: area, Low: 1, High: encodedArea - 1})
	v.interval("any-of", Holds, credential.Interval{Mode: anyOf, Slot: since, Low: 1, High: encodedSince})
	v.interval("any-of, negated", Holds, credential.Interval{Mode: anyOf | negated, Slot: since, Low: 1, High: encodedSince - 1})

	v.before("equality: required", Holds, func(s *scene) {
		s.request.Clauses.Equalities[0] = credential.Equality{Mode: required, Slot: last, Value: s.credential.Claims[last]}
	})
	v.equality("negated", Holds, credential.Equality{Mode: required | negated, Slot: alive, Value: credential.ElementFromUint64(1)})
	v.equality("any-of", Holds, credential.Equality{Mode: anyOf, Slot: alive, Value: credential.ElementFromUint64(2)})
	v.equality("any-of, negated", Holds, credential.Equality{Mode: anyOf | negated, Slot: alive, Value: credential.ElementFromUint64(1)})

	v.before("membership: required", Holds, func(s *scene) { s.member(0, required, district, s.districts) })
	v.before("membership: any-of", Holds, func(s *scene) { s.member(1, anyOf, district, s.districts) })
	v.before("membership: a set of one", Holds, func(s *scene) { s.member(0, required, district, set(s.credential.Claims[district])) })

	v.before("one of a group of all kinds, among absent and false ones", Holds, func(s *scene) {
		c := &s.request.Clauses
		c.Intervals[0] = credential.Interval{Mode: anyOf, Slot: absent, Low: 1, High: mostNumber}
		c.Intervals[5] = credential.Interval{Mode: anyOf, Slot: area, Low: 1, High: 2}
		c.Equalities[3] = credential.Equality{Mode: anyOf | negated, Slot: absent, Value: credential.ElementFromUint64(1)}
		s.member(0, anyOf, district, s.elsewhere)
		s.member(1, anyOf, district, s.districts)
	})
}

// everything uses all twelve clauses.
func everything(s *scene) {
	s.scopes()
	c := &s.request.Clauses
	c.Intervals = [credential.Intervals]credential.Interval{
		{Mode: required, Slot: area, Low: encodedArea - 242, High: mostNumber},
		{Mode: required, Slot: since, Low: 1, High: encodedSince},
		{Mode: required | negated, Slot: since, Low: encodedSince + 1, High: encodedSince + 10},
		{Mode: anyOf, Slot: area, Low: 1, High: 2},
		{Mode: anyOf, Slot: smallest, Low: 1, High: 2},
		{Mode: anyOf | negated, Slot: absent, Low: 1, High: 2},
	}
	c.Equalities = [credential.Equalities]credential.Equality{
		{Mode: required, Slot: alive, Value: credential.ElementFromUint64(2)},
		{Mode: required, Slot: last, Value: s.credential.Claims[last]},
		{Mode: required | negated, Slot: district, Value: credential.ElementFromUint64(1)},
		{Mode: anyOf, Slot: district, Value: s.credential.Claims[last]},
	}
	s.member(0, required, district, s.districts)
	s.member(1, anyOf, district, s.elsewhere)
}
