package presentation

import (
	"fmt"

	"github.com/bulla-id/bulla/credential"
)

// Violation says which constraint of the statement does not hold, in words that name no private value.
type Violation struct {
	Constraint string // "P1" to "P7"
	Reason     string
}

// Error is "P3 validity: …".
func (v *Violation) Error() string { return v.Constraint + ": " + v.Reason }

func violation(constraint, format string, args ...any) error {
	return &Violation{Constraint: constraint, Reason: fmt.Sprintf(format, args...)}
}

// Holds is the statement in plain Go: nil exactly if the circuit is satisfied, else a [*Violation]. What is checked
// outside the circuit is not checked here either; see the package's comment.
func Holds(public Public, private Private) error {
	checks := []func(*Public, *Private) error{
		holdsMembership, holdsIssuer, holdsValidity, holdsClauses, holdsLinkAndItem, holdsPseudonym, holdsSubjectTag,
	}
	for _, check := range checks {
		if err := check(&public, &private); err != nil {
			return err
		}
	}
	return nil
}

func holdsMembership(public *Public, private *Private) error {
	leaf := private.Leaf(public.Schema)
	if err := private.ActivePath.Verify(leaf, public.Root, credential.ActiveDepth); err != nil {
		return violation("P1", "the credential is not in the active tree under this root and schema")
	}
	return nil
}

func holdsIssuer(public *Public, private *Private) error {
	path, depth := private.IssuerPath, public.shape().IssuerDepth
	if len(path.Siblings) != depth || path.Index>>(2*depth) != 0 || path.Root(private.Issuer) != public.IssuerSet {
		return violation("P2", "the credential's issuer is not in the issuer set")
	}
	return nil
}

func holdsValidity(public *Public, private *Private) error {
	if public.Now < private.Envelope.ValidFrom {
		return violation("P3", "the credential is not valid yet")
	}
	if public.Now > private.Envelope.ValidUntil {
		return violation("P3", "the credential has expired")
	}
	return nil
}

func holdsLinkAndItem(public *Public, private *Private) error {
	if credential.Link(private.Master, public.Challenge, public.N) != public.Link {
		return violation("P5", "the link is not that of the credential's holder")
	}
	if credential.Item(private.Blinding, public.Challenge, public.N) != public.Item {
		return violation("P5", "the item is not that of the credential")
	}
	return nil
}

func holdsPseudonym(public *Public, private *Private) error {
	if credential.Pseudonym(private.Master, public.Scope) != public.Pseudonym {
		return violation("P6", "the pseudonym is not that of the credential's holder in this scope")
	}
	return nil
}

func holdsSubjectTag(public *Public, private *Private) error {
	key := private.Envelope.SubjectKey
	if !public.SubjectScope.IsZero() && key.IsZero() {
		return violation("P7", "a subject tag is asked, but the credential has no subject key")
	}
	if credential.SubjectTag(key, public.SubjectScope) != public.SubjectTag {
		return violation("P7", "the subject tag is not that of the credential's subject in this scope")
	}
	return nil
}
