package webapi

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// TokenType is the typ of access tokens (RFC 9068).
const TokenType = "at+jwt"

// AccessToken is the payload of a JWT access token (RFC 9068 section 2.2).
type AccessToken struct {
	Issuer    string              `json:"iss"`
	Subject   string              `json:"sub"`
	Audience  string              `json:"aud"`
	ClientID  string              `json:"client_id"`
	Scope     string              `json:"scope"` // separated by spaces
	IssuedAt  credential.UnixTime `json:"iat"`
	ExpiresAt credential.UnixTime `json:"exp"`
	ID        string              `json:"jti"`
}

// Authority makes the tokens of one API; internal/oauth checks them. Whoever has its key can do everything there.
type Authority struct {
	Key      *jose.SigningKey
	Issuer   string // who makes the tokens
	Audience string // which API they are for
	Clock    func() time.Time
}

// Issue makes a token for a client with those scopes.
func (a *Authority) Issue(client string, scopes []string, lifetime time.Duration) (string, error) {
	now := a.Clock()
	return jose.SignCompact(a.Key, "", TokenType, AccessToken{
		Issuer: a.Issuer, Subject: client, Audience: a.Audience, ClientID: client, Scope: strings.Join(scopes, " "),
		IssuedAt: credential.UnixTimeOf(now), ExpiresAt: credential.UnixTimeOf(now.Add(lifetime)), ID: RandomID(),
	})
}

// RandomID is 32 random bytes as base64url, 43 characters: for nonces, codes, states and identifiers. None begins with a
// hyphen, which a command would take for a flag.
func RandomID() string {
	for {
		var b [32]byte
		rand.Read(b[:])
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}
