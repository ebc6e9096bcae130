package presentation

import (
	"fmt"

	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits/gadget"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// Assign fills the circuit, whether the statement holds or not. It fails only for paths of another depth and for clauses
// that the shape has no place for.
func Assign(public Public, private Private) (*Circuit, error) {
	if err := public.shape().Fits(&public.Clauses); err != nil {
		return nil, err
	}
	c := NewCircuit(public.shape())
	c.assignPublic(public)
	c.Master, c.Blinding = private.Master.Fr(), private.Blinding.Fr()
	for i, claim := range private.Claims {
		c.Claims[i] = claim.Fr()
	}
	c.ValidFrom, c.ValidUntil = private.Envelope.ValidFrom, private.Envelope.ValidUntil
	c.SubjectKey, c.Salt = private.Envelope.SubjectKey.Fr(), private.Envelope.Salt.Fr()
	c.Issuer = private.Issuer.Fr()

	if err := assignPath(c.ActivePath[:], private.ActivePath, private.Leaf(public.Schema)); err != nil {
		return nil, fmt.Errorf("active path: %w", err)
	}
	if err := assignPath(c.IssuerPath, private.IssuerPath, private.Issuer); err != nil {
		return nil, fmt.Errorf("issuer path: %w", err)
	}
	for i := range c.SetPaths {
		clause := public.Clauses.Memberships[i]
		path := setPath(private.SetPaths[i])
		if err := assignPath(c.SetPaths[i][:], path, private.claim(clause.Mode, clause.Slot)); err != nil {
			return nil, fmt.Errorf("path of membership %d: %w", i, err)
		}
	}
	return c, nil
}

func (c *Circuit) assignPublic(p Public) {
	c.Root, c.Schema, c.IssuerSet, c.Now = p.Root.Fr(), p.Schema.Fr(), p.IssuerSet.Fr(), p.Now
	for i, v := range p.Clauses.Intervals[:len(c.Intervals)] {
		c.Intervals[i] = Interval{uint8(v.Mode), v.Slot, v.Low, v.High}
	}
	for i, v := range p.Clauses.Equalities[:len(c.Equalities)] {
		c.Equalities[i] = Equality{uint8(v.Mode), v.Slot, v.Value.Fr()}
	}
	for i, v := range p.Clauses.Memberships[:len(c.Memberships)] {
		c.Memberships[i] = Membership{uint8(v.Mode), v.Slot, v.Root.Fr()}
	}
	c.Challenge, c.N, c.Link, c.Item = p.Challenge.Fr(), p.N.Fr(), p.Link.Fr(), p.Item.Fr()
	c.Scope, c.Pseudonym = p.Scope.Fr(), p.Pseudonym.Fr()
	c.SubjectScope, c.SubjectTag = p.SubjectScope.Fr(), p.SubjectTag.Fr()
}

// assignPath checks the depth before it fills.
func assignPath(levels []gadget.Level, path tree.Path, leaf credential.Element) error {
	if len(path.Siblings) != len(levels) || path.Index>>(2*len(levels)) != 0 {
		return fmt.Errorf("path of %d levels to index %d, want %d levels", len(path.Siblings), path.Index, len(levels))
	}
	gadget.AssignPath(levels, path, leaf)
	return nil
}

// setPath is the path, or for the zero path one of the depth of a set that leads nowhere.
func setPath(path tree.Path) tree.Path {
	if path.Index == 0 && len(path.Siblings) == 0 {
		path.Siblings = make([][tree.Arity - 1]credential.Element, credential.SetDepth)
	}
	return path
}

// claim is the claim that a clause speaks of: 0 if it is off, and for slots that do not exist.
func (p *Private) claim(mode credential.Mode, slot uint8) credential.Element {
	if mode&(credential.Required|credential.AnyOf) == 0 || slot >= credential.Slots {
		return credential.Element{}
	}
	return p.Claims[slot]
}

// Compile-time check that the circuit is one.
var _ frontend.Circuit = (*Circuit)(nil)
