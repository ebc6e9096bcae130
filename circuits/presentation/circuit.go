package presentation

import (
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits/gadget"
	"github.com/bulla-id/bulla/credential"
)

// Circuit is the statement for gnark. The order of its public fields is the order of the public inputs. [NewCircuit]
// makes the slices of a shape.
type Circuit struct {
	Root         frontend.Variable `gnark:",public"`
	Schema       frontend.Variable `gnark:",public"`
	IssuerSet    frontend.Variable `gnark:",public"`
	Now          frontend.Variable `gnark:",public"`
	Intervals    []Interval        `gnark:",public"`
	Equalities   []Equality        `gnark:",public"`
	Memberships  []Membership      `gnark:",public"`
	Challenge    frontend.Variable `gnark:",public"`
	N            frontend.Variable `gnark:",public"`
	Link         frontend.Variable `gnark:",public"`
	Item         frontend.Variable `gnark:",public"`
	Scope        frontend.Variable `gnark:",public"`
	Pseudonym    frontend.Variable `gnark:",public"`
	SubjectScope frontend.Variable `gnark:",public"`
	SubjectTag   frontend.Variable `gnark:",public"`

	Master     frontend.Variable
	Blinding   frontend.Variable
	Claims     [credential.Slots]frontend.Variable
	ValidFrom  frontend.Variable
	ValidUntil frontend.Variable
	SubjectKey frontend.Variable
	Salt       frontend.Variable
	Issuer     frontend.Variable
	ActivePath [credential.ActiveDepth]gadget.Level
	IssuerPath []gadget.Level
	SetPaths   [][credential.SetDepth]gadget.Level
}

// NewCircuit is an empty circuit of a shape.
func NewCircuit(s *credential.Shape) *Circuit {
	return &Circuit{
		Intervals: make([]Interval, s.Intervals), Equalities: make([]Equality, s.Equalities), Memberships: make([]Membership, s.Memberships),
		IssuerPath: make([]gadget.Level, s.IssuerDepth), SetPaths: make([][credential.SetDepth]gadget.Level, s.Memberships),
	}
}

// Interval is the public part of an interval clause.
type Interval struct{ Mode, Slot, Low, High frontend.Variable }

// Equality is the public part of an equality clause.
type Equality struct{ Mode, Slot, Value frontend.Variable }

// Membership is the public part of a membership clause.
type Membership struct{ Mode, Slot, Root frontend.Variable }

// Define is the statement, in the order of the package's comment.
func (c *Circuit) Define(api frontend.API) error {
	c.membership(api)
	c.issuer(api)
	c.validity(api)
	c.clauses(api)
	c.linkAndItem(api)
	c.pseudonym(api)
	c.subjectTag(api)
	return nil
}

// constant is a tag as a constant of the circuit.
func constant(e credential.Element) frontend.Variable { return e.BigInt() }

// P1: the leaf built from the private inputs is in the active tree.
func (c *Circuit) membership(api frontend.API) {
	a := c.Claims
	holder := gadget.C4(api, constant(credential.TagHolder), c.Master, c.Blinding, 0)
	claims := gadget.C4(api,
		gadget.C4(api, a[0], a[1], a[2], a[3]), gadget.C4(api, a[4], a[5], a[6], a[7]),
		gadget.C4(api, a[8], a[9], a[10], a[11]), gadget.C4(api, a[12], a[13], a[14], a[15]))
	envelope := gadget.C4(api, c.ValidFrom, c.ValidUntil, c.SubjectKey, c.Salt)
	commitment := gadget.C4(api, constant(credential.TagCred), holder, claims, envelope)
	leaf := gadget.C4(api, constant(credential.TagLeaf), c.Issuer, c.Schema, commitment)
	api.AssertIsEqual(gadget.Root(api, leaf, c.ActivePath[:]), c.Root)
}

// P2: the issuer is in the issuer set.
func (c *Circuit) issuer(api frontend.API) {
	api.AssertIsEqual(gadget.Root(api, c.Issuer, c.IssuerPath), c.IssuerSet)
}

// P3: Now - validFrom and validUntil - Now each fit 64 bits. As Now, validFrom and validUntil are below 2^64 (the
// verifier sees to the first, the issuer's encoding to the others, and the leaf pins them), a negative difference lies
// within 2^64 below the modulus and has no 64-bit decomposition.
func (c *Circuit) validity(api frontend.API) {
	gadget.Bits(api, api.Sub(c.Now, c.ValidFrom), 64)
	gadget.Bits(api, api.Sub(c.ValidUntil, c.Now), 64)
}

// P5: the response's link and item, on the master secret and the blinding of P1.
func (c *Circuit) linkAndItem(api frontend.API) {
	api.AssertIsEqual(gadget.C4(api, constant(credential.TagLink), c.Master, c.Challenge, c.N), c.Link)
	api.AssertIsEqual(gadget.C4(api, constant(credential.TagItem), c.Blinding, c.Challenge, c.N), c.Item)
}

// P6: the pseudonym of the master secret in the scope, or 0.
func (c *Circuit) pseudonym(api frontend.API) {
	asked := gadget.Not(api, gadget.IsZero(api, c.Scope))
	tag := gadget.C4(api, constant(credential.TagPseudonym), c.Master, c.Scope, 0)
	api.AssertIsEqual(api.Mul(tag, asked), c.Pseudonym)
}

// P7: the subject's tag in the scope, or 0; a scope needs a subject key.
func (c *Circuit) subjectTag(api frontend.API) {
	asked := gadget.Not(api, gadget.IsZero(api, c.SubjectScope))
	tag := gadget.C4(api, constant(credential.TagSubject), c.SubjectKey, c.SubjectScope, 0)
	api.AssertIsEqual(api.Mul(tag, asked), c.SubjectTag)
	api.AssertIsEqual(api.Mul(gadget.IsZero(api, c.SubjectKey), asked), 0)
}
