package verifier_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// call sends a request to the handler, as behind the proxy that takes the public URL's path off.
func (w *world) call(method, path, token, contentType, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

func (w *world) token(client string, scopes ...string) string {
	w.t.Helper()
	token, err := w.authority.Issue(client, scopes, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func decode[T any](t *testing.T, r *httptest.ResponseRecorder, want int) (out T) {
	t.Helper()
	if r.Code != want {
		t.Fatalf("status %d, want %d: %s", r.Code, want, r.Body)
	}
	if err := json.Unmarshal(r.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

const formType = "application/x-www-form-urlencoded"

func TestHTTPStory(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	app := w.token("app", verifier.ScopeWrite, verifier.ScopeRead)

	started := decode[verifier.Started](t, w.call("POST", "/v1/sessions", app, "application/json", `{"policy":"residence","lifetime_seconds":60}`), http.StatusCreated)
	reference, err := openid.ParseRequestLink(started.RequestLink)
	uri := started.RequestURI
	if err != nil || reference != (openid.RequestReference{ClientID: openid.ClientIDPrefix + bank, URI: uri, Post: true}) || started.ExpiresAt != credential.UnixTimeOf(w.clock.Now())+60 {
		t.Fatalf("started %+v: %v", started, err)
	}
	if strings.Contains(uri, started.ID) {
		t.Error("the request's URI tells the session's id")
	}

	path := strings.TrimPrefix(uri, "https://verify.example/bulla")
	fetched := w.call("GET", path, "", "", "")
	if fetched.Code != 200 || fetched.Header().Get("Content-Type") != "application/oauth-authz-req+jwt" ||
		fetched.Header().Get("Access-Control-Allow-Origin") != "*" || fetched.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("request: %d %v", fetched.Code, fetched.Header())
	}
	if again := w.call("GET", path, "", "", ""); again.Body.String() != fetched.Body.String() {
		t.Error("the request changes from fetch to fetch")
	}
	payload, err := jose.VerifyCompact(fetched.Body.String(), openid.RequestType, func(keyID string) (jose.PublicKey, error) {
		if keyID != openid.RequestKeyID(bank, w.signing.Public().KeyID()) {
			t.Errorf("kid is %s", keyID)
		}
		return w.signing.Public(), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := openid.ParseRequestObject(payload)
	if err != nil {
		t.Fatal(err)
	}
	if request.Audience != openid.SelfIssued || request.ResponseMode != "direct_post" || request.ResponseType != "vp_token" || len(request.Nonce) < 22 || request.State == request.Nonce {
		t.Errorf("request %+v", request)
	}

	form := url.Values{"vp_token": {string(encode(t, w.answer(request, me)))}, "state": {request.State}}.Encode()
	answerPath := strings.TrimPrefix(request.ResponseURI, "https://verify.example/bulla")
	if r := w.call("POST", answerPath, "", formType+"; charset=utf-8", form); r.Code != 200 || r.Body.String() != "{}" || r.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("response: %d %s", r.Code, r.Body)
	}
	if r := w.call("POST", answerPath, "", formType, form); r.Code != 200 || r.Body.String() != "{}" {
		t.Errorf("the very response again: %d %s", r.Code, r.Body)
	}
	other := url.Values{"vp_token": {string(encode(t, w.answer(request, me)))}, "state": {request.State}}.Encode()
	if e := decode[openid.Error](t, w.call("POST", answerPath, "", formType, other), 400); e.Code != string(check.SessionAnswered) {
		t.Errorf("another response: %+v", e)
	}
	status := decode[verifier.Status](t, w.call("GET", "/v1/sessions/"+started.ID, app, "", ""), 200)
	if status.State != verifier.Verified {
		t.Fatalf("status %+v", status)
	}
	set := decode[struct{ Keys []map[string]string }](t, w.call("GET", "/jwks.json", "", "", ""), 200)
	key := set.Keys[0]
	public := jose.PublicKey{Curve: key["crv"], Type: key["kty"], X: key["x"], Y: key["y"]}
	if len(set.Keys) != 1 || key["kid"] != public.KeyID() || key["use"] != "sig" || key["alg"] != "EdDSA" {
		t.Errorf("keys %v", set)
	}
	want := check.Expected{Verifier: bank, Audience: "app", Session: started.ID, Now: w.clock.Now()}
	if _, err := check.VerifyResult(status.Result, jose.Keys(public), want); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*check.Expected){
		"audience": func(e *check.Expected) { e.Audience = "other" }, "session": func(e *check.Expected) { e.Session = "other" },
		"verifier": func(e *check.Expected) { e.Verifier = "other" }, "time": func(e *check.Expected) { e.Now = e.Now.Add(time.Hour) },
	} {
		other := want
		change(&other)
		if _, err := check.VerifyResult(status.Result, jose.Keys(public), other); err == nil {
			t.Errorf("result taken with another %s", name)
		}
	}
	if _, err := check.VerifyResult(status.Result, jose.Keys(w.signing.Public()), want); err == nil {
		t.Error("result taken under another key")
	}
}

func TestAPIRefusals(t *testing.T) {
	w := newWorld(t)
	write, read, other := w.token("app", verifier.ScopeWrite), w.token("app", verifier.ScopeRead), w.token("other", verifier.ScopeRead)
	started := decode[verifier.Started](t, w.call("POST", "/v1/sessions", write, "", `{"policy":"residence"}`), 201)
	cases := []struct {
		name, method, path, token, body string
		status                          int
		code                            string
	}{
		{"no token", "POST", "/v1/sessions", "", `{"policy":"residence"}`, 401, "token-missing"},
		{"another scope", "POST", "/v1/sessions", read, `{"policy":"residence"}`, 403, "scope-missing"},
		{"reading with the writer's scope", "GET", "/v1/sessions/" + started.ID, write, "", 403, "scope-missing"},
		{"somebody else's session", "GET", "/v1/sessions/" + started.ID, other, "", 404, "session_unknown"},
		{"no such session", "GET", "/v1/sessions/x", read, "", 404, "session_unknown"},
		{"the request's id instead of the session's", "GET", "/v1/sessions/" + started.RequestURI[len(started.RequestURI)-43:], read, "", 404, "session_unknown"},
		{"no JSON", "POST", "/v1/sessions", write, `policy=residence`, 400, "malformed"},
		{"an unknown member", "POST", "/v1/sessions", write, `{"policy":"residence","x":1}`, 400, "malformed"},
		{"an unknown policy", "POST", "/v1/sessions", write, `{"policy":"x"}`, 404, verifier.PolicyUnknown},
		{"too long a life", "POST", "/v1/sessions", write, `{"policy":"residence","lifetime_seconds":901}`, 400, "lifetime"},
		{"a negative life", "POST", "/v1/sessions", write, `{"policy":"residence","lifetime_seconds":-60}`, 400, "lifetime"},
		{"a life that overflows", "POST", "/v1/sessions", write, `{"policy":"residence","lifetime_seconds":9007199254740991}`, 400, "lifetime"},
		{"a large body", "POST", "/v1/sessions", write, strings.Repeat(" ", 1<<20), 413, "too-large"},
	}
	for _, c := range cases {
		r := w.call(c.method, c.path, c.token, "application/json", c.body)
		var p struct{ Code string }
		if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil || r.Code != c.status || p.Code != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, r.Code, r.Body, c.status, c.code)
		}
	}
}

func TestWalletEndpoints(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("residence")
	path := "/oid4vp/responses/" + id
	token := url.QueryEscape(string(encode(t, w.answer(request, me))))
	state := url.QueryEscape(request.State)
	good := "vp_token=" + token + "&state=" + state
	cases := []struct {
		name, path, kind, body string
		status                 int
		code                   check.Code
	}{
		{"another content type", path, "application/json", good, 400, check.Malformed},
		{"no content type", path, "", good, 400, check.Malformed},
		{"no state", path, formType, "vp_token=" + token, 400, check.Malformed},
		{"no token", path, formType, "state=" + state, 400, check.Malformed},
		{"token and error", path, formType, good + "&error=access_denied", 400, check.Malformed},
		{"state twice", path, formType, good + "&state=" + state, 400, check.Malformed},
		{"bad escape", path, formType, good + "&x=%zz", 400, check.Malformed},
		{"another state", path, formType, "vp_token=" + token + "&state=x", 400, check.StateMismatch},
		{"another request", "/oid4vp/responses/x", formType, good, 404, check.SessionUnknown},
		{"too large", path, formType, good + "&x=" + strings.Repeat("y", 1<<20), 413, check.Malformed},
		{"no token in it", path, formType, "vp_token=x&state=" + state, 400, check.Malformed},
		{"good, with an unknown parameter", path, formType, good + "&x=y", 200, ""},
	}
	for _, c := range cases {
		r := w.call("POST", c.path, "", c.kind, c.body)
		var e openid.Error
		if err := json.Unmarshal(r.Body.Bytes(), &e); err != nil || r.Code != c.status || e.Code != string(c.code) {
			t.Errorf("%s: %d %s, want %d %s", c.name, r.Code, r.Body, c.status, c.code)
		}
		if r.Header().Get("Access-Control-Allow-Origin") != "*" || r.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: headers %v", c.name, r.Header())
		}
	}
	if r := w.call("OPTIONS", path, "", "", ""); r.Code != 204 || r.Header().Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("preflight: %d %v", r.Code, r.Header())
	}
	if e := decode[openid.Error](t, w.call("GET", "/oid4vp/requests/"+id, "", "", ""), 410); e.Code != string(check.SessionAnswered) {
		t.Errorf("fetch after the answer: %+v", e)
	}
	if e := decode[openid.Error](t, w.call("GET", "/oid4vp/requests/x", "", "", ""), 404); e.Code != string(check.SessionUnknown) {
		t.Errorf("fetch of nothing: %+v", e)
	}
}

func TestUnavailable(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("residence")
	form := url.Values{"vp_token": {string(encode(t, w.answer(request, me)))}, "state": {request.State}}.Encode()
	w.ledger.fail(io.ErrUnexpectedEOF)
	r := w.call("POST", "/oid4vp/responses/"+id, "", formType, form)
	if e := decode[openid.Error](t, r, 503); e.Code != string(check.Unavailable) || r.Header().Get("Retry-After") == "" {
		t.Errorf("%+v", e)
	}
	w.ledger.fail(nil)
	if r := w.call("POST", "/oid4vp/responses/"+id, "", formType, form); r.Code != 200 {
		t.Errorf("sent again: %d %s", r.Code, r.Body)
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	if r := w.call("GET", "/healthz", "", "", ""); r.Code != 200 {
		t.Errorf("healthz: %d", r.Code)
	}
	if r := w.call("GET", "/readyz", "", "", ""); r.Code != 200 {
		t.Errorf("readyz: %d %s", r.Code, r.Body)
	}
	w.ledger.registry.Policies = w.ledger.registry.Policies[1:]
	w.clock.advance(2 * time.Second)
	w.seal()
	if r := w.call("GET", "/readyz", "", "", ""); r.Code != 503 || !strings.Contains(r.Body.String(), "Verifier.Register") {
		t.Errorf("readyz without a policy: %d %s", r.Code, r.Body)
	}
}

// SPEC: OpenID4VP 1.0 section 8.2: an error response that was processed is answered with 200, as a response is.
func TestDeclinedIsAnsweredWithOK(t *testing.T) {
	w := newWorld(t)
	w.seal()
	app := w.token("app", verifier.ScopeWrite, verifier.ScopeRead)
	started := decode[verifier.Started](t, w.call("POST", "/v1/sessions", app, "application/json", `{"policy":"residence"}`), http.StatusCreated)
	fetched := w.call("GET", strings.TrimPrefix(started.RequestURI, "https://verify.example/bulla"), "", "", "")
	_, payload, err := jose.PeekCompact(fetched.Body.String())
	if err != nil {
		t.Fatal(err)
	}
	request, err := openid.ParseRequestObject(payload)
	if err != nil {
		t.Fatal(err)
	}
	answerPath := strings.TrimPrefix(request.ResponseURI, "https://verify.example/bulla")
	if r := w.call("POST", answerPath, "", formType, url.Values{"error": {"access_denied"}, "state": {"another"}}.Encode()); r.Code != 400 {
		t.Errorf("another session's state: %d %s", r.Code, r.Body)
	}
	if r := w.call("POST", answerPath, "", formType, url.Values{"error": {"access_denied"}, "state": {request.State}}.Encode()); r.Code != 200 || r.Body.String() != "{}" {
		t.Errorf("declined: %d %s", r.Code, r.Body)
	}
	status := decode[verifier.Status](t, w.call("GET", "/v1/sessions/"+started.ID, app, "", ""), 200)
	if !status.Final || status.Reason == nil || status.Reason.Code != check.RefusedByHolder {
		t.Errorf("status %+v", status)
	}
}
