package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
)

// Result is the payload of the signed result (typ presentation-result+jwt), which a verifier hands to its application.
// Format: doc/spec/verifier.md.
type Result struct {
	Issuer    string              `json:"iss"` // DID of the verifier
	Audience  string              `json:"aud"` // the application that asked
	IssuedAt  credential.UnixTime `json:"iat"`
	ExpiresAt credential.UnixTime `json:"exp"`
	Session   string              `json:"session"`
	Genesis   credential.Digest   `json:"genesis"`
	// Dev says that the chain runs on development keys: whoever made those could have forged this.
	Dev           bool              `json:"dev"`
	Policy        string            `json:"policy"`
	PolicyDigest  credential.Digest `json:"policy_digest"`
	RetentionDays int               `json:"retention_days"`
	// OnePerson says that all credentials belong to one holder; false where the policy did not ask for that.
	OnePerson bool         `json:"one_person"`
	Facts     []ResultFact `json:"facts"`
}

// ResultFact is what was proven about one credential, and on what grounds.
type ResultFact struct {
	Query     string              `json:"query"`
	Statement credential.Digest   `json:"statement"` // SHA-256 of its canonical JSON
	Now       credential.UnixTime `json:"now"`       // the time that it speaks of
	Schema    credential.Element  `json:"schema"`
	Type      string              `json:"type"`
	Holds     map[string][]string `json:"holds"`   // what was proven, by language
	Learned   map[string][]string `json:"learned"` // what the verifier saw beyond that, and whether visits can be linked, by language
	Clauses   []policy.Clause     `json:"clauses"`
	Disclosed credential.Claims   `json:"disclosed,omitempty"`
	// Linkable says that a companion was shown, of Format dc+sd-jwt: values were seen, of the claims Seen, and visits can be linked.
	Linkable bool       `json:"linkable,omitempty"`
	Format   string     `json:"format,omitempty"`
	Seen     []string   `json:"seen,omitempty"`
	Tags     ResultTags `json:"tags"`
	// Issuers are those that were in good standing: it is one of them, never said which, unless a companion was shown. Where the policy names a set and
	// more than [maxIssuers] were, their number stands there instead.
	Issuers     []string           `json:"issuers,omitempty"`
	IssuerSet   credential.Digest  `json:"issuer_set,omitzero"`
	IssuerCount int                `json:"issuer_count"`
	Root        credential.Element `json:"root,omitzero"` // not of a companion
	Seal        ResultSeal         `json:"seal"`
	// RevocationDelaySeconds is the longest that a revocation may have been in the ledger without effect here.
	RevocationDelaySeconds int               `json:"revocation_delay_seconds"`
	VerifyingKey           credential.Digest `json:"verifying_key,omitzero"` // not of a companion
}

// maxIssuers is how many issuers of a set a result lists: thousands would not fit a token.
const maxIssuers = 100

// ResultTags are the pseudonym and the subject tag with their scopes, where asked.
type ResultTags struct {
	Scope        *policy.Scope       `json:"scope,omitempty"`
	Pseudonym    *credential.Element `json:"pseudonym,omitempty"`
	SubjectScope *policy.Scope       `json:"subject_scope,omitempty"`
	SubjectTag   *credential.Element `json:"subject_tag,omitempty"`
}

// ResultSeal is the seal that the root was found in.
type ResultSeal struct {
	Height uint64              `json:"height"`
	Time   credential.UnixTime `json:"time"`
}

// ChainTerms are what results say about the chain.
type ChainTerms struct {
	SealInterval time.Duration
	Dev          bool
}

// NewResult describes checked facts. Issuer, audience, times and session are the caller's to fill in.
func NewResult(asked *Asked, facts []Fact, terms ChainTerms) (*Result, error) {
	r := &Result{
		Genesis: asked.Genesis, Dev: terms.Dev, Policy: asked.Policy.ID, PolicyDigest: asked.digest,
		RetentionDays: asked.Policy.RetentionDays, OnePerson: !asked.Policy.SeveralPersons,
	}
	for _, f := range facts {
		fact, err := f.describe(terms)
		if err != nil {
			return nil, fmt.Errorf("describe query %q: %w", f.Statement.Query, err)
		}
		r.Facts = append(r.Facts, fact)
	}
	return r, nil
}

func (f *Fact) describe(terms ChainTerms) (ResultFact, error) {
	s := f.Statement
	text, err := credential.Canonical(s)
	if err != nil {
		return ResultFact{}, err
	}
	out := ResultFact{
		Query: s.Query, Statement: credential.DigestOf(text), Now: s.Now, Schema: s.Schema, Type: f.Schema.Type,
		Holds: map[string][]string{}, Learned: map[string][]string{}, Clauses: s.Clauses, Disclosed: f.Disclosed,
		IssuerSet: s.IssuerSet, IssuerCount: len(f.Issuers), Root: f.Root, Seal: ResultSeal{f.Seal.Height, credential.UnixTimeOf(f.Seal.Time)},
		RevocationDelaySeconds: int(terms.SealInterval/time.Second) + s.FreshnessSeconds, VerifyingKey: f.VerifyingKey,
	}
	if s.Scope != nil {
		out.Tags.Scope, out.Tags.Pseudonym = s.Scope, &f.Pseudonym
	}
	if s.SubjectScope != nil {
		out.Tags.SubjectScope, out.Tags.SubjectTag = s.SubjectScope, &f.SubjectTag
	}
	if s.IssuerSet.IsZero() || len(f.Issuers) <= maxIssuers {
		out.Issuers = f.Issuers
	}
	if f.Companion != nil {
		err := f.describeCompanion(&out)
		return out, err
	}
	// Issuers in good standing are named, not all that were accepted.
	c := policy.Context{Schema: f.Schema, Sets: f.Sets, Issuers: f.Issuers}
	for _, language := range policy.Languages() {
		e, err := s.Explain(c, f.issuerName(language), language)
		if err != nil {
			return ResultFact{}, err
		}
		out.Holds[language], out.Learned[language] = e.Facts, e.Shown
	}
	return out, nil
}

func (f *Fact) issuerName(language string) func(string) string {
	return func(did string) string {
		if issuer, ok := f.Seal.Registry.Issuer(did); ok {
			return issuer.Name.In(language)
		}
		return did
	}
}

// Expected is what an application knows of a result before it reads it.
type Expected struct {
	Verifier string // DID
	Audience string // the application's own client id
	Session  string
	Now      time.Time
}

// VerifyResult is for applications: it checks the signature of a result by one of the verifier's keys, and that it is
// for this application and session and has not expired.
func VerifyResult(token string, keys jose.LookUp, want Expected) (*Result, error) {
	payload, err := jose.VerifyCompact(token, openid.ResultType, keys)
	if err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	var r Result
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	switch {
	case r.Issuer != want.Verifier || r.Audience != want.Audience:
		return nil, fmt.Errorf("result is by %.100q for %.100q", r.Issuer, r.Audience)
	case r.Session != want.Session:
		return nil, errors.New("result is of another session")
	case !want.Now.Before(r.ExpiresAt.Time()):
		return nil, fmt.Errorf("result expired at %s", r.ExpiresAt)
	case len(r.Facts) == 0 || slices.ContainsFunc(r.Facts, func(f ResultFact) bool { return f.VerifyingKey.IsZero() != f.Linkable }):
		return nil, errors.New("result names no facts")
	}
	return &r, nil
}
