package policy

import (
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// When a policy's terms are long, for its preview.
const (
	// LongRetention: over a year a result outlives the round of an office's year, for which most are asked.
	LongRetention = 366 // days
	// LongFreshness: over a day a revocation is no longer one of the same day.
	LongFreshness = 24 * 60 * 60 // seconds
)

// QueryPreview is what a person reads about one credential that is asked for, before they agree. Wallets and pages show this,
// and previews are this.
type QueryPreview struct {
	Query string `json:"query"`
	Title string `json:"title"` // of the schema
	Explanation
	Narrows   []Narrowed `json:"narrows"` // what the answer narrows down
	Narrowing *Narrowing `json:"narrowing"`
}

// Preview says in a language ("zh-CN" or "en") what a person reads about the statement: [Statement.Explain] and, in words,
// [Statement.Narrow]. It takes of the context what they take.
func (s *Statement) Preview(c Context, issuerName func(did string) string, language string) (*QueryPreview, error) {
	words, err := s.Explain(c, issuerName, language)
	if err != nil {
		return nil, err
	}
	narrowing, err := s.Narrow(c)
	if err != nil {
		return nil, err
	}
	return &QueryPreview{
		Query: s.Query, Title: c.Schema.Title(language), Explanation: words, Narrows: narrowing.Lines(c.Schema, language), Narrowing: narrowing,
	}, nil
}

// Preview is what a person reads about a policy, and what its author should notice in that.
type Preview struct {
	Policy   string              `json:"policy"`
	Verifier string              `json:"verifier"`
	Digest   credential.Digest   `json:"digest"`
	At       credential.UnixTime `json:"at"` // the time as of which dates were resolved
	Language string              `json:"language"`
	Name     string              `json:"name"`
	About    []string            `json:"about"` // purpose, retention
	Queries  []QueryPreview      `json:"queries"`
	// Warnings are what is flagged in the queries, and long terms of the policy.
	Warnings []Warning `json:"warnings"`
}

// Warning is something that the author of a policy should be sure of.
type Warning struct {
	Query string `json:"query,omitempty"` // empty: about the whole policy
	Narrowed
}

// Surroundings are what a chain says about a policy: what a preview is made with.
type Surroundings struct {
	Schemas Schemas
	Sets    Sets // that the policy names; may be nil if it names none
	// Good are the accepted issuers that are in good standing for a schema; nil takes all for good.
	Good func(schema credential.Element, accepted []string) ([]string, error)
	// IssuerName gives the name of an issuer for people; nil gives its DID.
	IssuerName func(did, language string) string
}

// Preview says what a wallet would show at a time. It refuses a policy that could never be proven.
func (p *Policy) Preview(at time.Time, around Surroundings, language string) (*Preview, error) {
	if err := p.Check(at, around.Schemas, around.Sets); err != nil {
		return nil, err
	}
	digest, err := p.Digest()
	if err != nil {
		return nil, err
	}
	statements, err := p.Resolve(at, around.Schemas)
	if err != nil {
		return nil, err
	}
	out := &Preview{
		Policy: p.ID, Verifier: p.Verifier, Digest: digest, At: credential.UnixTimeOf(at), Language: language,
		Name: p.Name.In(language), About: p.Explain(language), Warnings: p.warnings(language),
	}
	for i := range statements {
		q, err := around.Query(&statements[i], language)
		if err != nil {
			return nil, fmt.Errorf("policy %s, query %q: %w", p.ID, statements[i].Query, err)
		}
		out.Queries = append(out.Queries, *q)
		for _, n := range q.Narrows {
			if n.Flagged() {
				out.Warnings = append(out.Warnings, Warning{q.Query, n})
			}
		}
		if q.Companion != "" { // it shows the values, whatever a proof leaves open
			out.Warnings = append(out.Warnings, Warning{q.Query, Narrowed{Code: "companion", Severity: Strong, Text: q.Companion}})
		}
	}
	return out, nil
}

// Query is [Statement.Preview] with all that it takes.
func (around *Surroundings) Query(s *Statement, language string) (*QueryPreview, error) {
	schema, err := around.Schemas(s.Schema)
	if err != nil {
		return nil, err
	}
	accepted, err := s.Accepted(around.Sets)
	if err != nil {
		return nil, err
	}
	c := Context{Schema: schema, Sets: around.Sets}
	if around.Good != nil {
		if c.Issuers, err = around.Good(s.Schema, accepted); err != nil {
			return nil, err
		}
	}
	name := func(did string) string {
		if around.IssuerName == nil {
			return did
		}
		return around.IssuerName(did, language)
	}
	return s.Preview(c, name, language)
}

// ParseMoment reads the time of a preview: a date like 2027-03-01, in UTC, or a time like 2027-03-01T09:30:00Z.
func ParseMoment(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05Z"} {
		if t, err := time.Parse(layout, text); err == nil && t.Format(layout) == text {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.100q is neither a date like 2027-03-01 nor a time like 2027-03-01T09:30:00Z", text)
}

// warnings are about the terms of the policy.
func (p *Policy) warnings(language string) []Warning {
	w := narrowWordsIn(language)
	list := []Warning{}
	if p.RetentionDays > LongRetention {
		text := fmt.Sprintf(w.retention, w.many(p.RetentionDays, w.day, w.days, language))
		list = append(list, Warning{Narrowed: Narrowed{Code: "retention", Severity: Notice, Text: text}})
	}
	if p.FreshnessSeconds > LongFreshness {
		text := fmt.Sprintf(w.freshness, w.duration(time.Duration(p.FreshnessSeconds)*time.Second, language))
		list = append(list, Warning{Narrowed: Narrowed{Code: "freshness", Severity: Notice, Text: text}})
	}
	return list
}
