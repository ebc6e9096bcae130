package verifier_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/sdjwt"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/issuers"
)

// library asks for what residence asks, and wants to see the district; companions will do.
func library() *policy.Policy {
	p := *policies()[0]
	q := p.Queries[0]
	q.Companion, q.Disclose = true, []string{"district"}
	p.ID, p.Queries = "library", []policy.Query{q}
	return &p
}

// site is an issuer's web server: what a companion's verifier reads there.
type site struct {
	*httptest.Server
	w *world

	mu     sync.Mutex
	key    *jose.SigningKey
	list   *statuslist.List
	change func(http.ResponseWriter, *http.Request) bool // answers instead, if it is there and says so
	calls  map[string]int
}

// companioned is a world whose civil office issues companions, and whose verifier takes them over real HTTP.
func companioned(t *testing.T) (*world, *site, string) {
	t.Helper()
	w := newWorld(t)
	s := &site{w: w, key: must(jose.Generate(jose.ES256))(t), list: must(statuslist.New(statuslist.Bits, 1024))(t), calls: make(map[string]int)}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	r := &w.ledger.registry
	at := slices.IndexFunc(r.Issuers, func(i entry.RegisteredIssuer) bool { return i.DID == civil })
	r.Issuers[at].URL = s.URL + "/civil"
	r.Policies = append(r.Policies, entry.RegisteredPolicy{Verifier: bank, ID: "library", Digest: must(library().Digest())(t), Entry: 99})
	w.seal()
	w.with(func(c *verifier.Config) {
		c.Policies = append(c.Policies, library())
		c.Issuers = s.reader(t)
	})
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.handler.ServeHTTP(rw, r) }))
	t.Cleanup(front.Close)
	return w, s, front.URL
}

// reader is how a verifier reads the site: by the guard, which is allowed this machine.
func (s *site) reader(t testing.TB) *issuers.Client {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return must(issuers.New(issuers.Config{
		Egress: egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: roots}, Clock: s.w.clock.Now,
	}))(t)
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.URL.Path]++
	if s.change != nil && s.change(w, r) {
		return
	}
	switch r.URL.Path {
	case "/.well-known/jwt-vc-issuer/civil":
		_ = json.NewEncoder(w).Encode(s.metadata(s.key.Public()))
	case "/civil/status-lists/1":
		token, err := s.signed(s.key, s.URL+r.URL.Path)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write([]byte(token))
	default:
		http.NotFound(w, r)
	}
}

func (s *site) metadata(key jose.PublicKey) map[string]any {
	return map[string]any{"issuer": s.URL + "/civil", "jwks": map[string]any{"keys": []any{
		map[string]string{"kty": "RSA", "kid": "another", "n": "AQAB", "e": "AQAB"},
		map[string]string{"kty": key.Type, "crv": key.Curve, "x": key.X, "y": key.Y, "kid": key.KeyID(), "use": "sig"},
	}}}
}

func (s *site) signed(key *jose.SigningKey, uri string) (string, error) {
	now := s.w.clock.Now()
	token := statuslist.Token{URI: uri, IssuedAt: now, ExpiresAt: now.Add(day), TTL: 5 * time.Minute, List: s.list}
	return token.Sign(key)
}

// answers replaces what the site answers; nil: nothing.
func (s *site) answers(change func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = change
}

func (s *site) set(index uint64, status statuslist.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.list.Set(index, status); err != nil {
		panic(err)
	}
}

func (s *site) called(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// shown is a companion with the key that it is bound to.
type shown struct {
	*sdjwt.SDJWT
	key *jose.SigningKey
}

const statusIndex = 7

// companion is what the civil office issues to a person: as package issuer does it.
func (s *site) companion(t testing.TB, change ...func(*sdjwt.Issuance)) shown {
	t.Helper()
	key := must(jose.Generate(jose.ES256))(t)
	public, now := key.Public(), s.w.clock.Now().Truncate(day)
	i := sdjwt.Issuance{Credential: sdjwt.Credential{
		Type: residence.Type, Issuer: s.URL + "/civil", IssuedAt: credential.UnixTimeOf(now), NotBefore: credential.UnixTimeOf(now.Add(-30 * day)),
		ExpiresAt: credential.UnixTimeOf(now.Add(300 * day)), HolderKey: &public,
		Status: &statuslist.Reference{Index: statusIndex, URI: s.URL + "/civil/status-lists/1"},
		Claims: sdjwt.Claims{"district": "310104", "since": "2020-05-01", "street": "not asked for"},
	}, Disclosable: []sdjwt.Path{{"district"}, {"since"}, {"street"}}, Decoys: 13}
	for _, c := range change {
		c(&i)
	}
	return shown{must(sdjwt.Parse(must(i.Issue(s.key))(t)))(t), key}
}

// bind shows some claims to a request.
func (c shown) bind(t testing.TB, r *openid.RequestObject, now time.Time, paths ...sdjwt.Path) string {
	t.Helper()
	return must(c.Present(sdjwt.Binding{Key: c.key, Audience: r.ClientID, Nonce: r.Nonce, Now: now}, paths...))(t)
}

var asked = []sdjwt.Path{{"district"}, {"since"}}

// send posts a vp_token as wallets do, in a form over HTTP.
func (w *world) send(front, id string, r *openid.RequestObject, token any) (status int, code check.Code) {
	w.t.Helper()
	text := must(json.Marshal(token))(w.t)
	form := must(r.ResponseForm(openid.AuthorizationResponse{Token: text, State: r.State}))(w.t)
	answer, err := http.PostForm(front+"/oid4vp/responses/"+id, form)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var e openid.Error
	if err := json.NewDecoder(answer.Body).Decode(&e); err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, check.Code(e.Code)
}

// token is a response with a companion.
func companionToken(text string) map[string][]string {
	return map[string][]string{"residence-companion": {text}}
}

func TestCompanion(t *testing.T) {
	for _, mode := range []string{openid.DirectPost, openid.DirectPostJWT} {
		w, s, front := companioned(t)
		w.with(func(c *verifier.Config) {
			c.Policies, c.Issuers, c.PlainResponses = append(c.Policies, library()), s.reader(t), mode == openid.DirectPost
		})
		if err := w.verifier.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		started, request, id := w.begin("library")
		if request.ResponseMode != mode {
			t.Fatal(request.ResponseMode)
		}
		c := s.companion(t)
		token := companionToken(c.bind(t, request, w.clock.Now(), asked...))
		object := must(w.verifier.Request(t.Context(), id))(t)
		if status, v := w.validate(verifier.ScopeValidate, object, must(json.Marshal(token))(t)); status != http.StatusOK || !v.Valid || v.Validation.Consumed || !v.Validation.Facts[0].Linkable {
			t.Errorf("validated: %d %+v", status, v)
		}
		if status, v := w.validate(verifier.ScopeValidate, object, must(json.Marshal(companionToken(c.String())))(t)); status != http.StatusOK || v.Valid || v.Reason.Code != check.CompanionBinding {
			t.Errorf("validated without a key binding: %d %+v", status, v)
		}
		if status, code := w.send(front, id, request, token); status != http.StatusOK {
			t.Fatalf("%s: %d %s", mode, status, code)
		}
		result := must(check.VerifyResult(w.status(started.ID).Result, keysOf(w), check.Expected{Verifier: bank, Audience: "app", Session: started.ID, Now: w.clock.Now()}))(t)
		f := result.Facts[0]
		if !f.Linkable || f.Format != "dc+sd-jwt" || !slices.Equal(f.Seen, []string{"district", "since"}) || !maps.Equal(f.Disclosed, credential.Claims{"district": "310104"}) ||
			!slices.Equal(f.Issuers, []string{civil}) || f.IssuerCount != 1 || f.RevocationDelaySeconds != 300 || !f.Root.IsZero() || !f.VerifyingKey.IsZero() || f.Seal.Time == 0 {
			t.Errorf("fact %+v", f)
		}
		for _, want := range []string{"district; since", "linked", "Civil Affairs", "300 seconds"} {
			if !strings.Contains(strings.Join(f.Learned["en"], " "), want) {
				t.Errorf("learned %q, without %q", f.Learned["en"], want)
			}
		}
		if !strings.Contains(strings.Join(f.Learned["zh-CN"], ""), "相关联") || !strings.Contains(f.Holds["zh-CN"][0], "民政局") || len(f.Holds["en"]) != 3 || strings.Contains(f.Holds["en"][0], "North") {
			t.Errorf("%q %q %q", f.Learned["zh-CN"], f.Holds["zh-CN"], f.Holds["en"])
		}
		// One response counts, and the very same is told so again.
		if status, code := w.send(front, id, request, companionToken(c.bind(t, request, w.clock.Now().Add(time.Second), asked...))); status != http.StatusBadRequest || code != check.SessionAnswered {
			t.Errorf("%s: again: %d %s", mode, status, code)
		}
	}
}

// What is asked is the standard's own query, and says what the statement needs.
func TestCompanionRequest(t *testing.T) {
	w, _, _ := companioned(t)
	_, request, _ := w.begin("library")
	text := string(must(json.Marshal(request.Query))(t))
	for _, want := range []string{
		`{"id":"residence-companion","format":"dc+sd-jwt","meta":{"vct_values":["urn:bulla:schema:residence:1"]},"claims":[{"path":["district"]},{"path":["since"]}]}`,
		`"credential_sets":[{"options":[["residence"],["residence-companion"]]}]`, `"companion":true`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	if f := request.ClientMetadata.Formats["dc+sd-jwt"]; len(f.SDJWT) != 2 || len(f.Binding) != 2 {
		t.Errorf("formats %+v", request.ClientMetadata.Formats)
	}
	_, plain, _ := w.begin("residence")
	if text := string(must(json.Marshal(plain))(t)); strings.Contains(text, "sd-jwt") || strings.Contains(text, "credential_sets") || strings.Contains(text, "companion") {
		t.Errorf("a request whose policy accepts no companion: %s", text)
	}
	visit := must(w.verifier.Visit(t.Context(), w.page("library")))(t)
	if !strings.Contains(strings.Join(visit.Shown["en"], " "), "discloses the values themselves of: district; since") || !strings.Contains(strings.Join(visit.Shown["zh-CN"], ""), "伴随凭证") {
		t.Errorf("the page says %q", visit.Shown)
	}
}

// page is the random number in the address of a new session's page.
func (w *world) page(policyID string) string {
	started, _, _ := w.begin(policyID)
	return started.PageURI[strings.LastIndex(started.PageURI, "/")+1:]
}

// A proof is still an answer, and so is what our own format has: the request is one.
func TestCompanionOrProof(t *testing.T) {
	w, s, front := companioned(t)
	me := w.resident(w.person())
	w.seal()
	started, request, id := w.begin("library")
	proof := w.answer(request, me)
	both := map[string]any{"residence": proof["residence"], "residence-companion": []string{s.companion(t).bind(t, request, w.clock.Now(), asked...)}}
	if _, code := w.send(front, id, request, both); code != check.Malformed {
		t.Errorf("both: %s", code)
	}
	if status, code := w.send(front, id, request, proof); status != http.StatusOK {
		t.Fatalf("%d %s", status, code)
	}
	result := must(check.VerifyResult(w.status(started.ID).Result, keysOf(w), check.Expected{Verifier: bank, Audience: "app", Session: started.ID, Now: w.clock.Now()}))(t)
	if f := result.Facts[0]; f.Linkable || f.Format != "" || f.Seen != nil || f.VerifyingKey.IsZero() || strings.Contains(strings.Join(f.Learned["en"], " "), "companion") {
		t.Errorf("fact %+v", f)
	}
}

func TestCompanionRefused(t *testing.T) {
	w, s, front := companioned(t)
	other, stranger := must(jose.Generate(jose.ES256))(t), must(jose.Generate(jose.EdDSA))(t)
	credentialWith := func(change func(*sdjwt.Credential)) shown {
		return s.companion(t, func(i *sdjwt.Issuance) { change(&i.Credential) })
	}
	claims := func(c sdjwt.Claims) shown {
		return s.companion(t, func(i *sdjwt.Issuance) {
			i.Credential.Claims, i.Disclosable = c, nil
			for name := range c {
				i.Disclosable = append(i.Disclosable, sdjwt.Path{name})
			}
		})
	}
	shows := func(c shown, paths ...sdjwt.Path) func(*openid.RequestObject) string {
		return func(r *openid.RequestObject) string { return c.bind(t, r, w.clock.Now(), paths...) }
	}
	bound := func(change func(*sdjwt.Binding)) func(*openid.RequestObject) string {
		return func(r *openid.RequestObject) string {
			c := s.companion(t)
			b := sdjwt.Binding{Key: c.key, Audience: r.ClientID, Nonce: r.Nonce, Now: w.clock.Now()}
			change(&b)
			return must(c.Present(b, asked...))(t)
		}
	}
	// rewritten is a good presentation whose text is changed.
	rewritten := func(change func(parts []string) []string) func(*openid.RequestObject) string {
		return func(r *openid.RequestObject) string {
			return strings.Join(change(strings.Split(s.companion(t).bind(t, r, w.clock.Now(), asked...), "~")), "~")
		}
	}
	// rebound changes everything before the key binding, and binds that anew, as only the holder can.
	rebound := func(change func(parts []string) []string) func(*openid.RequestObject) string {
		return func(r *openid.RequestObject) string {
			c := s.companion(t)
			parts := strings.Split(must(c.Select(asked...))(t), "~")
			unbound := strings.Join(change(parts[:len(parts)-1]), "~") + "~"
			kb := must(jose.SignUnnamed(c.key, sdjwt.BindingType, map[string]any{
				"iat": w.clock.Now().Unix(), "aud": r.ClientID, "nonce": r.Nonce, "sd_hash": credential.DigestOf([]byte(unbound)),
			}))(t)
			return unbound + kb
		}
	}
	header := func(token string, members map[string]any, sign func(message string) []byte) string {
		parts := strings.Split(token, ".")
		message := base64.RawURLEncoding.EncodeToString(must(json.Marshal(members))(t)) + "." + parts[1]
		return message + "." + base64.RawURLEncoding.EncodeToString(sign(message))
	}
	kid := s.key.Public().KeyID()
	encode := base64.RawURLEncoding.EncodeToString
	for name, c := range map[string]struct {
		want check.Code
		text func(*openid.RequestObject) string
	}{
		"another nonce":        {check.CompanionBinding, bound(func(b *sdjwt.Binding) { b.Nonce = "another" })},
		"for another verifier": {check.CompanionBinding, bound(func(b *sdjwt.Binding) { b.Audience = "https://other.example" })},
		"the bare DID":         {check.CompanionBinding, bound(func(b *sdjwt.Binding) { b.Audience = bank })},
		"an old key binding":   {check.CompanionBinding, bound(func(b *sdjwt.Binding) { b.Now = b.Now.Add(-6 * time.Minute) })},
		"a later key binding":  {check.CompanionBinding, bound(func(b *sdjwt.Binding) { b.Now = b.Now.Add(2 * time.Minute) })},
		"no key binding":       {check.CompanionBinding, func(*openid.RequestObject) string { return must(s.companion(t).Select(asked...))(t) }},
		"no key at all": {check.CompanionBinding, func(*openid.RequestObject) string {
			return must(credentialWith(func(c *sdjwt.Credential) { c.HolderKey = nil }).Select(asked...))(t)
		}},
		"bound by another key": {check.CompanionBinding, rewritten(func(p []string) []string {
			payload := must(jose.PeekPayload(p[len(p)-1]))(t)
			return append(p[:len(p)-1], must(jose.SignUnnamed(other, sdjwt.BindingType, json.RawMessage(payload)))(t))
		})},
		"a disclosure dropped on the way": {check.CompanionBinding, rewritten(func(p []string) []string { return append(p[:1], p[2:]...) })},

		"past its end":               {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.ExpiresAt = credential.UnixTimeOf(w.clock.Now()) }), asked...)},
		"not yet valid":              {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.NotBefore = credential.UnixTimeOf(w.clock.Now().Add(day)) }), asked...)},
		"of tomorrow":                {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.IssuedAt = credential.UnixTimeOf(w.clock.Now().Add(day)) }), asked...)},
		"without an end":             {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.ExpiresAt = 0 }), asked...)},
		"of another type":            {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Type = title.Type }), asked...)},
		"without status":             {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Status = nil }), asked...)},
		"outside the list":           {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Status.Index = 1024 }), asked...)},
		"a list that is not there":   {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Status.URI = s.URL + "/civil/status-lists/2" }), asked...)},
		"a list beside the issuer's": {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Status.URI = s.URL + "/civil2/status-lists/1" }), asked...)},
		"a list by a detour":         {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Status.URI = s.URL + "/civil/../other" }), asked...)},
		"a list elsewhere":           {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Status.URI = "https://lists.example/civil/status-lists/1" }), asked...)},
		"a list in our network":      {check.CompanionInvalid, shows(credentialWith(func(c *sdjwt.Credential) { c.Status.URI = "https://169.254.169.254/latest" }), asked...)},

		"issuer that is not registered": {check.CompanionIssuer, shows(credentialWith(func(c *sdjwt.Credential) { c.Issuer = "https://elsewhere.example" }), asked...)},
		"issuer by its DID":             {check.CompanionIssuer, shows(credentialWith(func(c *sdjwt.Credential) { c.Issuer = civil }), asked...)},
		"issuer with a slash":           {check.CompanionIssuer, shows(credentialWith(func(c *sdjwt.Credential) { c.Issuer += "/" }), asked...)},
		"signed by another key of that name": {check.CompanionIssuer, rebound(func(p []string) []string {
			p[0] = must(jose.SignCompact(other, kid, sdjwt.Type, json.RawMessage(must(jose.PeekPayload(p[0]))(t))))(t)
			return p
		})},
		"signed in another way than that key does": {check.CompanionMalformed, rebound(func(p []string) []string {
			p[0] = must(jose.SignCompact(stranger, kid, sdjwt.Type, json.RawMessage(must(jose.PeekPayload(p[0]))(t))))(t)
			return p
		})},
		"signed by a key that is not published": {check.CompanionIssuer, rebound(func(p []string) []string {
			p[0] = must(jose.SignCompact(other, "", sdjwt.Type, json.RawMessage(must(jose.PeekPayload(p[0]))(t))))(t)
			return p
		})},
		"alg none": {check.CompanionMalformed, rebound(func(p []string) []string {
			p[0] = header(p[0], map[string]any{"alg": "none", "kid": kid, "typ": sdjwt.Type}, func(string) []byte { return nil })
			return p
		})},
		"alg HS256 with the public key": {check.CompanionMalformed, rebound(func(p []string) []string {
			p[0] = header(p[0], map[string]any{"alg": "HS256", "kid": kid, "typ": sdjwt.Type}, func(message string) []byte {
				mac := hmac.New(sha256.New, must(json.Marshal(s.key.Public()))(t))
				mac.Write([]byte(message))
				return mac.Sum(nil)
			})
			return p
		})},
		"a key in the header": {check.CompanionMalformed, rebound(func(p []string) []string {
			p[0] = header(p[0], map[string]any{"alg": "ES256", "kid": kid, "typ": sdjwt.Type, "jwk": other.Public()}, func(m string) []byte { return must(other.Sign([]byte(m)))(t) })
			return p
		})},
		"another typ": {check.CompanionMalformed, rebound(func(p []string) []string {
			p[0] = must(jose.SignCompact(s.key, "", "JWT", json.RawMessage(must(jose.PeekPayload(p[0]))(t))))(t)
			return p
		})},
		"a disclosure tampered with": {check.CompanionMalformed, rebound(func(p []string) []string {
			p[1] = encode([]byte(strings.Replace(string(must(base64.RawURLEncoding.DecodeString(p[1]))(t)), "310104", "310101", 1)))
			return p
		})},
		"a disclosure made up": {check.CompanionMalformed, rebound(func(p []string) []string {
			return append(p, encode([]byte(`["c2FsdHNhbHRzYWx0","since","1990-01-01"]`)))
		})},
		"a disclosure twice":  {check.CompanionMalformed, rebound(func(p []string) []string { return append(p, p[1]) })},
		"no companion at all": {check.CompanionMalformed, func(*openid.RequestObject) string { return "x" }},
		"nothing":             {check.CompanionMalformed, func(*openid.RequestObject) string { return "" }},

		"more than was asked":         {check.CompanionExcess, shows(s.companion(t), append(asked, sdjwt.Path{"street"})...)},
		"a claim that is always open": {check.CompanionExcess, shows(s.companion(t, func(i *sdjwt.Issuance) { i.Disclosable = asked }), asked...)},

		"another district":           {check.CompanionUnmet, shows(claims(sdjwt.Claims{"district": "110101", "since": "2020-05-01"}), asked...)},
		"a year only":                {check.CompanionUnmet, shows(claims(sdjwt.Claims{"district": "310104", "since": "2025-12-01"}), asked...)},
		"a condition's claim hidden": {check.CompanionUnmet, shows(s.companion(t), sdjwt.Path{"district"})},
		"the disclosed claim hidden": {check.DisclosureMismatch, shows(s.companion(t), sdjwt.Path{"since"})},
		"a date that is none":        {check.CompanionMalformed, shows(claims(sdjwt.Claims{"district": "310104", "since": "2020-02-30"}), asked...)},
		"a number for a text":        {check.CompanionMalformed, shows(claims(sdjwt.Claims{"district": json.Number("310104"), "since": "2020-05-01"}), asked...)},
		"an object for a text":       {check.CompanionMalformed, shows(claims(sdjwt.Claims{"district": map[string]any{"a": "310104"}, "since": "2020-05-01"}), asked...)},
	} {
		started, request, id := w.begin("library")
		status, code := w.send(front, id, request, companionToken(c.text(request)))
		if status != http.StatusBadRequest || code != c.want {
			t.Errorf("%s: %d %s, want %s", name, status, code, c.want)
		}
		if st := w.status(started.ID); st.State != verifier.Rejected || st.Final || st.Result != "" {
			t.Errorf("%s: %+v", name, st)
		}
		// It consumed nothing: the same request takes a good one.
		if status, code := w.send(front, id, request, companionToken(s.companion(t).bind(t, request, w.clock.Now(), asked...))); status != http.StatusOK {
			t.Errorf("%s: a good one afterwards: %d %s", name, status, code)
		}
	}
}

// Forms of responses that are no one companion.
func TestCompanionResponses(t *testing.T) {
	w, s, front := companioned(t)
	_, request, id := w.begin("library")
	good := s.companion(t).bind(t, request, w.clock.Now(), asked...)
	for name, c := range map[string]struct {
		token any
		want  check.Code
	}{
		"two":            {map[string][]string{"residence-companion": {good, good}}, check.Malformed},
		"none":           {map[string][]string{"residence-companion": {}}, check.Malformed},
		"bare":           {map[string]string{"residence-companion": good}, check.Malformed},
		"an object":      {map[string]any{"residence-companion": []any{map[string]string{"a": good}}}, check.Malformed},
		"one more query": {map[string][]string{"residence-companion": {good}, "x": {good}}, check.Malformed},
		"as our format":  {map[string][]string{"residence": {good}}, check.Malformed},
		"twice":          {json.RawMessage(`{"residence-companion":["x"],"residence-companion":["y"]}`), check.Malformed},
		"too long":       {companionToken(good + strings.Repeat("x", openid.MaxResponse)), check.Malformed},
	} {
		if _, code := w.sendRaw(front, id, request, c.token); code != c.want {
			t.Errorf("%s: %s, want %s", name, code, c.want)
		}
	}
	// A request by a policy without companions takes none, wherever it comes from.
	_, plain, plainID := w.begin("residence")
	if _, code := w.send(front, plainID, plain, companionToken(s.companion(t).bind(t, plain, w.clock.Now(), asked...))); code != check.Malformed {
		t.Errorf("to a policy without companions: %s", code)
	}
}

// sendRaw is send for texts that no encoder writes.
func (w *world) sendRaw(front, id string, r *openid.RequestObject, token any) (int, check.Code) {
	w.t.Helper()
	text, raw := token.(json.RawMessage)
	if !raw {
		return w.send(front, id, r, token)
	}
	answer := must(http.PostForm(front+"/oid4vp/responses/"+id, url.Values{"vp_token": {string(text)}, "state": {r.State}}))(w.t)
	defer answer.Body.Close()
	var e openid.Error
	if err := json.NewDecoder(answer.Body).Decode(&e); err != nil {
		w.t.Fatal(err)
	}
	return answer.StatusCode, check.Code(e.Code)
}

// What the issuer does to a companion takes effect within the list's ttl; who suspends the issuer, at the next seal.
func TestCompanionRevoked(t *testing.T) {
	w, s, front := companioned(t)
	c := s.companion(t)
	try := func() check.Code {
		w.seal()
		_, request, id := w.begin("library")
		status, code := w.send(front, id, request, companionToken(c.bind(t, request, w.clock.Now(), asked...)))
		if status == http.StatusOK {
			return "ok"
		}
		return code
	}
	for _, step := range []struct {
		status statuslist.Status
		want   check.Code
	}{{statuslist.Valid, "ok"}, {statuslist.Suspended, check.CompanionInvalid}, {statuslist.Valid, "ok"}, {statuslist.Invalid, check.CompanionInvalid}} {
		s.set(statusIndex, step.status)
		w.clock.advance(5 * time.Minute)
		if code := try(); code != step.want {
			t.Errorf("status %s: %s, want %s", step.status, code, step.want)
		}
	}
	c = s.companion(t, func(i *sdjwt.Issuance) { i.Credential.Status.Index = 8 })
	before := s.called("/civil/status-lists/1")
	for range 3 {
		if code := try(); code != "ok" {
			t.Errorf("another one: %s", code)
		}
	}
	if n := s.called("/civil/status-lists/1") - before; n != 0 {
		t.Errorf("a list that is good was fetched %d times", n)
	}
	at := slices.IndexFunc(w.ledger.registry.Issuers, func(i entry.RegisteredIssuer) bool { return i.DID == civil })
	w.ledger.registry.Issuers[at].Suspended = true
	w.clock.advance(2 * time.Second)
	if code := try(); code != check.CompanionIssuer {
		t.Errorf("by a suspended issuer: %s", code)
	}
	w.ledger.registry.Issuers[at].Suspended = false
	w.ledger.registry.Issuers[0].URL = w.ledger.registry.Issuers[at].URL
	w.clock.advance(2 * time.Second)
	if code := try(); code != check.CompanionIssuer {
		t.Errorf("by one of two issuers at one address: %s", code)
	}
	w.ledger.registry.Issuers[0].URL = ""
	w.ledger.registry.Issuers[at].URL = s.URL + "/moved"
	w.clock.advance(2 * time.Second)
	if code := try(); code != check.CompanionIssuer {
		t.Errorf("by an issuer that is registered elsewhere: %s", code)
	}
}

// Where nobody can look nothing is consumed and nothing is refused: the wallet sends it again.
func TestCompanionUnavailable(t *testing.T) {
	w, s, front := companioned(t)
	for name, change := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"down": func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(http.StatusBadGateway); return true },
		"keys of another": func(rw http.ResponseWriter, r *http.Request) bool {
			_, _ = rw.Write([]byte(`{"issuer":"https://other.example","jwks":{"keys":[]}}`))
			return strings.HasPrefix(r.URL.Path, "/.well-known/")
		},
		"keys sent elsewhere": func(rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, "https://other.example/", http.StatusFound)
			return true
		},
		"endless keys": func(rw http.ResponseWriter, _ *http.Request) bool {
			_, _ = rw.Write([]byte(`{"issuer":"` + strings.Repeat("x", 300<<10)))
			return true
		},
		"a list by another key": s.instead(func() (string, error) {
			return s.signed(must(jose.Generate(jose.ES256))(t), s.URL+"/civil/status-lists/1")
		}),
		"another list": s.instead(func() (string, error) { return s.signed(s.key, s.URL+"/civil/status-lists/2") }),
		"an old list": s.instead(func() (string, error) {
			then := w.clock.Now().Add(-2 * day)
			return (&statuslist.Token{URI: s.URL + "/civil/status-lists/1", IssuedAt: then, ExpiresAt: then.Add(day), List: s.list}).Sign(s.key)
		}),
		"a list of the future": s.instead(func() (string, error) {
			then := w.clock.Now().Add(day)
			return (&statuslist.Token{URI: s.URL + "/civil/status-lists/1", IssuedAt: then, List: s.list}).Sign(s.key)
		}),
		"no list": s.instead(func() (string, error) { return "x", nil }),
	} {
		w.clock.advance(10 * time.Minute) // nothing that was read before is good
		w.seal()
		started, request, id := w.begin("library")
		token := companionToken(s.companion(t).bind(t, request, w.clock.Now(), asked...))
		s.answers(change)
		if status, code := w.send(front, id, request, token); status != http.StatusServiceUnavailable || code != check.Unavailable {
			t.Errorf("%s: %d %s", name, status, code)
		}
		if st := w.status(started.ID); st.State != verifier.Fetched || st.Reason != nil {
			t.Errorf("%s: %+v", name, st)
		}
		s.answers(nil)
		w.clock.advance(3 * time.Second)
		if status, code := w.send(front, id, request, token); status != http.StatusOK {
			t.Errorf("%s: afterwards: %d %s", name, status, code)
		}
	}
	w.clock.advance(11 * time.Minute)
	_, request, id := w.begin("library")
	token := companionToken(s.companion(t).bind(t, request, w.clock.Now(), asked...))
	if status, code := w.send(front, id, request, token); status != http.StatusServiceUnavailable || code != check.Unavailable {
		t.Errorf("where the newest seal is older than the policy allows: %d %s", status, code)
	}
	w.seal()
	w.ledger.fail(errors.New("down"))
	w.with(func(c *verifier.Config) { c.Policies, c.Issuers = append(c.Policies, library()), s.reader(t) })
	if status, code := w.send(front, id, request, token); status != http.StatusServiceUnavailable || code != check.Unavailable {
		t.Errorf("without a ledger: %d %s", status, code)
	}
}

// instead is another status list.
func (s *site) instead(list func() (string, error)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/civil/") {
			return false
		}
		token, err := list()
		if err != nil {
			panic(err)
		}
		_, _ = w.Write([]byte(token))
		return true
	}
}

// A new key of the issuer is found at once, and one that it does not publish any longer is not believed for more than a minute.
func TestCompanionKeys(t *testing.T) {
	w, s, front := companioned(t)
	try := func(c shown) check.Code {
		w.seal()
		_, request, id := w.begin("library")
		status, code := w.send(front, id, request, companionToken(c.bind(t, request, w.clock.Now(), asked...)))
		if status == http.StatusOK {
			return "ok"
		}
		return code
	}
	old := s.companion(t)
	if code := try(old); code != "ok" {
		t.Fatal(code)
	}
	s.mu.Lock()
	s.key = must(jose.Generate(jose.EdDSA))(t)
	s.mu.Unlock()
	w.clock.advance(11 * time.Second)
	if code := try(s.companion(t)); code != "ok" {
		t.Errorf("by the new key: %s", code)
	}
	w.clock.advance(time.Minute)
	if code := try(old); code != check.CompanionIssuer {
		t.Errorf("by a key that is void: %s", code)
	}
	calls := s.called("/.well-known/jwt-vc-issuer/civil")
	for range 5 {
		try(old)
	}
	if n := s.called("/.well-known/jwt-vc-issuer/civil") - calls; n > 0 {
		t.Errorf("5 companions by an unknown key made %d calls", n)
	}
}

// Who does not say whom it may ask is not ready for such a policy, and says why.
func TestCompanionsOff(t *testing.T) {
	w, _, _ := companioned(t)
	w.with(func(c *verifier.Config) { c.Policies = append(c.Policies, library()) })
	_, err := w.verifier.Start(t.Context(), "app", "library", 0)
	var not *verifier.NotReadyError
	if !errors.As(err, &not) || not.Code != verifier.CompanionsOff {
		t.Errorf("started: %v", err)
	}
	if err := w.verifier.Ready(t.Context()); !errors.As(err, &not) || not.Code != verifier.CompanionsOff {
		t.Errorf("ready: %v", err)
	}
	if _, err := w.verifier.Start(t.Context(), "app", "residence", 0); err != nil {
		t.Errorf("another policy: %v", err)
	}
}

// Who checks without a network refuses companions, and says that it does.
func TestCompanionOffline(t *testing.T) {
	w, s, _ := companioned(t)
	_, request, _ := w.begin("library")
	a := must(check.NewAsked(w.ledger.hash, request))(t)
	checker := check.Checker{Keys: w.keys(), Clock: w.clock.Now}
	token := must(json.Marshal(companionToken(s.companion(t).bind(t, request, w.clock.Now(), asked...))))(t)
	if _, err := checker.Verify(t.Context(), a, token); codeOf(err) != check.CompanionNotHere {
		t.Error(err)
	}
	// A request whose companions are not those of its policy is none.
	for name, change := range map[string]func(*openid.DCQL){
		"a claim more": func(q *openid.DCQL) {
			q.Companions[0].Claims = append(q.Companions[0].Claims, openid.ClaimQuery{Path: []string{"street"}})
		},
		"another type":   func(q *openid.DCQL) { q.Companions[0].Meta.Types = []string{title.Type} },
		"another id":     func(q *openid.DCQL) { q.Companions[0].ID = "x" },
		"no set":         func(q *openid.DCQL) { q.Sets = nil },
		"both are asked": func(q *openid.DCQL) { q.Sets[0].Options = [][]string{{"residence", "residence-companion"}} },
	} {
		spoilt := *request
		text := must(json.Marshal(request.Query))(t)
		if err := json.Unmarshal(text, &spoilt.Query); err != nil {
			t.Fatal(err)
		}
		change(&spoilt.Query)
		if _, err := check.NewAsked(w.ledger.hash, &spoilt); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
