// Package enrolment is the circuit by which a person enrols: the holder's proof when a credential is asked for.
//
// Enrolment proves: I know the master secret and the blinding in HolderCommitment, and Pseudonym is that master secret's
// in the enrolment register; this answers Challenge only.
//
// Public, in order (4 field elements): HolderCommitment; RegisterScope; Pseudonym; Challenge.
// Private: master secret, blinding.
//
//	E1 commitment   HolderCommitment = C4(T_HOLDER, master secret, blinding, 0)
//	E2 pseudonym    Pseudonym = C4(T_PSEUDONYM, that same master secret, RegisterScope, 0), and RegisterScope is not 0
//	E3 challenge    Challenge is squared: so it enters a constraint, else it could be swapped after proving
//
// Sound because: E1 fixes the master secret up to a collision of C4, and E2 speaks of the same wire. A proof cannot be
// changed to another public input: Groth16 proofs can be re-randomised, but only for the same statement.
//
// Outside: the issuer computes RegisterScope as [credential.EnrolmentScope] of its schema's register and Challenge from
// its own audience and nonce.
//
// Cost and digest: circuits/testdata/circuits.golden.
package enrolment

import (
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/circuits/gadget"
	"github.com/bulla-id/bulla/credential"
)

// PublicInputs is the number of public inputs, without Groth16's constant one.
const PublicInputs = 4

// Public is what the issuer knows.
type Public struct {
	HolderCommitment credential.Element
	RegisterScope    credential.Element // not 0
	Pseudonym        credential.Element
	Challenge        credential.Element
}

// Private is what only the holder knows.
type Private struct {
	Master   credential.Secret
	Blinding credential.Secret
}

// Vector is the public inputs in the order of the circuit.
func (p *Public) Vector() []credential.Element {
	return []credential.Element{p.HolderCommitment, p.RegisterScope, p.Pseudonym, p.Challenge}
}

// Violation says which constraint of the statement does not hold.
type Violation struct {
	Constraint string // "E1" or "E2"
	Reason     string
}

// Error is "E1: …".
func (v *Violation) Error() string { return v.Constraint + ": " + v.Reason }

// Holds is the statement in plain Go: nil exactly if the circuit is satisfied, else a [*Violation].
func Holds(public Public, private Private) error {
	switch {
	case credential.HolderCommitment(private.Master, private.Blinding) != public.HolderCommitment:
		return &Violation{"E1", "the holder commitment is not that of the master secret and the blinding"}
	case public.RegisterScope.IsZero():
		return &Violation{"E2", "the register's scope is 0"}
	case credential.Pseudonym(private.Master, public.RegisterScope) != public.Pseudonym:
		return &Violation{"E2", "the enrolment pseudonym is not that of the master secret in this register"}
	}
	return nil
}

// Circuit is the statement for gnark. The order of its public fields is the order of the public inputs.
type Circuit struct {
	HolderCommitment frontend.Variable `gnark:",public"`
	RegisterScope    frontend.Variable `gnark:",public"`
	Pseudonym        frontend.Variable `gnark:",public"`
	Challenge        frontend.Variable `gnark:",public"`

	Master   frontend.Variable
	Blinding frontend.Variable
}

// Define is the statement, in the order of the package's comment.
func (c *Circuit) Define(api frontend.API) error {
	holder := gadget.C4(api, credential.TagHolder.BigInt(), c.Master, c.Blinding, 0)
	api.AssertIsEqual(holder, c.HolderCommitment)

	pseudonym := gadget.C4(api, credential.TagPseudonym.BigInt(), c.Master, c.RegisterScope, 0)
	api.AssertIsEqual(pseudonym, c.Pseudonym)
	api.AssertIsEqual(gadget.IsZero(api, c.RegisterScope), 0)

	api.Mul(c.Challenge, c.Challenge)
	return nil
}

// Assign fills the circuit, whether the statement holds or not.
func Assign(public Public, private Private) *Circuit {
	return &Circuit{
		HolderCommitment: public.HolderCommitment.Fr(),
		RegisterScope:    public.RegisterScope.Fr(),
		Pseudonym:        public.Pseudonym.Fr(),
		Challenge:        public.Challenge.Fr(),
		Master:           private.Master.Fr(),
		Blinding:         private.Blinding.Fr(),
	}
}
