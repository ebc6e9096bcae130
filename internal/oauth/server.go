package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
	"github.com/bulla-id/bulla/internal/oauth/once"
)

// ClientCredentials is the grant of software that acts for itself.
const ClientCredentials = "client_credentials"

// defaultLifetime of a token: a stolen one is of little use, and nobody has to revoke any.
const defaultLifetime = 10 * time.Minute

// ServerConfig is what an authorization server needs.
type ServerConfig struct {
	Mint     Mint
	Clients  Clients
	Scopes   []string // all that there are
	Lifetime time.Duration
	// Assertions takes note of client assertions that were used.
	Assertions once.Store
	// DPoP checks proofs; without it there are bearer tokens only.
	DPoP *dpop.Verifier
	// TokenURL and KeysURL are where the server is, as clients see it.
	TokenURL, KeysURL string
	Clock             func() time.Time
}

// Server is the authorization server. It is safe for concurrent use.
type Server struct {
	cfg      ServerConfig
	throttle *throttle
}

// NewServer checks a configuration.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.Clients == nil || cfg.Assertions == nil || cfg.Clock == nil {
		return nil, errors.New("authorization server: clients, assertions or clock are missing")
	}
	if err := cfg.Mint.Validate(); err != nil {
		return nil, fmt.Errorf("authorization server: %w", err)
	}
	if cfg.Lifetime < time.Second || cfg.Lifetime+Skew > cfg.Mint.Keys.overlap {
		return nil, fmt.Errorf("authorization server: tokens of %s, but keys overlap for %s only", cfg.Lifetime, cfg.Mint.Keys.overlap)
	}
	for _, u := range []string{cfg.TokenURL, cfg.KeysURL} {
		if err := checkIdentifier(u); err != nil {
			return nil, fmt.Errorf("authorization server: %w", err)
		}
	}
	if err := checkScopes(cfg.Scopes); err != nil {
		return nil, fmt.Errorf("authorization server: %w", err)
	}
	return &Server{cfg, newThrottle(cfg.Clock)}, nil
}

// TokenRequest is a request to the token endpoint, as it came.
type TokenRequest struct {
	Form   map[string]string // each parameter stands once
	Basic  *BasicCredentials // from the header Authorization
	Proofs []string          // all fields of the header DPoP
	Remote string            // where it came from, for the throttle
}

// BasicCredentials are a client's id and secret (RFC 6749 section 2.3.1), decoded.
type BasicCredentials struct{ ID, Secret string }

// String hides the secret.
func (b BasicCredentials) String() string { return fmt.Sprintf("credentials of %.64q", b.ID) }

// GoString hides the secret.
func (b BasicCredentials) GoString() string { return b.String() }

// LogValue hides the secret.
func (b BasicCredentials) LogValue() slog.Value { return slog.StringValue(b.String()) }

// TokenResponse carries a token.
type TokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"` // Bearer or DPoP
	ExpiresIn   int    `json:"expires_in"` // seconds
	Scope       string `json:"scope"`      // what was granted, always
}

// Token gives a client a token for the scopes that it asks for, or for all that it may have if it names none. Refused
// with an [*Error].
func (s *Server) Token(ctx context.Context, r TokenRequest) (*TokenResponse, error) {
	switch grant := r.Form["grant_type"]; grant {
	case ClientCredentials:
	case "":
		return nil, refuse(invalidRequest, "grant_type is missing")
	default:
		return nil, refuse(unsupportedGrant, "only %s is taken here", ClientCredentials)
	}
	client, err := s.Authenticate(ctx, r)
	if err != nil {
		return nil, err
	}
	scopes, err := s.narrow(client, r.Form["scope"])
	if err != nil {
		return nil, err
	}
	if target, ok := r.Form["resource"]; ok && target != s.cfg.Mint.Audience { // RFC 8707
		return nil, refuse(invalidTarget, "tokens are for %s only", s.cfg.Mint.Audience)
	}
	thumbprint, err := s.bind(ctx, client, r.Proofs)
	if err != nil {
		return nil, err
	}
	return s.issue(Grant{Client: client.ID, Scopes: scopes, Lifetime: s.cfg.Lifetime, Thumbprint: thumbprint})
}

func (s *Server) issue(g Grant) (*TokenResponse, error) {
	token, err := s.cfg.Mint.Issue(g)
	if err != nil {
		return nil, err
	}
	answer := &TokenResponse{AccessToken: token, TokenType: "Bearer", ExpiresIn: int(g.Lifetime / time.Second), Scope: strings.Join(g.Scopes, " ")}
	if g.Thumbprint != "" {
		answer.TokenType = dpop.Header
	}
	return answer, nil
}

// narrow picks the scopes of a token. One that the client may not have is refused, not dropped, so that a mistake in a
// configuration is seen where it was made.
func (s *Server) narrow(client *Client, asked string) ([]string, error) {
	granted := make([]string, 0, len(client.Scopes))
	if len(asked) > maxScopes*65 {
		return nil, refuse(invalidScope, "scope is too long")
	}
	for _, scope := range strings.Fields(asked) {
		if !slices.Contains(client.Scopes, scope) || !slices.Contains(s.cfg.Scopes, scope) {
			return nil, refuse(invalidScope, "the client may not have %.64s", printable(scope))
		}
		if !slices.Contains(granted, scope) {
			granted = append(granted, scope)
		}
	}
	if len(granted) > 0 {
		return granted, nil
	}
	for _, scope := range client.Scopes { // as many as there still are
		if slices.Contains(s.cfg.Scopes, scope) {
			granted = append(granted, scope)
		}
	}
	if len(granted) == 0 {
		return nil, refuse(invalidScope, "the client may have no scope")
	}
	return granted, nil
}

// bind returns the thumbprint of the key that the token is to be bound to, or none.
func (s *Server) bind(ctx context.Context, client *Client, proofs []string) (string, error) {
	switch {
	case s.cfg.DPoP == nil && client.RequireDPoP:
		return "", fmt.Errorf("client %s wants bound tokens, but the server has no DPoP", client.ID)
	case len(proofs) == 0 && client.RequireDPoP:
		return "", refuse(invalidProof, "this client gets bound tokens only: send a proof in the header DPoP")
	case len(proofs) == 0 || s.cfg.DPoP == nil:
		return "", nil
	}
	proof, err := s.cfg.DPoP.Verify(ctx, dpop.Request{Proofs: proofs, Method: http.MethodPost, URL: s.cfg.TokenURL})
	if err != nil {
		return "", RefuseProof(s.cfg.DPoP, err)
	}
	return proof.Thumbprint, nil
}

// RefuseProof is the error of a token endpoint for one of a verifier of proofs; where a nonce is wanted, it brings one.
func RefuseProof(v *dpop.Verifier, err error) error {
	switch {
	case errors.Is(err, dpop.ErrNonce):
		e := refuse(needsNonce, "send the nonce of the header DPoP-Nonce in the proof")
		e.Nonce = v.Nonce()
		return e
	case errors.Is(err, dpop.ErrProof):
		return refuse(invalidProof, "the proof in the header DPoP does not fit this request, is too old or was used")
	case errors.Is(err, once.ErrFull):
		return busy(5 * time.Second)
	}
	return err
}

func busy(wait time.Duration) *Error {
	e := refuse(tryLater, "too many requests: try again later")
	e.Status, e.RetryAfter = http.StatusServiceUnavailable, wait
	return e
}

// Metadata describes the server (RFC 8414 section 2).
type Metadata struct {
	Issuer         string   `json:"issuer"`
	TokenEndpoint  string   `json:"token_endpoint"`
	KeysURL        string   `json:"jwks_uri"`
	Scopes         []string `json:"scopes_supported"`
	ResponseTypes  []string `json:"response_types_supported"` // none: there is no authorization endpoint
	GrantTypes     []string `json:"grant_types_supported"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgorithms []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	DPoPAlgorithms []string `json:"dpop_signing_alg_values_supported,omitempty"`
	// Of OpenID4VCI 1.0 section 12.3, for a server that has that grant too.
	AnonymousPreAuthorization bool `json:"pre-authorized_grant_anonymous_access_supported,omitempty"`
}

// Metadata describes the server.
func (s *Server) Metadata() Metadata {
	algorithms := algorithmNames()
	m := Metadata{
		Issuer: s.cfg.Mint.Issuer, TokenEndpoint: s.cfg.TokenURL, KeysURL: s.cfg.KeysURL, Scopes: slices.Clone(s.cfg.Scopes),
		ResponseTypes: []string{}, GrantTypes: []string{ClientCredentials},
		AuthMethods: []string{"client_secret_basic", "private_key_jwt"}, AuthAlgorithms: algorithms,
	}
	if s.cfg.DPoP != nil {
		m.DPoPAlgorithms = algorithms
	}
	return m
}

// algorithmNames are those that clients may sign with, proofs and assertions alike.
func algorithmNames() []string {
	var names []string
	for _, a := range foreign.Modern {
		names = append(names, string(a))
	}
	return names
}
