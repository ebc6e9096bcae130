package oauth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

const (
	agencyIssuer   = "https://login.agency.example/realms/land"
	agencyAudience = "bulla-issuer"
)

// keys is a fixed KeySource.
type keys map[string]foreign.Key

func (k keys) Key(_ context.Context, id string) (foreign.Key, error) {
	if key, ok := k[id]; ok {
		return key, nil
	}
	return foreign.Key{}, oauth.ErrUnknownKey
}

// agency is an OpenID provider with one key, and an API that takes its tokens.
type agency struct {
	key      *jose.SigningKey
	clock    *clock
	resource *oauth.Resource
}

func newAgency(t testing.TB, change func(*oauth.Provider)) *agency {
	t.Helper()
	a := &agency{key: generated(t, jose.ES256), clock: new(clock)}
	p := oauth.Provider{
		Issuer: agencyIssuer, Audience: agencyAudience, Keys: keys{"2026": foreign.Own(a.key.Public())},
		Roles: &oauth.Roles{Claim: []string{"realm_access", "roles"}, Scopes: map[string][]string{"clerk": {write, read}, "auditor": {read}}},
	}
	if change != nil {
		change(&p)
	}
	w := newWorld(t)
	r, err := oauth.NewResource(oauth.ResourceConfig{Providers: []oauth.Provider{p, oauth.OwnProvider(w.mint)}, Clock: a.clock.Now, Logger: w.logger})
	if err != nil {
		t.Fatal(err)
	}
	a.resource = r
	return a
}

type members = map[string]any

func (a *agency) parts() (header, claims members) {
	now := a.clock.Now().Unix()
	return members{"alg": "ES256", "kid": "2026", "typ": "at+jwt"}, members{
		"iss": agencyIssuer, "sub": "wang.li", "aud": []string{"account", agencyAudience}, "client_id": "land-desk",
		"iat": now, "exp": now + 300, "jti": "x", "realm_access": members{"roles": []string{"clerk", "offline_access"}}, "scope": "issuer:everything",
	}
}

func (a *agency) sign(t testing.TB, header, claims members) string {
	t.Helper()
	text, err := jose.SignHeader(a.key, header, claims)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAgencyToken(t *testing.T) {
	for name, c := range map[string]struct {
		change func(h, c members)
		want   oauth.Principal
	}{
		"clerk":             {func(_, _ members) {}, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{write, read}}},
		"media type":        {func(h, _ members) { h["typ"] = "application/at+JWT" }, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{write, read}}},
		"a certificate's":   {func(h, _ members) { h["x5t"] = "x"; h["x5t#S256"] = "y" }, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{write, read}}},
		"aud a text":        {func(_, c members) { c["aud"] = agencyAudience }, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{write, read}}},
		"azp":               {func(_, c members) { delete(c, "client_id"); c["azp"] = "desk" }, oauth.Principal{Subject: "wang.li", Client: "desk", Scopes: []string{write, read}}},
		"one role":          {func(_, c members) { c["realm_access"] = members{"roles": "auditor"} }, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{read}}},
		"two roles":         {func(_, c members) { c["realm_access"] = members{"roles": []string{"auditor", "clerk"}} }, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{read, write}}},
		"no role":           {func(_, c members) { delete(c, "realm_access") }, oauth.Principal{Subject: "wang.li", Client: "land-desk"}},
		"a role in capital": {func(_, c members) { c["realm_access"] = members{"roles": []string{"Clerk"}} }, oauth.Principal{Subject: "wang.li", Client: "land-desk"}},
		"within the skew":   {func(_, c members) { c["exp"] = start.Unix() - 29 }, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{write, read}}},
		"made ahead":        {func(_, c members) { c["iat"] = start.Unix() + 30; c["nbf"] = start.Unix() + 30 }, oauth.Principal{Subject: "wang.li", Client: "land-desk", Scopes: []string{write, read}}},
	} {
		a := newAgency(t, nil)
		h, claims := a.parts()
		c.change(h, claims)
		c.want.Issuer = agencyIssuer
		got, thumbprint, err := a.resource.Verify(t.Context(), a.sign(t, h, claims))
		if err != nil || thumbprint != "" || got.ID() != c.want.ID() || got.Client != c.want.Client || !slices.Equal(got.Scopes, c.want.Scopes) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAgencyTokenRefused(t *testing.T) {
	ours := newWorld(t)
	for name, change := range map[string]func(h, c members){
		"typ missing":              func(h, _ members) { delete(h, "typ") },
		"an id token":              func(h, _ members) { h["typ"] = "JWT" },
		"a proof":                  func(h, _ members) { h["typ"] = "dpop+jwt" },
		"alg none":                 func(h, _ members) { h["alg"] = "none" },
		"alg of another":           func(h, _ members) { h["alg"] = "EdDSA" },
		"kid missing":              func(h, _ members) { delete(h, "kid") },
		"kid unknown":              func(h, _ members) { h["kid"] = "2025" },
		"kid a path":               func(h, _ members) { h["kid"] = "../2026" },
		"kid in another case":      func(h, _ members) { h["kid"] = "2026 " },
		"jwk":                      func(h, _ members) { h["jwk"] = members{"kty": "oct"} },
		"jku":                      func(h, _ members) { h["jku"] = "https://evil.example" },
		"x5u":                      func(h, _ members) { h["x5u"] = "https://evil.example" },
		"x5c":                      func(h, _ members) { h["x5c"] = []string{"AAAA"} },
		"crit":                     func(h, _ members) { h["crit"] = []string{"exp"} },
		"nonce in the header":      func(h, _ members) { h["nonce"] = "x" },
		"iss missing":              func(_, c members) { delete(c, "iss") },
		"iss unknown":              func(_, c members) { c["iss"] = agencyIssuer + "/" },
		"iss of our own server":    func(_, c members) { c["iss"] = ours.url },
		"aud missing":              func(_, c members) { delete(c, "aud") },
		"aud of others":            func(_, c members) { c["aud"] = []string{"account", agencyAudience + "2"} },
		"aud a number":             func(_, c members) { c["aud"] = 7 },
		"sub missing":              func(_, c members) { delete(c, "sub") },
		"sub empty":                func(_, c members) { c["sub"] = "" },
		"sub with a line":          func(_, c members) { c["sub"] = "a\nb" },
		"sub too long":             func(_, c members) { c["sub"] = strings.Repeat("x", 256) },
		"client missing":           func(_, c members) { delete(c, "client_id") },
		"client a number, and azp": func(_, c members) { c["client_id"], c["azp"] = 7, "desk" },
		"exp missing":              func(_, c members) { delete(c, "exp") },
		"expired":                  func(_, c members) { c["exp"] = start.Unix() - 30 },
		"exp a text":               func(_, c members) { c["exp"] = "1900000000" },
		"exp without end":          func(_, c members) { c["exp"] = 1e15 },
		"good for too long":        func(_, c members) { c["exp"] = start.Unix() + 2*3600 + 1 },
		"iat missing":              func(_, c members) { delete(c, "iat") },
		"iat in the future":        func(_, c members) { c["iat"] = start.Unix() + 31 },
		"nbf in the future":        func(_, c members) { c["nbf"] = start.Unix() + 31 },
		"nbf null":                 func(_, c members) { c["nbf"] = nil },
		"roles of numbers":         func(_, c members) { c["realm_access"] = members{"roles": []int{7}} },
		"roles not where they are": func(_, c members) { c["realm_access"] = []string{"clerk"} },
		"bound to a certificate":   func(_, c members) { c["cnf"] = members{"x5t#S256": "x"} },
		"bound to two":             func(_, c members) { c["cnf"] = members{"x5t#S256": "x", "jkt": "y"} },
		"bound to null":            func(_, c members) { c["cnf"] = nil },
		"far too large":            func(_, c members) { c["more"] = strings.Repeat("x", 16<<10) },
	} {
		a := newAgency(t, nil)
		h, c := a.parts()
		change(h, c)
		if _, _, err := a.resource.Verify(t.Context(), a.sign(t, h, c)); !errors.Is(err, oauth.ErrToken) || errors.Is(err, oauth.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := newAgency(t, nil)
	h, c := a.parts()
	good := a.sign(t, h, c)
	a.key = generated(t, jose.ES256)
	parts := strings.Split(good, ".")
	for name, text := range map[string]string{
		"of another key": a.sign(t, h, c), "cut": good[:len(good)-4], "no signature": parts[0] + "." + parts[1] + ".",
		"nothing": "", "dots": "..", "padded": good + "=", "space": " " + good, "an opaque token": "2YotnFZFEjr1zCsicMWpAA",
	} {
		if _, _, err := a.resource.Verify(t.Context(), text); !errors.Is(err, oauth.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every algorithm that the library knows, with its own signature or the most hopeful one: a provider's tokens count
// under the algorithm of the key alone.
func TestTokenAlgorithms(t *testing.T) {
	secret, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n := base64.RawURLEncoding.EncodeToString(secret.N.Bytes())
	for _, of := range []jose.Algorithm{foreign.RS256, foreign.PS256} {
		public := `{"kty":"RSA","kid":"2026","e":"AQAB","alg":"` + string(of) + `","n":"` + n + `"}`
		key, err := foreign.ParseKey([]byte(public), []jose.Algorithm{foreign.RS256, foreign.PS256})
		if err != nil {
			t.Fatal(err)
		}
		a := newAgency(t, func(p *oauth.Provider) { p.Keys = keys{"2026": key} })
		for _, alg := range jwa.SignatureAlgorithms() {
			h, c := a.parts()
			h["alg"] = alg
			text := a.sign(t, h, c)
			payload, _ := json.Marshal(c)
			headers := jws.NewHeaders()
			_, _ = headers.Set("typ", "at+jwt"), headers.Set("kid", "2026")
			var with any = secret
			if strings.HasPrefix(string(alg), "HS") {
				with = []byte(public) // the public key as a secret
			}
			if signed, err := jws.Sign(payload, jws.WithKey(alg, with, jws.WithProtectedHeaders(headers))); err == nil {
				text = string(signed)
			}
			if _, _, err := a.resource.Verify(t.Context(), text); (err == nil) != (string(alg) == string(of)) {
				t.Errorf("key of %s, token of %s: %v", of, alg, err)
			}
		}
	}
}

// Roles may stand anywhere: the scope claim, too, is only what the table makes of it.
func TestRolesFromScope(t *testing.T) {
	a := newAgency(t, func(p *oauth.Provider) {
		p.Roles = &oauth.Roles{Claim: []string{"scope"}, Scopes: map[string][]string{"bulla.read": {read}, "openid": nil}}
	})
	h, c := a.parts()
	c["scope"] = "openid bulla.read " + write
	got, _, err := a.resource.Verify(t.Context(), a.sign(t, h, c))
	if err != nil || !slices.Equal(got.Scopes, []string{read}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPrincipalID(t *testing.T) {
	a := oauth.Principal{Issuer: "https://a.example", Subject: "x|y", Client: "1"}
	same := oauth.Principal{Issuer: "https://a.example", Subject: "x|y", Client: "2", Scopes: []string{read}}
	if a.ID() != same.ID() || a.ID() != "https://a.example|x|y" {
		t.Errorf("%s and %s", a.ID(), same.ID())
	}
	for _, other := range []oauth.Principal{{Issuer: "https://b.example", Subject: "x|y"}, {Issuer: "https://a.example", Subject: "x"}} {
		if a.ID() == other.ID() {
			t.Errorf("%+v is %+v", a, other)
		}
	}
}

func TestRequire(t *testing.T) {
	w := newWorld(t)
	issue := func(m oauth.Mint, lifetime time.Duration, scopes ...string) string {
		token, err := m.Issue(oauth.Grant{Client: "desk", Scopes: scopes, Lifetime: lifetime})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := issue(w.mint, time.Minute, read)
	elsewhere := w.mint
	elsewhere.Audience = w.url + "/other"
	for name, c := range map[string]struct {
		fields    []string
		status    int
		code      string
		challenge string
	}{
		"good":             {[]string{"Bearer " + good}, 200, "", ""},
		"in lower case":    {[]string{"bearer " + good}, 200, "", ""},
		"none":             {nil, 401, "token-missing", "Bearer"},
		"another scheme":   {[]string{"Basic " + good}, 401, "token-missing", "Bearer"},
		"no scheme":        {[]string{good}, 401, "token-missing", "Bearer"},
		"two":              {[]string{"Bearer " + good, "Bearer " + good}, 401, "token-missing", "Bearer"},
		"empty":            {[]string{"Bearer "}, 401, "token-invalid", `Bearer error="invalid_token"`},
		"more behind":      {[]string{"Bearer " + good + ", x"}, 401, "token-invalid", `Bearer error="invalid_token"`},
		"another audience": {[]string{"Bearer " + issue(elsewhere, time.Minute, read)}, 401, "token-invalid", `Bearer error="invalid_token"`},
		"another scope":    {[]string{"Bearer " + issue(w.mint, time.Minute, write)}, 403, "scope-missing", `Bearer error="insufficient_scope", scope="issuer:audit.read"`},
	} {
		a := w.do("GET", "/api/who", "", func(r *http.Request) { r.Header["Authorization"] = c.fields })
		if a.status != c.status || a.member("code") != c.code || a.header.Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%s: %+v", name, a)
		}
		if c.code != "" && a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s", name, a.header.Get("Content-Type"))
		}
	}
	w.clock.pass(time.Minute + 29*time.Second)
	if a := w.who("Bearer", good, ""); a.status != 200 {
		t.Errorf("within the skew: %+v", a)
	}
	w.clock.pass(time.Second)
	if a := w.who("Bearer", good, ""); a.status != 401 {
		t.Errorf("expired: %+v", a)
	}
	if a := w.do("GET", "/api/nobody", "", nil); a.member("Subject") != "" {
		t.Errorf("a path without Require: %+v", a)
	}
	if strings.Contains(w.log.String(), good[:40]) {
		t.Error("the log has a token")
	}
}

// unavailable is a KeySource that cannot tell.
type unavailable struct{}

func (unavailable) Key(context.Context, string) (foreign.Key, error) {
	return foreign.Key{}, oauth.ErrUnavailable
}

func TestUnavailableKeys(t *testing.T) {
	w := newWorld(t)
	cfg := w.resource()
	cfg.Providers[0].Keys = unavailable{}
	w.serve(cfg)
	a := w.who("Bearer", w.ask("desk", form()).member("access_token"), "")
	if a.status != http.StatusServiceUnavailable || a.member("code") != "unavailable" || a.header.Get("Retry-After") == "" || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("%+v", a)
	}
}

func TestResourceConfig(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*oauth.ResourceConfig){
		"no clock":           func(c *oauth.ResourceConfig) { c.Clock = nil },
		"no logger":          func(c *oauth.ResourceConfig) { c.Logger = nil },
		"no provider":        func(c *oauth.ResourceConfig) { c.Providers = nil },
		"one twice":          func(c *oauth.ResourceConfig) { c.Providers = append(c.Providers, c.Providers[0]) },
		"no URL for proofs":  func(c *oauth.ResourceConfig) { c.URL = "" },
		"a slash at its end": func(c *oauth.ResourceConfig) { c.URL += "/" },
		"proofs unchecked":   func(c *oauth.ResourceConfig) { c.DPoP, c.RequireDPoP = nil, true },
		"plain http":         func(c *oauth.ResourceConfig) { c.Providers[0].Issuer = "http://a.example" },
		"a bar":              func(c *oauth.ResourceConfig) { c.Providers[0].Issuer = "https://a.example/|" },
		"a query":            func(c *oauth.ResourceConfig) { c.Providers[0].Issuer = "https://a.example/?" },
		"no audience":        func(c *oauth.ResourceConfig) { c.Providers[0].Audience = "" },
		"no keys":            func(c *oauth.ResourceConfig) { c.Providers[0].Keys = nil },
		"neither roles":      func(c *oauth.ResourceConfig) { c.Providers[0].TrustScope = false },
		"both":               func(c *oauth.ResourceConfig) { c.Providers[0].Roles = &oauth.Roles{} },
		"roles of nothing": func(c *oauth.ResourceConfig) {
			c.Providers[0].TrustScope = false
			c.Providers[0].Roles = &oauth.Roles{}
		},
		"a role of no scope": func(c *oauth.ResourceConfig) {
			c.Providers[0].TrustScope = false
			c.Providers[0].Roles = &oauth.Roles{Claim: []string{"roles"}, Scopes: map[string][]string{"clerk": {"a b"}}}
		},
	} {
		cfg := w.resource()
		change(&cfg)
		if _, err := oauth.NewResource(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
