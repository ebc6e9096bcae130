package sdjwt

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// defaultMaxAge is how old a key binding may be where the verifier does not say.
const defaultMaxAge = 5 * time.Minute

// Expected is what a verifier, or a holder who receives a credential, knows of it before reading it.
type Expected struct {
	Types []string // accepted values of vct
	// Keys finds a key that the issuer signs with, or returns an error for issuers and keys that are not trusted for
	// these types.
	Keys func(issuer, keyID string) (jose.PublicKey, error)
	Now  time.Time
	Skew time.Duration // how far the clocks of others may be ahead
	// Binding is what the presentation must be bound to. Where it is nil a key binding is not required, and one that is
	// there is refused: it was made for somebody else.
	Binding *Challenge
}

// Challenge is what a verifier asked for. A nonce is used once: the caller consumes it when Verify succeeded.
type Challenge struct {
	Audience string
	Nonce    string
	MaxAge   time.Duration // of the key binding; 0 is five minutes
}

// Verify checks a credential as RFC 9901 section 7 and SD-JWT VC ask, and returns what is disclosed of it. Its status is
// the caller's to look up.
func Verify(text string, want Expected) (*Credential, error) {
	if want.Binding != nil && (want.Binding.Audience == "" || want.Binding.Nonce == "") {
		return nil, errors.New("a key binding to no audience or nonce was asked for")
	}
	s, err := Parse(text)
	if err != nil {
		return nil, err
	}
	c := s.claimed
	if _, err := jose.VerifyCompact(s.token, Type, func(keyID string) (jose.PublicKey, error) { return want.Keys(c.Issuer, keyID) }); err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	if !slices.Contains(want.Types, c.Type) {
		return nil, fmt.Errorf("vct is %.100q: %w", c.Type, ErrUnexpected)
	}
	if err := c.verifyTimes(want.Now, want.Skew); err != nil {
		return nil, err
	}
	if err := s.verifyBinding(want); err != nil {
		return nil, err
	}
	return c, nil
}

// verifyTimes refuses a credential before nbf, from exp on, and from the future.
func (c *Credential) verifyTimes(now time.Time, skew time.Duration) error {
	latest := now.Add(skew)
	switch {
	case c.IssuedAt.Time().After(latest):
		return fmt.Errorf("the credential was issued at %s: %w", c.IssuedAt, ErrTime)
	case c.NotBefore.Time().After(latest):
		return fmt.Errorf("the credential is valid from %s: %w", c.NotBefore, ErrTime)
	case c.ExpiresAt != 0 && !now.Before(c.ExpiresAt.Time()):
		return fmt.Errorf("the credential expired at %s: %w", c.ExpiresAt, ErrTime)
	}
	return nil
}

// verifyBinding is RFC 9901 section 7.3. Whether a key binding is required is the verifier's to say, never the
// presentation's.
func (s *SDJWT) verifyBinding(want Expected) error {
	switch {
	case want.Binding == nil && s.binding == "":
		return nil
	case want.Binding == nil:
		return fmt.Errorf("there is one that nobody asked for: %w", ErrBinding)
	case s.binding == "":
		return fmt.Errorf("it is missing: %w", ErrBinding)
	case s.claimed.HolderKey == nil:
		return fmt.Errorf("the credential is bound to no key: %w", ErrBinding)
	}
	payload, err := jose.VerifyWith(s.binding, BindingType, *s.claimed.HolderKey)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrBinding)
	}
	b, err := readBinding(payload)
	if err != nil {
		return err
	}
	return b.verify(s.unbound(s.disclosures), want)
}

// boundTo is what a key binding JWT says.
type boundTo struct {
	issuedAt, notBefore, expiresAt credential.UnixTime
	audience, nonce, hash          string
}

// readBinding takes what we know out of a payload that may have other members.
func readBinding(payload []byte) (*boundTo, error) {
	var object map[string]any
	if err := decode(payload, &object); err != nil {
		return nil, fmt.Errorf("the payload is not a strict JSON object: %w: %w", err, ErrBinding)
	}
	var b boundTo
	err := readMembers(object, []member{
		{"iat", true, readTime(&b.issuedAt)},
		{"aud", true, readText(&b.audience)}, // SPEC (4.3): one string, not a list
		{"nonce", true, readText(&b.nonce)},
		{"sd_hash", true, readText(&b.hash)},
		{"nbf", false, readTime(&b.notBefore)},
		{"exp", false, readTime(&b.expiresAt)},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrBinding)
	}
	return &b, nil
}

func (b *boundTo) verify(unbound string, want Expected) error {
	maxAge := want.Binding.MaxAge
	if maxAge == 0 {
		maxAge = defaultMaxAge
	}
	latest, earliest := want.Now.Add(want.Skew), want.Now.Add(-maxAge)
	at := b.issuedAt.Time()
	switch {
	case at.After(latest) || at.Before(earliest) || b.notBefore.Time().After(latest) || b.expiresAt != 0 && !want.Now.Before(b.expiresAt.Time()):
		return fmt.Errorf("it was made at %s: %w: %w", b.issuedAt, ErrTime, ErrBinding)
	case b.audience != want.Binding.Audience:
		return fmt.Errorf("it is for %.100q: %w", b.audience, ErrBinding)
	case subtle.ConstantTimeCompare([]byte(b.nonce), []byte(want.Binding.Nonce)) != 1:
		return fmt.Errorf("it has another nonce: %w", ErrBinding)
	case b.hash != credential.DigestOf([]byte(unbound)).String():
		// SPEC (7.3): over exactly what is presented, so that nobody adds or drops a disclosure on the way.
		return fmt.Errorf("it is for another selection of disclosures: %w", ErrBinding)
	}
	return nil
}
