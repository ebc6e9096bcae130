package verifier_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
	"github.com/bulla-id/bulla/verifier"
)

// form posts to the token endpoint.
func (w *world) form(values url.Values, id, secret string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/oauth/token", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", formType)
	if id != "" {
		r.SetBasicAuth(id, secret)
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

// Software gets its tokens by secret or key, and no more than its role.
func TestTokensForSoftware(t *testing.T) {
	w := newWorld(t)
	secret, digest := oauth.NewSecret()
	key := newKey(t, 9)
	public := must(json.Marshal(key.Public()))(t)
	clients := must(oauth.NewFixed(
		oauth.Client{ID: "bank", Secrets: []credential.Digest{digest}, Scopes: verifier.Roles["application"]},
		oauth.Client{ID: "tester", Keys: []foreign.Key{must(foreign.ParseKey(public, foreign.Modern))(t)}, Scopes: verifier.Roles["validator"]},
	))(t)
	w.with(func(c *verifier.Config) { c.Clients = clients })
	grant := url.Values{"grant_type": {"client_credentials"}}

	got := decode[oauth.TokenResponse](t, w.form(grant, "bank", secret), 200)
	if got.TokenType != "Bearer" || got.Scope != strings.Join(verifier.Roles["application"], " ") {
		t.Errorf("%+v", got)
	}
	started := decode[verifier.Started](t, w.call("POST", "/v1/sessions", got.AccessToken, "", wanted), 201)
	if r := w.call("GET", "/v1/sessions/"+started.ID, got.AccessToken, "", ""); r.Code != 200 {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	// The tokens that the key's owner makes are of the same clients.
	if r := w.call("GET", "/v1/sessions/"+started.ID, w.token("bank", verifier.ScopeRead), "", ""); r.Code != 200 {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if r := w.call("POST", "/v1/validate", got.AccessToken, "", "{}"); r.Code != 403 {
		t.Errorf("another role's operation: %d", r.Code)
	}
	if r := w.form(url.Values{"grant_type": {"client_credentials"}, "scope": {verifier.ScopeValidate}}, "bank", secret); r.Code != 400 || !strings.Contains(r.Body.String(), "invalid_scope") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if r := w.form(grant, "bank", secret+"x"); r.Code != 401 {
		t.Errorf("a wrong secret: %d", r.Code)
	}

	now := w.clock.Now().Unix()
	assertion := must(jose.SignCompact(key, key.Public().KeyID(), "JWT", map[string]any{
		"iss": "tester", "sub": "tester", "aud": "https://verify.example/bulla/oauth/token", "iat": now, "exp": now + 60, "jti": "0123456789",
	}))(t)
	signed := url.Values{"grant_type": {"client_credentials"}, "client_assertion": {assertion}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	got = decode[oauth.TokenResponse](t, w.form(signed, "", ""), 200)
	if r := w.call("POST", "/v1/validate", got.AccessToken, "", "{}"); r.Code != 400 {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if r := w.form(signed, "", ""); r.Code != 401 {
		t.Errorf("an assertion twice: %d %s", r.Code, r.Body)
	}

	set := decode[struct{ Keys []map[string]string }](t, w.call("GET", "/oauth/jwks", "", "", ""), 200)
	if len(set.Keys) != 1 || set.Keys[0]["kid"] != w.access.Public().KeyID() {
		t.Errorf("%v", set)
	}
	about := decode[oauth.Metadata](t, w.call("GET", "/.well-known/oauth-authorization-server/bulla", "", "", ""), 200)
	if about.Issuer != "https://verify.example/bulla" || about.TokenEndpoint != "https://verify.example/bulla/oauth/token" || about.KeysURL != "https://verify.example/bulla/oauth/jwks" {
		t.Errorf("%+v", about)
	}
	w.start() // nobody is configured
	if r := w.form(grant, "bank", secret); r.Code != 404 {
		t.Errorf("without clients: %d", r.Code)
	}
}

// Tokens of a provider count by its table, and its clients are others than ours of the same name.
func TestTokensOfAProvider(t *testing.T) {
	w := newWorld(t)
	key, stranger := newKey(t, 8), newKey(t, 7)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		public := key.Public()
		_ = json.NewEncoder(rw).Encode(oauth.KeySet{Keys: []oauth.PublishedKey{{PublicKey: public, KeyID: public.KeyID(), Use: "sig", Algorithm: public.Algorithm()}}})
	}))
	defer server.Close()
	keys := must(oauth.NewRemoteKeys(oauth.RemoteConfig{
		Issuer: server.URL, KeysURL: server.URL + "/keys", Client: &http.Client{Timeout: 5 * time.Second}, Clock: w.clock.Now, Logger: slog.New(slog.DiscardHandler),
	}))(t)
	w.with(func(c *verifier.Config) {
		c.Providers = []oauth.Provider{{
			Issuer: server.URL, Audience: "bulla", Keys: keys, Roles: &oauth.Roles{Claim: []string{"roles"}, Scopes: map[string][]string{"asks": verifier.Roles["application"]}},
		}}
	})
	token := func(signer *jose.SigningKey, change map[string]any) string {
		now := w.clock.Now().Unix()
		claims := map[string]any{"iss": server.URL, "sub": "service-account", "azp": "app", "aud": []string{"bulla"}, "iat": now, "exp": now + 300, "roles": []string{"asks"}}
		for name, value := range change {
			claims[name] = value
		}
		return must(jose.SignCompact(signer, signer.Public().KeyID(), "at+jwt", claims))(t)
	}
	theirs := token(key, nil)
	started := decode[verifier.Started](t, w.call("POST", "/v1/sessions", theirs, "", wanted), 201)
	if r := w.call("GET", "/v1/sessions/"+started.ID, theirs, "", ""); r.Code != 200 {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if row := w.row(started.ID); !strings.Contains(row, `"client":"`+server.URL+`|app"`) {
		t.Errorf("%s", row)
	}
	own := w.token("app", verifier.ScopeRead)
	if r := w.call("GET", "/v1/sessions/"+started.ID, own, "", ""); r.Code != 404 {
		t.Errorf("our client of the same name: %d", r.Code)
	}
	if page := decode[sessionPage](t, w.call("GET", "/v1/sessions", own, "", ""), 200); len(page.Sessions) != 0 {
		t.Errorf("%+v", page)
	}
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"another key":       {token(stranger, nil), 401},
		"another audience":  {token(key, map[string]any{"aud": "other"}), 401},
		"our name":          {token(key, map[string]any{"iss": "https://verify.example/bulla"}), 401},
		"no role":           {token(key, map[string]any{"roles": []string{"guest"}}), 403},
		"a scope of itself": {token(key, map[string]any{"roles": []string{}, "scope": verifier.ScopeWrite}), 403},
		"expired":           {token(key, map[string]any{"iat": w.clock.Now().Unix() - 600, "exp": w.clock.Now().Unix() - 60}), 401},
	} {
		if r := w.call("POST", "/v1/sessions", c.token, "", wanted); r.Code != c.want {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
}

// sessionPage is an answer of GET /v1/sessions.
type sessionPage struct {
	Sessions []verifier.Listed `json:"sessions"`
	Next     string            `json:"next"`
}
