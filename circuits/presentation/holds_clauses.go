package presentation

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/credential"
)

// ClausesHold is P4 alone, of claims and paths into sets that the caller knows by other means than a proof; a [*Violation] if not.
func ClausesHold(public *Public, private *Private) error { return holdsClauses(public, private) }

// holdsClauses is P4 in plain Go.
func holdsClauses(public *Public, private *Private) error {
	if err := public.shape().Fits(&public.Clauses); err != nil {
		return violation("P4", "%v", err)
	}
	members, holding := 0, 0
	for _, c := range flatten(public, private) {
		truth, err := c.truth()
		switch {
		case err != nil:
			return violation("P4", "%s: %v", c.name, err)
		case c.mode&credential.Required != 0 && !truth:
			return violation("P4", "%s: it is required and does not hold", c.name)
		case c.mode&credential.AnyOf != 0:
			members++
			if truth {
				holding++
			}
		}
	}
	if members > 0 && holding == 0 {
		return violation("P4", "none of the %d clauses of the any-of group holds", members)
	}
	return nil
}

// clause is what the three kinds have in common.
type clause struct {
	name      string
	mode      credential.Mode
	slot      uint8
	off       bool // all fields are 0
	set       bool // never negated
	claim     credential.Element
	condition func(claim credential.Element) (bool, error)
}

func flatten(public *Public, private *Private) []clause {
	var out []clause
	add := func(kind string, i int, c clause) {
		c.name, c.claim = fmt.Sprintf("%s %d", kind, i), private.claim(c.mode, c.slot)
		out = append(out, c)
	}
	for i, c := range public.Clauses.Intervals {
		add("interval", i, clause{mode: c.Mode, slot: c.Slot, off: c == credential.Interval{}, condition: func(claim credential.Element) (bool, error) {
			return isWithin(claim, c.Low, c.High)
		}})
	}
	for i, c := range public.Clauses.Equalities {
		add("equality", i, clause{mode: c.Mode, slot: c.Slot, off: c == credential.Equality{}, condition: func(claim credential.Element) (bool, error) {
			return claim == c.Value, nil
		}})
	}
	for i, c := range public.Clauses.Memberships {
		add("membership", i, clause{mode: c.Mode, slot: c.Slot, off: c == credential.Membership{}, set: true, condition: func(claim credential.Element) (bool, error) {
			path := setPath(private.SetPaths[i])
			if len(path.Siblings) != credential.SetDepth || path.Index>>(2*credential.SetDepth) != 0 {
				return false, fmt.Errorf("the path into the set has another depth")
			}
			return path.Root(claim) == c.Root, nil
		}})
	}
	return out
}

// truth is present AND (condition XOR negated). It fails for a clause that means nothing.
func (c *clause) truth() (bool, error) {
	negated := c.mode&credential.Negated != 0
	switch {
	case c.mode.Validate() != nil:
		return false, c.mode.Validate()
	case c.slot >= credential.Slots:
		return false, fmt.Errorf("there is no slot %d", c.slot)
	case c.mode == 0 && !c.off:
		return false, fmt.Errorf("it is off, but its fields are not 0")
	case c.set && negated:
		return false, fmt.Errorf("a set is never negated")
	}
	condition, err := c.condition(c.claim)
	return !c.claim.IsZero() && condition != negated, err
}

// isWithin tells whether low <= claim <= high. It fails for a claim that is no number, about which nothing can be proven.
func isWithin(claim credential.Element, low, high uint64) (bool, error) {
	notBelow, lowFits := compare(claim, credential.ElementFromUint64(low))
	notAbove, highFits := compare(credential.ElementFromUint64(high), claim)
	if !lowFits || !highFits {
		return false, fmt.Errorf("the claim is no 64-bit number")
	}
	return notBelow && notAbove, nil
}

var twoTo64 = new(big.Int).Lsh(big.NewInt(1), 64)

// compare tells whether a >= b, and whether a - b + 2^64 in the field has at most 65 bits, as the circuit demands.
func compare(a, b credential.Element) (notLess, fits bool) {
	x, y := a.Fr(), b.Fr()
	var offset fr.Element
	offset.SetBigInt(twoTo64)
	x.Sub(&x, &y).Add(&x, &offset)
	difference := x.BigInt(new(big.Int))
	return difference.Bit(64) == 1, difference.BitLen() <= 65
}
