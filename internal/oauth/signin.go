package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

// ErrSignIn is why somebody could not be signed in. Its text is ours and quotes nobody.
var ErrSignIn = errors.New("the provider did not sign you in")

const (
	maxCode          = 2 << 10 // bytes
	maxTokenAnswer   = 64 << 10
	maxIDToken       = maxAccessToken
	discoveryFresh   = time.Hour
	maxIDTokenSpan   = 24 * time.Hour
	signInScope      = "openid profile"
	idTokenMediaType = "jwt"
)

// MaxProviderSecret is how many bytes a client's secret at a provider may have.
const MaxProviderSecret = 1 << 10

// SignInConfig is what it takes to sign people in at a provider of OpenID Connect: by authorization code with PKCE. The code is of use
// only with our verifier, and only at the provider's token endpoint, where the ID token comes from.
type SignInConfig struct {
	Provider Provider // with its keys, and the table of roles
	ClientID string   // ours at the provider
	Secret   string   // of that client there, which few need; empty: a public client
	Redirect string   // exactly as it is registered there
	Client   *http.Client
	Clock    func() time.Time
}

// SignIn signs people in at a provider. It is safe for concurrent use, and keeps nothing of anybody.
type SignIn struct {
	cfg      SignInConfig
	client   *http.Client
	resource *Resource // of the checks of times

	mu      sync.Mutex
	known   endpoints
	fetched time.Time
}

// endpoints are what a provider says of itself.
type endpoints struct {
	authorization, token string
	namesItself          bool // in each answer (RFC 9207)
	secretInForm         bool // it takes a client's secret in the form only
}

// NewSignIn checks a configuration. It fetches nothing.
func NewSignIn(cfg SignInConfig) (*SignIn, error) {
	if err := cfg.Provider.validate(); err != nil {
		return nil, fmt.Errorf("sign-in: provider: %w", err)
	}
	switch {
	case cfg.Provider.Roles == nil || cfg.Client == nil || cfg.Clock == nil:
		return nil, errors.New("sign-in: roles, client or clock are missing")
	case cfg.ClientID == "" || len(cfg.ClientID) > maxIdentifier:
		return nil, errors.New("sign-in: client_id is missing")
	case len(cfg.Secret) > MaxProviderSecret:
		return nil, fmt.Errorf("sign-in: the client's secret has more than %d bytes", MaxProviderSecret)
	}
	if err := checkIdentifier(cfg.Redirect); err != nil {
		return nil, fmt.Errorf("sign-in: redirect: %w", err)
	}
	client := *cfg.Client
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &SignIn{cfg: cfg, client: &client, resource: &Resource{cfg: ResourceConfig{Clock: cfg.Clock}}}, nil
}

// Pending is what must be kept, in secret, between the two halves of signing in.
type Pending struct{ State, Nonce, Verifier string }

// Begin is where to send the browser.
func (s *SignIn) Begin(ctx context.Context) (address string, p Pending, err error) {
	at, err := s.endpoints(ctx)
	if err != nil {
		return "", p, err
	}
	p = Pending{randomID(), randomID(), randomID() + randomID()} // SPEC: RFC 7636 section 4.1: 43 to 128 characters
	challenge := sha256.Sum256([]byte(p.Verifier))
	u, err := url.Parse(at.authorization)
	if err != nil {
		return "", p, fmt.Errorf("sign-in: %w", err)
	}
	query := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": s.cfg.ClientID, "redirect_uri": s.cfg.Redirect, "scope": signInScope, "state": p.State, "nonce": p.Nonce,
		"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
	} {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	return u.String(), p, nil
}

// Finish checks what the browser brought back and says who it is, with the scopes of their roles and their name if the provider has one.
// Refused with [ErrSignIn]; with [ErrUnavailable] if the provider cannot be asked.
func (s *SignIn) Finish(ctx context.Context, p Pending, query url.Values) (who Principal, name string, err error) {
	at, err := s.endpoints(ctx)
	if err != nil {
		return who, "", err
	}
	code, err := s.answer(at, p, query)
	if err != nil {
		return who, "", err
	}
	text, err := s.exchange(ctx, at, code, p.Verifier)
	if err != nil {
		return who, "", err
	}
	return s.read(ctx, text, p.Nonce)
}

// answer is the code in what the browser brought.
func (s *SignIn) answer(at endpoints, p Pending, query url.Values) (code string, err error) {
	for _, values := range query {
		if len(values) != 1 || len(values[0]) > maxCode {
			return "", fmt.Errorf("%w: a parameter stands twice or is too long", ErrSignIn)
		}
	}
	issuer, named := query.Get("iss"), query.Has("iss")
	switch {
	case p.State == "" || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(p.State)) != 1:
		return "", fmt.Errorf("%w: it was not begun in this browser", ErrSignIn)
	case named && issuer != s.cfg.Provider.Issuer, !named && at.namesItself:
		// SPEC: RFC 9207 section 2.4: iss is compared, and must be there if the provider says that it always is.
		return "", fmt.Errorf("%w: the answer is another provider's", ErrSignIn)
	case query.Has("error"), query.Get("code") == "":
		return "", fmt.Errorf("%w: it gave no code", ErrSignIn)
	}
	return query.Get("code"), nil
}

// exchange gives the code for an ID token.
func (s *SignIn) exchange(ctx context.Context, at endpoints, code, verifier string) (idToken string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := s.tokenRequest(ctx, at, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {s.cfg.Redirect}, "code_verifier": {verifier},
	})
	if err != nil {
		return "", fmt.Errorf("sign-in: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("%w: token endpoint: %w", ErrUnavailable, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxTokenAnswer+1))
	switch {
	case err != nil || len(text) > maxTokenAnswer || response.StatusCode >= 500:
		return "", fmt.Errorf("%w: token endpoint: answered %d", ErrUnavailable, response.StatusCode)
	case response.StatusCode == http.StatusUnauthorized:
		return "", fmt.Errorf("%w: it does not know this client, or wants its secret (bulla key provider)", ErrSignIn)
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%w: it did not take the code", ErrSignIn)
	}
	answer, err := foreign.Object(text)
	if err != nil {
		return "", fmt.Errorf("%w: its answer is not what was expected", ErrSignIn)
	}
	if idToken, err = answer.String("id_token"); err != nil {
		return "", fmt.Errorf("%w: it gave no ID token", ErrSignIn)
	}
	return idToken, nil
}

// tokenRequest says who we are: by name, or with our secret. SPEC: RFC 6749 section 2.3.1: the two halves of Basic are encoded as forms are, and a
// client shows itself in one way only.
func (s *SignIn) tokenRequest(ctx context.Context, at endpoints, form url.Values) (*http.Request, error) {
	basic := s.cfg.Secret != "" && !at.secretInForm
	if !basic {
		form.Set("client_id", s.cfg.ClientID)
		if s.cfg.Secret != "" {
			form.Set("client_secret", s.cfg.Secret)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.token, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	if basic {
		request.SetBasicAuth(url.QueryEscape(s.cfg.ClientID), url.QueryEscape(s.cfg.Secret))
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	return request, nil
}

// read checks an ID token. SPEC: OpenID Connect Core 1.0 section 3.1.3.7.
func (s *SignIn) read(ctx context.Context, text, nonce string) (who Principal, display string, err error) {
	token, err := foreign.Parse(text, maxIDToken, headersWithoutKeys...)
	if err != nil {
		return who, "", fmt.Errorf("%w: ID token: %w", ErrSignIn, err)
	}
	if typ := token.Header.Type; typ != "" && typ != idTokenMediaType { // an access token is no ID token
		return who, "", fmt.Errorf("%w: ID token: another kind of token", ErrSignIn)
	}
	key, err := s.cfg.Provider.Keys.Key(ctx, token.Header.KeyID)
	if errors.Is(err, ErrUnavailable) {
		return who, "", err
	}
	if err == nil {
		err = token.Verify(key)
	}
	if err == nil {
		err = s.checkClaims(token.Claims, nonce)
	}
	if err != nil {
		return who, "", fmt.Errorf("%w: ID token: %w", ErrSignIn, err)
	}
	who = Principal{Issuer: s.cfg.Provider.Issuer, Client: s.cfg.ClientID}
	if who.Subject, err = name(token.Claims, "sub"); err == nil {
		who.Scopes, err = s.cfg.Provider.scopes(token.Claims)
	}
	if err != nil {
		return who, "", fmt.Errorf("%w: ID token: %w", ErrSignIn, err)
	}
	for _, claim := range []string{"name", "preferred_username"} {
		if display, err = name(token.Claims, claim); err == nil {
			return who, display, nil
		}
	}
	return who, "", nil
}

func (s *SignIn) checkClaims(c foreign.Claims, nonce string) error {
	issuer, err := c.String("iss")
	if err != nil || issuer != s.cfg.Provider.Issuer {
		return errors.New("another issuer")
	}
	audience, err := c.Strings("aud")
	if err != nil || !slices.Contains(audience, s.cfg.ClientID) {
		return errors.New("for another client")
	}
	if party, ok := c["azp"]; (ok || len(audience) > 1) && string(party) != `"`+s.cfg.ClientID+`"` {
		return errors.New("given to another client")
	}
	if said, err := c.String("nonce"); err != nil || subtle.ConstantTimeCompare([]byte(said), []byte(nonce)) != 1 {
		return errors.New("another nonce")
	}
	return s.resource.checkTimes(&Provider{MaxLifetime: maxIDTokenSpan}, c)
}

// endpoints are the provider's, asked anew each hour.
func (s *SignIn) endpoints(ctx context.Context) (endpoints, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Clock()
	if !s.fetched.IsZero() && now.Sub(s.fetched) < discoveryFresh {
		return s.known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	text, err := fetch(ctx, s.client, discoveryURL(s.cfg.Provider.Issuer), maxDiscovery)
	if err != nil {
		return endpoints{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	known, err := parseEndpoints(text, s.cfg.Provider.Issuer)
	if err != nil {
		return endpoints{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	s.known, s.fetched = known, now
	return known, nil
}

// parseEndpoints finds where to send browsers and codes in what a provider says of itself.
func parseEndpoints(text []byte, issuer string) (at endpoints, err error) {
	answer, err := parseProvider(text, issuer)
	if err != nil {
		return at, err
	}
	for member, address := range map[string]*string{"authorization_endpoint": &at.authorization, "token_endpoint": &at.token} {
		if *address, err = answer.String(member); err != nil {
			return endpoints{}, fmt.Errorf("discovery: %w", err)
		}
		if err := checkFetchable(*address); err != nil {
			return endpoints{}, fmt.Errorf("discovery: %s: %w", member, err)
		}
	}
	at.namesItself = string(answer["authorization_response_iss_parameter_supported"]) == "true"
	// SPEC: OpenID Connect Discovery 1.0 section 3: left out, it is client_secret_basic.
	if methods, err := answer.Strings("token_endpoint_auth_methods_supported"); err == nil {
		at.secretInForm = !slices.Contains(methods, "client_secret_basic") && slices.Contains(methods, "client_secret_post")
	}
	return at, nil
}
