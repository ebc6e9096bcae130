package credential

import (
	"fmt"
	"slices"
)

// Shape is the size of a presentation circuit: how much a policy that names the circuit may ask. All presentation
// circuits come from one source. A published shape never changes.
type Shape struct {
	Circuit     string // name of the circuit
	IssuerDepth int    // levels of the issuer set: 4^IssuerDepth issuers
	Intervals   int    // clauses of each kind, at most as many as [Clauses] has
	Equalities  int
	Memberships int
}

// The shapes. The small one proves in three quarters of the time.
var (
	Whole = &Shape{Circuit: "presentation-1", IssuerDepth: SetDepth, Intervals: Intervals, Equalities: Equalities, Memberships: Memberships}
	Small = &Shape{Circuit: "presentation-small-1", IssuerDepth: 4, Intervals: 2, Equalities: Equalities}
)

// Shapes are all shapes.
var Shapes = []*Shape{Whole, Small}

// ShapeOf finds a shape by the name of its circuit.
func ShapeOf(circuit string) (*Shape, error) {
	i := slices.IndexFunc(Shapes, func(s *Shape) bool { return s.Circuit == circuit })
	if i < 0 {
		return nil, fmt.Errorf("there is no presentation circuit %.100q", circuit)
	}
	return Shapes[i], nil
}

// Fits refuses clauses that a circuit of this shape has no place for.
func (s *Shape) Fits(c *Clauses) error {
	for _, v := range c.Intervals[s.Intervals:] {
		if v != (Interval{}) {
			return fmt.Errorf("%s has %d intervals", s.Circuit, s.Intervals)
		}
	}
	for _, v := range c.Equalities[s.Equalities:] {
		if v != (Equality{}) {
			return fmt.Errorf("%s has %d equalities", s.Circuit, s.Equalities)
		}
	}
	for _, v := range c.Memberships[s.Memberships:] {
		if v != (Membership{}) {
			return fmt.Errorf("%s has %d memberships", s.Circuit, s.Memberships)
		}
	}
	return nil
}
