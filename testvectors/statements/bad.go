package statements

import (
	"strings"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
)

// Generate makes all vectors, always the same.
func Generate() *File {
	v := vectors{new(File)}
	v.good()
	v.badTree()
	v.badValidity()
	v.badClauses()
	v.badTags()
	v.refusedOutside()
	v.badEncodings()
	v.small()
	v.file.Enrolment = enrolments()
	return v.file
}

func (v *vectors) badTree() {
	v.answer("another root", "P1", func(p *presentation.Public, _ *presentation.Private) { p.Root = next(p.Root) })
	v.answer("another schema", "P1", func(p *presentation.Public, _ *presentation.Private) { p.Schema = next(p.Schema) })
	v.answer("another claim", "P1", func(_ *presentation.Public, p *presentation.Private) { p.Claims[area] = next(p.Claims[area]) })
	v.answer("longer validity", "P1", func(_ *presentation.Public, p *presentation.Private) { p.Envelope.ValidUntil += day })
	v.answer("another index", "P1", func(_ *presentation.Public, p *presentation.Private) { p.ActivePath.Index ^= 1 })
	v.answer("siblings swapped", "P1", func(_ *presentation.Public, p *presentation.Private) {
		s := p.ActivePath.Siblings[17]
		p.ActivePath.Siblings[17][0], p.ActivePath.Siblings[17][1] = s[1], s[0]
	})
	v.after("revoked: the leaf is 0", "P1", (*scene).scopes, func(public *presentation.Public, private *presentation.Private) {
		public.Root = private.ActivePath.Root(credential.Element{})
	})
	v.answer("issuer outside the set", "P2", func(p *presentation.Public, _ *presentation.Private) {
		p.IssuerSet = set(credential.IssuerID("did:web:other.example")).Root()
	})
	v.answer("another sibling of the issuer", "P2", func(_ *presentation.Public, p *presentation.Private) {
		p.IssuerPath.Siblings[0][0] = next(p.IssuerPath.Siblings[0][0])
	})
}

func (v *vectors) badValidity() {
	v.before("a second too early", "P3", func(s *scene) { s.request.Now = s.credential.Envelope.ValidFrom - 1 })
	v.before("a second too late", "P3", func(s *scene) { s.request.Now = s.credential.Envelope.ValidUntil + 1 })
	v.before("the end of time", "P3", func(s *scene) { s.request.Now = mostNumber })
	v.before("the beginning of time", "P3", func(s *scene) { s.request.Now = 0 })
}

func (v *vectors) badClauses() {
	v.interval("below", "P4", credential.Interval{Mode: required, Slot: area, Low: encodedArea + 1, High: mostNumber})
	v.interval("above", "P4", credential.Interval{Mode: required, Slot: area, Low: 1, High: encodedArea - 1})
	v.interval("negated, inside", "P4", credential.Interval{Mode: required | negated, Slot: area, Low: encodedArea, High: encodedArea})
	v.interval("absent claim", "P4", credential.Interval{Mode: required, Slot: absent, Low: 1, High: mostNumber})
	v.interval("absent claim, negated", "P4", credential.Interval{Mode: required | negated, Slot: absent, Low: 1, High: mostNumber})
	v.interval("none of the group", "P4", credential.Interval{Mode: anyOf, Slot: area, Low: 1, High: encodedArea - 1})
	v.interval("on a text", "P4", credential.Interval{Mode: required, Slot: district, Low: 1, High: mostNumber})
	v.interval("negated, on a text", "P4", credential.Interval{Mode: required | negated, Slot: district, Low: 1, High: mostNumber})
	v.interval("required and any-of", "P4", credential.Interval{Mode: required | anyOf, Slot: area, Low: 1, High: mostNumber})
	v.interval("negated alone", "P4", credential.Interval{Mode: negated})
	v.interval("mode 8", "P4", credential.Interval{Mode: 8})
	v.interval("slot 16", "P4", credential.Interval{Mode: required, Slot: 16, Low: 1, High: mostNumber})
	v.interval("off, with a bound", "P4", credential.Interval{High: 1})
	v.interval("off, with a slot", "P4", credential.Interval{Slot: 1})

	v.equality("another value", "P4", credential.Equality{Mode: required, Slot: alive, Value: credential.ElementFromUint64(1)})
	v.equality("negated, the value", "P4", credential.Equality{Mode: required | negated, Slot: alive, Value: credential.ElementFromUint64(2)})
	v.equality("absent claim is not 0", "P4", credential.Equality{Mode: required, Slot: absent})
	v.equality("absent claim, negated", "P4", credential.Equality{Mode: required | negated, Slot: absent, Value: credential.ElementFromUint64(2)})
	v.equality("off, with a value", "P4", credential.Equality{Value: credential.ElementFromUint64(1)})

	v.before("membership: not a member", "P4", func(s *scene) { s.member(0, required, district, s.elsewhere) })
	v.before("membership: absent claim", "P4", func(s *scene) { s.member(0, required, absent, s.districts) })
	v.before("membership: none of the group", "P4", func(s *scene) { s.member(0, anyOf, district, s.elsewhere) })
	v.before("membership: negated", "P4", func(s *scene) { s.member(0, required|negated, district, s.elsewhere) })
	v.before("a required clause fails beside a group that holds", "P4", func(s *scene) {
		c := &s.request.Clauses
		c.Intervals[0] = credential.Interval{Mode: required, Slot: area, Low: 1, High: 2}
		c.Intervals[1] = credential.Interval{Mode: anyOf, Slot: area, Low: 1, High: mostNumber}
	})
	v.before("a group fails beside a required clause that holds", "P4", func(s *scene) {
		c := &s.request.Clauses
		c.Intervals[0] = credential.Interval{Mode: required, Slot: area, Low: 1, High: mostNumber}
		c.Equalities[0] = credential.Equality{Mode: anyOf, Slot: alive, Value: credential.ElementFromUint64(1)}
	})
}

func (v *vectors) badTags() {
	other := credential.Secret{Element: credential.ElementFromUint64(42)}
	v.answer("another challenge", "P5", func(p *presentation.Public, _ *presentation.Private) { p.Challenge = next(p.Challenge) })
	v.answer("another n", "P5", func(p *presentation.Public, _ *presentation.Private) { p.N = next(p.N) })
	v.answer("another person's link", "P5", func(p *presentation.Public, _ *presentation.Private) {
		p.Link = credential.Link(other, p.Challenge, p.N)
	})
	v.answer("another credential's item", "P5", func(p *presentation.Public, _ *presentation.Private) {
		p.Item = credential.Item(other, p.Challenge, p.N)
	})
	v.answer("another person's pseudonym", "P6", func(p *presentation.Public, _ *presentation.Private) {
		p.Pseudonym = credential.Pseudonym(other, p.Scope)
	})
	v.answer("pseudonym of another scope", "P6", func(p *presentation.Public, _ *presentation.Private) { p.Scope = next(p.Scope) })
	v.answer("no pseudonym in a scope", "P6", func(p *presentation.Public, _ *presentation.Private) { p.Pseudonym = credential.Element{} })
	v.answer("pseudonym without scope", "P6", func(p *presentation.Public, _ *presentation.Private) { p.Scope = credential.Element{} })
	v.answer("another subject's tag", "P7", func(p *presentation.Public, _ *presentation.Private) {
		p.SubjectTag = credential.SubjectTag(other, p.SubjectScope)
	})
	v.answer("subject tag without scope", "P7", func(p *presentation.Public, _ *presentation.Private) { p.SubjectScope = credential.Element{} })
	v.answer("no subject tag in a scope", "P7", func(p *presentation.Public, _ *presentation.Private) { p.SubjectTag = credential.Element{} })
	v.before("subject tag without subject key", "P7", func(s *scene) {
		s.scopes()
		s.credential.Envelope.SubjectKey = credential.Secret{}
	})
}

// refusedOutside are statements that the circuit accepts. They show why clauses are checked outside, too.
func (v *vectors) refusedOutside() {
	v.interval("empty, negated", Policy, credential.Interval{Mode: required | negated, Slot: area, Low: 9, High: 8})
	v.interval("low bound 0", Policy, credential.Interval{Mode: required, Slot: area, Low: 0, High: mostNumber})
	v.equality("never 0, which is always so", Policy, credential.Equality{Mode: required | negated, Slot: alive})
	v.before("membership: of a set with root 0", Policy, func(s *scene) {
		s.request.Clauses.Intervals[0] = credential.Interval{Mode: anyOf, Slot: area, Low: 1, High: mostNumber}
		s.request.Clauses.Memberships[0] = credential.Membership{Mode: anyOf, Slot: district}
	})
}

// badEncodings have a public input that is another spelling of one, or too wide for its type. Named values and vector
// are bad alike; modulo the field's modulus the circuit would accept those called "plus the modulus".
func (v *vectors) badEncodings() {
	bad := func(name string, at int, field func(*PresentationPublic) *string, spell func(credential.Element) string) {
		s := newScene()
		s.scopes()
		public, private := s.present()
		vector := v.add(name, Encoding, public, private)
		vector.Vector = formatAll(public.Vector())
		text := spell(public.Vector()[at])
		vector.Vector[at], *field(&vector.Public) = text, text
	}
	const root, now, n, pseudonym, subjectTag = 0, 3, 47, 51, 53
	bad("root plus the modulus", root, func(p *PresentationPublic) *string { return &p.Root }, plusModulus)
	bad("pseudonym plus the modulus", pseudonym, func(p *PresentationPublic) *string { return &p.Pseudonym }, plusModulus)
	bad("subject tag plus the modulus", subjectTag, func(p *PresentationPublic) *string { return &p.SubjectTag }, plusModulus)
	bad("the modulus for 0", root, func(p *PresentationPublic) *string { return &p.Root }, func(credential.Element) string {
		return plusModulus(credential.Element{})
	})
	bad("pseudonym without its first byte", pseudonym, func(p *PresentationPublic) *string { return &p.Pseudonym },
		func(e credential.Element) string { return e.Hex()[2:] })
	bad("pseudonym in capitals", pseudonym, func(p *PresentationPublic) *string { return &p.Pseudonym },
		func(e credential.Element) string { return strings.ToUpper(e.Hex()) })
	bad("now beyond 64 bits", now, func(p *PresentationPublic) *string { return &p.Now },
		func(e credential.Element) string { return next(credential.ElementFromUint64(mostNumber)).Hex() })
	bad("n beyond 31 bytes", n, func(p *PresentationPublic) *string { return &p.N },
		func(e credential.Element) string { return "01" + e.Hex()[2:] })
}

func enrolments() []Enrolment {
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(2025))
	var out []Enrolment
	add := func(name, expect string, change func()) {
		p, q := public, private
		change()
		out = append(out, formatEnrolment(name, expect, public, private))
		public, private = p, q
	}
	other := credential.Secret{Element: credential.ElementFromUint64(42)}
	add(enrols, Holds, func() {})
	add("a register shared by agencies", Holds, func() {
		public.RegisterScope = credential.EnrolmentScope("urn:register:residents")
		public.Pseudonym = credential.Pseudonym(private.Master, public.RegisterScope)
	})
	add("challenge 0", Holds, func() { public.Challenge = credential.Element{} })
	add("another holder commitment", "E1", func() { public.HolderCommitment = next(public.HolderCommitment) })
	add("another blinding", "E1", func() { private.Blinding = other })
	add("another person's pseudonym", "E2", func() { public.Pseudonym = credential.Pseudonym(other, public.RegisterScope) })
	add("pseudonym of another register", "E2", func() { public.RegisterScope = next(public.RegisterScope) })
	add("no register", "E2", func() {
		public.RegisterScope = credential.Element{}
		public.Pseudonym = credential.C4(credential.TagPseudonym, private.Master.Element, credential.Element{}, credential.Element{})
	})
	twice := formatEnrolment("pseudonym plus the modulus", Encoding, public, private)
	twice.Public.Pseudonym, twice.Vector[2] = plusModulus(public.Pseudonym), plusModulus(public.Pseudonym)
	return append(out, twice)
}

const enrols = "an enrolment"
