package presentation

import (
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// NewPublic is the part of the public inputs that a verifier computes by itself and a wallet by itself: from the
// compiled statement, the root of a seal, and the challenge. N, link, item, pseudonym and subject tag are the wallet's
// answer and still missing.
func NewPublic(c *policy.Compiled, root, challenge credential.Element) Public {
	return Public{
		Shape: c.Shape, Root: root, Schema: c.Schema, IssuerSet: c.Issuers.Root(), Now: c.Now, Clauses: c.Clauses,
		Challenge: challenge, Scope: c.Scope, SubjectScope: c.SubjectScope,
	}
}
