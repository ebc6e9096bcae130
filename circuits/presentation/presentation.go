// Package presentation is the circuit that every presentation proves, whatever the agency, the fact or the relying party.
//
// Presentation proves: I hold a credential whose leaf is in the active tree with root Root, issued by one of IssuerSet
// under Schema, valid at Now, whose claims satisfy Clauses; Pseudonym is mine for Scope and SubjectTag that of its
// subject for SubjectScope; this answers Challenge only.
//
// One source makes a circuit of each [credential.Shape]; the numbers below are those of the whole one, presentation-1.
//
// Public, in order (54 field elements): Root; Schema; IssuerSet; Now (encoded datetime); six intervals of Mode, Slot,
// Low, High; four equalities of Mode, Slot, Value; two memberships of Mode, Slot, Root; Challenge; N; Link; Item; Scope;
// Pseudonym; SubjectScope; SubjectTag.
// Private: master secret, blinding, claims, validity, subject key, salt, issuer, paths.
//
//	P1 membership   the leaf built from the private inputs is in the tree of depth 18 with root Root; Schema is in that leaf
//	P2 issuer       that same issuer is in the tree of depth 6 with root IssuerSet
//	P3 validity     validFrom <= Now <= validUntil, both differences range-checked to 64 bits
//	P4 clauses      clauses are well formed, every required one holds, and one of the any-of group if there is one; an
//	                absent claim satisfies none
//	P5 link, item   Link = C4(T_LINK, that same master secret, Challenge, N) and Item = C4(T_ITEM, that same blinding,
//	                Challenge, N): so Challenge and N enter a constraint, else they could be swapped after proving
//	P6 pseudonym    Pseudonym = C4(T_PSEUDONYM, that secret, Scope, 0), or 0 where Scope is 0
//	P7 subject tag  SubjectTag = C4(T_SUBJECT, that credential's subject key, SubjectScope, 0), or 0 where SubjectScope
//	                is 0; without a subject key there is no tag, so nothing to prove under such a scope
//
// Sound because: P1 fixes master secret, blinding, claims, validity, subject key and issuer, up to a collision of C4, to
// those of a leaf that the ledger entered; all other constraints speak of these very wires. An empty leaf is 0, and a C4
// that is 0 is as hard to find as any other preimage. Depths are fixed, so no inner node passes for a leaf.
//
// Outside, as the circuit cannot know: the verifier computes every public input from its own request and the chain. It
// checks Now, Root's age, IssuerSet, that N has 31 bytes, and [credential.Clauses.Validate]: bounds lie in [1, 2^64),
// intervals are not empty, values and set roots are not 0. The policy compiler and the wallet check the same. That slots
// exist in the schema and types fit is the policy compiler's part. Issuers encode validity and numbers in 64 bits.
//
// Cost and digest: circuits/testdata/circuits.golden.
package presentation

import (
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// PublicInputs is the number of public inputs of a shape's circuit, without Groth16's constant one.
func PublicInputs(s *credential.Shape) int {
	return 4 + 4*s.Intervals + 3*s.Equalities + 3*s.Memberships + 8
}

// Public is what the verifier knows, and computes itself.
type Public struct {
	Shape        *credential.Shape  // of the circuit; nil: the whole one
	Root         credential.Element // of the active tree
	Schema       credential.Element // schemaID
	IssuerSet    credential.Element // root of the set of accepted issuers
	Now          uint64             // encoded datetime
	Clauses      credential.Clauses
	Challenge    credential.Element
	N            credential.Element // 31 random bytes, one for each response
	Link         credential.Element
	Item         credential.Element
	Scope        credential.Element // 0: no pseudonym
	Pseudonym    credential.Element
	SubjectScope credential.Element // 0: no subject tag
	SubjectTag   credential.Element
}

// Private is what only the holder knows.
type Private struct {
	Master   credential.Secret
	Blinding credential.Secret
	Claims   [credential.Slots]credential.Element
	Envelope credential.Envelope
	Issuer   credential.Element // issuerID

	ActivePath tree.Path // of the leaf, 18 levels
	IssuerPath tree.Path // of the issuer, 6 levels, or as many as the shape has
	// SetPaths lead from the claim of each membership clause into its set, 6 levels. A clause that is off takes the zero
	// path; one of the any-of group that does not hold takes any, as [tree.Set.AnyPath].
	SetPaths [credential.Memberships]tree.Path
}

// Leaf is the leaf that the private inputs make at a schema.
func (p *Private) Leaf(schema credential.Element) credential.Element {
	holder := credential.HolderCommitment(p.Master, p.Blinding)
	commitment := credential.Commitment(holder, credential.ClaimsRoot(p.Claims), p.Envelope.Root())
	return credential.Leaf(p.Issuer, schema, commitment)
}

// Circuit is the name of the circuit that the public inputs are for.
func (p *Public) Circuit() string { return p.shape().Circuit }

func (p *Public) shape() *credential.Shape {
	if p.Shape == nil {
		return credential.Whole
	}
	return p.Shape
}

// Vector is the public inputs in the order of the circuit, [PublicInputs] elements. Clauses that the shape has no place
// for are not in it; see [credential.Shape.Fits].
func (p *Public) Vector() []credential.Element {
	number, shape := credential.ElementFromUint64, p.shape()
	v := make([]credential.Element, 0, PublicInputs(shape))
	v = append(v, p.Root, p.Schema, p.IssuerSet, number(p.Now))
	for _, c := range p.Clauses.Intervals[:shape.Intervals] {
		v = append(v, number(uint64(c.Mode)), number(uint64(c.Slot)), number(c.Low), number(c.High))
	}
	for _, c := range p.Clauses.Equalities[:shape.Equalities] {
		v = append(v, number(uint64(c.Mode)), number(uint64(c.Slot)), c.Value)
	}
	for _, c := range p.Clauses.Memberships[:shape.Memberships] {
		v = append(v, number(uint64(c.Mode)), number(uint64(c.Slot)), c.Root)
	}
	return append(v, p.Challenge, p.N, p.Link, p.Item, p.Scope, p.Pseudonym, p.SubjectScope, p.SubjectTag)
}
