package wallet

import (
	"slices"

	"github.com/bulla-id/bulla/credential/policy"
)

// together says what an answer narrows down with what the verifier learned from the same credential before, where that is more
// than the answer says alone. It takes for granted that the verifier can tell that both answers were about the same person: a
// pseudonym says so, and otherwise a name that it knows, or the hour.
func (d *document) together(r *Request, q *query, c *Credential, alone *policy.Narrowing, language string) ([]policy.Narrowed, error) {
	sets := either(r.sets, d.keptSets())
	var earlier [][]policy.Clause
	for i := range d.Revealed {
		fact := &d.Revealed[i]
		if fact.Verifier == r.verifier.DID && fact.Schema == q.statement.Schema && fact.Credential == c.ID && haveSets(sets, fact.Clauses) {
			earlier = append(earlier, fact.Clauses)
		}
	}
	if len(earlier) == 0 {
		return nil, nil
	}
	both, err := q.statement.NarrowAfter(policy.Context{Schema: &q.schema.Schema, Sets: sets, Issuers: q.issuers}, earlier)
	if err != nil {
		return nil, refuse(CodeUnprovable, err, "query %q", q.statement.Query)
	}
	both.Claims = slices.DeleteFunc(both.Claims, func(n policy.ClaimNarrowing) bool {
		return !slices.ContainsFunc(alone.Claims, func(a policy.ClaimNarrowing) bool { return a.Claim == n.Claim }) || slices.Contains(alone.Claims, n)
	})
	both.Either = nil
	return both.ClaimLines(&q.schema.Schema, language), nil
}

// haveSets tells whether the sets that clauses name are kept. Leaving out a fact that cannot be read any more says less than is
// known, never more.
func haveSets(sets policy.Sets, clauses []policy.Clause) bool {
	return !slices.ContainsFunc(clauses, func(c policy.Clause) bool {
		_, err := c.Values(sets)
		return err != nil
	})
}
