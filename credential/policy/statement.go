package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// Statement is one query of a policy with its relative dates resolved: what exactly is to be proven, as canonical
// JSON. Its clauses keep the period they came from, so that a wallet can show and recompute it.
type Statement struct {
	Version          int                 `json:"version"` // 1
	Verifier         string              `json:"verifier"`
	Policy           credential.Digest   `json:"policy"`
	Query            string              `json:"query"`
	Circuit          string              `json:"circuit,omitempty"` // as in [Query]
	Now              credential.UnixTime `json:"now"`
	FreshnessSeconds int                 `json:"freshness_seconds"`
	Schema           credential.Element  `json:"schema"`
	Issuers          []string            `json:"issuers,omitempty"`
	IssuerSet        credential.Digest   `json:"issuer_set,omitzero"`
	Clauses          []Clause            `json:"clauses"`
	Disclose         []string            `json:"disclose,omitempty"`
	Companion        bool                `json:"companion,omitempty"` // as in [Query]
	Scope            *Scope              `json:"scope,omitempty"`
	SubjectScope     *Scope              `json:"subject_scope,omitempty"`
}

// Resolve makes the statements of a policy at a time, one for each query, in order. Schemas are looked up by id; each
// must be known.
func (p *Policy) Resolve(now time.Time, schemas Schemas) ([]Statement, error) {
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	now = credential.UnixTimeOf(now).Time()
	if err := validateNow(now); err != nil {
		return nil, fmt.Errorf("policy %s: %w", p.ID, err)
	}
	var statements []Statement
	for _, q := range p.Queries {
		schema, err := schemas(q.Schema)
		if err != nil {
			return nil, fmt.Errorf("policy %s, query %.100q: %w", p.ID, q.ID, err)
		}
		s := Statement{
			Version: 1, Verifier: p.Verifier, Policy: digest, Query: q.ID, Circuit: q.Circuit, Now: credential.UnixTimeOf(now),
			FreshnessSeconds: p.FreshnessSeconds, Schema: q.Schema, Issuers: q.Issuers, IssuerSet: q.IssuerSet, Clauses: []Clause{},
			Disclose: q.Disclose, Companion: q.Companion, Scope: q.Scope, SubjectScope: q.SubjectScope,
		}
		for i, c := range q.Clauses {
			resolved, err := c.resolve(now, schema)
			if err != nil {
				return nil, fmt.Errorf("policy %s, query %.100q, clause %d on %.100q: %w", p.ID, q.ID, i+1, c.Claim, err)
			}
			s.Clauses = append(s.Clauses, resolved)
		}
		statements = append(statements, s)
	}
	return statements, nil
}

// ParseStatement reads a statement in canonical form and validates it.
func ParseStatement(text []byte) (*Statement, error) {
	var s Statement
	if err := credential.ParseCanonical(text, &s); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// CircuitName is the name of the circuit that proves the statement, as that of [Query.CircuitName].
func (s *Statement) CircuitName() string { return circuitName(s.Circuit) }

// Canonical is the RFC 8785 form, which is part of the challenge.
func (s *Statement) Canonical() ([]byte, error) { return credential.Canonical(s) }

// Validate refuses a statement that no policy resolves to. Whoever sends one could otherwise have a person read one
// clause and prove another. [Statement.Compile] and [Statement.Explain] validate too.
func (s *Statement) Validate() error {
	switch {
	case s.Version != 1:
		return fmt.Errorf("statement %.100q: version %d, want 1", s.Query, s.Version)
	case !strings.HasPrefix(s.Verifier, "did:") || !credential.ValidName(s.Verifier):
		return fmt.Errorf("statement %.100q: verifier %.100q is not a DID", s.Query, s.Verifier)
	case s.FreshnessSeconds < 1 || s.FreshnessSeconds > maxFresh:
		return fmt.Errorf("statement %.100q: freshness of %d seconds, want 1 to %d", s.Query, s.FreshnessSeconds, maxFresh)
	}
	if err := validateNow(s.Now.Time()); err != nil {
		return fmt.Errorf("statement %.100q: %w", s.Query, err)
	}
	q := Query{
		ID: s.Query, Circuit: s.Circuit, Issuers: s.Issuers, IssuerSet: s.IssuerSet, Clauses: slices.Clone(s.Clauses),
		Disclose: s.Disclose, Companion: s.Companion, Scope: s.Scope, SubjectScope: s.SubjectScope,
	}
	for i := range q.Clauses {
		q.Clauses[i] = q.Clauses[i].unresolved()
	}
	if err := q.validate(); err != nil {
		return fmt.Errorf("statement %.100q: %w", s.Query, err)
	}
	return nil
}

func validateNow(now time.Time) error {
	if now.Year() < 0 || now.Year() > 9999 {
		return fmt.Errorf("second %d is outside the years 0000 to 9999", now.Unix())
	}
	return nil
}

// Schemas looks a schema up by id; it returns an error for one that is not on the chain.
type Schemas func(id credential.Element) (*credential.Schema, error)

// resolve replaces a period by absolute bounds.
func (c Clause) resolve(now time.Time, schema *credential.Schema) (Clause, error) {
	claim, err := claimOf(schema, c.Claim)
	if err != nil {
		return c, err
	}
	period := c.AtLeastAgo + c.WithinLast
	if period == "" {
		return c, nil
	}
	if claim.Type != credential.Date && claim.Type != credential.DateTime {
		return c, fmt.Errorf("periods are for dates, but the claim is of type %s", claim.Type)
	}
	then, err := period.before(now)
	if err != nil {
		return c, err
	}
	if c.AtLeastAgo != "" {
		c.AtMost = formatTime(claim.Type, then)
	} else {
		c.AtLeast, c.AtMost = formatTime(claim.Type, then), formatTime(claim.Type, now)
	}
	return c, nil
}

// unresolved is the clause as its policy has it.
func (c Clause) unresolved() Clause {
	if c.AtLeastAgo != "" || c.WithinLast != "" {
		c.AtLeast, c.AtMost = "", ""
	}
	return c
}

// validateResolved recomputes the bounds of a period: they are what is proven, the period is what a person reads.
func (c Clause) validateResolved(now time.Time, schema *credential.Schema) error {
	if c.AtLeastAgo == "" && c.WithinLast == "" {
		return nil
	}
	again, err := c.unresolved().resolve(now, schema)
	if err != nil {
		return err
	}
	if c.AtLeast != again.AtLeast || c.AtMost != again.AtMost {
		return errors.New("its bounds do not follow from its period")
	}
	return nil
}

func formatTime(t credential.Type, at time.Time) string {
	if t == credential.Date {
		return at.Format(time.DateOnly)
	}
	return at.Format("2006-01-02T15:04:05Z")
}

func claimOf(schema *credential.Schema, name string) (credential.ClaimType, error) {
	slot, ok := schema.Slot(name)
	if !ok {
		return credential.ClaimType{}, fmt.Errorf("schema %s has no claim %.100q", schema.Type, name)
	}
	return schema.Claims[slot], nil
}

// Check compiles every query of the policy as of now, with all its issuers in good standing, and returns the first
// reason why it could never be proven. sets has those that the policy names; it may be nil where it names none.
func (p *Policy) Check(now time.Time, schemas Schemas, sets Sets) error {
	statements, err := p.Resolve(now, schemas)
	if err != nil {
		return err
	}
	for i := range statements {
		schema, err := schemas(statements[i].Schema)
		if err != nil {
			return err
		}
		accepted, err := statements[i].Accepted(sets)
		if err != nil {
			return fmt.Errorf("policy %s: %w", p.ID, err)
		}
		if _, err := statements[i].Compile(Context{Schema: schema, Sets: sets, Issuers: accepted}); err != nil {
			return fmt.Errorf("policy %s: %w", p.ID, err)
		}
	}
	return nil
}
