// Package oauthtest has an OpenID provider for tests: authorization codes with PKCE over HTTP. It checks what it is asked as a real one
// does, and lies only where a test makes it.
package oauthtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
)

// ClientID is the one client that it knows.
const ClientID = "bulla-console"

// KeyID names its key.
const KeyID = "2026"

// Provider is one. Its fields may be set before it is asked.
type Provider struct {
	*httptest.Server
	Redirect string   // that is registered
	Secret   string   // of the client; empty: it is a public one
	Methods  []string // how it says that secrets are shown; nil: it does not say
	Key      *jose.SigningKey
	Clock    func() time.Time

	Subject, Name string
	Roles         []string

	Header  func(map[string]any) // changes an ID token's header
	Claims  func(map[string]any) // changes its claims
	Back    func(url.Values)     // changes what the browser brings back
	Answer  func(map[string]any) // changes the token endpoint's answer
	Hidden  bool                 // its metadata do not say that it names itself
	Refuses int                  // status of the token endpoint, unless 0

	mu    sync.Mutex
	codes map[string]url.Values // what each was asked with
}

// New starts one that ends with the test.
func New(t testing.TB) *Provider {
	t.Helper()
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{Key: key, Clock: time.Now, Subject: "b6f0", Name: "Zhao Lei", Roles: []string{"land-clerks"}, codes: make(map[string]url.Values)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discover)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func write(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func (p *Provider) discover(w http.ResponseWriter, _ *http.Request) {
	said := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize?tenant=1", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"authorization_response_iss_parameter_supported": !p.Hidden,
	}
	if p.Methods != nil {
		said["token_endpoint_auth_methods_supported"] = p.Methods
	}
	write(w, said)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	k := p.Key.Public()
	write(w, oauth.KeySet{Keys: []oauth.PublishedKey{{PublicKey: k, KeyID: KeyID, Use: "sig", Algorithm: k.Algorithm()}}})
}

// authorize signs the one person in at once, and sends the browser back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	for name, value := range map[string]string{
		"tenant": "1", "response_type": "code", "client_id": ClientID, "redirect_uri": p.Redirect, "scope": "openid profile", "code_challenge_method": "S256",
	} {
		if asked.Get(name) != value {
			http.Error(w, "bad "+name, http.StatusBadRequest)
			return
		}
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = asked
	p.mu.Unlock()
	back := url.Values{"code": {code}, "state": {asked.Get("state")}, "iss": {p.URL}}
	if p.Back != nil {
		p.Back(back)
	}
	http.Redirect(w, r, p.Redirect+"?"+back.Encode(), http.StatusFound)
}

// isClient tells whether it is the one client who asks, and shows so in one way.
func (p *Provider) isClient(r *http.Request) bool {
	user, password, basic := r.BasicAuth()
	id, secret := r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	if basic {
		if id != "" || secret != "" || p.Methods != nil && !slices.Contains(p.Methods, "client_secret_basic") {
			return false
		}
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	return id == ClientID && secret == p.Secret
}

// token gives an ID token for a code, once, to who has its verifier.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	asked, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !p.isClient(r) {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		return
	}
	if !known || r.PostFormValue("grant_type") != "authorization_code" ||
		r.PostFormValue("redirect_uri") != p.Redirect || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	if p.Refuses != 0 {
		http.Error(w, `{"error":"server_error"}`, p.Refuses)
		return
	}
	header := map[string]any{"alg": p.Key.Public().Algorithm(), "kid": KeyID, "typ": "JWT"}
	now := p.Clock().Unix()
	claims := map[string]any{
		"iss": p.URL, "sub": p.Subject, "aud": ClientID, "iat": now, "exp": now + 300, "nonce": asked.Get("nonce"), "name": p.Name, "roles": p.Roles,
	}
	for change, to := range map[*func(map[string]any)]map[string]any{&p.Header: header, &p.Claims: claims} {
		if *change != nil {
			(*change)(to)
		}
	}
	idToken, err := jose.SignHeader(p.Key, header, claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer := map[string]any{"token_type": "Bearer", "access_token": "opaque", "expires_in": 300, "id_token": idToken}
	if p.Answer != nil {
		p.Answer(answer)
	}
	write(w, answer)
}
