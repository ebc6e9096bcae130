package statements

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// formatPresentation writes a statement down as it is, whether it holds or not, and its paths into the file.
func (f *File) formatPresentation(name, expect string, public presentation.Public, private presentation.Private) Presentation {
	v := Presentation{Name: name, Expect: expect, Private: f.formatPrivate(private)}
	if expect == Holds {
		v.Vector = formatAll(public.Vector())
	}
	p := &v.Public
	p.Root, p.Schema, p.IssuerSet, p.Now = public.Root.Hex(), public.Schema.Hex(), public.IssuerSet.Hex(), number(public.Now)
	shape := public.Shape
	if shape == nil {
		shape = credential.Whole
	} else if shape != credential.Whole {
		p.Circuit = shape.Circuit
	}
	p.Intervals, p.Equalities, p.Memberships = formatClauses(shape, &public.Clauses)
	p.Challenge, p.N, p.Link, p.Item = public.Challenge.Hex(), public.N.Hex(), public.Link.Hex(), public.Item.Hex()
	p.Scope, p.Pseudonym = public.Scope.Hex(), public.Pseudonym.Hex()
	p.SubjectScope, p.SubjectTag = public.SubjectScope.Hex(), public.SubjectTag.Hex()
	return v
}

func formatClauses(shape *credential.Shape, c *credential.Clauses) (intervals []*Interval, equalities []*Equality, memberships []*Membership) {
	intervals, equalities = make([]*Interval, shape.Intervals), make([]*Equality, shape.Equalities)
	memberships = make([]*Membership, shape.Memberships)
	for i, v := range c.Intervals[:shape.Intervals] {
		if v != (credential.Interval{}) {
			intervals[i] = &Interval{uint8(v.Mode), v.Slot, number(v.Low), number(v.High)}
		}
	}
	for i, v := range c.Equalities[:shape.Equalities] {
		if v != (credential.Equality{}) {
			equalities[i] = &Equality{uint8(v.Mode), v.Slot, v.Value.Hex()}
		}
	}
	for i, v := range c.Memberships[:shape.Memberships] {
		if v != (credential.Membership{}) {
			memberships[i] = &Membership{uint8(v.Mode), v.Slot, v.Root.Hex()}
		}
	}
	return intervals, equalities, memberships
}

func (f *File) formatPrivate(private presentation.Private) *PresentationPrivate {
	envelope := private.Envelope
	p := &PresentationPrivate{
		Master: private.Master.Hex(), Blinding: private.Blinding.Hex(), Claims: formatAll(private.Claims[:]),
		ValidFrom: number(envelope.ValidFrom), ValidUntil: number(envelope.ValidUntil),
		SubjectKey: envelope.SubjectKey.Hex(), Salt: envelope.Salt.Hex(), Issuer: private.Issuer.Hex(),
		ActivePath: f.path(private.ActivePath), IssuerPath: f.path(private.IssuerPath),
	}
	for _, path := range private.SetPaths {
		var n *int
		if len(path.Siblings) > 0 {
			n = new(f.path(path))
		}
		p.SetPaths = append(p.SetPaths, n)
	}
	return p
}

// path is the number of a path in the file, where it is put once.
func (f *File) path(p tree.Path) int {
	out := Path{Index: p.Index}
	for _, s := range p.Siblings {
		out.Siblings = append(out.Siblings, [3]string{s[0].Hex(), s[1].Hex(), s[2].Hex()})
	}
	same := func(o Path) bool { return o.Index == out.Index && slices.Equal(o.Siblings, out.Siblings) }
	if n := slices.IndexFunc(f.Paths, same); n >= 0 {
		return n
	}
	f.Paths = append(f.Paths, out)
	return len(f.Paths) - 1
}

func formatEnrolment(name, expect string, public enrolment.Public, private enrolment.Private) Enrolment {
	return Enrolment{
		Name: name, Expect: expect, Vector: formatAll(public.Vector()),
		Public: EnrolmentPublic{
			HolderCommitment: public.HolderCommitment.Hex(), RegisterScope: public.RegisterScope.Hex(),
			Pseudonym: public.Pseudonym.Hex(), Challenge: public.Challenge.Hex(),
		},
		Private: &EnrolmentPrivate{Master: private.Master.Hex(), Blinding: private.Blinding.Hex()},
	}
}

func number(u uint64) string { return credential.ElementFromUint64(u).Hex() }

func formatAll(elements []credential.Element) []string {
	out := make([]string, len(elements))
	for i, e := range elements {
		out[i] = e.Hex()
	}
	return out
}

// parser takes values one after the other and keeps the first error.
type parser struct{ err error }

func (p *parser) element(name, text string) credential.Element {
	b, err := hex.DecodeString(text)
	var e credential.Element
	if err == nil {
		e, err = credential.ParseElement(b)
	}
	if err == nil && e.Hex() != text {
		err = credential.ErrNotCanonical
	}
	p.fail(name, err)
	return e
}

func (p *parser) fail(name string, err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (p *parser) secret(name, text string) credential.Secret {
	return credential.Secret{Element: p.element(name, text)}
}

// number wants 64 bits.
func (p *parser) number(name, text string) uint64 {
	v := p.element(name, text).BigInt()
	if !v.IsUint64() {
		p.fail(name, errors.New("it does not fit 64 bits"))
		return 0
	}
	return v.Uint64()
}

// path reads the path with a number.
func (p *parser) path(name string, paths []Path, n int) (out tree.Path) {
	if n < 0 || n >= len(paths) {
		p.fail(name, fmt.Errorf("there is no path %d", n))
		return out
	}
	out.Index = paths[n].Index
	for level, siblings := range paths[n].Siblings {
		var s [tree.Arity - 1]credential.Element
		for i, text := range siblings {
			s[i] = p.element(fmt.Sprintf("%s, level %d", name, level), text)
		}
		out.Siblings = append(out.Siblings, s)
	}
	return out
}

// count wants a list of a length.
func (p *parser) count(name string, got, want int) bool {
	if got != want {
		p.fail(name, fmt.Errorf("%d, want %d", got, want))
	}
	return got == want
}

// Parse reads the public inputs. Every error is one of layer [Encoding].
func (in *PresentationPublic) Parse() (presentation.Public, error) {
	var p parser
	out := presentation.Public{
		Root: p.element("root", in.Root), Schema: p.element("schema", in.Schema), IssuerSet: p.element("issuer_set", in.IssuerSet),
		Now: p.number("now", in.Now), Challenge: p.element("challenge", in.Challenge), N: p.element("n", in.N),
		Link: p.element("link", in.Link), Item: p.element("item", in.Item),
		Scope: p.element("scope", in.Scope), Pseudonym: p.element("pseudonym", in.Pseudonym),
		SubjectScope: p.element("subject_scope", in.SubjectScope), SubjectTag: p.element("subject_tag", in.SubjectTag),
	}
	if !out.N.Fits31() {
		p.fail("n", errors.New("it does not fit 31 bytes"))
	}
	if in.Circuit != "" {
		var err error
		out.Shape, err = credential.ShapeOf(in.Circuit)
		p.fail("circuit", err)
	}
	if p.err == nil {
		p.clauses(in, &out)
	}
	return out, p.err
}

// clauses fills the clauses that are not off.
func (p *parser) clauses(in *PresentationPublic, out *presentation.Public) {
	shape, c := out.Shape, &out.Clauses
	if shape == nil {
		shape = credential.Whole
	}
	if !p.count("intervals", len(in.Intervals), shape.Intervals) || !p.count("equalities", len(in.Equalities), shape.Equalities) ||
		!p.count("memberships", len(in.Memberships), shape.Memberships) {
		return
	}
	for i, v := range in.Intervals {
		if v != nil {
			c.Intervals[i] = credential.Interval{Mode: credential.Mode(v.Mode), Slot: v.Slot, Low: p.number("low", v.Low), High: p.number("high", v.High)}
		}
	}
	for i, v := range in.Equalities {
		if v != nil {
			c.Equalities[i] = credential.Equality{Mode: credential.Mode(v.Mode), Slot: v.Slot, Value: p.element("value", v.Value)}
		}
	}
	for i, v := range in.Memberships {
		if v != nil {
			c.Memberships[i] = credential.Membership{Mode: credential.Mode(v.Mode), Slot: v.Slot, Root: p.element("root of a set", v.Root)}
		}
	}
}

// Parse reads the private inputs, with the paths of their file.
func (in *PresentationPrivate) Parse(paths []Path) (presentation.Private, error) {
	var p parser
	out := presentation.Private{
		Master: p.secret("master_secret", in.Master), Blinding: p.secret("blinding", in.Blinding),
		Envelope: credential.Envelope{
			ValidFrom: p.number("valid_from", in.ValidFrom), ValidUntil: p.number("valid_until", in.ValidUntil),
			SubjectKey: p.secret("subject_key", in.SubjectKey), Salt: p.secret("salt", in.Salt),
		},
		Issuer:     p.element("issuer", in.Issuer),
		ActivePath: p.path("active_path", paths, in.ActivePath), IssuerPath: p.path("issuer_path", paths, in.IssuerPath),
	}
	if p.count("claims", len(in.Claims), len(out.Claims)) {
		for i, text := range in.Claims {
			out.Claims[i] = p.element("claims", text)
		}
	}
	if p.count("set_paths", len(in.SetPaths), len(out.SetPaths)) {
		for i, n := range in.SetPaths {
			if n != nil {
				out.SetPaths[i] = p.path("set_paths", paths, *n)
			}
		}
	}
	return out, p.err
}

// Parse reads the public inputs. Every error is one of layer [Encoding].
func (in *EnrolmentPublic) Parse() (enrolment.Public, error) {
	var p parser
	out := enrolment.Public{
		HolderCommitment: p.element("holder_commitment", in.HolderCommitment), RegisterScope: p.element("register_scope", in.RegisterScope),
		Pseudonym: p.element("pseudonym", in.Pseudonym), Challenge: p.element("challenge", in.Challenge),
	}
	return out, p.err
}

// Parse reads the private inputs.
func (in *EnrolmentPrivate) Parse() (enrolment.Private, error) {
	var p parser
	out := enrolment.Private{Master: p.secret("master_secret", in.Master), Blinding: p.secret("blinding", in.Blinding)}
	return out, p.err
}
