// Package policy turns what a relying party wants to know into what is proven. A [Policy] is data in words a clerk
// understands. Resolve fixes its relative dates and makes one [Statement] for each credential asked for; Compile makes
// the public inputs of a proof from a statement. The same code runs in verifier and wallet, each for itself, and the
// sentences shown to people come from the statement that is compiled. Format: doc/spec/policy.md.
package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
)

// Limits of a policy.
const (
	MaxSize     = 32 << 10 // bytes of canonical JSON
	MaxQueries  = 4
	MaxIssuers  = 4096
	maxClauses  = credential.Intervals + credential.Equalities + credential.Memberships
	maxFresh    = 7 * 24 * 60 * 60 // seconds
	maxText     = 1000             // bytes of a name or purpose
	maxRetained = 36500            // days
)

// Policy is what one verifier asks for one purpose. It is registered on the chain, so that the public sees who asks
// for what.
type Policy struct {
	Version          int             `json:"version"` // 1
	ID               string          `json:"id"`      // a plain name, unique at the verifier
	Verifier         string          `json:"verifier"`
	Name             credential.Text `json:"name"`
	Purpose          credential.Text `json:"purpose"`
	RetentionDays    int             `json:"retention_days"`    // how long the verifier keeps the result
	FreshnessSeconds int             `json:"freshness_seconds"` // greatest age of a root
	SeveralPersons   bool            `json:"several_persons,omitempty"`
	Queries          []Query         `json:"queries"`
}

// Query asks for one credential.
type Query struct {
	ID string `json:"id"` // a plain name, unique in the policy
	// Circuit is the presentation circuit that proves it; empty for presentation-1, whose name is never written. Wallets
	// take what the policy names and never choose.
	Circuit string             `json:"circuit,omitempty"`
	Schema  credential.Element `json:"schema"`
	// Issuers are DIDs, ascending, each once. IssuerSet is the digest of a [Set] of them and stands there instead.
	Issuers   []string          `json:"issuers,omitempty"`
	IssuerSet credential.Digest `json:"issuer_set,omitzero"`
	Clauses   []Clause          `json:"clauses"` // [] if none, never null
	// Disclose names claims whose values the verifier wants to see.
	Disclose []string `json:"disclose,omitempty"`
	// Companion also accepts an ordinary dc+sd-jwt of the same data, which shows the values and can be linked: see companion.go.
	Companion bool `json:"companion,omitempty"`
	// Scope asks for a pseudonym, SubjectScope for a subject tag.
	Scope        *Scope `json:"scope,omitempty"`
	SubjectScope *Scope `json:"subject_scope,omitempty"`
}

// Scope says within what a tag is the same: a service of this verifier, or a shared scope of the chain.
type Scope struct {
	Service string `json:"service,omitempty"`      // a plain name; empty for a shared scope
	Shared  *int64 `json:"shared_entry,omitempty"` // log index of the scope's registration, below 2^53
	// Once asks the verifier to accept each tag a single time: one per person, or once per thing.
	Once bool `json:"once,omitempty"`
}

// Clause is one condition on a claim. Exactly one of these stands in it: bounds (at_least, at_most or both), a period
// (at_least_ago or within_last), equals, in, in_set, present. Values are written as in credentials. In a statement, the bounds
// that follow from a period stand beside it.
type Clause struct {
	Claim      string   `json:"claim"`
	AtLeast    string   `json:"at_least,omitempty"`
	AtMost     string   `json:"at_most,omitempty"`
	AtLeastAgo Period   `json:"at_least_ago,omitempty"` // dates: the claim lies at least that long before today
	WithinLast Period   `json:"within_last,omitempty"`  // dates: the claim lies between that long before today and today
	Equals     any      `json:"equals,omitempty"`
	In         []string `json:"in,omitempty"`
	// InSet is the digest of a [Set] of values: as In, by reference.
	InSet   credential.Digest `json:"in_set,omitzero"`
	Present bool              `json:"present,omitempty"`
	Not     bool              `json:"not,omitempty"`    // the claim is there and the condition is false
	AnyOf   bool              `json:"any_of,omitempty"` // one of these clauses suffices
}

// Parse reads a policy, formatted freely or not, and validates it.
func Parse(text []byte) (*Policy, error) {
	if len(text) > 4*MaxSize {
		return nil, fmt.Errorf("policy of %d bytes, at most %d", len(text), 4*MaxSize)
	}
	var p Policy
	if err := credential.ParseStrict(text, &p); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &p, nil
}

// Canonical is the RFC 8785 form, which is registered.
func (p *Policy) Canonical() ([]byte, error) { return credential.Canonical(p) }

// Digest is the SHA-256 of the canonical form.
func (p *Policy) Digest() (credential.Digest, error) {
	text, err := p.Canonical()
	if err != nil {
		return credential.Digest{}, err
	}
	return credential.DigestOf(text), nil
}

// Validate refuses a policy that cannot be meant, naming query and clause. Whether it can be proven depends on the
// schemas too: see [Policy.Check].
func (p *Policy) Validate() error {
	switch {
	case p.Version != 1:
		return fmt.Errorf("policy %.100q: version %d, want 1", p.ID, p.Version)
	case !credential.ValidName(p.ID):
		return fmt.Errorf("policy id %.100q is not a plain name", p.ID)
	case !strings.HasPrefix(p.Verifier, "did:") || !credential.ValidName(p.Verifier):
		return fmt.Errorf("policy %s: verifier %.100q is not a DID", p.ID, p.Verifier)
	case p.RetentionDays < 0 || p.RetentionDays > maxRetained:
		return fmt.Errorf("policy %s: retention of %d days, want 0 to %d", p.ID, p.RetentionDays, maxRetained)
	case p.FreshnessSeconds < 1 || p.FreshnessSeconds > maxFresh:
		return fmt.Errorf("policy %s: freshness of %d seconds, want 1 to %d", p.ID, p.FreshnessSeconds, maxFresh)
	case len(p.Queries) == 0 || len(p.Queries) > MaxQueries:
		return fmt.Errorf("policy %s: %d queries, want 1 to %d", p.ID, len(p.Queries), MaxQueries)
	}
	if err := validateText(p.Name); err != nil {
		return fmt.Errorf("policy %s: name: %w", p.ID, err)
	}
	if err := validateText(p.Purpose); err != nil {
		return fmt.Errorf("policy %s: purpose: %w", p.ID, err)
	}
	for i := range p.Queries {
		q := &p.Queries[i]
		if slices.ContainsFunc(p.Queries[:i], func(o Query) bool { return o.ID == q.ID }) {
			return fmt.Errorf("policy %s: two queries are called %.100q", p.ID, q.ID)
		}
		if err := q.validate(); err != nil {
			return fmt.Errorf("policy %s, query %.100q: %w", p.ID, q.ID, err)
		}
	}
	if err := p.validateCompanions(); err != nil {
		return fmt.Errorf("policy %s, %w", p.ID, err)
	}
	text, err := p.Canonical()
	if err != nil {
		return fmt.Errorf("policy %s: %w", p.ID, err)
	}
	if len(text) > MaxSize {
		return fmt.Errorf("policy %s: %d bytes, at most %d", p.ID, len(text), MaxSize)
	}
	return nil
}

// validateText wants one line in at least one language, as people decide by it.
func validateText(t credential.Text) error {
	if t.English == "" && t.Chinese == "" {
		return errors.New("must be given in at least one language")
	}
	for _, text := range []string{t.English, t.Chinese} {
		if len(text) > maxText {
			return fmt.Errorf("%d bytes, at most %d", len(text), maxText)
		}
		if err := credential.ValidateLine(text); err != nil {
			return err
		}
	}
	return nil
}

// CircuitName is the name of the circuit that proves the query. This program need not know it: which circuits there are is
// for wallet and verifier to say, as a chain takes the policies of programs that are newer than the ledger's.
func (q *Query) CircuitName() string { return circuitName(q.Circuit) }

func circuitName(written string) string {
	if written == "" {
		return credential.Whole.Circuit
	}
	return written
}

func (q *Query) validate() error {
	if !credential.ValidName(q.ID) {
		return errors.New("its id is not a plain name")
	}
	if q.Circuit == credential.Whole.Circuit {
		return fmt.Errorf("the circuit %s is what no name means: leave circuit out", q.Circuit)
	}
	if q.Circuit != "" && !credential.ValidName(q.Circuit) {
		return errors.New("its circuit is not a plain name")
	}
	switch {
	case !q.IssuerSet.IsZero() && len(q.Issuers) > 0:
		return errors.New("lists issuers and names a set of them: want one")
	case q.IssuerSet.IsZero() && (len(q.Issuers) == 0 || len(q.Issuers) > MaxIssuers):
		return fmt.Errorf("%d issuers, want 1 to %d", len(q.Issuers), MaxIssuers)
	}
	for i, did := range q.Issuers {
		if !credential.ValidName(did) || i > 0 && q.Issuers[i-1] >= did {
			return fmt.Errorf("issuers must be DIDs, ascending, each once; not so at %.100q", did)
		}
	}
	if err := q.validateClauses(); err != nil {
		return err
	}
	if len(q.Disclose) > credential.Equalities {
		return fmt.Errorf("discloses %d claims, at most %d", len(q.Disclose), credential.Equalities)
	}
	for i, name := range q.Disclose {
		if !credential.ValidName(name) {
			return fmt.Errorf("disclosure %d names no claim", i+1)
		}
		if slices.Contains(q.Disclose[:i], name) {
			return fmt.Errorf("discloses %.100q twice", name)
		}
	}
	for _, s := range []*Scope{q.Scope, q.SubjectScope} {
		if err := s.validate(); err != nil {
			return err
		}
	}
	return q.validateCompanion()
}

func (q *Query) validateClauses() error {
	if q.Clauses == nil {
		return errors.New("its clauses are missing: write [] if there are none")
	}
	if len(q.Clauses) > maxClauses {
		return fmt.Errorf("%d clauses, at most %d", len(q.Clauses), maxClauses)
	}
	for i := range q.Clauses {
		if !credential.ValidName(q.Clauses[i].Claim) {
			return fmt.Errorf("clause %d names no claim", i+1)
		}
		if err := q.Clauses[i].validate(); err != nil {
			return fmt.Errorf("clause %d on %.100q: %w", i+1, q.Clauses[i].Claim, err)
		}
	}
	return nil
}

// validate also accepts no scope at all.
func (s *Scope) validate() error {
	switch {
	case s == nil:
		return nil
	case (s.Service == "") == (s.Shared == nil) || s.Service != "" && !credential.ValidName(s.Service):
		return errors.New("a scope names either a service, plainly, or the entry of a shared scope")
	case s.Shared != nil && (*s.Shared < 0 || *s.Shared > credential.MaxJSONInteger):
		return fmt.Errorf("shared scope at entry %d", *s.Shared)
	}
	return nil
}

func (c *Clause) validate() error {
	forms := 0
	for _, used := range []bool{c.AtLeast != "" || c.AtMost != "", c.AtLeastAgo != "", c.WithinLast != "", c.Equals != nil, len(c.In) > 0, !c.InSet.IsZero(), c.Present} {
		if used {
			forms++
		}
	}
	switch {
	case forms != 1:
		return errors.New("want exactly one of at_least/at_most, at_least_ago, within_last, equals, in, in_set, present")
	case c.Not && (len(c.In) > 0 || !c.InSet.IsZero()):
		return errors.New("a set cannot be negated")
	case c.Not && c.Present:
		return errors.New("that a claim is absent cannot be proven")
	}
	if err := c.validateValues(); err != nil {
		return err
	}
	for _, period := range []Period{c.AtLeastAgo, c.WithinLast} {
		if period == "" {
			continue
		}
		if _, err := period.parse(); err != nil {
			return err
		}
	}
	return nil
}

// validateValues refuses values that no claim has, or that would mislead the person who reads them. Whether they fit
// the claim's type is for Compile, which knows the schema.
func (c *Clause) validateValues() error {
	values := append([]string{c.AtLeast, c.AtMost}, c.In...)
	switch equals := c.Equals.(type) {
	case nil, bool:
	case string:
		values = append(values, equals)
	default:
		return errors.New("equals takes true, false or a JSON string; numbers and dates are written as strings")
	}
	for _, v := range values {
		if err := credential.ValidateLine(v); err != nil {
			return err
		}
	}
	return nil
}
