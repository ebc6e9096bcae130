package webapi

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

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

// Authority makes and checks the tokens of one API. Whoever has its key can do everything there.
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

var errToken = errors.New("access token is not valid here")

// Verify checks a token and returns it.
func (a *Authority) Verify(token string) (*AccessToken, error) {
	payload, err := jose.VerifyCompact(token, TokenType, jose.Keys(a.Key.Public()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errToken, err)
	}
	var t AccessToken
	if err := json.Unmarshal(payload, &t); err != nil {
		return nil, fmt.Errorf("%w: %w", errToken, err)
	}
	now := credential.UnixTimeOf(a.Clock())
	switch {
	case t.Issuer != a.Issuer || t.Audience != a.Audience:
		return nil, fmt.Errorf("%w: it is for %.100q by %.100q", errToken, t.Audience, t.Issuer)
	case now >= t.ExpiresAt:
		return nil, fmt.Errorf("%w: it expired at %s", errToken, t.ExpiresAt)
	case t.IssuedAt > now+60:
		return nil, fmt.Errorf("%w: it is from the future", errToken)
	}
	return &t, nil
}

const tokenKey = "access token"

// Require lets a request through only with a bearer token that has the scope.
func (a *Authority) Require(scope string) gin.HandlerFunc {
	return func(c *gin.Context) {
		scheme, bearer, _ := strings.Cut(c.GetHeader("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") { // SPEC: RFC 9110 section 11.1: schemes are case-insensitive
			c.Header("WWW-Authenticate", `Bearer`)
			Refuse(c, NewProblem(http.StatusUnauthorized, "token-missing", "send an access token as Authorization: Bearer"))
			return
		}
		token, err := a.Verify(bearer)
		if err != nil {
			c.Header("WWW-Authenticate", `Bearer error="invalid_token"`)
			Refuse(c, NewProblem(http.StatusUnauthorized, "token-invalid", "the access token is expired, for another service or not ours"))
			return
		}
		if !slices.Contains(strings.Fields(token.Scope), scope) {
			c.Header("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+scope+`"`)
			Refuse(c, NewProblem(http.StatusForbidden, "scope-missing", "this needs the scope "+scope))
			return
		}
		c.Set(tokenKey, token)
	}
}

// Client is who a request that passed Require came from.
func Client(c *gin.Context) string {
	if token, ok := c.Get(tokenKey); ok {
		return token.(*AccessToken).ClientID
	}
	return ""
}

// Has tells whether the token of a request that passed Require has that scope, too.
func Has(c *gin.Context, scope string) bool {
	token, ok := c.Get(tokenKey)
	return ok && slices.Contains(strings.Fields(token.(*AccessToken).Scope), scope)
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
