package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/dpop"
)

func TestTokenForSecret(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		form  url.Values
		scope string
	}{
		"all":            {form(), read + " " + write},
		"one":            {form("scope", write), write},
		"one, twice":     {form("scope", write+" "+write), write},
		"for this API":   {form("resource", w.url+"/api"), read + " " + write},
		"with its id":    {form("client_id", "desk"), read + " " + write},
		"scope is empty": {form("scope", ""), read + " " + write},
		"of others":      {form("more", "x"), read + " " + write},
	} {
		a := w.ask("desk", c.form)
		if a.status != http.StatusOK || a.member("scope") != c.scope || a.member("token_type") != "Bearer" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	a := w.who("Bearer", w.ask("desk", form()).member("access_token"), "")
	if a.status != http.StatusOK || a.member("Subject") != "desk" || a.member("Client") != "desk" || a.member("Issuer") != w.url {
		t.Errorf("%+v", a)
	}
}

// The token is one of RFC 9068, as another implementation reads it.
func TestTokenIsRFC9068(t *testing.T) {
	w := newWorld(t)
	token := w.ask("desk", form("scope", read)).member("access_token")
	message, err := jws.ParseString(token)
	if err != nil {
		t.Fatal(err)
	}
	header := message.Signatures()[0].ProtectedHeaders()
	var claims map[string]any
	if err := json.Unmarshal(message.Payload(), &claims); err != nil {
		t.Fatal(err)
	}
	at := float64(start.Unix())
	want := map[string]any{"iss": w.url, "sub": "desk", "aud": w.url + "/api", "client_id": "desk", "scope": read, "iat": at, "exp": at + 600, "jti": claims["jti"]}
	if header.Type() != "at+jwt" || header.KeyID() == "" || !maps.Equal(claims, want) || len(claims["jti"].(string)) < 16 {
		t.Errorf("typ %s, claims %v", header.Type(), claims)
	}
}

func TestTokenRefused(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("x", 30<<10)
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	good := basic("desk", w.secret)
	both := func(changes ...func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			for _, change := range changes {
				change(r)
			}
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		body   string
		change func(*http.Request)
		status int
		code   string
	}{
		"no grant":               {"scope=x", good, 400, "invalid_request"},
		"another grant":          {"grant_type=password", good, 400, "unsupported_grant_type"},
		"a parameter twice":      {form().Encode() + "&scope=a&scope=a", good, 400, "invalid_request"},
		"broken escapes":         {"grant_type=%zz", good, 400, "invalid_request"},
		"semicolons":             {"grant_type=a;b", good, 400, "invalid_request"},
		"JSON":                   {`{}`, both(good, header("Content-Type", "application/json")), 400, "invalid_request"},
		"far too large":          {form("more", long).Encode(), good, 413, "invalid_request"},
		"far too many":           {form().Encode() + strings.Repeat("&a", 40), good, 400, "invalid_request"},
		"no authentication":      {form().Encode(), nil, 401, "invalid_client"},
		"only an id":             {form("client_id", "desk").Encode(), nil, 401, "invalid_client"},
		"secret in the body":     {form("client_id", "desk", "client_secret", w.secret).Encode(), nil, 400, "invalid_request"},
		"wrong secret":           {form().Encode(), basic("desk", strings.Repeat("A", 43)), 401, "invalid_client"},
		"short secret":           {form().Encode(), basic("desk", w.secret[:42]), 401, "invalid_client"},
		"empty secret":           {form().Encode(), basic("desk", ""), 401, "invalid_client"},
		"unknown client":         {form().Encode(), basic("nobody", w.secret), 401, "invalid_client"},
		"id with a control":      {form().Encode(), basic("de%00sk", w.secret), 401, "invalid_client"},
		"disabled":               {form().Encode(), basic("retired", w.secret), 401, "invalid_client"},
		"another client_id":      {form("client_id", "retired").Encode(), good, 400, "invalid_request"},
		"bearer":                 {form().Encode(), header("Authorization", "Bearer x"), 401, "invalid_client"},
		"basic, not base64":      {form().Encode(), header("Authorization", "Basic !"), 401, "invalid_client"},
		"basic, no colon":        {form().Encode(), header("Authorization", "Basic ZGVzaw=="), 401, "invalid_client"},
		"basic, twice":           {form().Encode(), both(good, func(r *http.Request) { r.Header.Add("Authorization", "Basic eDp5") }), 401, "invalid_client"},
		"basic and assertion":    {form("client_assertion", "x", "client_assertion_type", oauth.AssertionType).Encode(), good, 400, "invalid_request"},
		"scope of others":        {form("scope", "issuer:everything").Encode(), good, 400, "invalid_scope"},
		"scope that is gone":     {form("scope", gone).Encode(), good, 400, "invalid_scope"},
		"no scope left":          {form().Encode(), basic("useless", w.secret), 400, "invalid_scope"},
		"another API":            {form("resource", w.url+"/other").Encode(), good, 400, "invalid_target"},
		"unbound":                {form().Encode(), basic("bound", w.secret), 400, "invalid_dpop_proof"},
		"a bad proof":            {form().Encode(), both(good, header("DPoP", "x.y.z")), 400, "invalid_dpop_proof"},
		"two proofs":             {form().Encode(), both(good, func(r *http.Request) { r.Header["Dpop"] = []string{"x", "y"} }), 400, "invalid_dpop_proof"},
		"scope of quotes":        {form("scope", "\"\\\x01é").Encode(), good, 400, "invalid_scope"},
		"assertion of no type":   {form("client_assertion", "x").Encode(), nil, 400, "invalid_request"},
		"assertion of SAML type": {form("client_assertion", "x", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer").Encode(), nil, 400, "invalid_request"},
	} {
		a := w.do("POST", "/token", c.body, c.change)
		if a.status != c.status || a.member("error") != c.code || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %d %s", name, a.status, a.body, c.status, c.code)
		}
		if (a.status == http.StatusUnauthorized) != (a.header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate is %q with %d", name, a.header.Get("WWW-Authenticate"), a.status)
		}
		if strings.ContainsFunc(a.member("error_description"), func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
			t.Errorf("%s: description %q", name, a.member("error_description"))
		}
		w.clock.pass(2 * time.Minute) // no throttle
	}
	if strings.Contains(w.log.String(), w.secret) {
		t.Error("the log has the secret")
	}
	if a := w.do("GET", "/token?grant_type=client_credentials", "", good); a.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.status)
	}
}

// assertion is the header and the claims of a good one, changed.
func (w *world) assertion(id string, change func(header, claims map[string]any)) string {
	w.t.Helper()
	now := w.clock.Now().Unix()
	header := map[string]any{"alg": w.clientKey.Public().Algorithm(), "kid": w.clientKey.Public().KeyID()}
	claims := map[string]any{"iss": id, "sub": id, "aud": w.url, "exp": now + 60, "iat": now, "jti": fmt.Sprintf("assertion %d", ids.Add(1))}
	if change != nil {
		change(header, claims)
	}
	text, err := jose.SignHeader(w.clientKey, header, claims)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

var ids atomic.Int64

func asserted(assertion string) url.Values {
	return form("client_assertion", assertion, "client_assertion_type", oauth.AssertionType)
}

func TestAssertionAccepted(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(h, c map[string]any){
		"as it is":           nil,
		"token endpoint":     func(_, c map[string]any) { c["aud"] = w.url + "/token" },
		"a list of one":      func(_, c map[string]any) { c["aud"] = []string{w.url} },
		"without kid":        func(h, _ map[string]any) { delete(h, "kid") },
		"typ JWT":            func(h, _ map[string]any) { h["typ"] = "JWT" },
		"its own typ":        func(h, _ map[string]any) { h["typ"] = "client-authentication+jwt" },
		"a certificate's":    func(h, _ map[string]any) { h["x5t#S256"] = "x" },
		"not before now":     func(_, c map[string]any) { c["nbf"] = start.Unix() },
		"a clock ahead":      func(_, c map[string]any) { c["iat"] = start.Unix() + 30 },
		"a clock behind":     func(_, c map[string]any) { c["exp"] = start.Unix() - 29 },
		"as long as may be":  func(_, c map[string]any) { c["exp"] = start.Unix() + 330 },
		"claims nobody asks": func(_, c map[string]any) { c["more"] = map[string]any{} },
	} {
		if a := w.ask("", asserted(w.assertion("desk", change))); a.status != http.StatusOK {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestAssertionRefused(t *testing.T) {
	w := newWorld(t)
	other := generated(t, jose.ES256)
	for name, change := range map[string]func(h, c map[string]any){
		"typ of access tokens": func(h, _ map[string]any) { h["typ"] = "at+jwt" },
		"typ of proofs":        func(h, _ map[string]any) { h["typ"] = "dpop+jwt" },
		"alg none":             func(h, _ map[string]any) { h["alg"] = "none" },
		"alg HS256":            func(h, _ map[string]any) { h["alg"] = "HS256" },
		"alg of another key":   func(h, _ map[string]any) { h["alg"] = "EdDSA" },
		"kid of another":       func(h, _ map[string]any) { h["kid"] = other.Public().KeyID() },
		"kid a path":           func(h, _ map[string]any) { h["kid"] = "../../dev/null" },
		"kid a query":          func(h, _ map[string]any) { h["kid"] = "x' UNION SELECT 'key" },
		"jwk":                  func(h, _ map[string]any) { h["jwk"] = w.clientKey.Public() },
		"jku":                  func(h, _ map[string]any) { h["jku"] = "https://evil.example" },
		"x5u":                  func(h, _ map[string]any) { h["x5u"] = "https://evil.example" },
		"x5c":                  func(h, _ map[string]any) { h["x5c"] = []string{"AAAA"} },
		"crit":                 func(h, _ map[string]any) { h["crit"] = []string{"exp"} },
		"iss of another":       func(_, c map[string]any) { c["iss"] = "retired" },
		"iss missing":          func(_, c map[string]any) { delete(c, "iss") },
		"sub missing":          func(_, c map[string]any) { delete(c, "sub") },
		"a client unknown":     func(_, c map[string]any) { c["iss"], c["sub"] = "nobody", "nobody" },
		"a client of no form":  func(_, c map[string]any) { c["iss"], c["sub"] = "de sk", "de sk" },
		"aud of another":       func(_, c map[string]any) { c["aud"] = "https://other.example" },
		"aud with a slash":     func(_, c map[string]any) { c["aud"] = w.url + "/" },
		"aud of two":           func(_, c map[string]any) { c["aud"] = []string{w.url, "https://other.example"} },
		"aud missing":          func(_, c map[string]any) { delete(c, "aud") },
		"exp missing":          func(_, c map[string]any) { delete(c, "exp") },
		"exp a text":           func(_, c map[string]any) { c["exp"] = "1800000060" },
		"expired":              func(_, c map[string]any) { c["exp"] = w.clock.Now().Unix() - 30 },
		"valid for too long":   func(_, c map[string]any) { c["exp"] = w.clock.Now().Unix() + 331 },
		"iat missing":          func(_, c map[string]any) { delete(c, "iat") },
		"iat in the future":    func(_, c map[string]any) { c["iat"] = w.clock.Now().Unix() + 31 },
		"iat before we began":  func(_, c map[string]any) { c["iat"] = start.Unix() - 1 },
		"nbf in the future":    func(_, c map[string]any) { c["nbf"] = w.clock.Now().Unix() + 31 },
		"nbf a text":           func(_, c map[string]any) { c["nbf"] = "x" },
		"jti missing":          func(_, c map[string]any) { delete(c, "jti") },
		"jti too short":        func(_, c map[string]any) { c["jti"] = "1234567" },
		"jti too long":         func(_, c map[string]any) { c["jti"] = strings.Repeat("x", 129) },
		"far too large":        func(_, c map[string]any) { c["more"] = strings.Repeat("x", 8<<10) },
	} {
		a := w.ask("", asserted(w.assertion("desk", change)))
		if a.status != http.StatusUnauthorized || a.member("error") != "invalid_client" {
			t.Errorf("%s: %+v", name, a)
		}
		w.clock.pass(2 * time.Minute)
	}
	signedByOther, err := jose.SignHeader(other, map[string]any{"alg": "ES256"}, map[string]any{
		"iss": "desk", "sub": "desk", "aud": w.url, "exp": w.clock.Now().Unix() + 60, "iat": w.clock.Now().Unix(), "jti": "of a stranger"})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.ask("", asserted(signedByOther)); a.member("error") != "invalid_client" {
		t.Errorf("a stranger's key: %+v", a)
	}
}

// Every algorithm that the library knows: only the key's own counts, also where the library made the signature.
func TestAssertionAlgorithms(t *testing.T) {
	w := newWorld(t)
	public, err := json.Marshal(w.clientKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range jwa.SignatureAlgorithms() {
		w.clock.pass(2 * time.Minute)
		assertion := w.assertion("desk", func(h, _ map[string]any) { h["alg"] = a })
		if strings.HasPrefix(string(a), "HS") { // with the public key as the secret
			payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(assertion, ".")[1])
			text, err := jws.Sign(payload, jws.WithKey(a, public))
			if err != nil {
				t.Fatal(err)
			}
			assertion = string(text)
		}
		if got := w.ask("", asserted(assertion)); (got.status == http.StatusOK) != (a == jwa.ES256) {
			t.Errorf("%s: %+v", a, got)
		}
	}
}

func TestAssertionCountsOnce(t *testing.T) {
	w := newWorld(t)
	assertion := w.assertion("desk", nil)
	if a := w.ask("", asserted(assertion)); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	for _, later := range []time.Duration{0, 60 * time.Second, 29 * time.Second, time.Second, time.Hour} {
		w.clock.pass(later)
		if a := w.ask("", asserted(assertion)); a.member("error") != "invalid_client" {
			t.Errorf("again, %s later: %+v", later, a)
		}
	}
	assertion = w.assertion("desk", nil)
	var in atomic.Int32
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if _, err := w.server.Token(t.Context(), oauth.TokenRequest{Form: map[string]string{"grant_type": "client_credentials", "client_assertion": assertion, "client_assertion_type": oauth.AssertionType}}); err == nil {
				in.Add(1)
			}
		})
	}
	wait.Wait()
	if in.Load() != 1 {
		t.Errorf("%d of 8 at the same time were let in", in.Load())
	}
}

func TestThrottle(t *testing.T) {
	w := newWorld(t)
	try := func(secret, remote string) error {
		_, err := w.server.Token(t.Context(), oauth.TokenRequest{Form: map[string]string{"grant_type": "client_credentials"}, Basic: &oauth.BasicCredentials{ID: "desk", Secret: secret}, Remote: remote})
		return err
	}
	code := func(err error) string {
		var refusal *oauth.Error
		if errors.As(err, &refusal) {
			return fmt.Sprint(refusal.Status, " ", refusal.RetryAfter)
		}
		return fmt.Sprint(err)
	}
	for range 5 {
		if got := code(try("wrong", "a")); got != "401 0s" {
			t.Errorf("wrong: %s", got)
		}
	}
	if got := code(try(w.secret, "a")); got != "429 1s" {
		t.Errorf("after five: %s", got)
	}
	if got := code(try(w.secret, "b")); got != "<nil>" {
		t.Errorf("from elsewhere: %s", got)
	}
	w.clock.pass(time.Second)
	if got := code(try("wrong", "a")); got != "401 0s" {
		t.Errorf("after the wait: %s", got)
	}
	if got := code(try(w.secret, "a")); got != "429 2s" {
		t.Errorf("the wait doubles: %s", got)
	}
	for range 20 {
		w.clock.pass(time.Minute)
		_ = try("wrong", "a")
	}
	if got := code(try(w.secret, "a")); got != "429 1m0s" {
		t.Errorf("a minute at most: %s", got)
	}
	w.clock.pass(time.Minute)
	if got := code(try(w.secret, "a")); got != "<nil>" {
		t.Errorf("then in: %s", got)
	}
	for range 4 {
		if got := code(try("wrong", "a")); got != "401 0s" {
			t.Errorf("counted anew: %s", got)
		}
	}
	if got := code(try(w.secret, "a")); got != "<nil>" {
		t.Errorf("after four: %s", got)
	}
}

func TestThrottleOverHTTP(t *testing.T) {
	w := newWorld(t)
	var a answer
	for range 6 {
		a = w.do("POST", "/token", form().Encode(), func(r *http.Request) { r.SetBasicAuth("desk", "wrong") })
	}
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "1" {
		t.Errorf("%+v", a)
	}
}

// broken is a list of clients that cannot be read.
type broken struct{}

func (broken) Find(context.Context, string) (*oauth.Client, error) {
	return nil, errors.New("the disk is on fire")
}

func TestUnreadableClients(t *testing.T) {
	w := newWorld(t)
	cfg := w.serverConfig()
	cfg.Clients = broken{}
	s, err := oauth.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Token(t.Context(), oauth.TokenRequest{Form: map[string]string{"grant_type": "client_credentials"}, Basic: &oauth.BasicCredentials{ID: "desk", Secret: w.secret}})
	var refusal *oauth.Error
	if err == nil || errors.As(err, &refusal) {
		t.Errorf("%v", err)
	}
}

func TestBoundToken(t *testing.T) {
	w := newWorld(t)
	w.clock.pass(time.Minute) // so that proofs without a nonce are taken
	p := dpop.NewProver(generated(t, jose.ES256), w.clock.Now)
	askBound := func() answer {
		proof, err := p.Proof("POST", w.url+"/token", "")
		if err != nil {
			t.Fatal(err)
		}
		return w.do("POST", "/token", form().Encode(), func(r *http.Request) {
			r.SetBasicAuth("bound", w.secret)
			r.Header.Set("DPoP", proof)
		})
	}
	a := askBound()
	if a.status != http.StatusOK || a.member("token_type") != "DPoP" || a.header.Get("DPoP-Nonce") == "" {
		t.Fatalf("%+v", a)
	}
	token := a.member("access_token")
	proof := func(p *dpop.Prover, method, path, token string) string {
		text, err := p.Proof(method, w.url+path, token)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	once := proof(p, "GET", "/api/who", token)
	stranger := dpop.NewProver(generated(t, jose.ES256), w.clock.Now)
	bearer := w.ask("desk", form()).member("access_token")
	for _, c := range []struct{ name, scheme, token, proof, code string }{
		{"good", "DPoP", token, once, ""},
		{"again", "DPoP", token, once, "dpop-proof"},
		{"scheme in lower case", "dpop", token, proof(p, "GET", "/api/who", token), ""},
		{"without a proof", "DPoP", token, "", "dpop-proof"},
		{"as a bearer token", "Bearer", token, "", "token-invalid"},
		{"as a bearer token, with proof", "Bearer", token, proof(p, "GET", "/api/who", token), "token-invalid"},
		{"a bearer token as bound", "DPoP", bearer, proof(p, "GET", "/api/who", bearer), "token-invalid"},
		{"of a stranger", "DPoP", token, proof(stranger, "GET", "/api/who", token), "dpop-proof"},
		{"for another path", "DPoP", token, proof(p, "GET", "/api/nobody", token), "dpop-proof"},
		{"for another method", "DPoP", token, proof(p, "POST", "/api/who", token), "dpop-proof"},
		{"for another token", "DPoP", token, proof(p, "GET", "/api/who", bearer), "dpop-proof"},
		{"of the token endpoint", "DPoP", token, proof(p, "POST", "/token", ""), "dpop-proof"},
	} {
		a := w.who(c.scheme, c.token, c.proof)
		if a.member("code") != c.code || (c.code == "") != (a.status == http.StatusOK) {
			t.Errorf("%s: %+v", c.name, a)
		}
		if c.code != "" && !strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), "|"), `DPoP algs="EdDSA ES256", error="`) {
			t.Errorf("%s: %v", c.name, a.header.Values("WWW-Authenticate"))
		}
	}
}

// An API that wants nonces asks for one, and a prover answers by itself.
func TestNonceChallenge(t *testing.T) {
	w := newWorld(t)
	cfg := w.resource()
	cfg.DPoP, cfg.RequireDPoP = w.proofs(true), true
	w.serve(cfg)
	p := dpop.NewProver(generated(t, jose.ES256), w.clock.Now)
	token, err := w.mint.Issue(oauth.Grant{Client: "desk", Scopes: []string{read}, Lifetime: time.Minute, Thumbprint: p.Thumbprint()})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := p.Proof("GET", w.url+"/api/who", token)
	if err != nil {
		t.Fatal(err)
	}
	a := w.who("DPoP", token, proof)
	if a.status != 401 || a.member("code") != "dpop-nonce" || a.header.Get("DPoP-Nonce") == "" || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
		t.Errorf("%+v", a)
	}
	request, _ := http.NewRequest("GET", w.url+"/api/who", nil)
	response, err := p.Do(http.DefaultClient, request, token)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()
	if a := w.who("Bearer", w.ask("desk", form()).member("access_token"), ""); a.member("code") != "token-invalid" || strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), "|"), "Bearer") {
		t.Errorf("a bearer token where proofs are wanted: %+v", a)
	}
}

func TestKeysAndMetadata(t *testing.T) {
	w := newWorld(t)
	a := w.do("GET", "/jwks.json", "", nil)
	if a.header.Get("Content-Type") != "application/jwk-set+json" || strings.Contains(a.body, `"d"`) || !strings.Contains(a.body, `"use":"sig"`) {
		t.Errorf("%+v", a)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(w.do("GET", "/.well-known/oauth-authorization-server", "", nil).body), &m); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"issuer": w.url, "token_endpoint": w.url + "/token", "jwks_uri": w.url + "/jwks.json", "response_types_supported": []any{},
		"scopes_supported": []any{read, write}, "grant_types_supported": []any{"client_credentials"},
		"token_endpoint_auth_methods_supported":            []any{"client_secret_basic", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []any{"EdDSA", "ES256"},
		"dpop_signing_alg_values_supported":                []any{"EdDSA", "ES256"},
	} {
		if fmt.Sprint(m[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	secret, _ := oauth.NewSecret()
	b := oauth.BasicCredentials{ID: "desk", Secret: secret}
	for _, text := range []string{fmt.Sprint(b), fmt.Sprintf("%+v %#v %s", b, b, &b), fmt.Sprint(b.LogValue())} {
		if strings.Contains(text, secret) {
			t.Errorf("%s", text)
		}
	}
}
