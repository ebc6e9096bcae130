package oauth_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/oauthtest"
)

const redirect = "https://land.example/console/sign-in/back"

// signingIn is a sign-in at a provider of the tests.
func signingIn(t *testing.T, p *oauthtest.Provider, w *world) *oauth.SignIn {
	t.Helper()
	return signingInWith(t, p, w, p.Secret)
}

// signingInWith has a secret that may be another than the provider's.
func signingInWith(t *testing.T, p *oauthtest.Provider, w *world, secret string) *oauth.SignIn {
	t.Helper()
	p.Redirect, p.Clock = redirect, w.clock.Now
	client := &http.Client{Timeout: 5 * time.Second}
	keys, err := oauth.NewRemoteKeys(oauth.RemoteConfig{Issuer: p.URL, Client: client, Clock: w.clock.Now, Logger: w.logger})
	if err != nil {
		t.Fatal(err)
	}
	s, err := oauth.NewSignIn(oauth.SignInConfig{
		Provider: oauth.Provider{Issuer: p.URL, Audience: "bulla", Keys: keys, Roles: &oauth.Roles{Claim: []string{"roles"}, Scopes: map[string][]string{"land-clerks": {write}}}},
		ClientID: oauthtest.ClientID, Secret: secret, Redirect: redirect, Client: client, Clock: w.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// visit goes where a browser is sent, and returns what it brings back.
func visit(t *testing.T, address string) url.Values {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	back, err := response.Location()
	if err != nil || !strings.HasPrefix(back.String(), redirect+"?") {
		t.Fatalf("%s: %v %v", response.Status, back, err)
	}
	return back.Query()
}

func TestSignInAtProvider(t *testing.T) {
	p, w := oauthtest.New(t), newWorld(t)
	s := signingIn(t, p, w)
	address, pending, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	back := visit(t, address)
	who, name, err := s.Finish(t.Context(), pending, back)
	if err != nil || who.ID() != p.URL+"|b6f0" || name != "Zhao Lei" || !slices.Equal(who.Scopes, []string{write}) {
		t.Fatalf("%+v %q %v", who, name, err)
	}
	if _, _, err := s.Finish(t.Context(), pending, back); !errors.Is(err, oauth.ErrSignIn) {
		t.Errorf("a code twice: %v", err)
	}
	_, other, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	address, _, _ = s.Begin(t.Context())
	if _, _, err := s.Finish(t.Context(), other, visit(t, address)); !errors.Is(err, oauth.ErrSignIn) {
		t.Errorf("the answer of another browser: %v", err)
	}
	forged := visit(t, address)
	forged.Set("state", other.State) // somebody who knows the state, and puts their own code in
	if _, _, err := s.Finish(t.Context(), other, forged); !errors.Is(err, oauth.ErrSignIn) {
		t.Errorf("another's code: %v", err)
	}
	p.Roles = []string{"cooks"}
	address, pending, _ = s.Begin(t.Context())
	if who, _, err := s.Finish(t.Context(), pending, visit(t, address)); err != nil || len(who.Scopes) != 0 {
		t.Errorf("a role that is not in the table: %+v %v", who, err)
	}
}

// A client with a secret shows it as the provider wants it.
func TestSignInWithSecret(t *testing.T) {
	for name, c := range map[string]struct {
		methods []string
		secret  string
		want    error
	}{
		"basic, unsaid": {nil, "s%cr:t &+é", nil},
		"basic, said":   {[]string{"client_secret_post", "client_secret_basic"}, "s%cr:t &+é", nil},
		"in the form":   {[]string{"private_key_jwt", "client_secret_post"}, "s%cr:t &+é", nil},
		"another":       {nil, "secret", oauth.ErrSignIn},
		"none":          {nil, "", oauth.ErrSignIn},
	} {
		t.Run(name, func(t *testing.T) {
			p, w := oauthtest.New(t), newWorld(t)
			p.Secret, p.Methods = "s%cr:t &+é", c.methods
			s := signingInWith(t, p, w, c.secret)
			address, pending, err := s.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(address, "cr%3At") {
				t.Errorf("the browser is sent with the secret: %s", address)
			}
			if _, _, err := s.Finish(t.Context(), pending, visit(t, address)); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	p, w := oauthtest.New(t), newWorld(t)
	p.Secret = "its own"
	address, pending, err := signingInWith(t, p, w, "").Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := signingInWith(t, p, w, "").Finish(t.Context(), pending, visit(t, address)); err == nil || !strings.Contains(err.Error(), "client") {
		t.Errorf("an operator should see that it is the client: %v", err)
	}
}

// What a provider, or somebody between, could do wrong.
func TestSignInAtBadProvider(t *testing.T) {
	claim := func(name string, value any) func(*oauthtest.Provider) {
		return func(p *oauthtest.Provider) {
			p.Claims = func(c map[string]any) {
				if c[name] = value; value == nil {
					delete(c, name)
				}
			}
		}
	}
	back := func(name string, values ...string) func(*oauthtest.Provider) {
		return func(p *oauthtest.Provider) {
			p.Back = func(q url.Values) {
				if q[name] = values; len(values) == 0 {
					q.Del(name)
				}
			}
		}
	}
	now := start.Unix()
	for name, c := range map[string]struct {
		change func(*oauthtest.Provider)
		want   error
	}{
		"good":   {func(*oauthtest.Provider) {}, nil},
		"no typ": {func(p *oauthtest.Provider) { p.Header = func(h map[string]any) { delete(h, "typ") } }, nil},
		"an audience more, and azp": {func(p *oauthtest.Provider) {
			p.Claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"x", oauthtest.ClientID}, oauthtest.ClientID }
		}, nil},
		"does not name itself":        {func(p *oauthtest.Provider) { p.Hidden, p.Back = true, func(q url.Values) { q.Del("iss") } }, nil},
		"says it names itself":        {back("iss"), oauth.ErrSignIn},
		"another provider's answer":   {back("iss", "https://evil.example"), oauth.ErrSignIn},
		"another state":               {back("state", "x"), oauth.ErrSignIn},
		"no state":                    {back("state"), oauth.ErrSignIn},
		"two codes":                   {back("code", "a", "b"), oauth.ErrSignIn},
		"no code":                     {back("code"), oauth.ErrSignIn},
		"a refusal":                   {back("error", "access_denied"), oauth.ErrSignIn},
		"a code of nobody":            {back("code", "x"), oauth.ErrSignIn},
		"another issuer":              {claim("iss", "https://evil.example"), oauth.ErrSignIn},
		"another audience":            {claim("aud", "bulla"), oauth.ErrSignIn},
		"an audience more":            {claim("aud", []string{oauthtest.ClientID, "x"}), oauth.ErrSignIn},
		"given to another":            {claim("azp", "x"), oauth.ErrSignIn},
		"another nonce":               {claim("nonce", "x"), oauth.ErrSignIn},
		"no nonce":                    {claim("nonce", nil), oauth.ErrSignIn},
		"expired":                     {claim("exp", now-31), oauth.ErrSignIn},
		"from the future":             {claim("iat", now+31), oauth.ErrSignIn},
		"good for a week":             {claim("exp", now+7*24*3600), oauth.ErrSignIn},
		"no subject":                  {claim("sub", nil), oauth.ErrSignIn},
		"a subject with a line break": {claim("sub", "a\nb"), oauth.ErrSignIn},
		"roles of another kind":       {claim("roles", 7), oauth.ErrSignIn},
		"an access token":             {func(p *oauthtest.Provider) { p.Header = func(h map[string]any) { h["typ"] = "at+jwt" } }, oauth.ErrSignIn},
		"alg none":                    {func(p *oauthtest.Provider) { p.Header = func(h map[string]any) { h["alg"] = "none" } }, oauth.ErrSignIn},
		"alg HS256":                   {func(p *oauthtest.Provider) { p.Header = func(h map[string]any) { h["alg"] = "HS256" } }, oauth.ErrSignIn},
		"a key in the header":         {func(p *oauthtest.Provider) { p.Header = func(h map[string]any) { h["jwk"] = map[string]any{} } }, oauth.ErrSignIn},
		"another key":                 {func(p *oauthtest.Provider) { p.Header = func(h map[string]any) { h["kid"] = "x" } }, oauth.ErrSignIn},
		"no ID token":                 {func(p *oauthtest.Provider) { p.Answer = func(a map[string]any) { delete(a, "id_token") } }, oauth.ErrSignIn},
		"far too large an answer": {func(p *oauthtest.Provider) {
			p.Answer = func(a map[string]any) { a["more"] = strings.Repeat("x", 64<<10) }
		}, oauth.ErrUnavailable},
		"the token endpoint is ill": {func(p *oauthtest.Provider) { p.Refuses = http.StatusBadGateway }, oauth.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			p, w := oauthtest.New(t), newWorld(t)
			c.change(p)
			s := signingIn(t, p, w)
			address, pending, err := s.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Finish(t.Context(), pending, visit(t, address)); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// An ID token that somebody else signed under the provider's key's name is nobody's.
func TestForgedIDToken(t *testing.T) {
	p, w := oauthtest.New(t), newWorld(t)
	s := signingIn(t, p, w)
	address, pending, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forger := generated(t, jose.ES256)
	p.Answer = func(a map[string]any) {
		now := start.Unix()
		a["id_token"], err = jose.SignHeader(forger, members{"alg": "ES256", "kid": oauthtest.KeyID}, members{
			"iss": p.URL, "sub": "li.na", "aud": oauthtest.ClientID, "iat": now, "exp": now + 300, "nonce": pending.Nonce})
	}
	if _, _, refused := s.Finish(t.Context(), pending, visit(t, address)); err != nil || !errors.Is(refused, oauth.ErrSignIn) {
		t.Errorf("%v %v", refused, err)
	}
}

func TestSignInConfig(t *testing.T) {
	p, w := oauthtest.New(t), newWorld(t)
	good := oauth.SignInConfig{
		Provider: oauth.Provider{Issuer: p.URL, Audience: "bulla", Keys: w.ring, Roles: &oauth.Roles{Claim: []string{"roles"}, Scopes: map[string][]string{"x": {write}}}},
		ClientID: "x", Redirect: redirect, Client: http.DefaultClient, Clock: w.clock.Now,
	}
	if _, err := oauth.NewSignIn(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*oauth.SignInConfig){
		"no client":          func(c *oauth.SignInConfig) { c.Client = nil },
		"no id":              func(c *oauth.SignInConfig) { c.ClientID = "" },
		"a redirect by http": func(c *oauth.SignInConfig) { c.Redirect = "http://land.example/back" },
		"our own tokens":     func(c *oauth.SignInConfig) { c.Provider = oauth.OwnProvider(w.mint) },
	} {
		cfg := good
		change(&cfg)
		if _, err := oauth.NewSignIn(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}
