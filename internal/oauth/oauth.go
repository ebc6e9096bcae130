// Package oauth is a small OAuth 2 authorization server and the checks of its access tokens, and of those of an agency's
// own OpenID provider, at an API. [Server] is the one, [Resource] the other; internal/oauth/dpop binds tokens to keys.
// Who gets tokens how is written down in doc/spec/oauth.md.
package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

// Skew is how far apart our clock and another may be: the one tolerance of all time claims.
const Skew = foreign.Skew

// TokenType is the typ of access tokens (RFC 9068 section 2.1).
const TokenType = "at+jwt"

// Principal is who a request came from.
type Principal struct {
	Issuer  string // who vouches: the issuer of the token
	Subject string // who acts, in the issuer's words; the client itself where no person is behind it
	Client  string // the software that acts
	Scopes  []string
}

// ID is the officer, or the software, under a name that stays: two requests with one ID came from one of them, whatever
// token, client or role they used. The issuer of a provider has no bar in it, so no two principals share an ID.
func (p Principal) ID() string { return p.Issuer + "|" + p.Subject }

// Has tells whether the principal may do what a scope stands for.
func (p Principal) Has(scope string) bool { return slices.Contains(p.Scopes, scope) }

// Error is how an OAuth endpoint refuses (RFC 6749 section 5.2, RFC 9449 section 5). Any other error of ours means that
// the server could not do its work.
type Error struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"` // printable ASCII without quotes

	Status     int           `json:"-"`
	RetryAfter time.Duration `json:"-"`
	Nonce      string        `json:"-"` // for the header DPoP-Nonce
}

// Error is code and description.
func (e *Error) Error() string { return e.Code + ": " + e.Description }

func refuse(code, format string, args ...any) *Error {
	e := &Error{Code: code, Description: printable(fmt.Sprintf(format, args...)), Status: http.StatusBadRequest}
	if code == invalidClient {
		e.Status = http.StatusUnauthorized
	}
	return e
}

// Codes of refusals.
const (
	invalidRequest   = "invalid_request"
	invalidClient    = "invalid_client"
	invalidScope     = "invalid_scope"
	invalidTarget    = "invalid_target"
	unsupportedGrant = "unsupported_grant_type"
	invalidProof     = "invalid_dpop_proof"
	needsNonce       = "use_dpop_nonce"
	tryLater         = "temporarily_unavailable"
)

// printable keeps what a description may contain. SPEC: RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}

// Why a token is not taken.
var (
	ErrToken      = errors.New("access token is not valid here")
	ErrUnknownKey = errors.New("key is not known")
	// ErrUnavailable means that nothing was decided: keys could not be fetched.
	ErrUnavailable = errors.New("cannot check now")
)

// KeySource finds the key of an issuer. It returns ErrUnknownKey if the issuer has none of that name, ErrUnavailable if it
// cannot tell. Whoever can change it can make us take any token.
type KeySource interface {
	Key(ctx context.Context, id string) (foreign.Key, error)
}

const maxIdentifier = 512 // bytes

// checkIdentifier refuses what cannot be the identifier of an issuer or an API.
//
// SPEC: RFC 8414 section 2: an https URL without query and fragment; we also take http on this machine.
func checkIdentifier(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxIdentifier || u.String() != text || u.Host == "" || u.User != nil:
		return fmt.Errorf("%.200q is not a plain absolute URL", text)
	case strings.ContainsAny(text, "?#|"): // a bar would let two principals share an ID
		return fmt.Errorf("%.200q has a query, a fragment or a bar", text)
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return fmt.Errorf("%.200q is neither https nor on this machine", text)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkScope knows the syntax of a scope, within our own limits. SPEC: RFC 6749 section 3.3: printable ASCII without space,
// quote and backslash.
func checkScope(scope string) error {
	if scope == "" || len(scope) > 64 || strings.ContainsFunc(scope, func(r rune) bool { return r <= 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
		return fmt.Errorf("%.100q is not a scope", scope)
	}
	return nil
}

func checkScopes(scopes []string) error {
	for i, s := range scopes {
		if err := checkScope(s); err != nil {
			return err
		}
		if slices.Contains(scopes[:i], s) {
			return fmt.Errorf("scope %s stands twice", s)
		}
	}
	return nil
}

// randomID is the jti of a token: 130 random bits.
func randomID() string { return rand.Text() }
