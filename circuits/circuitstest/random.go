package circuitstest

import (
	"math/rand/v2"

	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// Random is a random statement that holds, with everything it is made of.
type Random struct {
	Credential *Credential
	Active     *Tree
	Request    Request
}

// RandomStatement draws a credential, a tree with a few more leaves, and a request that the credential satisfies.
func RandomStatement(r *rand.Rand) (presentation.Public, presentation.Private) {
	return RandomStatementOf(credential.Whole, r)
}

// RandomStatementOf is RandomStatement for the circuit of a shape.
func RandomStatementOf(shape *credential.Shape, r *rand.Rand) (presentation.Public, presentation.Private) {
	s := NewRandom(shape, r)
	return s.Credential.Present(s.Active, s.Request)
}

// NewRandom is the statement of [RandomStatementOf] in parts.
func NewRandom(shape *credential.Shape, r *rand.Rand) *Random {
	c := RandomCredential(r)
	active := NewTree()
	leaves := map[uint64]credential.Element{c.Index ^ 1: Element(r)} // a neighbour, so that its level is not empty
	for range r.IntN(3) {
		leaves[r.Uint64N(tree.Capacity)] = Element(r)
	}
	leaves[c.Index] = c.Leaf()
	active.SetAll(leaves)
	request := Request{
		Shape:     shape,
		Issuers:   RandomSet(r, shape.IssuerDepth, c.Issuer),
		Now:       c.Envelope.ValidFrom + r.Uint64N(c.Envelope.ValidUntil-c.Envelope.ValidFrom+1),
		Challenge: Element31(r),
		N:         Element31(r),
	}
	if r.IntN(2) == 0 {
		request.Scope = Element31(r)
	}
	if r.IntN(2) == 0 && !c.Envelope.SubjectKey.IsZero() {
		request.SubjectScope = Element31(r)
	}
	request.Clauses, request.Sets = RandomClauses(shape, r, c)
	return &Random{c, active, request}
}

// RandomSet is a set of up to 20 members and the given ones, in a tree of a depth.
func RandomSet(r *rand.Rand, depth int, members ...credential.Element) *tree.Set {
	for range r.IntN(20) {
		members = append(members, Element31(r))
	}
	set, err := tree.NewSetOfDepth(depth, members)
	if err != nil {
		panic(err)
	}
	return set
}

// RandomClauses are clauses that the credential satisfies; some of an any-of group may be false, or speak of absent claims.
func RandomClauses(shape *credential.Shape, r *rand.Rand, c *Credential) (clauses credential.Clauses, sets [credential.Memberships]*tree.Set) {
	anyHolds := false
	// pick chooses slot and mode, and whether the clause has to hold. A clause on an absent claim never does.
	pick := func(from, to int, negatable bool) (mode credential.Mode, slot uint8, hold bool) {
		slot = uint8(from + r.IntN(to-from))
		hold = !c.Claims[slot].IsZero()
		switch r.IntN(3) {
		case 0:
			return 0, 0, false
		case 1:
			if !hold {
				return 0, 0, false
			}
			mode = credential.Required
		case 2:
			mode = credential.AnyOf
			if anyHolds && r.IntN(2) == 0 {
				hold = false
			}
			if !anyHolds && !hold {
				return 0, 0, false
			}
			anyHolds = true
		}
		if negatable && r.IntN(3) == 0 {
			mode |= credential.Negated
		}
		return mode, slot, hold
	}
	for i := range clauses.Intervals[:shape.Intervals] {
		if mode, slot, hold := pick(0, Numbers, true); mode != 0 {
			low, high := bounds(r, c.Claims[slot].BigInt().Uint64(), hold != (mode&credential.Negated != 0))
			clauses.Intervals[i] = credential.Interval{Mode: mode, Slot: slot, Low: low, High: high}
		}
	}
	for i := range clauses.Equalities[:shape.Equalities] {
		if mode, slot, hold := pick(0, credential.Slots, true); mode != 0 {
			value := c.Claims[slot]
			if value.IsZero() || hold == (mode&credential.Negated != 0) {
				value = Element31(r)
			}
			clauses.Equalities[i] = credential.Equality{Mode: mode, Slot: slot, Value: value}
		}
	}
	for i := range clauses.Memberships[:shape.Memberships] {
		if mode, slot, hold := pick(0, credential.Slots, false); mode != 0 {
			sets[i] = RandomSet(r, credential.SetDepth, Element31(r))
			if hold {
				sets[i] = RandomSet(r, credential.SetDepth, c.Claims[slot])
			}
			clauses.Memberships[i] = credential.Membership{Mode: mode, Slot: slot, Root: sets[i].Root()}
		}
	}
	return clauses, sets
}

// bounds are those of a random interval that is not empty, and contains v, or does not.
func bounds(r *rand.Rand, v uint64, inside bool) (low, high uint64) {
	switch {
	case inside:
		v = max(v, 1) // of an absent claim: any interval will do
		return 1 + r.Uint64N(v), v + r.Uint64N(max(1, 1<<64-1-v))
	case v > 2 && r.IntN(2) == 0 || v == 1<<64-1:
		high = 1 + r.Uint64N(v-1)
		return 1 + r.Uint64N(high), high
	}
	low = v + 1 + r.Uint64N(1<<64-1-v)
	return low, low + r.Uint64N(1<<64-1-low+1)
}

// RandomEnrolment is an enrolment that holds.
func RandomEnrolment(r *rand.Rand) (enrolment.Public, enrolment.Private) {
	private := enrolment.Private{Master: credential.Secret{Element: Element(r)}, Blinding: credential.Secret{Element: Element(r)}}
	scope := Element31(r)
	return enrolment.Public{
		HolderCommitment: credential.HolderCommitment(private.Master, private.Blinding),
		RegisterScope:    scope,
		Pseudonym:        credential.Pseudonym(private.Master, scope),
		Challenge:        Element31(r),
	}, private
}
