package sdjwt

import (
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// bindingPayload is the payload of a key binding JWT.
type bindingPayload struct {
	IssuedAt credential.UnixTime `json:"iat"`
	Audience string              `json:"aud"`
	Nonce    string              `json:"nonce"`
	Hash     credential.Digest   `json:"sd_hash"`
}

// Binding is what a holder binds a presentation to.
type Binding struct {
	Key      *jose.SigningKey // of the credential's cnf
	Audience string           // the verifier, as it names itself
	Nonce    string           // of its request
	Now      time.Time
}

// Select is the credential with the disclosures of some claims only, without a key binding. Naming a claim discloses it,
// what it is a part of, and no other disclosable claim within it. A path that leads to no claim is refused: the holder
// would believe to have shown it.
func (s *SDJWT) Select(paths ...Path) (string, error) {
	for _, p := range paths {
		if !slices.ContainsFunc(s.met, func(met Path) bool { return slices.Equal(met, p) }) {
			return "", fmt.Errorf("the credential has no claim at %.100q: %w", p, ErrDisclosure)
		}
	}
	var chosen []*disclosure
	for _, d := range s.disclosures {
		if slices.ContainsFunc(paths, func(p Path) bool { return p.within(d.path) }) {
			chosen = append(chosen, d)
		}
	}
	return s.unbound(chosen), nil
}

// Present is [SDJWT.Select] followed by a key binding JWT.
func (s *SDJWT) Present(b Binding, paths ...Path) (string, error) {
	if s.claimed.HolderKey == nil || *s.claimed.HolderKey != b.Key.Public() {
		return "", fmt.Errorf("the credential is not bound to this key: %w", ErrBinding)
	}
	if b.Audience == "" || b.Nonce == "" {
		return "", fmt.Errorf("audience or nonce is missing: %w", ErrBinding)
	}
	unbound, err := s.Select(paths...)
	if err != nil {
		return "", err
	}
	binding, err := jose.SignUnnamed(b.Key, BindingType, bindingPayload{
		IssuedAt: credential.UnixTimeOf(b.Now), Audience: b.Audience, Nonce: b.Nonce, Hash: credential.DigestOf([]byte(unbound)),
	})
	if err != nil {
		return "", fmt.Errorf("sign key binding: %w", err)
	}
	return unbound + binding, nil
}
