package credential

import "fmt"

// The sizes of the largest statement: one source for circuits, policies and trees. [Shape] has the smaller ones.
const (
	ActiveDepth = 18 // levels of the active tree: 4^18 = 2^36 leaves, in every shape
	SetDepth    = 6  // levels of a set: 4,096 members
	Intervals   = 6
	Equalities  = 4
	Memberships = 2
)

// Mode says how a clause counts. 0 is off.
type Mode uint8

// The bits of a mode.
const (
	Required Mode = 1 << iota // the clause must hold
	AnyOf                     // one of the group must hold
	Negated                   // the clause holds if the claim is present and the condition is false
)

// Validate refuses modes that mean nothing: both groups at once, a negation of nothing, unknown bits.
func (m Mode) Validate() error {
	switch m {
	case 0, Required, AnyOf, Required | Negated, AnyOf | Negated:
		return nil
	}
	return fmt.Errorf("mode %d is none of off, required, any-of or their negations", m)
}

// Interval holds if Low <= claim <= High, on the encoded 64-bit numbers.
type Interval struct {
	Mode Mode
	Slot uint8
	Low  uint64
	High uint64
}

// Equality holds if the claim is Value.
type Equality struct {
	Mode  Mode
	Slot  uint8
	Value Element
}

// Membership holds if the claim is in the set with root Root.
type Membership struct {
	Mode Mode
	Slot uint8
	Root Element
}

// Clauses is the public part of what is asked of the claims. Each slot of these arrays is a clause or off.
type Clauses struct {
	Intervals   [Intervals]Interval
	Equalities  [Equalities]Equality
	Memberships [Memberships]Membership
}

// Validate refuses clauses that cannot be meant: bad modes, slots beyond the last, empty intervals, bounds or values
// of 0, and anything left in the fields of a clause that is off.
func (c *Clauses) Validate() error {
	for i, v := range c.Intervals {
		off := v == Interval{}
		if err := validateClause(v.Mode, v.Slot, off); err != nil {
			return fmt.Errorf("interval %d: %w", i, err)
		}
		if !off && (v.Low == 0 || v.Low > v.High) {
			return fmt.Errorf("interval %d: [%d, %d] is empty or starts below 1", i, v.Low, v.High)
		}
	}
	for i, v := range c.Equalities {
		off := v == Equality{}
		if err := validateClause(v.Mode, v.Slot, off); err != nil {
			return fmt.Errorf("equality %d: %w", i, err)
		}
		if !off && v.Value.IsZero() {
			return fmt.Errorf("equality %d: nothing encodes to 0", i)
		}
	}
	for i, v := range c.Memberships {
		off := v == Membership{}
		if err := validateClause(v.Mode, v.Slot, off); err != nil {
			return fmt.Errorf("membership %d: %w", i, err)
		}
		if v.Mode&Negated != 0 {
			return fmt.Errorf("membership %d: a set is never negated", i)
		}
		if !off && v.Root.IsZero() {
			return fmt.Errorf("membership %d: 0 is the root of no set", i)
		}
	}
	return nil
}

func validateClause(mode Mode, slot uint8, off bool) error {
	if err := mode.Validate(); err != nil {
		return err
	}
	if mode == 0 && !off {
		return fmt.Errorf("off, but its fields are not 0")
	}
	if slot >= Slots {
		return fmt.Errorf("slot %d, the last is %d", slot, Slots-1)
	}
	return nil
}
