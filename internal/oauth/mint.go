package oauth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// AccessToken is the payload of a token that we make (RFC 9068 section 2.2).
type AccessToken struct {
	Issuer       string              `json:"iss"`
	Subject      string              `json:"sub"`
	Audience     string              `json:"aud"`
	ClientID     string              `json:"client_id"`
	Scope        string              `json:"scope"` // separated by spaces
	IssuedAt     credential.UnixTime `json:"iat"`
	ExpiresAt    credential.UnixTime `json:"exp"`
	ID           string              `json:"jti"`
	Confirmation *Confirmation       `json:"cnf,omitempty"`
}

// Confirmation binds a token to a key (RFC 9449 section 6.1).
type Confirmation struct {
	Thumbprint string `json:"jkt"`
}

// Mint makes the access tokens of one API. Whoever has its keys can do everything there.
type Mint struct {
	Issuer   string // who makes the tokens
	Audience string // which API they are for
	Keys     *KeyRing
	Clock    func() time.Time
}

// Validate refuses a mint whose tokens nobody would take.
func (m *Mint) Validate() error {
	if m.Keys == nil || m.Clock == nil {
		return errors.New("mint: keys or clock are missing")
	}
	for _, name := range []string{m.Issuer, m.Audience} {
		if err := checkIdentifier(name); err != nil {
			return fmt.Errorf("mint: %w", err)
		}
	}
	return nil
}

// Grant is what a token is to say.
type Grant struct {
	Client     string
	Subject    string // empty: the client itself
	Scopes     []string
	Lifetime   time.Duration
	Thumbprint string // of the key that the token is bound to; empty: whoever bears it
}

// Issue makes a token. Its lifetime is at most the overlap of the keys, for it would outlive the one that signs it.
func (m *Mint) Issue(g Grant) (string, error) {
	if g.Lifetime < time.Second || g.Lifetime > m.Keys.overlap {
		return "", fmt.Errorf("issue token: a lifetime of %s, want 1s to %s", g.Lifetime, m.Keys.overlap)
	}
	if err := checkScopes(g.Scopes); err != nil {
		return "", fmt.Errorf("issue token: %w", err)
	}
	now := m.Clock()
	t := AccessToken{
		Issuer: m.Issuer, Subject: g.Subject, Audience: m.Audience, ClientID: g.Client, Scope: strings.Join(g.Scopes, " "),
		IssuedAt: credential.UnixTimeOf(now), ExpiresAt: credential.UnixTimeOf(now.Add(g.Lifetime)), ID: randomID(),
	}
	if t.Subject == "" {
		t.Subject = g.Client
	}
	if g.Thumbprint != "" {
		t.Confirmation = &Confirmation{g.Thumbprint}
	}
	return jose.SignCompact(m.Keys.signing(), "", TokenType, t)
}
