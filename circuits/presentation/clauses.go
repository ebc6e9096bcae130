package presentation

import (
	"math/big"

	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits/gadget"
)

// P4: the clauses hold. Each clause gives a truth value, which is 0 for one that is off or whose claim is absent.
func (c *Circuit) clauses(api frontend.API) {
	var group group
	for _, clause := range c.Intervals {
		mode := newMode(api, gadget.Bits(api, clause.Mode, 3), clause.Slot, clause.Low, clause.High)
		value := c.value(api, mode, clause.Slot)
		inside := within(api, value, clause.Low, clause.High)
		group.add(api, mode, truth(api, mode, value, inside))
	}
	for _, clause := range c.Equalities {
		mode := newMode(api, gadget.Bits(api, clause.Mode, 3), clause.Slot, clause.Value)
		value := c.value(api, mode, clause.Slot)
		equal := gadget.IsZero(api, api.Sub(value, clause.Value))
		group.add(api, mode, truth(api, mode, value, equal))
	}
	for i, clause := range c.Memberships {
		// A prover who wants to can make a true membership look false, by another path. That never helps, as false clauses
		// satisfy nothing and a set's mode has two bits only: it cannot be negated.
		mode := newMode(api, gadget.Bits(api, clause.Mode, 2), clause.Slot, clause.Root)
		value := c.value(api, mode, clause.Slot)
		root := gadget.Root(api, value, c.SetPaths[i][:])
		member := gadget.IsZero(api, api.Sub(root, clause.Root))
		group.add(api, mode, truth(api, mode, value, member))
	}
	group.assert(api)
}

// mode is a clause's mode in bits; on is 1 if the clause is required or in the any-of group.
type mode struct{ required, anyOf, negated, on frontend.Variable }

// newMode takes the bits of a mode, three or for sets two, and refuses those that mean nothing: both groups, a negation
// without a group, and fields of an off clause that are not 0.
func newMode(api frontend.API, bits []frontend.Variable, fields ...frontend.Variable) mode {
	m := mode{required: bits[0], anyOf: bits[1], negated: 0}
	both := api.Mul(m.required, m.anyOf)
	api.AssertIsEqual(both, 0)
	m.on = api.Sub(api.Add(m.required, m.anyOf), both)
	off := gadget.Not(api, m.on)
	if len(bits) == 3 {
		m.negated = bits[2]
		api.AssertIsEqual(api.Mul(m.negated, off), 0)
	}
	for _, field := range fields {
		api.AssertIsEqual(api.Mul(field, off), 0)
	}
	return m
}

// value is the claim that a clause speaks of, or 0 if it is off.
func (c *Circuit) value(api frontend.API, m mode, slot frontend.Variable) frontend.Variable {
	return api.Mul(gadget.Claim(api, c.Claims, slot), m.on)
}

// within tells whether low <= value <= high. Both differences, plus 2^64, are decomposed into 65 bits, whose top bit
// is the comparison. Since low and high are below 2^64 (outside), this has a solution only for a value in [-2^64, 2^65),
// far from where anything wraps, and the results are those of the integers. A claim that is no number, as a text's hash,
// has no solution at all: neither true nor false. An off clause compares 0 with 0.
func within(api frontend.API, value, low, high frontend.Variable) frontend.Variable {
	offset := new(big.Int).Lsh(big.NewInt(1), 64)
	notBelow := gadget.Bits(api, api.Add(api.Sub(value, low), offset), 65)[64]
	notAbove := gadget.Bits(api, api.Add(api.Sub(high, value), offset), 65)[64]
	return api.Mul(notBelow, notAbove)
}

// truth is present AND (condition XOR negated); condition and negated are boolean.
func truth(api frontend.API, m mode, value, condition frontend.Variable) frontend.Variable {
	present := gadget.Not(api, gadget.IsZero(api, value))
	both := api.Mul(condition, m.negated)
	xor := api.Sub(api.Add(condition, m.negated), api.Mul(2, both))
	return api.Mul(xor, present)
}

// group counts the clauses of the any-of group and those of them that are true. Sums of 12 booleans do not wrap.
type group struct{ members, holding frontend.Variable }

// add asserts a required clause and counts one of the group.
func (g *group) add(api frontend.API, m mode, truth frontend.Variable) {
	if g.members == nil {
		g.members, g.holding = 0, 0
	}
	api.AssertIsEqual(api.Mul(gadget.Not(api, truth), m.required), 0)
	g.members = api.Add(g.members, m.anyOf)
	g.holding = api.Add(g.holding, api.Mul(truth, m.anyOf))
}

// assert refuses a group of which none holds.
func (g *group) assert(api frontend.API) {
	api.AssertIsEqual(api.Mul(g.members, gadget.IsZero(api, g.holding)), 0)
}
