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
)

// Limits of access tokens.
const (
	maxAccessToken = 16 << 10 // bytes
	maxName        = 255      // bytes of sub, client_id (OpenID Connect Core 1.0 section 2)
)

// Roles translates a claim of a provider into scopes.
type Roles struct {
	// Claim is the path to a text or a list of texts, by the names of its members: {"roles"} or {"realm_access", "roles"}.
	Claim []string
	// Scopes has the scopes of each value. Values that are not listed give none.
	Scopes map[string][]string
}

// Provider is an issuer whose tokens are taken. Whoever has its keys can do all that Roles lists, in anybody's name.
type Provider struct {
	Issuer   string // exactly as tokens have it
	Audience string // who its tokens for us are for
	Keys     KeySource
	// Roles, for a provider of the agency's. TrustScope instead takes what the claim scope says, as it is: for our own
	// server only.
	Roles      *Roles
	TrustScope bool
	// MaxLifetime bounds how long tokens may be good for. Zero: two hours.
	MaxLifetime time.Duration
}

// OwnProvider takes the tokens of a mint.
func OwnProvider(m Mint) Provider {
	return Provider{Issuer: m.Issuer, Audience: m.Audience, Keys: m.Keys, TrustScope: true, MaxLifetime: m.Keys.overlap}
}

func (p *Provider) validate() error {
	if err := checkIdentifier(p.Issuer); err != nil {
		return err
	}
	switch {
	case p.Audience == "" || len(p.Audience) > maxIdentifier:
		return errors.New("audience is missing")
	case p.Keys == nil:
		return errors.New("keys are missing")
	case (p.Roles == nil) != p.TrustScope:
		return errors.New("want either roles or trust in its scopes")
	case p.MaxLifetime < 0:
		return errors.New("lifetime is negative")
	case p.Roles != nil && (len(p.Roles.Claim) == 0 || len(p.Roles.Scopes) == 0):
		return errors.New("roles: claim or table is missing")
	}
	if p.Roles != nil {
		for value, scopes := range p.Roles.Scopes {
			if err := checkScopes(scopes); err != nil || value == "" {
				return fmt.Errorf("role %.100q: %w", value, err)
			}
		}
	}
	return nil
}

// ResourceConfig is what an API needs to check tokens.
type ResourceConfig struct {
	Providers []Provider
	// DPoP checks the proofs of bound tokens; without it they are refused.
	DPoP *dpop.Verifier
	// RequireDPoP refuses bearer tokens.
	RequireDPoP bool
	// URL is what clients put before the path that our handlers see, without a slash at its end: scheme and host, and a
	// prefix if a proxy takes one off. Proofs are for these URLs, whatever the header Host says.
	URL    string
	Clock  func() time.Time
	Logger *slog.Logger
}

// Resource is an API's check of who calls. It is safe for concurrent use.
type Resource struct {
	cfg       ResourceConfig
	providers map[string]*Provider
}

// NewResource checks a configuration.
func NewResource(cfg ResourceConfig) (*Resource, error) {
	r := &Resource{cfg: cfg, providers: make(map[string]*Provider)}
	if cfg.Clock == nil || cfg.Logger == nil {
		return nil, errors.New("resource: clock or logger is missing")
	}
	if cfg.DPoP != nil {
		if err := checkIdentifier(cfg.URL); err != nil || strings.HasSuffix(cfg.URL, "/") {
			return nil, fmt.Errorf("resource: URL %.200q is needed for proofs, without a slash at its end", cfg.URL)
		}
	} else if cfg.RequireDPoP {
		return nil, errors.New("resource: proofs are required, but nothing checks them")
	}
	for _, p := range cfg.Providers {
		if err := p.validate(); err != nil {
			return nil, fmt.Errorf("provider %.200q: %w", p.Issuer, err)
		}
		if r.providers[p.Issuer] != nil {
			return nil, fmt.Errorf("provider %s stands twice", p.Issuer)
		}
		setDefault(&p.MaxLifetime, 2*time.Hour)
		r.providers[p.Issuer] = &p
	}
	if len(r.providers) == 0 {
		return nil, errors.New("resource: no provider, so nobody could call")
	}
	return r, nil
}

// Verify checks an access token and says who it is from, and the thumbprint of the key that it is bound to, which the
// caller must see proven; empty: it counts for whoever bears it. Refused with [ErrToken]; with [ErrUnavailable] if the
// issuer's keys cannot be had.
func (r *Resource) Verify(ctx context.Context, text string) (Principal, string, error) {
	token, err := foreign.Parse(text, maxAccessToken, headersWithoutKeys...)
	if err != nil {
		return Principal{}, "", fmt.Errorf("%w: %w", ErrToken, err)
	}
	// SPEC: RFC 9068 section 4: typ is at+jwt or application/at+jwt. An id token of the same provider is no access token.
	if token.Header.Type != TokenType {
		return Principal{}, "", fmt.Errorf("%w: typ is %.100q", ErrToken, token.Header.Type)
	}
	provider, err := r.verifySignature(ctx, token)
	if err != nil {
		return Principal{}, "", err
	}
	principal, err := r.read(provider, token.Claims)
	if err != nil {
		return Principal{}, "", fmt.Errorf("%w: %w", ErrToken, err)
	}
	thumbprint, err := confirmation(token.Claims)
	if err != nil {
		return Principal{}, "", fmt.Errorf("%w: %w", ErrToken, err)
	}
	return principal, thumbprint, nil
}

// verifySignature finds the provider that the token names and checks it under that one's keys only, so that no provider
// speaks for another.
func (r *Resource) verifySignature(ctx context.Context, token *foreign.Token) (*Provider, error) {
	issuer, err := token.Claims.String("iss")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	provider, ok := r.providers[issuer]
	if !ok {
		return nil, fmt.Errorf("%w: it is by %.100q", ErrToken, issuer)
	}
	if token.Header.KeyID == "" {
		return nil, fmt.Errorf("%w: kid is missing", ErrToken)
	}
	key, err := provider.Keys.Key(ctx, token.Header.KeyID)
	if errors.Is(err, ErrUnknownKey) {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := token.Verify(key); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return provider, nil
}

// read checks the claims of a token that its provider signed.
func (r *Resource) read(p *Provider, c foreign.Claims) (Principal, error) {
	audience, err := c.Strings("aud")
	if err != nil {
		return Principal{}, err
	}
	if !slices.Contains(audience, p.Audience) {
		return Principal{}, errors.New("it is for somebody else")
	}
	if err := r.checkTimes(p, c); err != nil {
		return Principal{}, err
	}
	subject, err := name(c, "sub")
	if err != nil {
		return Principal{}, err
	}
	client, err := name(c, "client_id")
	if _, ok := c["client_id"]; !ok && !p.TrustScope {
		client, err = name(c, "azp") // what OpenID providers had before RFC 9068
	}
	if err != nil {
		return Principal{}, err
	}
	scopes, err := p.scopes(c)
	issuer := p.Issuer
	if other, theirs, named := strings.Cut(subject, "|"); named && p.TrustScope {
		// Our own server names an officer of another provider: one person has one ID, whichever way they came.
		issuer, subject = other, theirs
	}
	return Principal{Issuer: issuer, Subject: subject, Client: client, Scopes: scopes}, err
}

// name is a claim that goes into logs and comparisons.
func name(c foreign.Claims, claim string) (string, error) {
	text, err := c.String(claim)
	if err != nil {
		return "", err
	}
	if len(text) > maxName || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", fmt.Errorf("%s is too long or has control characters", claim)
	}
	return text, nil
}

func (r *Resource) checkTimes(p *Provider, c foreign.Claims) error {
	issued, err := c.Required("iat")
	if err != nil {
		return err
	}
	expires, err := c.Required("exp")
	if err != nil {
		return err
	}
	begins, limited, err := c.Time("nbf")
	now := r.cfg.Clock()
	switch {
	case err != nil:
		return err
	case !now.Before(expires.Add(Skew)):
		return errors.New("it is expired")
	case issued.After(now.Add(Skew)) || limited && begins.After(now.Add(Skew)):
		return errors.New("it is not valid yet")
	case expires.Sub(issued) > p.MaxLifetime:
		return fmt.Errorf("it is good for more than %s", p.MaxLifetime)
	}
	return nil
}

// scopes are what a token allows: what our own server wrote, or what the table makes of a provider's roles.
func (p *Provider) scopes(c foreign.Claims) ([]string, error) {
	if p.TrustScope {
		text, err := c.String("scope")
		return strings.Fields(text), err
	}
	last := len(p.Roles.Claim) - 1
	for _, member := range p.Roles.Claim[:last] {
		var err error
		if c, err = c.Object(member); err != nil {
			return nil, err
		}
	}
	values, err := c.Strings(p.Roles.Claim[last])
	if err != nil {
		return nil, err
	}
	if p.Roles.Claim[last] == "scope" && len(values) == 1 { // SPEC: RFC 6749 section 3.3: separated by spaces
		values = strings.Fields(values[0])
	}
	var scopes []string
	for _, value := range values {
		for _, scope := range p.Roles.Scopes[value] {
			if !slices.Contains(scopes, scope) {
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes, nil
}

// confirmation is the key that a token is bound to. A binding that we cannot check, to a client certificate say, makes
// the token worthless here: to take it from whoever bears it would undo what its issuer promised.
func confirmation(c foreign.Claims) (string, error) {
	if _, ok := c["cnf"]; !ok {
		return "", nil
	}
	members, err := c.Object("cnf")
	if err != nil {
		return "", err
	}
	thumbprint, err := members.String("jkt")
	if err != nil || len(members) != 1 {
		return "", errors.New("it is bound to something else than a key of DPoP")
	}
	return thumbprint, nil
}

// Authenticate checks token and proof of a request. It is Verify for requests: refused with [ErrToken],
// [dpop.ErrProof], [dpop.ErrNonce] or [ErrMissing].
func (r *Resource) Authenticate(request *http.Request) (Principal, error) {
	fields := request.Header.Values("Authorization")
	if len(fields) != 1 {
		return Principal{}, ErrMissing
	}
	scheme, text, _ := strings.Cut(fields[0], " ")
	// SPEC: RFC 9110 section 11.1: schemes are case-insensitive.
	bound := strings.EqualFold(scheme, dpop.Header)
	if !bound && !strings.EqualFold(scheme, "Bearer") {
		return Principal{}, ErrMissing
	}
	principal, thumbprint, err := r.Verify(request.Context(), text)
	if err != nil {
		return Principal{}, err
	}
	switch {
	case bound != (thumbprint != ""):
		// SPEC: RFC 9449 section 7.2: a bound token is not taken as a bearer token, nor the other way round.
		return Principal{}, fmt.Errorf("%w: the scheme is not that of the token", ErrToken)
	case !bound && r.cfg.RequireDPoP:
		return Principal{}, fmt.Errorf("%w: only tokens bound to a key are taken", ErrToken)
	case !bound:
		return principal, nil
	case r.cfg.DPoP == nil:
		return Principal{}, fmt.Errorf("%w: tokens bound to a key are not taken", ErrToken)
	}
	_, err = r.cfg.DPoP.Verify(request.Context(), dpop.Request{
		Proofs: request.Header.Values(dpop.Header), Method: request.Method, URL: r.cfg.URL + request.URL.EscapedPath(),
		AccessToken: text, Thumbprint: thumbprint,
	})
	return principal, err
}

// ErrMissing is returned for a request without an access token.
var ErrMissing = errors.New("no access token")
