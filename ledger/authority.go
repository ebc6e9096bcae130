package ledger

import (
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

// checkChain refuses entries that were signed for another chain.
func (s *step) checkChain() error {
	h := s.header
	switch {
	case h.Kind == entry.KindGenesis && h.Genesis.IsZero() && h.Sequence == 0 && h.Signer == entry.Governance:
		return nil // the first, or a replay of it
	case h.Kind == entry.KindGenesis:
		return refuse(ErrForeignGenesis, "a genesis entry is number 0 of governance and names no genesis")
	case s.m.state.Size == 0:
		return refuse(ErrForeignGenesis, "the chain has no genesis entry yet")
	case h.Genesis != s.m.state.Genesis:
		return refuse(ErrForeignGenesis, "it was signed for chain %s, this is %s", h.Genesis, s.m.state.Genesis)
	}
	return nil
}

// authority is who may sign: a number of different keys out of a list.
type authority struct {
	keys      []jose.PublicKey
	threshold int
	exactly   bool // that number of signatures and no more
}

// checkSignatures checks that the signer may send entries of this kind and that every signature is by a key that the
// chain knows for it, of that key's algorithm.
func (s *step) checkSignatures(payload entry.Payload) error {
	a, err := authorityFor(s.m.registry, s.m.genesis, s.header, payload)
	if err != nil {
		return err
	}
	signatures := s.entry.Signatures
	if len(signatures) < a.threshold || a.exactly && len(signatures) != a.threshold {
		return refuse(ErrAuthority, "%d signatures of %s, want %d", len(signatures), s.header.Signer, a.threshold)
	}
	if err := s.prepared.check(a.keys); err != nil {
		return err
	}
	for i, signature := range signatures { // kids are different: the codec sees to it
		if !slices.Contains(a.keys, s.prepared.checked[i]) {
			return refuse(ErrAuthority, "key %s is not registered for %s", signature.Header.KeyID, s.header.Signer)
		}
	}
	return nil
}

// authorityFor is who may sign such an entry, by a registry and the genesis of its chain.
func authorityFor(r *entry.Registry, g entry.Genesis, h entry.Header, payload entry.Payload) (authority, error) {
	signer, kind := h.Signer, h.Kind
	switch payload := payload.(type) {
	case entry.Genesis:
		return authority{keys: payload.GovernanceKeys, threshold: payload.GovernanceThreshold}, nil
	case entry.Seal:
		if signer == entry.Operator {
			return authority{[]jose.PublicKey{g.OperatorKey}, 1, true}, nil
		}
	case entry.CredentialsIssued, entry.CredentialsSuspended, entry.CredentialsReinstated, entry.CredentialsRevoked, entry.AuditAnchored:
		if issuer, ok := r.Issuer(signer); ok {
			return authority{issuer.Keys, 1, true}, nil
		}
	case entry.PolicyRegistered, entry.SetRegistered:
		if verifier, ok := r.Verifier(signer); ok {
			return authority{verifier.Keys, 1, true}, nil
		}
	default:
		if signer == entry.Governance {
			return authority{keys: g.GovernanceKeys, threshold: g.GovernanceThreshold}, nil
		}
	}
	return authority{}, refuse(ErrAuthority, "%s may not send entries of kind %s", signer, kind)
}

// found takes the genesis entry: the first, and the only one.
func (s *step) found(p entry.Genesis) error {
	if s.m.state.Size != 0 {
		return refuse(ErrConflict, "the chain has its genesis entry")
	}
	if err := validateLogKey(p); err != nil {
		return refuse(ErrMalformed, "%v", err)
	}
	if err := s.claimKeys(entry.Governance, p.GovernanceKeys...); err != nil {
		return err
	}
	if err := s.claimKeys(entry.Operator, p.OperatorKey); err != nil {
		return err
	}
	s.genesis = &p
	s.state.Genesis = s.result.Digest
	s.state.Sealed.Digest, s.state.Sealed.Time = s.result.Digest, p.Time
	r := emptyRegistry()
	r.Genesis = s.result.Digest
	r.VerifyingKeys = append(r.VerifyingKeys, p.VerifyingKeys...)
	text, err := credential.Canonical(r)
	if err != nil {
		return refuse(ErrMalformed, "%v", err)
	}
	s.registry, s.state.RegistryBytes = r, len(text)
	return nil
}
