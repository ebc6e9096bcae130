// Package check decides whether a response proves what a verifier asked. It has no network, no store and no prover: who
// has the request as it was sent, the response, and a way to look up seals, can check both anywhere and at any time.
// Package verifier adds sessions, the tag store and HTTP.
//
// A refusal is a [*Refusal] with a stable code. Any other error means that we could not check, which says nothing about
// the response.
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Chain is what the checker asks of the ledger. Whoever answers for it can make us accept revoked credentials and
// issuers that were never admitted.
type Chain interface {
	// FindRoot finds the newest seal with that active root, with the registry in effect at it. A root that no seal
	// holds, or only an older one than freshness allows, is a [*Refusal]; any other error means that nobody could look.
	FindRoot(ctx context.Context, root credential.Element, freshness time.Duration) (Sealed, error)
	// VerifyingKeys are those that the chain lists now.
	VerifyingKeys(ctx context.Context) ([]entry.VerifyingKey, error)
}

// Sealed is a seal as far as presentations depend on it.
type Sealed struct {
	Height   uint64
	Time     time.Time
	Registry *entry.Registry
}

// Checker checks responses. It is safe for concurrent use.
type Checker struct {
	Chain Chain
	Keys  []*keys.VerifyingKey // those that we have the bytes of; the chain says which of them count
	// Sets has the sets that the policies name. Nobody can change one under its digest. Nil where they name none.
	Sets policy.Sets
	// Companions is what companions are checked with, where a policy accepts them; nil: they are refused.
	Companions Companions
	Clock      func() time.Time
	Trees      *tree.Sets // of issuers and values that statements name again and again; nil: each is hashed anew
	// Prove checks a zk proof as [verifying.Verify] does, which it is if nil. It may be called for several proofs of one
	// response at once.
	Prove func(ctx context.Context, key *keys.VerifyingKey, public []credential.Element, proof []byte) error
}

// Fact is what one presentation proved.
type Fact struct {
	Statement    *policy.Statement
	Schema       *credential.Schema
	Sets         policy.Sets // those that the statement names
	Issuers      []string    // the issuer set: one of these issued the credential
	Root         credential.Element
	Seal         Sealed
	Disclosed    credential.Claims
	Scope        credential.Element // 0 without a pseudonym
	Pseudonym    credential.Element
	SubjectScope credential.Element // 0 without a subject tag
	SubjectTag   credential.Element
	VerifyingKey credential.Digest
	// Companion is what was shown where no proof was made, but an ordinary credential shown. Root and what follows it up to here are then 0,
	// but for Seal and Disclosed.
	Companion *Shown
}

// Verify checks a response (the vp_token) to a request and returns one fact for each query, in the request's order. It
// changes nothing: that nonce and tags are used once is for the caller to see to, together with what it does next.
func (c *Checker) Verify(ctx context.Context, asked *Asked, response []byte) ([]Fact, error) {
	now := c.Clock()
	if !now.Before(asked.Request.ExpiresAt.Time()) {
		return nil, Refuse(SessionExpired, "", nil)
	}
	if companion, ok, err := asked.Request.CompanionAnswer(response); err != nil {
		return nil, Refuse(Malformed, "", err)
	} else if ok {
		return c.verifyCompanion(ctx, asked, companion, now)
	}
	answers, err := parse(asked, response)
	if err != nil {
		return nil, err
	}
	if err := fitTogether(asked, answers); err != nil {
		return nil, err
	}
	facts, public := make([]Fact, len(answers)), make([]presentation.Public, len(answers))
	for i, a := range answers {
		if facts[i], public[i], err = c.recompute(ctx, asked, a, now); err != nil {
			return nil, err
		}
	}
	if err := tagsDiffer(facts); err != nil {
		return nil, err
	}
	used := make([]*keys.VerifyingKey, len(answers))
	for i, a := range answers {
		if used[i], err = c.key(ctx, a.query, now); err != nil {
			return nil, err
		}
		facts[i].VerifyingKey = used[i].Digest()
	}
	if err := c.proveAll(ctx, used, public, answers); err != nil {
		return nil, err
	}
	return facts, nil
}

// proveAll checks the proofs of a response and returns what is wrong with the first that is not good.
func (c *Checker) proveAll(ctx context.Context, used []*keys.VerifyingKey, public []presentation.Public, answers []answer) error {
	errs := make([]error, len(answers))
	var all sync.WaitGroup
	for i := range answers[1:] {
		all.Go(func() { errs[1+i] = c.prove(ctx, used[1+i], &public[1+i], answers[1+i]) })
	}
	errs[0] = c.prove(ctx, used[0], &public[0], answers[0])
	all.Wait()
	return cmp.Or(errs...)
}

// fitTogether checks what the presentations of one response have in common: one number drawn for it, one holder, and
// as many credentials as queries.
func fitTogether(asked *Asked, answers []answer) error {
	first := answers[0]
	items := make(map[credential.Element]bool)
	for _, a := range answers {
		switch {
		case a.N.IsZero() || !a.N.Fits31():
			return Refuse(NumberMalformed, a.query.ID, nil)
		case a.N != first.N:
			return Refuse(NumberMismatch, a.query.ID, nil)
		case a.Link != first.Link && !asked.Policy.SeveralPersons:
			return Refuse(LinkMismatch, a.query.ID, nil)
		case items[a.Item]:
			return Refuse(ItemRepeated, a.query.ID, nil)
		}
		items[a.Item] = true
	}
	return nil
}

// recompute makes the public inputs of one presentation: everything from our own request and the chain, but for what
// only the wallet can know.
func (c *Checker) recompute(ctx context.Context, asked *Asked, a answer, now time.Time) (Fact, presentation.Public, error) {
	refuse := func(code Code, cause error) (Fact, presentation.Public, error) {
		return Fact{}, presentation.Public{}, Refuse(code, a.query.ID, cause)
	}
	s := &a.query.Meta.Statement
	freshness := time.Duration(s.FreshnessSeconds) * time.Second
	seal, err := c.Chain.FindRoot(ctx, a.Root, freshness)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return refuse(refusal.Code, refusal.cause)
	}
	if err != nil {
		return Fact{}, presentation.Public{}, fmt.Errorf("query %q: find the seal of the root: %w", s.Query, err)
	}
	if now.Sub(seal.Time) > freshness {
		return refuse(RootTooOld, nil)
	}
	schema, ok := seal.Registry.Schema(s.Schema)
	if !ok {
		return refuse(IssuerSet, nil)
	}
	accepted, err := s.Accepted(c.Sets)
	if err != nil { // we asked with it, so this is our failure
		return Fact{}, presentation.Public{}, err
	}
	issuers, err := seal.Registry.InGoodStanding(s.Schema, accepted)
	if err != nil {
		return refuse(IssuerSet, err)
	}
	if err := validateDisclosed(s, &schema.Schema, a.Disclosed); err != nil {
		return refuse(DisclosureMismatch, err)
	}
	compiled, err := s.Compile(policy.Context{Genesis: asked.Genesis, Schema: &schema.Schema, Sets: c.Sets, Trees: c.Trees, Issuers: issuers, Disclosed: disclosedOf(a)})
	if err != nil { // we asked for it, so this is our failure
		return Fact{}, presentation.Public{}, fmt.Errorf("compile what was asked: %w", err)
	}
	if compiled.Scope.IsZero() != a.Pseudonym.IsZero() {
		return refuse(PseudonymMismatch, nil)
	}
	if compiled.SubjectScope.IsZero() != a.SubjectTag.IsZero() {
		return refuse(SubjectTagMismatch, nil)
	}
	public := presentation.NewPublic(compiled, a.Root, asked.challenge)
	public.N, public.Link, public.Item = a.N, a.Link, a.Item
	public.Pseudonym, public.SubjectTag = a.Pseudonym, a.SubjectTag
	return Fact{
		Statement: s, Schema: &schema.Schema, Sets: c.Sets, Issuers: issuers, Root: a.Root, Seal: seal, Disclosed: a.Disclosed,
		Scope: compiled.Scope, Pseudonym: a.Pseudonym, SubjectScope: compiled.SubjectScope, SubjectTag: a.SubjectTag,
	}, public, nil
}

// validateDisclosed wants a value of the right type for exactly the claims to disclose.
func validateDisclosed(s *policy.Statement, schema *credential.Schema, values credential.Claims) error {
	if len(values) != len(s.Disclose) {
		return fmt.Errorf("%d values disclosed, want %d", len(values), len(s.Disclose))
	}
	for _, name := range s.Disclose {
		value, present := values[name]
		slot, known := schema.Slot(name)
		if !present || !known {
			return fmt.Errorf("claim %q is not disclosed", name)
		}
		if _, err := schema.Claims[slot].Encode(value); err != nil {
			return fmt.Errorf("claim %q: %w", name, err)
		}
	}
	return nil
}

// disclosedOf is never nil: to the compiler that would mean that the values are still to come.
func disclosedOf(a answer) credential.Claims {
	if a.Disclosed == nil {
		return credential.Claims{}
	}
	return a.Disclosed
}

// tagsDiffer refuses a tag that counts once and stands twice in one response: the store would see both at a time.
func tagsDiffer(facts []Fact) error {
	type use struct{ scope, tag credential.Element }
	pseudonyms, subjectTags := make(map[use]bool), make(map[use]bool)
	for _, f := range facts {
		s := f.Statement
		if p := (use{f.Scope, f.Pseudonym}); s.Scope != nil && s.Scope.Once {
			if pseudonyms[p] {
				return Refuse(PseudonymUsed, s.Query, nil)
			}
			pseudonyms[p] = true
		}
		if t := (use{f.SubjectScope, f.SubjectTag}); s.SubjectScope != nil && s.SubjectScope.Once {
			if subjectTags[t] {
				return Refuse(SubjectTagUsed, s.Query, nil)
			}
			subjectTags[t] = true
		}
	}
	return nil
}

// key is the verifying key that the request named, if the chain lists it still.
func (c *Checker) key(ctx context.Context, q *openid.CredentialQuery, now time.Time) (*keys.VerifyingKey, error) {
	system := q.Meta.Systems[0]
	listed, err := c.Chain.VerifyingKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("look up verifying keys: %w", err)
	}
	for _, key := range c.Keys {
		if key.Digest() == system.VerifyingKey && key.Name() == system.Circuit && Listed(listed, key, now) {
			return key, nil
		}
	}
	return nil, Refuse(KeyNotListed, q.ID, nil)
}

// Listed tells whether the chain lists a key, for its circuit, and accepts its proofs at that time.
func Listed(list []entry.VerifyingKey, key *keys.VerifyingKey, at time.Time) bool {
	for _, l := range list {
		if l.KeyDigest == key.Digest() {
			return l.Circuit == key.Name() && l.CircuitDigest == key.Circuit() && at.Before(l.NotAfter.Time())
		}
	}
	return false
}

// prove checks the zk proof.
func (c *Checker) prove(ctx context.Context, key *keys.VerifyingKey, public *presentation.Public, a answer) error {
	check := c.Prove
	if check == nil {
		check = func(_ context.Context, key *keys.VerifyingKey, public []credential.Element, proof []byte) error {
			return verifying.Verify(key, public, proof)
		}
	}
	switch err := check(ctx, key, public.Vector(), a.proof); {
	case err == nil:
		return nil
	case errors.Is(err, verifying.ErrProofMalformed):
		return Refuse(ProofMalformed, a.query.ID, err)
	case errors.Is(err, verifying.ErrProofInvalid):
		return Refuse(ProofInvalid, a.query.ID, err)
	default:
		return fmt.Errorf("query %q: %w", a.query.ID, err)
	}
}
