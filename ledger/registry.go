package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Limits that keep the documents named by seals below [credential.MaxDocument].
const (
	maxRegistry = 3 << 20 // bytes of canonical JSON
	maxCensus   = 3 << 20
	maxPolicies = 256 // of one verifier
)

// emptyRegistry has empty lists, not null ones: its JSON is a format.
func emptyRegistry() *entry.Registry {
	return &entry.Registry{
		Issuers: []entry.RegisteredIssuer{}, Schemas: []entry.RegisteredSchema{}, Verifiers: []entry.RegisteredVerifier{},
		Policies: []entry.RegisteredPolicy{}, Scopes: []entry.RegisteredScope{}, VerifyingKeys: []entry.VerifyingKey{},
	}
}

func (s *step) registerIssuer(p entry.IssuerRegistered) error {
	if _, ok := s.m.registry.Issuer(p.DID); ok {
		return refuse(ErrConflict, "issuer %s is registered; rotate it to change its keys", p.DID)
	}
	if err := s.claimKeys(p.DID, p.Keys...); err != nil {
		return err
	}
	return s.putIssuer(entry.RegisteredIssuer{DID: p.DID, Name: p.Name, Keys: p.Keys, Quota: p.Quota, URL: p.URL})
}

func (s *step) rotateIssuer(p entry.IssuerRotated) error {
	issuer, ok := s.m.registry.Issuer(p.DID)
	if !ok {
		return refuse(ErrUnknown, "issuer %s is not registered", p.DID)
	}
	if err := s.claimKeys(p.DID, p.Keys...); err != nil {
		return err
	}
	issuer.Keys, issuer.Quota = p.Keys, p.Quota
	return s.putIssuer(issuer)
}

func (s *step) suspendIssuer(did string, suspended bool) error {
	issuer, ok := s.m.registry.Issuer(did)
	switch {
	case !ok:
		return refuse(ErrUnknown, "issuer %s is not registered", did)
	case issuer.Suspended && suspended:
		return refuse(ErrConflict, "issuer %s is suspended already", did)
	case !issuer.Suspended && !suspended:
		return refuse(ErrConflict, "issuer %s is not suspended", did)
	}
	issuer.Suspended = suspended
	return s.putIssuer(issuer)
}

// claimKeys makes keys their owner's, for ever, and refuses keys of others: a key that signs for two parties would let
// one stand for the other.
func (s *step) claimKeys(owner string, keys ...jose.PublicKey) error {
	for _, key := range keys {
		row := prefixKey + key.KeyID()
		old, err := s.Get([]byte(row))
		switch {
		case errors.Is(err, ErrAbsent):
			s.put(row, []byte(owner))
		case err != nil:
			return fmt.Errorf("look up the owner of key %s: %w", key.KeyID(), err)
		case string(old) != owner:
			return refuse(ErrConflict, "key %s is of %s", key.KeyID(), old)
		}
	}
	return nil
}

func (s *step) putIssuer(issuer entry.RegisteredIssuer) error {
	r := *s.m.registry
	var old *entry.RegisteredIssuer
	r.Issuers, old = put(r.Issuers, issuer, func(a, b entry.RegisteredIssuer) int { return strings.Compare(a.DID, b.DID) })
	return change(s, &r, issuer, old)
}

// publishSchema adds a schema, or replaces the issuers and display texts of one that is there.
func (s *step) publishSchema(p entry.SchemaPublished) error {
	id, err := p.Schema.ID()
	if err != nil {
		return refuse(ErrMalformed, "%v", err)
	}
	for _, did := range p.Issuers {
		if _, ok := s.m.registry.Issuer(did); !ok {
			return refuse(ErrUnknown, "issuer %s is not registered", did)
		}
	}
	r := *s.m.registry
	schema := entry.RegisteredSchema{ID: id, Schema: p.Schema, Issuers: p.Issuers}
	var old *entry.RegisteredSchema
	r.Schemas, old = put(r.Schemas, schema, func(a, b entry.RegisteredSchema) int { return a.ID.Cmp(b.ID) })
	return change(s, &r, schema, old)
}

// registerVerifier adds a relying party, or replaces name, keys and addresses of one that is there: governance is how
// verifiers rotate their keys. Its policies stay.
func (s *step) registerVerifier(p entry.VerifierRegistered) error {
	if err := s.claimKeys(p.DID, p.Keys...); err != nil {
		return err
	}
	r := *s.m.registry
	verifier := entry.RegisteredVerifier(p)
	var old *entry.RegisteredVerifier
	r.Verifiers, old = put(r.Verifiers, verifier, func(a, b entry.RegisteredVerifier) int { return strings.Compare(a.DID, b.DID) })
	return change(s, &r, verifier, old)
}

func (s *step) registerPolicy(payload entry.PolicyRegistered) error {
	p, err := policy.Parse(payload.Policy)
	if err != nil {
		return refuse(ErrPolicy, "%v", err)
	}
	// The registered digest is over the canonical form; another spelling of the same policy would have another one.
	text, err := p.Canonical()
	if err != nil || string(text) != string(payload.Policy) {
		return refuse(ErrPolicy, "policy %s is not in its canonical form", p.ID)
	}
	if err := s.checkPolicy(p); err != nil {
		return err
	}
	row := entry.RegisteredPolicy{Verifier: p.Verifier, ID: p.ID, Digest: credential.DigestOf(text), Entry: s.result.Index}
	r := *s.m.registry
	var old *entry.RegisteredPolicy
	r.Policies, old = put(r.Policies, row, func(a, b entry.RegisteredPolicy) int {
		return cmp.Or(strings.Compare(a.Verifier, b.Verifier), strings.Compare(a.ID, b.ID))
	})
	if old == nil && s.countPolicies(p.Verifier) >= maxPolicies {
		return refuse(ErrFull, "verifier %s has %d policies, the most there may be", p.Verifier, maxPolicies)
	}
	return change(s, &r, row, old)
}

// checkPolicy checks what a policy refers to. Whether it can be proven is for verifier and wallet to say: their
// compiler may learn, the chain's rules may not change.
func (s *step) checkPolicy(p *policy.Policy) error {
	if p.Verifier != s.header.Signer {
		return refuse(ErrPolicy, "policy %s is of %s, but %s signed it", p.ID, p.Verifier, s.header.Signer)
	}
	for _, q := range p.Queries {
		if _, ok := s.m.registry.Schema(q.Schema); !ok {
			return refuse(ErrUnknown, "policy %s, query %s: schema %s is not on the chain", p.ID, q.ID, q.Schema)
		}
		for _, scope := range []*policy.Scope{q.Scope, q.SubjectScope} {
			if scope == nil || scope.Shared == nil {
				continue
			}
			shared, ok := s.m.registry.Scope(uint64(*scope.Shared))
			if !ok {
				return refuse(ErrUnknown, "policy %s, query %s: entry %d registers no shared scope", p.ID, q.ID, *scope.Shared)
			}
			if !slices.Contains(shared.Verifiers, p.Verifier) {
				return refuse(ErrPolicy, "policy %s, query %s: %s may not use the shared scope of entry %d", p.ID, q.ID, p.Verifier, *scope.Shared)
			}
		}
	}
	return s.checkSets(p)
}

func (s *step) countPolicies(verifier string) (n int) {
	for _, p := range s.m.registry.Policies {
		if p.Verifier == verifier {
			n++
		}
	}
	return n
}

func (s *step) registerScope(p entry.ScopeRegistered) error {
	for _, did := range p.Verifiers {
		if _, ok := s.m.registry.Verifier(did); !ok {
			return refuse(ErrUnknown, "verifier %s is not registered", did)
		}
	}
	scope := entry.RegisteredScope{Entry: s.result.Index, Service: p.Service, Consumer: p.Consumer, Verifiers: p.Verifiers}
	r := *s.m.registry
	r.Scopes = append(slices.Clone(r.Scopes), scope)
	return change[entry.RegisteredScope](s, &r, scope, nil)
}

// listVerifyingKey accepts a key, or gives one that is listed another end: that is how a key is withdrawn early.
func (s *step) listVerifyingKey(p entry.VerifyingKeyListed) error {
	if err := p.Key.ValidateOn(s.m.genesis); err != nil {
		return refuse(ErrMalformed, "%v", err)
	}
	r := *s.m.registry
	r.VerifyingKeys = slices.Clone(r.VerifyingKeys)
	for i, old := range r.VerifyingKeys {
		if old.KeyDigest != p.Key.KeyDigest {
			continue
		}
		same := old
		same.NotAfter = p.Key.NotAfter
		if same != p.Key {
			return refuse(ErrConflict, "verifying key %s is listed with another circuit or transcript", old.KeyDigest)
		}
		r.VerifyingKeys[i] = p.Key
		return change(s, &r, p.Key, &old)
	}
	r.VerifyingKeys = append(r.VerifyingKeys, p.Key)
	return change[entry.VerifyingKey](s, &r, p.Key, nil)
}

// put returns a copy of an ascending list with item in it, and what it replaced.
func put[T any](list []T, item T, compare func(a, b T) int) ([]T, *T) {
	i, found := slices.BinarySearchFunc(list, item, compare)
	if !found {
		return slices.Insert(slices.Clone(list), i, item), nil
	}
	list, old := slices.Clone(list), list[i]
	list[i] = item
	return list, &old
}

// change makes r the registry, unless it would outgrow the document that seals name.
func change[T any](s *step, r *entry.Registry, item T, old *T) error {
	size, err := jsonSize(item)
	if err != nil {
		return refuse(ErrMalformed, "%v", err)
	}
	if old != nil {
		before, err := jsonSize(*old)
		if err != nil {
			return fmt.Errorf("size of the row before: %w", err)
		}
		size -= before
	}
	if size > 0 && s.state.RegistryBytes+size > maxRegistry {
		return refuse(ErrFull, "the registry would have %d bytes, at most %d", s.state.RegistryBytes+size, maxRegistry)
	}
	s.registry = r
	s.state.RegistryBytes += size
	return nil
}

// jsonSize is how many bytes an item adds to a list in canonical JSON.
func jsonSize(item any) (int, error) {
	text, err := credential.Canonical(item)
	return len(text) + len(","), err
}
