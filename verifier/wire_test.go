package verifier_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
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

const publicURL = "https://verify.example/bulla"

// with makes the verifier anew, over the same store, with another configuration.
func (w *world) with(change func(*verifier.Config)) {
	w.t.Helper()
	cfg := w.config()
	change(&cfg)
	v, err := verifier.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.verifier, w.handler = v, v.Handler()
}

// encrypting is a world in which responses are encrypted, with a person's credential.
func encrypting(t *testing.T) (*world, *held) {
	t.Helper()
	w := newWorld(t)
	w.with(func(c *verifier.Config) {
		c.PlainResponses, c.SessionKey, c.ReturnURIs = false, bytes.Repeat([]byte{7}, 32), []string{"https://shop.example/back/"}
	})
	me := w.resident(w.person())
	w.seal()
	return w, me
}

func (w *world) encrypted(request *openid.RequestObject, token openid.VPToken) string {
	w.t.Helper()
	text, err := request.Encrypt(openid.AuthorizationResponse{Token: encode(w.t, token), State: request.State})
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func (w *world) respondEncrypted(id, text string) error {
	return w.verifier.Respond(w.t.Context(), id, verifier.Response{Token: []byte(text), Encrypted: true})
}

func TestEncryptedResponse(t *testing.T) {
	w, me := encrypting(t)
	started, request, id := w.begin("residence")
	if request.ResponseMode != openid.DirectPostJWT || request.ClientMetadata.Keys == nil || len(request.ClientMetadata.Encryptions) != 2 {
		t.Fatalf("request %+v", request.ClientMetadata)
	}
	row := w.row(started.ID)
	if !strings.Contains(row, `"response_key":"`) || strings.Contains(row, `"d":`) {
		t.Errorf("row %s", row)
	}
	text := w.encrypted(request, w.answer(request, me))
	form := url.Values{"response": {text}}.Encode()
	if r := w.call("POST", "/oid4vp/responses/"+id, "", formType, form); r.Code != 200 || r.Body.String() != "{}" {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	if s := w.status(started.ID); s.State != verifier.Verified || s.Result == "" {
		t.Errorf("status %+v", s)
	}
	if row := w.row(started.ID); strings.Contains(row, "response_key") {
		t.Error("the key outlives its use")
	}
	_, second, _ := w.begin("residence")
	if *must(request.ResponseKey())(t) == *must(second.ResponseKey())(t) {
		t.Error("two requests have one key")
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) row(session string) string {
	w.t.Helper()
	return string(must(w.store.Get("session/" + session))(w.t))
}

func TestEncryptedResponseRefused(t *testing.T) {
	w, me := encrypting(t)
	_, request, id := w.begin("residence")
	_, other, otherID := w.begin("residence")
	token := w.answer(request, me)
	good, state := w.encrypted(request, token), request.State
	parts := strings.Split(good, ".")
	raw := must(base64.RawURLEncoding.DecodeString(parts[3]))(t)
	raw[10] ^= 1
	tampered := strings.Join([]string{parts[0], parts[1], parts[2], openid.EncodeBytes(raw), parts[4]}, ".")
	plain := func(text string) string {
		out, err := jose.Encrypt(*must(request.ResponseKey())(t), "A256GCM", []byte(text))
		return must(out, err)(t)
	}
	vp := string(encode(t, token))
	post := func(form url.Values) (int, openid.Error) {
		r := w.call("POST", "/oid4vp/responses/"+id, "", formType, form.Encode())
		var e openid.Error
		if err := json.Unmarshal(r.Body.Bytes(), &e); err != nil {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		return r.Code, e
	}
	for name, c := range map[string]struct {
		form url.Values
		want check.Code
	}{
		"in clear":                          {url.Values{"vp_token": {vp}, "state": {state}}, check.Malformed},
		"both":                              {url.Values{"vp_token": {vp}, "state": {state}, "response": {good}}, check.Malformed},
		"response and error":                {url.Values{"error": {"access_denied"}, "state": {state}, "response": {good}}, check.Malformed},
		"an empty response":                 {url.Values{"response": {""}}, check.Malformed},
		"tampered":                          {url.Values{"response": {tampered}}, check.NotDecrypted},
		"no JWE":                            {url.Values{"response": {vp}}, check.NotDecrypted},
		"encrypted to another request":      {url.Values{"response": {w.encrypted(other, token)}}, check.NotDecrypted},
		"signed instead":                    {url.Values{"response": {must(jose.SignCompact(w.signing, "", "JWT", 1))(t)}}, check.NotDecrypted},
		"no JSON in it":                     {url.Values{"response": {plain("x")}}, check.Malformed},
		"no state in it":                    {url.Values{"response": {plain(`{"vp_token":` + vp + `}`)}, "state": {state}}, check.Malformed},
		"another state in it":               {url.Values{"response": {plain(`{"vp_token":` + vp + `,"state":"x"}`)}, "state": {state}}, check.StateMismatch},
		"a member twice":                    {url.Values{"response": {plain(`{"vp_token":` + vp + `,"state":"x","state":"` + state + `"}`)}}, check.Malformed},
		"text not in NFC":                   {url.Values{"response": {plain(`{"vp_token":` + vp + `,"state":"` + state + `","x":"e` + "\u0301" + `"}`)}}, check.NotCanonical},
		"a string for the token":            {url.Values{"response": {plain(`{"vp_token":` + string(must(json.Marshal(vp))(t)) + `,"state":"` + state + `"}`)}}, check.Malformed},
		"a token of another request":        {url.Values{"response": {w.encrypted(request, w.answer(other, me))}}, check.ProofInvalid},
		"a response to no request of ours":  {url.Values{"response": {strings.Repeat("A", openid.MaxEncryptedResponse+1)}}, check.NotDecrypted},
		"a token that is larger than it is": {url.Values{"response": {plain(`{"vp_token":"` + strings.Repeat("x", openid.MaxResponse) + `","state":"` + state + `"}`)}}, check.Malformed},
	} {
		if status, e := post(c.form); status != 400 || e.Code != string(c.want) {
			t.Errorf("%s: %d %+v, want %s", name, status, e, c.want)
		}
	}
	// The response of one request, under the other's id.
	if got := codeOf(w.respondEncrypted(otherID, good)); got != check.NotDecrypted {
		t.Errorf("under another request: %s", got)
	}
	// And after all that the good one counts: with parameters that nobody knows.
	if status, e := post(url.Values{"response": {good}, "x": {"y"}}); status != 200 {
		t.Errorf("good: %d %+v", status, e)
	}
}

// A session that asked for plain responses takes no others.
func TestPlainSessionTakesNoEncryptedResponse(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("residence")
	if request.ResponseMode != openid.DirectPost || request.ClientMetadata.Keys != nil {
		t.Fatalf("%+v", request)
	}
	key := must(jose.GenerateDecryptionKey())(t)
	text := must(jose.Encrypt(key.Public(), "A128GCM", encode(t, w.answer(request, me))))(t)
	if got := codeOf(w.respondEncrypted(id, text)); got != check.Malformed {
		t.Error(got)
	}
}

// Declining may come encrypted or in clear: who cannot read the request cannot encrypt.
func TestEncryptedRefusal(t *testing.T) {
	w, _ := encrypting(t)
	for _, encrypted := range []bool{true, false} {
		started, request, id := w.begin("residence")
		form := url.Values{"error": {"access_denied"}, "state": {request.State}}
		if encrypted {
			form = must(request.ResponseForm(openid.AuthorizationResponse{Error: "access_denied", State: request.State}))(t)
		}
		if r := w.call("POST", "/oid4vp/responses/"+id, "", formType, form.Encode()); r.Code != 200 {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		if s := w.status(started.ID); !s.Final || s.Reason == nil || s.Reason.Code != check.RefusedByHolder {
			t.Errorf("status %+v", s)
		}
		if strings.Contains(w.row(started.ID), "response_key") {
			t.Error("the key outlives its use")
		}
	}
}

// Open requests survive a restart if the session key does.
func TestEncryptedAcrossRestart(t *testing.T) {
	for _, same := range []bool{true, false} {
		w, me := encrypting(t)
		_, request, id := w.begin("residence")
		text := w.encrypted(request, w.answer(request, me))
		w.with(func(c *verifier.Config) {
			c.PlainResponses, c.SessionKey = false, bytes.Repeat([]byte{7}, 32)
			if !same {
				c.SessionKey = bytes.Repeat([]byte{8}, 32)
			}
		})
		want := check.Code("ok")
		if !same {
			want = check.SessionExpired
		}
		if got := codeOf(w.respondEncrypted(id, text)); got != want {
			t.Errorf("same key %v: %s", same, got)
		}
	}
	// One session's key is not another's, whoever exchanges them in the store.
	w, me := encrypting(t)
	first, request, id := w.begin("residence")
	second, _, _ := w.begin("residence")
	var one, two map[string]any
	if err := errors.Join(json.Unmarshal([]byte(w.row(first.ID)), &one), json.Unmarshal([]byte(w.row(second.ID)), &two)); err != nil {
		t.Fatal(err)
	}
	one["response_key"] = two["response_key"]
	if err := w.store.Commit(verifier.Batch{Set: map[string][]byte{"session/" + first.ID: must(credential.Canonical(one))(t)}}); err != nil {
		t.Fatal(err)
	}
	if got := codeOf(w.respondEncrypted(id, w.encrypted(request, w.answer(request, me)))); got != check.SessionExpired {
		t.Error(got)
	}
}

func TestRequestByPost(t *testing.T) {
	w, me := encrypting(t)
	started, request, id := w.begin("residence")
	path := "/oid4vp/requests/" + id
	stored := w.call("GET", path, "", "", "").Body.String()
	read := func(body string) *openid.RequestObject {
		t.Helper()
		r := w.call("POST", path, "", formType, body)
		if r.Code != 200 || r.Header().Get("Content-Type") != "application/oauth-authz-req+jwt" || r.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s %v", r.Code, r.Body, r.Header())
		}
		payload, err := jose.VerifyCompact(r.Body.String(), openid.RequestType, func(string) (jose.PublicKey, error) { return w.signing.Public(), nil })
		if err != nil {
			t.Fatal(err)
		}
		return must(openid.ParseRequestObject(payload))(t)
	}
	got := read(url.Values{"wallet_metadata": {`{"vp_formats_supported":{}}`}, "wallet_nonce": {"n+/=1"}}.Encode())
	if got.WalletNonce != "n+/=1" {
		t.Errorf("wallet_nonce is %q", got.WalletNonce)
	}
	got.WalletNonce = ""
	if a, b := must(json.Marshal(got))(t), must(json.Marshal(request))(t); !bytes.Equal(a, b) {
		t.Errorf("another request: %s\n%s", a, b)
	}
	if w.call("POST", path, "", formType, "vp_formats_supported=%7B%7D&x=y").Body.String() != stored || w.call("POST", path, "", "", "").Body.String() != stored {
		t.Error("without a nonce it is not the stored request")
	}
	for name, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"another content type": {"application/json", `{"wallet_nonce":"n"}`, 400},
		"no content type":      {"", "wallet_nonce=n", 400},
		"twice":                {formType, "wallet_nonce=n&wallet_nonce=m", 400},
		"empty":                {formType, "wallet_nonce=", 400},
		"too long":             {formType, "wallet_nonce=" + strings.Repeat("n", 513), 400},
		"a line break":         {formType, "wallet_nonce=n%0A", 400},
		"bad escape":           {formType, "wallet_nonce=%zz", 400},
		"large metadata":       {formType, "wallet_nonce=n&wallet_metadata=" + strings.Repeat("x", 64<<10), 413},
		"far too large":        {formType, "wallet_nonce=n&wallet_metadata=" + strings.Repeat("x", 1<<20), 413},
	} {
		if r := w.call("POST", path, "", c.kind, c.body); r.Code != c.status || !strings.Contains(r.Body.String(), string(check.Malformed)) {
			t.Errorf("%s: %d %s, want %d", name, r.Code, r.Body, c.status)
		}
	}
	if r := w.call("POST", "/oid4vp/requests/x", "", formType, "wallet_nonce=n"); r.Code != 404 {
		t.Errorf("no such request: %d", r.Code)
	}
	for _, place := range []string{path + "/", "/oid4vp/responses/" + id + "/", "/oid4vp//requests/" + id} {
		for _, method := range []string{"GET", "POST"} {
			if r := w.call(method, place, "", formType, "wallet_nonce=n"); r.Code >= 300 && r.Code < 400 {
				t.Errorf("%s %s is redirected", method, place)
			}
		}
	}
	// The answer to the request that was fetched by POST is one to the stored request.
	again := read("wallet_nonce=n")
	if got := codeOf(w.respondEncrypted(id, w.encrypted(again, w.answer(again, me)))); got != "ok" {
		t.Error(got)
	}
	if s := w.status(started.ID); s.State != verifier.Verified {
		t.Errorf("%+v", s)
	}
	if r := w.call("POST", path, "", formType, "wallet_nonce=n"); r.Code != 410 {
		t.Errorf("after the answer: %d", r.Code)
	}
}

// certificate is one of a signing key of newKey's.
func certificate(t testing.TB, seed byte, from, until time.Time) []byte {
	t.Helper()
	key := ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
}

// By each scheme the request names us, and its response is checked against the same client.
func TestClientIdentifierSchemes(t *testing.T) {
	for _, scheme := range openid.ClientSchemes {
		t.Run(string(scheme), func(t *testing.T) {
			w, me := encrypting(t)
			der := certificate(t, 1, w.clock.Now().Add(-day), w.clock.Now().Add(day))
			w.with(func(c *verifier.Config) {
				c.ClientIDScheme, c.PlainResponses = scheme, false
				if scheme == openid.SchemeX509Hash {
					c.Certificates = [][]byte{der, der}
				}
			})
			started := must(w.verifier.Start(t.Context(), "app", "residence", 0))(t)
			reference := must(openid.ParseRequestLink(started.RequestLink))(t)
			client := must(openid.ParseClientID(reference.ClientID))(t)
			if client.Scheme != scheme || reference.ClientID != w.verifier.ClientID() {
				t.Fatalf("client %+v", client)
			}
			path := strings.TrimPrefix(started.RequestURI, publicURL)
			for _, r := range []string{w.call("GET", path, "", "", "").Body.String(), w.call("POST", path, "", formType, "wallet_nonce=n").Body.String()} {
				var payload []byte
				var err error
				if scheme == openid.SchemeX509Hash {
					payload, err = jose.VerifyCertified(r, openid.RequestType, func(c *jose.Certificate) error {
						if c.Digest() != client.Certificate || c.Key != w.signing.Public() {
							t.Error("another certificate")
						}
						return nil
					})
				} else {
					payload, err = jose.VerifyCompact(r, openid.RequestType, func(kid string) (jose.PublicKey, error) {
						if kid != client.KeyID(w.signing.Public()) {
							t.Errorf("kid is %s", kid)
						}
						return w.signing.Public(), nil
					})
				}
				request := must(openid.ParseRequestObject(must(payload, err)(t)))(t)
				if request.ClientID != reference.ClientID {
					t.Errorf("client_id is %s", request.ClientID)
				}
				if request.WalletNonce == "" {
					continue
				}
				id := path[strings.LastIndex(path, "/")+1:]
				if got := codeOf(w.respondEncrypted(id, w.encrypted(request, w.answer(request, me)))); got != "ok" {
					t.Error(got)
				}
			}
			if s := w.status(started.ID); s.State != verifier.Verified {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestIdentityRefused(t *testing.T) {
	w := newWorld(t)
	good := certificate(t, 1, w.clock.Now().Add(-day), w.clock.Now().Add(day))
	for name, change := range map[string]func(*verifier.Config){
		"unknown scheme":           func(c *verifier.Config) { c.ClientIDScheme = "redirect_uri" },
		"no certificate":           func(c *verifier.Config) { c.ClientIDScheme = openid.SchemeX509Hash },
		"certificates for nothing": func(c *verifier.Config) { c.Certificates = [][]byte{good} },
		"a certificate of another": func(c *verifier.Config) {
			c.ClientIDScheme, c.Certificates = openid.SchemeX509Hash, [][]byte{certificate(t, 2, time.Now(), time.Now())}
		},
		"no certificate in it": func(c *verifier.Config) { c.ClientIDScheme, c.Certificates = openid.SchemeX509Hash, [][]byte{{1}} },
		"four certificates": func(c *verifier.Config) {
			c.ClientIDScheme, c.Certificates = openid.SchemeX509Hash, [][]byte{good, good, good, good}
		},
		"a short session key":        func(c *verifier.Config) { c.SessionKey = make([]byte, 16) },
		"a return URI without slash": func(c *verifier.Config) { c.ReturnURIs = []string{"https://shop.example/back"} },
		"a plain return URI":         func(c *verifier.Config) { c.ReturnURIs = []string{"http://shop.example/"} },
		"a return URI with dots":     func(c *verifier.Config) { c.ReturnURIs = []string{"https://shop.example/../"} },
	} {
		cfg := w.config()
		change(&cfg)
		if _, err := verifier.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A certificate that ends is a matter of time, not of the configuration.
	w.with(func(c *verifier.Config) { c.ClientIDScheme, c.Certificates = openid.SchemeX509Hash, [][]byte{good} })
	if err := w.verifier.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	w.clock.advance(2 * day)
	_, err := w.verifier.Start(t.Context(), "app", "residence", 0)
	var notReady *verifier.NotReadyError
	if !errors.As(err, &notReady) || notReady.Code != verifier.CertificateEnded {
		t.Errorf("past its end: %v", err)
	}
}

// A request that was made under another client identifier is not signed anew under this one.
func TestRequestOfAnotherIdentity(t *testing.T) {
	w := newWorld(t)
	_, _, id := w.begin("residence")
	w.with(func(c *verifier.Config) { c.ClientIDScheme = openid.SchemePreRegistered })
	if _, err := w.verifier.RequestWith(t.Context(), id, "n"); codeOf(err) != check.SessionExpired {
		t.Error(err)
	}
}

// The result of a session with a return URI is for the browser that the wallet sent back.
func TestResponseCode(t *testing.T) {
	w, me := encrypting(t)
	app := w.token("app", verifier.ScopeWrite, verifier.ScopeRead)
	other := w.token("other", verifier.ScopeRead)
	begin := func(body string) (verifier.Started, *openid.RequestObject, string) {
		t.Helper()
		started := decode[verifier.Started](t, w.call("POST", "/v1/sessions", app, "application/json", body), http.StatusCreated)
		id := started.RequestURI[strings.LastIndex(started.RequestURI, "/")+1:]
		return started, fetch(t, w.verifier, id), id
	}
	const body = `{"policy":"residence","return_uri":"https://shop.example/back/order?n=1"}`
	started, request, id := begin(body)
	if row := w.row(started.ID); strings.Contains(row, "response_code") {
		t.Errorf("the code is stored: %s", row)
	}
	form := url.Values{"response": {w.encrypted(request, w.answer(request, me))}}.Encode()
	answer := decode[openid.DirectPostAnswer](t, w.call("POST", "/oid4vp/responses/"+id, "", formType, form), 200)
	back := must(url.Parse(answer.RedirectURI))(t)
	code := back.Query().Get("response_code")
	if !strings.HasPrefix(answer.RedirectURI, "https://shop.example/back/order?") || back.Query().Get("n") != "1" || len(code) != 43 {
		t.Fatalf("redirected to %s", answer.RedirectURI)
	}
	path := "/v1/sessions/" + started.ID
	if s := decode[verifier.Status](t, w.call("GET", path, app, "", ""), 200); s.State != verifier.Responded || s.Final || s.Result != "" {
		t.Errorf("without the code: %+v", s)
	}
	for range 2 { // the application may ask again
		if s := decode[verifier.Status](t, w.call("GET", path+"?response_code="+code, app, "", ""), 200); s.State != verifier.Verified || !s.Final || s.Result == "" {
			t.Errorf("with the code: %+v", s)
		}
	}
	second, request2, id2 := begin(body)
	form = url.Values{"response": {w.encrypted(request2, w.answer(request2, me))}}.Encode()
	answer2 := decode[openid.DirectPostAnswer](t, w.call("POST", "/oid4vp/responses/"+id2, "", formType, form), 200)
	if strings.Contains(answer2.RedirectURI, code) {
		t.Error("two sessions have one code")
	}
	for name, c := range map[string]struct {
		path, token string
		status      int
		code        string
	}{
		"another session's code": {"/v1/sessions/" + second.ID + "?response_code=" + code, app, 403, "response_code"},
		"a made-up code":         {path + "?response_code=x", app, 403, "response_code"},
		"another application":    {path + "?response_code=" + code, other, 404, "session_unknown"},
	} {
		r := w.call("GET", c.path, c.token, "", "")
		if p := decode[struct{ Code string }](t, r, c.status); p.Code != c.code {
			t.Errorf("%s: %d %s", name, r.Code, r.Body)
		}
	}
	// Another answer to what was answered gets no code.
	form = url.Values{"response": {w.encrypted(request, w.answer(request, me))}}.Encode()
	if r := w.call("POST", "/oid4vp/responses/"+id, "", formType, form); r.Code != 400 || strings.Contains(r.Body.String(), "redirect_uri") {
		t.Errorf("a second answer: %d %s", r.Code, r.Body)
	}
	// Nor does an answer that was refused; who declines goes back too.
	third, request3, id3 := begin(body)
	form = url.Values{"response": {w.encrypted(request3, w.answer(request2, me))}}.Encode()
	if r := w.call("POST", "/oid4vp/responses/"+id3, "", formType, form); r.Code != 400 || strings.Contains(r.Body.String(), "redirect_uri") {
		t.Errorf("a refused answer: %d %s", r.Code, r.Body)
	}
	form = url.Values{"error": {"access_denied"}, "state": {request3.State}}.Encode()
	if a := decode[openid.DirectPostAnswer](t, w.call("POST", "/oid4vp/responses/"+id3, "", formType, form), 200); a.RedirectURI == "" {
		t.Error("who declines stays behind")
	} else if s, err := w.verifier.StatusWith(t.Context(), "app", third.ID, must(url.Parse(a.RedirectURI))(t).Query().Get("response_code")); err != nil || !s.Final || s.Reason == nil {
		t.Errorf("who declined is back: %+v, %v", s, err)
	}
	// The code of who declines opens no result, should another's answer have been faster.
	late := must(url.Parse(must(w.verifier.Redirect(t.Context(), id, false))(t)))(t).Query().Get("response_code")
	if _, err := w.verifier.StatusWith(t.Context(), "app", started.ID, late); !errors.Is(err, verifier.ErrResponseCode) || late == code {
		t.Errorf("declined too late: %v", err)
	}
	// A session across devices has no code, and none is taken for it.
	across, request4, id4 := begin(`{"policy":"residence"}`)
	form = url.Values{"response": {w.encrypted(request4, w.answer(request4, me))}}.Encode()
	if r := w.call("POST", "/oid4vp/responses/"+id4, "", formType, form); r.Body.String() != "{}" {
		t.Errorf("across devices: %s", r.Body)
	}
	if r := w.call("GET", "/v1/sessions/"+across.ID+"?response_code="+code, app, "", ""); r.Code != 403 {
		t.Errorf("a code for a session without one: %d", r.Code)
	}
	if s := w.status(across.ID); s.State != verifier.Verified {
		t.Errorf("across devices: %+v", s)
	}
}

func TestReturnURIRefused(t *testing.T) {
	w, _ := encrypting(t)
	app := w.token("app", verifier.ScopeWrite)
	for _, address := range []string{
		"https://evil.example/back/", "https://shop.example/", "https://shop.example/back", "https://shop.example/back/../x", "https://shop.example/back/%2e%2e/x", "http://shop.example/back/x",
		"https://shop.example@evil.example/back/", "https://u@shop.example/back/", "https://shop.example/back/#f", "//shop.example/back/", "javascript:alert(1)", "https://shop.example:444/back/",
		"https://shop.example/back/?response_code=mine",
	} {
		r := w.call("POST", "/v1/sessions", app, "application/json", `{"policy":"residence","return_uri":"`+address+`"}`)
		if p := decode[struct{ Code string }](t, r, 400); p.Code != "return_uri" {
			t.Errorf("%s: %s", address, r.Body)
		}
	}
	w.with(func(c *verifier.Config) { c.ReturnURIs = nil })
	if _, err := w.verifier.StartWith(t.Context(), "app", verifier.Ask{Policy: "residence", ReturnURI: "https://shop.example/back/"}); !errors.Is(err, verifier.ErrReturnURI) {
		t.Errorf("none is configured: %v", err)
	}
}

// Without a session key one is drawn.
func TestSessionKeyIsDrawn(t *testing.T) {
	w := newWorld(t)
	w.with(func(c *verifier.Config) { c.PlainResponses = false })
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("residence")
	if got := codeOf(w.respondEncrypted(id, w.encrypted(request, w.answer(request, me)))); got != "ok" {
		t.Error(got)
	}
}
