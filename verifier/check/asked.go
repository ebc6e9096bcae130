package check

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
)

// Asked is a request as it was sent, with the chain that it was meant for: all that the public inputs follow from.
type Asked struct {
	Genesis   credential.Digest
	Request   *openid.RequestObject
	Policy    *policy.Policy
	challenge credential.Element
	digest    credential.Digest // of the policy
}

// ParseAsked reads the payload of a request object of ours.
func ParseAsked(genesis credential.Digest, payload []byte) (*Asked, error) {
	return ParseAskedOf(nil, genesis, payload)
}

// Policies are known ones by the SHA-256 of their canonical text, which is their digest. They must not be changed.
type Policies map[credential.Digest]*policy.Policy

// ParseAskedOf is [ParseAsked] for requests that carry known policies, mostly: these are not parsed again.
func ParseAskedOf(known Policies, genesis credential.Digest, payload []byte) (*Asked, error) {
	request, err := openid.ParseRequestObject(payload)
	if err != nil {
		return nil, err
	}
	return newAsked(known, genesis, request)
}

// parse is the policy with that text, and its digest.
func (known Policies) parse(text []byte) (*policy.Policy, credential.Digest, error) {
	digest := credential.DigestOf(text)
	if p, ok := known[digest]; ok {
		return p, digest, nil
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, digest, err
	}
	digest, err = p.Digest() // the text may be formatted freely
	return p, digest, err
}

// NewAsked checks that a request is one that we make: our format and circuit only, one statement for each query of the
// policy it carries.
func NewAsked(genesis credential.Digest, request *openid.RequestObject) (*Asked, error) {
	return newAsked(nil, genesis, request)
}

func newAsked(known Policies, genesis credential.Digest, request *openid.RequestObject) (*Asked, error) {
	var digest credential.Digest
	p, _, err := request.ReadPolicy(func(text []byte) (p *policy.Policy, err error) {
		p, digest, err = known.parse(text)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	queries := request.Query.Credentials
	if len(queries) != len(p.Queries) {
		return nil, fmt.Errorf("request has %d queries, its policy %d", len(queries), len(p.Queries))
	}
	for i, q := range queries {
		s := q.Meta.Statement
		if q.ID != p.Queries[i].ID || s.Query != q.ID || s.Policy != digest || s.Verifier != p.Verifier || s.FreshnessSeconds != p.FreshnessSeconds {
			return nil, fmt.Errorf("request: query %.100q is not the policy's", q.ID)
		}
		if circuit := p.Queries[i].CircuitName(); q.Format != openid.Format || len(q.Meta.Systems) != 1 || q.Meta.Systems[0].Circuit != circuit || s.Circuit != p.Queries[i].Circuit {
			return nil, fmt.Errorf("request: query %.100q is not for one key of %s in our format", q.ID, circuit)
		}
	}
	if err := request.Query.ValidateCompanions(); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if _, err := openid.ParseClientID(request.ClientID); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if err := request.CanReceive(); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	a := &Asked{Genesis: genesis, Request: request, Policy: p, digest: digest}
	if a.challenge, err = request.Challenge(genesis); err != nil {
		return nil, fmt.Errorf("request: challenge: %w", err)
	}
	return a, nil
}

// answer is a presentation with the query it answers.
type answer struct {
	openid.Presentation
	query *openid.CredentialQuery
	proof []byte
}

// parse reads a response: exactly one presentation for each query, with exactly the members of our format, in the
// order of the queries.
func parse(asked *Asked, response []byte) ([]answer, error) {
	token, err := parseToken(response)
	if err != nil {
		return nil, err
	}
	queries := asked.Request.Query.Credentials
	if len(token) != len(queries) {
		return nil, Refuse(QueryMismatch, "", nil)
	}
	answers := make([]answer, len(queries))
	for i := range queries {
		q := &queries[i]
		presentations := token[q.ID]
		if len(presentations) != 1 || presentations[0].System != q.Meta.Systems[0].ID {
			return nil, Refuse(QueryMismatch, q.ID, nil)
		}
		proof, err := credential.ParseBase64(presentations[0].Proof, openid.ProofSize)
		if err != nil {
			return nil, Refuse(ProofMalformed, q.ID, err)
		}
		answers[i] = answer{presentations[0], q, proof}
	}
	return answers, nil
}

// parseToken reads the JSON. White space and the order of members are free; everything else has one spelling.
func parseToken(response []byte) (openid.VPToken, error) {
	token, err := openid.ParseVPToken(response)
	if err != nil {
		if errors.Is(err, credential.ErrNotCanonical) || errors.Is(err, credential.ErrNotNFC) {
			return nil, Refuse(NotCanonical, "", err)
		}
		return nil, Refuse(Malformed, "", err)
	}
	// What was left out would read as 0, and an empty list of disclosed values as none: both would be second spellings.
	sent, err1 := credential.CanonicalJSON(response)
	ours, err2 := credential.Canonical(token)
	if err := errors.Join(err1, err2); err != nil {
		return nil, Refuse(Malformed, "", err)
	}
	if !bytes.Equal(sent, ours) {
		return nil, Refuse(Malformed, "", errors.New("members are missing or empty"))
	}
	return token, nil
}
