package issuer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/entry"
)

// call asks a handler and decodes the answer as JSON.
type call struct {
	method, path, body, contentType, bearer string
}

type answer struct {
	status int
	header http.Header
	body   []byte
	fields map[string]any
}

func (a *agency) call(c call) answer {
	a.t.Helper()
	return ask(a.t, a.Handler(), c)
}

func ask(t testing.TB, handler http.Handler, c call) answer {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	} else if c.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	return record(handler, r)
}

func record(handler http.Handler, r *http.Request) answer {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Body)
	out := answer{status: w.Code, header: w.Header(), body: body}
	_ = json.Unmarshal(body, &out.fields)
	return out
}

func (a *agency) bearer(scopes ...string) string {
	a.t.Helper()
	return must(a.AdminToken("clerk", scopes, time.Hour))(a.t)
}

// Well-known paths are inserted between host and path.
func TestMetadata(t *testing.T) {
	a := newAgency(t)
	for _, name := range []string{openid.IssuerWellKnown, openid.ServerWellKnown} {
		full := must(openid.WellKnown(a.URL(), name))(t)
		path := strings.TrimPrefix(full, "https://agency.example")
		got := a.call(call{method: http.MethodGet, path: path})
		if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d", path, got.status)
		}
		if appended := a.call(call{method: http.MethodGet, path: "/agencies/land/.well-known/" + name}); appended.status != http.StatusNotFound {
			t.Errorf("served where it was appended: %d", appended.status)
		}
	}
	got := a.call(call{method: http.MethodGet, path: "/.well-known/openid-credential-issuer/agencies/land"})
	var m openid.IssuerMetadata
	if err := json.Unmarshal(got.body, &m); err != nil {
		t.Fatal(err)
	}
	c := m.Configurations[titleType]
	switch {
	case m.CredentialIssuer != agencyURL || m.CredentialEndpoint != agencyURL+"/credential" || m.NonceEndpoint != agencyURL+"/nonce":
		t.Errorf("endpoints %+v", m)
	case len(m.Configurations) != 2 || c.Format != openid.Format || c.Issuer != landDID || c.Genesis != genesis || c.EnrolmentRegister != landDID:
		t.Errorf("configuration %+v", c)
	case c.Schema != must(titleSchema().ID())(t) || c.EnrolmentVerifyingKey != enrolmentKey().Digest():
		t.Errorf("configuration %+v", c)
	case len(c.CredentialMetadata.Claims) != 7 || len(c.CredentialMetadata.Display) != 2 || c.CredentialMetadata.Display[0].Locale != "zh-CN":
		t.Errorf("display %+v", c.CredentialMetadata)
	case m.Configurations[residenceType].EnrolmentRegister != sharedName:
		t.Error("the shared register is not named")
	}
	if !bytes.Contains(got.body, []byte(`"credential_metadata"`)) {
		t.Error("credential_metadata is missing")
	}
	var s openid.ServerMetadata
	if err := json.Unmarshal(a.call(call{method: http.MethodGet, path: "/.well-known/oauth-authorization-server/agencies/land"}).body, &s); err != nil || s.Issuer != agencyURL || s.TokenEndpoint != agencyURL+"/token" {
		t.Errorf("server metadata %+v, %v", s, err)
	}
}

func TestIssuerWithoutPath(t *testing.T) {
	a := newAgency(t, func(c *issuer.Config) { c.URL = "http://127.0.0.1:8101" })
	for _, path := range []string{"/.well-known/openid-credential-issuer", "/.well-known/oauth-authorization-server", "/healthz"} {
		if got := a.call(call{method: http.MethodGet, path: path}); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if fmt.Sprint(a.Paths()) != "[/.well-known/openid-credential-issuer /.well-known/oauth-authorization-server /.well-known/jwt-vc-issuer /]" {
		t.Errorf("paths %v", a.Paths())
	}
}

// issuedIn is the one credential in an answer, of our own format.
func issuedIn(t testing.TB, r openid.CredentialResponse) (issued openid.IssuedCredential) {
	t.Helper()
	if len(r.Credentials) != 1 {
		t.Fatalf("%d credentials", len(r.Credentials))
	}
	if err := credential.ParseStrict(r.Credentials[0].Credential, &issued); err != nil {
		t.Fatal(err)
	}
	return issued
}

func (a *agency) postToken(form url.Values) answer {
	a.t.Helper()
	return a.call(call{path: "/agencies/land/token", body: form.Encode(), contentType: "application/x-www-form-urlencoded"})
}

func TestTokenEndpoint(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	code := a.code(a.title(p, "1"))
	good := func() url.Values {
		return url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {code}, "unknown": {"ignored"}}
	}
	with := func(name string, values ...string) url.Values {
		f := good()
		f[name] = values
		return f
	}
	for name, c := range map[string]struct {
		got  answer
		want string
	}{
		"other grant":     {a.postToken(with("grant_type", "authorization_code")), "unsupported_grant_type"},
		"no grant":        {a.postToken(with("grant_type")), "invalid_request"},
		"no code":         {a.postToken(with("pre-authorized_code", "")), "invalid_request"},
		"code twice":      {a.postToken(with("pre-authorized_code", code, code)), "invalid_request"},
		"made-up code":    {a.postToken(with("pre-authorized_code", "x")), "invalid_grant"},
		"long client_id":  {a.postToken(with("client_id", strings.Repeat("x", 1025))), "invalid_request"},
		"unasked tx_code": {a.postToken(with("tx_code", "1")), "invalid_request"},
		"JSON":            {a.call(call{path: "/agencies/land/token", body: `{}`}), "invalid_request"},
		"too large":       {a.postToken(with("x", strings.Repeat("x", 70<<10))), "invalid_request"},
	} {
		if c.got.status != http.StatusBadRequest || c.got.fields["error"] != c.want {
			t.Errorf("%s: %d %s, want %s", name, c.got.status, c.got.body, c.want)
		}
	}
	got := a.postToken(good())
	if got.status != http.StatusOK || got.fields["token_type"] != "Bearer" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if again := a.postToken(good()); again.fields["error"] != "invalid_grant" {
		t.Errorf("replayed code: %d %s", again.status, again.body)
	}
}

func TestCredentialEndpoint(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	nonce := a.call(call{path: "/agencies/land/nonce"})
	if nonce.status != http.StatusOK || nonce.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("nonce: %d, %v", nonce.status, nonce.header)
	}
	cNonce, _ := nonce.fields["c_nonce"].(string)
	proof := p.prove(t, a.statement(titleType, cNonce))
	request := func(change func(map[string]any)) string {
		proofs := must(openid.Proofs(openid.ProofType, proof))(t)
		text := string(must(json.Marshal(openid.CredentialRequest{ConfigurationID: titleType, Proofs: proofs}))(t))
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		return string(must(json.Marshal(m))(t))
	}
	ours := func(m map[string]any) map[string]any {
		return m["proofs"].(map[string]any)[openid.ProofType].([]any)[0].(map[string]any)
	}
	good := request(func(m map[string]any) { m["unknown"] = "ignored" })
	post := func(body, bearer string) answer {
		return a.call(call{path: "/agencies/land/credential", body: body, bearer: bearer})
	}
	for name, c := range map[string]struct {
		got    answer
		status int
		want   string
	}{
		"no token":            {post(good, ""), 401, "invalid_token"},
		"made-up token":       {post(good, "x"), 401, "invalid_token"},
		"not JSON":            {post("x", token), 400, "invalid_credential_request"},
		"duplicate member":    {post(`{"proofs":{},`+good[1:], token), 400, "invalid_credential_request"},
		"identifier":          {post(request(func(m map[string]any) { m["credential_identifier"] = "x" }), token), 400, "invalid_credential_request"},
		"no configuration":    {post(request(func(m map[string]any) { delete(m, "credential_configuration_id") }), token), 400, "invalid_credential_request"},
		"unknown":             {post(request(func(m map[string]any) { m["credential_configuration_id"] = "x" }), token), 400, "unknown_credential_configuration"},
		"another's":           {post(request(func(m map[string]any) { m["credential_configuration_id"] = residenceType }), token), 400, "credential_request_denied"},
		"no proofs":           {post(request(func(m map[string]any) { delete(m, "proofs") }), token), 400, "invalid_proof"},
		"jwt proof":           {post(request(func(m map[string]any) { m["proofs"] = map[string]any{"jwt": []any{"x"}} }), token), 400, "invalid_proof"},
		"two kinds of proof":  {post(request(func(m map[string]any) { m["proofs"].(map[string]any)["jwt"] = []any{"x"} }), token), 400, "invalid_credential_request"},
		"unknown in proof":    {post(request(func(m map[string]any) { ours(m)["jwk"] = "x" }), token), 400, "invalid_proof"},
		"pseudonym + modulus": {post(request(func(m map[string]any) { ours(m)["pseudonym"] = plusModulus(proof.Pseudonym) }), token), 400, "invalid_proof"},
		"foreign nonce":       {post(request(func(m map[string]any) { ours(m)["nonce"] = "x" }), token), 400, "invalid_nonce"},
		"tampered":            {post(request(func(m map[string]any) { ours(m)["proof"] = strings.Repeat("A", 171) }), token), 400, "invalid_proof"},
		"too large":           {post(good+strings.Repeat(" ", 65<<10), token), 400, "invalid_credential_request"},
	} {
		if c.got.status != c.status || c.got.fields["error"] != c.want {
			t.Errorf("%s: %d %s, want %d %s", name, c.got.status, c.got.body, c.status, c.want)
		}
		if d, _ := c.got.fields["error_description"].(string); strings.ContainsAny(d, "\"\\") || strings.ContainsFunc(d, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			t.Errorf("%s: description %q has what the standard forbids", name, d)
		}
	}
	got := post(good, token)
	var response openid.CredentialResponse
	if err := json.Unmarshal(got.body, &response); err != nil || got.status != http.StatusOK || len(response.Credentials) != 1 {
		t.Fatalf("%d %s, %v", got.status, got.body, err)
	}
	issued := issuedIn(t, response)
	if _, _, err := issued.Commitment(); err != nil || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error(err, got.header)
	}
	if again := post(good, token); again.fields["error"] != "invalid_nonce" {
		t.Errorf("replayed request: %s", again.body)
	}
	friend := newPerson("Zhang Min")
	friend.master = p.master
	proof = friend.prove(t, a.statement(titleType, a.Nonce().Nonce))
	denied := post(request(func(map[string]any) {}), a.token(a.title(friend, "2")))
	if d, _ := denied.fields["error_description"].(string); denied.fields["error"] != "credential_request_denied" || !strings.HasPrefix(d, "other-person: ") {
		t.Errorf("a lent wallet: %s", denied.body)
	}
}

// plusModulus is the second spelling of an element.
func plusModulus(e credential.Element) string {
	sum := e.BigInt()
	sum.Add(sum, fr.Modulus())
	return openid.EncodeBytes(sum.FillBytes(make([]byte, 32)))
}

func TestBrowsersMayAsk(t *testing.T) {
	a := newAgency(t)
	for _, path := range []string{"/token", "/nonce", "/credential"} {
		got := a.call(call{method: http.MethodOptions, path: "/agencies/land" + path})
		if got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "Authorization") || got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	if got := a.call(call{path: "/agencies/land/admin/v1/offers", body: "{}"}); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the admin API is open to pages of any origin")
	}
}

func TestAdminNeedsToken(t *testing.T) {
	a := newAgency(t)
	routes := []struct{ method, path, scope string }{
		{http.MethodPost, "/offers", issuer.ScopeOffers},
		{http.MethodGet, "/credentials", issuer.ScopeCredentials},
		{http.MethodPost, "/credentials/search", issuer.ScopeCredentials},
		{http.MethodGet, "/credentials/x", issuer.ScopeCredentials},
		{http.MethodPost, "/credentials/x/suspend", issuer.ScopeRevoke},
		{http.MethodPost, "/credentials/x/reinstate", issuer.ScopeRevoke},
		{http.MethodPost, "/credentials/x/revoke", issuer.ScopeRevoke},
		{http.MethodPost, "/credentials/x/companion-offers", issuer.ScopeOffers},
		{http.MethodPost, "/enrolments/reset", issuer.ScopeEnrolments},
	}
	expired := a.bearer(issuer.Scopes...)
	a.clock.Advance(2 * time.Hour)
	other := newAgency(t, func(c *issuer.Config) {
		c.DID, c.URL, c.Clock = townDID, "https://agency.example/agencies/town", a.clock.Now
	})
	foreignKey := &webapi.Authority{Key: signingKey(t, "somebody"), Issuer: agencyURL, Audience: agencyURL + "/admin/v1", Clock: a.clock.Now}
	forged := must(foreignKey.Issue("clerk", issuer.Scopes, time.Hour))(t)
	for _, r := range routes {
		var others []string
		for _, s := range issuer.Scopes {
			if s != r.scope {
				others = append(others, s)
			}
		}
		for name, c := range map[string]struct {
			bearer string
			status int
			code   string
		}{
			"no token":             {"", 401, "token-missing"},
			"garbage":              {"x.y.z", 401, "token-invalid"},
			"expired":              {expired, 401, "token-invalid"},
			"of another agency":    {other.bearer(issuer.Scopes...), 401, "token-invalid"},
			"signed by another":    {forged, 401, "token-invalid"},
			"without the scope":    {a.bearer(others...), 403, "scope-missing"},
			"with the right scope": {a.bearer(r.scope), 0, ""},
		} {
			got := a.call(call{method: r.method, path: "/agencies/land/admin/v1" + r.path, bearer: c.bearer})
			if c.status == 0 {
				if got.status == 401 || got.status == 403 {
					t.Errorf("%s %s: %d %s", r.path, name, got.status, got.body)
				}
				continue
			}
			if got.status != c.status || got.fields["code"] != c.code || got.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %d %s", r.path, name, got.status, got.body)
			}
		}
	}
	if _, err := a.AdminToken("clerk", []string{"issuer:everything"}, time.Hour); err == nil {
		t.Error("an unknown scope was granted")
	}
}

func TestAdminAPI(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	bearer := a.bearer(issuer.Scopes...)
	admin := func(method, path, body string) answer {
		return a.call(call{method: method, path: "/agencies/land/admin/v1" + path, body: body, bearer: bearer})
	}
	application := `{"person":"Li Wei","schema":"` + titleType + `","claims":{"parcel":"1","area":"612"},"subject":"1","valid_until":"2030-01-01"}`
	made := admin(http.MethodPost, "/offers", application)
	var offer issuer.Offer
	if err := json.Unmarshal(made.body, &offer); err != nil || made.status != http.StatusCreated || made.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	parsed, _, err := openid.ParseOfferLink(offer.Link)
	if err != nil || parsed.CredentialIssuer != agencyURL {
		t.Fatal(parsed, err)
	}
	token := must(a.Token(context.Background(), issuer.TokenRequest{Code: parsed.Grants.PreAuthorized.Code, TxCode: ""}))(t).AccessToken
	must(a.ask(p, token, titleType))(t)
	id := a.newest().ID

	for name, c := range map[string]struct {
		got    answer
		status int
		code   string
	}{
		"claim":           {admin("POST", "/offers", strings.Replace(application, `"612"`, `"Li Wei's secret"`, 1)), 400, "claim"},
		"number":          {admin("POST", "/offers", strings.Replace(application, `"612"`, `612`, 1)), 400, "claim"},
		"null":            {admin("POST", "/offers", strings.Replace(application, `"612"`, `null`, 1)), 400, "claim"},
		"unknown member":  {admin("POST", "/offers", strings.Replace(application, `{`, `{"x":1,`, 1)), 422, "request"},
		"duplicate":       {admin("POST", "/offers", strings.Replace(application, `{`, `{"person":"a",`, 1)), 400, "request"},
		"two documents":   {admin("POST", "/offers", application+application), 400, "request"},
		"too large":       {admin("POST", "/offers", application+strings.Repeat(" ", 65<<10)), 413, "too-large"},
		"unknown schema":  {admin("POST", "/offers", strings.Replace(application, titleType, "urn:x:1", 1)), 400, "unknown-schema"},
		"not found":       {admin("GET", "/credentials/x", ""), 404, "not-found"},
		"no reason":       {admin("POST", "/credentials/"+id+"/suspend", `{"code":"other","note":""}`), 400, "invalid-request"},
		"not suspended":   {admin("POST", "/credentials/"+id+"/reinstate", `{"code":"other","note":"r"}`), 409, "state"},
		"held":            {admin("POST", "/enrolments/reset", `{"person":"Li Wei","register":"`+landDID+`"}`), 409, "credentials-held"},
		"limit":           {admin("GET", "/credentials?limit=1000", ""), 422, "request"},
		"limit no number": {admin("GET", "/credentials?limit=x", ""), 422, "request"},
		"no such path":    {admin("GET", "/nothing", ""), 404, "not-found"},
		"no such method":  {admin("DELETE", "/credentials/"+id, ""), 405, "method"},
	} {
		if c.got.status != c.status || c.got.fields["code"] != c.code || c.got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want %d %s", name, c.got.status, c.got.body, c.status, c.code)
		}
		if c.code == "claim" && c.got.fields["claim"] != "area" || bytes.Contains(c.got.body, []byte("secret")) {
			t.Errorf("%s: %s", name, c.got.body)
		}
	}
	if got := a.call(call{path: "/agencies/land/admin/v1/offers", body: application, contentType: "text/plain", bearer: bearer}); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain: %d", got.status)
	}

	listed := admin("GET", "/credentials?limit=1", "")
	if list, _ := listed.fields["credentials"].([]any); listed.status != 200 || len(list) != 1 || listed.fields["next"] != nil {
		t.Errorf("list: %s", listed.body)
	}
	found := admin("POST", "/credentials/search", `{"person":"Li Wei"}`)
	if list, _ := found.fields["credentials"].([]any); found.status != 200 || len(list) != 1 {
		t.Errorf("search: %s", found.body)
	}
	if none := admin("POST", "/credentials/search", `{"person":"nobody"}`); strings.TrimSpace(string(none.body)) != `{"credentials":[]}` {
		t.Errorf("search for nobody: %s", none.body)
	}
	revoked := admin("POST", "/credentials/"+id+"/revoke", `{"code":"other","note":"sold"}`)
	var c issuer.Credential
	if err := json.Unmarshal(revoked.body, &c); err != nil || c.Status != issuer.Revoked || c.History[1].Kind != entry.KindCredentialsRevoked {
		t.Errorf("revoke: %d %s", revoked.status, revoked.body)
	}
	for _, hidden := range []string{"salt", "subject_key", "holder_commitment"} {
		if bytes.Contains(revoked.body, []byte(hidden)) {
			t.Errorf("clerks are shown %s", hidden)
		}
	}
	if reset := admin("POST", "/enrolments/reset", `{"person":"Li Wei","register":"`+landDID+`"}`); reset.status != http.StatusNoContent {
		t.Errorf("reset: %d %s", reset.status, reset.body)
	}
	a.ledger.set(func(l *fakeLedger) { l.before = func(*entry.Entry) error { return problem("quota") } })
	_, err = a.issue(p, a.title(p, "2"))
	wantRefusal(t, err, issuer.ErrLedger)
}

func TestHealth(t *testing.T) {
	a := newAgency(t)
	ready := func() int { return a.call(call{method: http.MethodGet, path: "/agencies/land/readyz"}).status }
	eventually(t, "the issuer is ready", func() bool { return ready() == http.StatusOK })
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	if ready() != http.StatusServiceUnavailable {
		t.Error("ready without Run")
	}
	if got := a.call(call{method: http.MethodGet, path: "/agencies/land/healthz"}); got.status != http.StatusOK {
		t.Errorf("health: %d", got.status)
	}
}

// Strangers are slowed down, each by itself; officers, who come with a token, are not.
func TestWalletsThatAskTooOften(t *testing.T) {
	a := newAgency(t, func(c *issuer.Config) { c.WalletRate = webapi.RateConfig{PerSecond: 1, Burst: 2} })
	handler := a.Handler()
	nonce := func(from string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/agencies/land/nonce", nil)
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for range 2 {
		if w := nonce("[2001:db8::1]:1"); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	w := nonce("[2001:db8::2]:1") // of the same network
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := nonce("192.0.2.1:1"); w.Code != http.StatusOK {
		t.Errorf("another client: %d", w.Code)
	}
	for range 5 {
		if listed := a.by("clerk", "GET", "/schemas", "", ""); listed.status != http.StatusOK {
			t.Errorf("an officer: %d", listed.status)
		}
	}
	a.clock.Advance(time.Second)
	if w := nonce("[2001:db8::1]:1"); w.Code != http.StatusOK {
		t.Errorf("a second later: %d", w.Code)
	}
}
