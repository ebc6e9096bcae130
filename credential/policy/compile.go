package policy

import (
	"errors"
	"fmt"
	"math"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// Context is what a statement is compiled with: all of it from the chain, but for the disclosed values.
type Context struct {
	Genesis credential.Digest
	Schema  *credential.Schema
	// Sets has the sets that the statement names, which are on the chain before a policy that names them; nil where it
	// names none.
	Sets Sets
	// Issuers are those of the statement's issuers that are in good standing at the root's seal.
	Issuers []string
	// Disclosed are the values of the claims to disclose, from the holder's credential: exactly those. Nil puts values
	// there that no claim has, to see whether the statement compiles; nothing fulfils the result.
	Disclosed credential.Claims
	// Trees makes the trees of issuers and values that are listed; nil hashes each anew.
	Trees *tree.Sets
}

// Compiled is the part of the public inputs that follows from a statement, with the sets behind its roots.
type Compiled struct {
	Shape        *credential.Shape // of the circuit
	Schema       credential.Element
	Issuers      *tree.Set
	Now          uint64 // encoded datetime
	Clauses      credential.Clauses
	Sets         [credential.Memberships]*tree.Set // of the memberships; nil where off
	Scope        credential.Element                // 0 without a pseudonym
	SubjectScope credential.Element                // 0 without a subject tag
}

// ErrUnprovable is returned for statements that the circuit cannot express or that promise more than it proves.
var ErrUnprovable = errors.New("cannot be proven")

// Compile makes the public inputs. What cannot be proven fails with an error that names the clause.
func (s *Statement) Compile(c Context) (*Compiled, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := s.validateSchema(c.Schema); err != nil {
		return nil, err
	}
	shape, err := credential.ShapeOf(s.CircuitName())
	if err != nil {
		return nil, fmt.Errorf("query %q: %w: %w", s.Query, ErrUnprovable, err)
	}
	accepted, err := s.Accepted(c.Sets)
	if err != nil {
		return nil, err
	}
	if most := 1 << (2 * shape.IssuerDepth); len(accepted) > most {
		return nil, fmt.Errorf("query %q: %d issuers, %s takes %d: %w", s.Query, len(accepted), shape.Circuit, most, ErrUnprovable)
	}
	out := &Compiled{Shape: shape, Schema: s.Schema, Now: credential.EncodeTime(s.Now.Time())}
	if out.Issuers, err = s.issuerTree(shape.IssuerDepth, c); err != nil {
		return nil, fmt.Errorf("query %.100q: %w", s.Query, err)
	}
	b := builder{schema: c.Schema, sets: c.Sets, trees: c.Trees, out: out}
	for i := range s.Clauses {
		if err := b.add(&s.Clauses[i]); err != nil {
			return nil, fmt.Errorf("query %.100q, clause %d on %.100q: %w", s.Query, i+1, s.Clauses[i].Claim, err)
		}
	}
	if err := b.disclose(s.Disclose, c.Disclosed); err != nil {
		return nil, fmt.Errorf("query %.100q: %w", s.Query, err)
	}
	if err := s.companionOf(c.Schema); err != nil {
		return nil, fmt.Errorf("query %.100q: %w", s.Query, err)
	}
	if err := s.scopes(c, len(accepted), out); err != nil {
		return nil, fmt.Errorf("query %.100q: %w", s.Query, err)
	}
	if err := out.Clauses.Validate(); err != nil {
		return nil, fmt.Errorf("query %.100q: %w: %w", s.Query, ErrUnprovable, err)
	}
	return out, nil
}

// validateSchema checks that the schema is the one asked for, and the bounds of periods, which depend on it.
func (s *Statement) validateSchema(schema *credential.Schema) error {
	if schema == nil {
		return fmt.Errorf("query %.100q: no schema given", s.Query)
	}
	if id, err := schema.ID(); err != nil || id != s.Schema {
		return fmt.Errorf("query %.100q: the schema given is not the one asked for", s.Query)
	}
	for i, c := range s.Clauses {
		if err := c.validateResolved(s.Now.Time(), schema); err != nil {
			return fmt.Errorf("query %.100q, clause %d on %.100q: %w", s.Query, i+1, c.Claim, err)
		}
	}
	return nil
}

// scopes turns the scopes into field elements, where the schema and the number of accepted issuers let them mean what they
// say.
func (s *Statement) scopes(c Context, accepted int, out *Compiled) error {
	if s.Scope != nil && s.Scope.Once {
		// One pseudonym a master secret is one a person only if every accepted issuer looks into the same register,
		// and a person has one live credential there.
		if !c.Schema.OnePerPerson {
			return fmt.Errorf("once per person: schema %s does not declare one live credential per person: %w", c.Schema.Type, ErrUnprovable)
		}
		if c.Schema.EnrolmentRegister == credential.IssuerRegister && accepted > 1 {
			return fmt.Errorf("once per person: the accepted issuers of schema %s do not share an enrolment register: %w", c.Schema.Type, ErrUnprovable)
		}
	}
	if s.SubjectScope != nil {
		if err := validateSubjectRegister(c.Schema, accepted); err != nil {
			return err
		}
	}
	out.Scope, out.SubjectScope = s.Scope.Element(s.Verifier, c.Genesis), s.SubjectScope.Element(s.Verifier, c.Genesis)
	return nil
}

// validateSubjectRegister: one tag a thing needs one register key behind all accepted issuers.
func validateSubjectRegister(schema *credential.Schema, accepted int) error {
	switch {
	case schema.SubjectRegister == "":
		return fmt.Errorf("subject tag: schema %s names no subject register: %w", schema.Type, ErrUnprovable)
	case schema.SubjectRegister == credential.IssuerRegister && accepted > 1:
		return fmt.Errorf("subject tag: the accepted issuers of schema %s do not share a subject register: %w", schema.Type, ErrUnprovable)
	}
	return nil
}

// Element is the scope of a verifier on a chain as a field element; 0 for none.
func (s *Scope) Element(verifier string, genesis credential.Digest) credential.Element {
	switch {
	case s == nil:
		return credential.Element{}
	case s.Shared != nil:
		return credential.SharedScope(genesis, uint64(*s.Shared))
	}
	return credential.VerifierScope(verifier, s.Service)
}

// builder fills the fixed slots of the circuit in the order of the clauses.
type builder struct {
	schema                             *credential.Schema
	sets                               Sets
	trees                              *tree.Sets
	out                                *Compiled
	intervals, equalities, memberships int
}

func (b *builder) add(c *Clause) error {
	slot, ok := b.schema.Slot(c.Claim)
	if !ok {
		return fmt.Errorf("schema %s has no such claim", b.schema.Type)
	}
	claim := b.schema.Claims[slot]
	mode := credential.Required
	if c.AnyOf {
		mode = credential.AnyOf
	}
	if c.Not {
		mode |= credential.Negated
	}
	switch {
	case c.AtLeast != "" || c.AtMost != "":
		return b.interval(mode, slot, claim, c.AtLeast, c.AtMost)
	case c.Equals != nil:
		value, err := claim.Encode(c.Equals)
		if err != nil {
			return err
		}
		return b.equality(mode, slot, value)
	case len(c.In) > 0 || !c.InSet.IsZero():
		return b.membership(mode, slot, claim, c)
	case c.Present:
		// Whatever is there differs from an impossible value: no text hashes to 1, and a boolean or a number is
		// never all ones above 64 bits.
		return b.equality(mode|credential.Negated, slot, impossible(claim))
	}
	return errors.New("the period was not resolved")
}

// impossible is a value that no claim of the type has.
func impossible(claim credential.ClaimType) credential.Element {
	if claim.Type == credential.String || claim.Type == credential.Enum {
		return credential.ElementFromUint64(1)
	}
	return credential.F("impossible", nil)
}

func (b *builder) interval(mode credential.Mode, slot int, claim credential.ClaimType, low, high string) error {
	if !claim.Type.Ordered() {
		return fmt.Errorf("bounds are for numbers and dates, but the claim is of type %s: %w", claim.Type, ErrUnprovable)
	}
	if most := b.out.Shape.Intervals; b.intervals == most {
		return fmt.Errorf("more than %d clauses with bounds: %w", most, ErrUnprovable)
	}
	v := credential.Interval{Mode: mode, Slot: uint8(slot), Low: 1, High: math.MaxUint64}
	var err error
	if low != "" {
		if v.Low, err = claim.Number(low); err != nil {
			return err
		}
	}
	if high != "" {
		if v.High, err = claim.Number(high); err != nil {
			return err
		}
	}
	if v.Low > v.High {
		return fmt.Errorf("nothing lies between %s and %s: %w", low, high, ErrUnprovable)
	}
	b.out.Clauses.Intervals[b.intervals] = v
	b.intervals++
	return nil
}

func (b *builder) equality(mode credential.Mode, slot int, value credential.Element) error {
	if most := b.out.Shape.Equalities; b.equalities == most {
		return fmt.Errorf("more than %d clauses on single values, disclosed ones included: %w", most, ErrUnprovable)
	}
	b.out.Clauses.Equalities[b.equalities] = credential.Equality{Mode: mode, Slot: uint8(slot), Value: value}
	b.equalities++
	return nil
}

func (b *builder) membership(mode credential.Mode, slot int, claim credential.ClaimType, c *Clause) error {
	if most := b.out.Shape.Memberships; b.memberships == most {
		return fmt.Errorf("more than %d clauses on sets: %w", most, ErrUnprovable)
	}
	set, err := c.valueTree(b.sets, b.trees, setUse{b.out.Schema, slot}, claim)
	if err != nil {
		return err
	}
	b.out.Clauses.Memberships[b.memberships] = credential.Membership{Mode: mode, Slot: uint8(slot), Root: set.Root()}
	b.out.Sets[b.memberships] = set
	b.memberships++
	return nil
}

// disclose adds an equality for each disclosed value, or, without values, one that nothing fulfils.
func (b *builder) disclose(names []string, values credential.Claims) error {
	if values != nil && len(values) != len(names) {
		return fmt.Errorf("%d values disclosed, want %d", len(values), len(names))
	}
	for _, name := range names {
		slot, ok := b.schema.Slot(name)
		if !ok {
			return fmt.Errorf("disclosure of %.100q: schema %s has no such claim", name, b.schema.Type)
		}
		element := impossible(b.schema.Claims[slot])
		if values != nil {
			value, present := values[name]
			if !present {
				return fmt.Errorf("disclosure of %.100q: the value is missing", name)
			}
			var err error
			if element, err = b.schema.Claims[slot].Encode(value); err != nil {
				return fmt.Errorf("disclosure of %.100q: %w", name, err)
			}
		}
		if err := b.equality(credential.Required, slot, element); err != nil {
			return fmt.Errorf("disclosure of %.100q: %w", name, err)
		}
	}
	return nil
}
