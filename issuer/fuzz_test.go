package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
)

// Whatever a stranger sends is refused as the standards say, and nothing gets onto the chain.
func FuzzCredentialEndpoint(f *testing.F) {
	f.Add(`{"credential_configuration_id":"`+titleType+`","proofs":{"`+openid.ProofType+`":[{"holder_commitment":"","pseudonym":"","nonce":"","verifying_key":"","proof":""}]}}`, "application/json")
	f.Add(`{"credential_configuration_id":"`+titleType+`","proofs":{"jwt":["x"]}}`, "application/json; charset=utf-8")
	f.Add(`{"proofs":null}`, "text/plain")
	f.Add(`[[[[`, "application/json")
	a := newAgency(f)
	p := newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	handler := a.Handler()
	f.Fuzz(func(t *testing.T, body, contentType string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/agencies/land/credential", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || !strings.HasPrefix(w.Body.String(), `{"error":"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if a.ledger.count() != 0 {
			t.Error("something reached the chain")
		}
	})
}

// A key proof, whatever is signed in it, is refused, or is for us, of this time, and brings the key that signed. NONCE stands for a fresh
// nonce, KEY for the key.
func FuzzKeyProof(f *testing.F) {
	const header, payload = `{"alg":"ES256","typ":"openid4vci-proof+jwt","jwk":KEY}`, `{"aud":"` + agencyURL + `","iat":1772355600,"nonce":"NONCE"}`
	f.Add(header, payload)
	f.Add(`{"alg":"none","typ":"openid4vci-proof+jwt","jwk":KEY}`, payload)
	f.Add(`{"alg":"ES256","typ":"openid4vci-proof+jwt","kid":"x","jwk":KEY}`, payload)
	f.Add(header, `{"aud":["`+agencyURL+`"],"iat":1772355600.5,"nonce":"NONCE","iss":"x"}`)
	f.Add(header, `{"aud":"`+agencyURL+`","iat":1e400,"nonce":"NONCE","exp":1,"nbf":-1}`)
	for _, long := range fuzztest.Long([]byte(payload)) {
		f.Add(header, string(long))
	}
	a, p := newCompanionAgency(f), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	w := a.otherWallet(jose.ES256)
	token, handler := a.companionToken(c.ID), a.Handler()
	key := string(must(json.Marshal(w.key.Public()))(f))
	f.Fuzz(func(t *testing.T, header, payload string) {
		header = strings.ReplaceAll(header, "KEY", key)
		payload = strings.ReplaceAll(payload, "NONCE", a.Nonce().Nonce)
		message := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		signature := must(w.key.Sign([]byte(message)))(t)
		proof := message + "." + base64.RawURLEncoding.EncodeToString(signature)
		body := `{"credential_configuration_id":"` + companionType + `","proofs":{"jwt":["` + proof + `"]}}`
		got := ask(t, handler, call{path: "/agencies/land/credential", body: body, bearer: token})
		if got.status == http.StatusBadRequest && (got.fields["error"] == "invalid_proof" || got.fields["error"] == "invalid_nonce") {
			return
		}
		var said struct {
			Audience string  `json:"aud"`
			IssuedAt float64 `json:"iat"`
			Issuer   *string `json:"iss"`
		}
		err := json.Unmarshal([]byte(payload), &said)
		if got.status != http.StatusOK || err != nil || said.Audience != agencyURL || math.Abs(said.IssuedAt-float64(a.clock.Now().Unix())) > 301 || said.Issuer != nil || !strings.Contains(header, key) {
			t.Errorf("%s %s: %d %s", header, payload, got.status, got.body)
		}
	})
}

// Whatever a clerk sends is an offer or a problem.
func FuzzOffers(f *testing.F) {
	f.Add(`{"person":"Li Wei","schema":"` + titleType + `","claims":{"parcel":"1","area":"612"},"subject":"1","valid_until":"2030-01-01"}`)
	f.Add(`{"person":"Li Wei","schema":"` + residenceType + `","claims":{"district":"310101"},"valid_from":"2026-01-01","valid_until":"2030-01-01","tx_code":true}`)
	f.Add(`{"claims":{"area":[1,{"a":null}]}}`)
	a := newAgency(f)
	handler, bearer := a.Handler(), a.bearer(issuer.ScopeOffers)
	f.Fuzz(func(t *testing.T, body string) {
		got := ask(t, handler, call{path: "/agencies/land/admin/v1/offers", body: body, bearer: bearer})
		switch {
		case got.status == http.StatusCreated:
			if _, _, err := openid.ParseOfferLink(got.fields["link"].(string)); err != nil {
				t.Error(err)
			}
		case got.status < 400 || got.status > 499 || got.header.Get("Content-Type") != "application/problem+json":
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

// Whatever a stranger sends for a token is refused as OAuth does, and spends nobody's code. CODE stands for a good one.
func FuzzToken(f *testing.F) {
	f.Add("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code&pre-authorized_code=x", "application/x-www-form-urlencoded")
	f.Add("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code&pre-authorized_code=CODE&tx_code=1", "application/x-www-form-urlencoded")
	f.Add("grant_type=authorization_code&grant_type=x", "application/x-www-form-urlencoded;charset=utf-8")
	f.Add("%zz;=&", "application/x-www-form-urlencoded")
	f.Add("--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nx\r\n--x--", "multipart/form-data; boundary=x")
	a := newAgency(f)
	handler := a.Handler()
	code := a.code(a.title(newPerson("Li Wei"), "1"))
	f.Fuzz(func(t *testing.T, body, contentType string) {
		got := ask(t, handler, call{path: "/agencies/land/token", body: strings.ReplaceAll(body, "CODE", code), contentType: contentType})
		switch {
		case got.status == http.StatusOK:
			if !strings.Contains(body, "CODE") {
				t.Errorf("%q is exchanged for a token", body)
			}
			code = a.code(a.title(newPerson("Li Wei"), "1"))
		case got.status != http.StatusBadRequest && got.status != http.StatusUnauthorized || got.fields["error"] == nil || len(got.body) > 2048:
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

// Whatever a clerk asks of the rest of the admin API, it is answered or a problem, and nothing gets onto the chain.
func FuzzAdmin(f *testing.F) {
	for path, body := range map[string]string{
		"/credentials/search": `{"person":"Li Wei","after":"","limit":5}`, "/credentials/search?": `{"person":"","limit":-1}`,
		"/credentials/x/revoke": `{"code":"other","note":"lost"}`, "/credentials/1/suspend": `{"code":"other","note":""}`, "/enrolments/reset": `{"person":"Li Wei","register":"` + landDID + `"}`,
	} {
		f.Add(true, path, body)
	}
	f.Add(false, "/credentials?after=x&limit=1", "")
	f.Add(false, "/credentials?limit=99999999999999999999", "")
	f.Add(false, "/credentials/%2e%2e", "")
	a := newAgency(f)
	handler, bearer := a.Handler(), a.bearer(issuer.Scopes...)
	f.Fuzz(func(t *testing.T, post bool, path, body string) {
		target := "/agencies/land/admin/v1" + path
		if u, err := url.ParseRequestURI(target); err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "/offers") || u.Host != "" {
			return // no server hands it on, or FuzzOffers has it
		}
		method := http.MethodGet
		if post {
			method = http.MethodPost
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "https://agency.example"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+bearer)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code >= 400 && (w.Header().Get("Content-Type") != "application/problem+json" || w.Body.Len() > 4096) {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		if a.ledger.count() != 0 {
			t.Error("something reached the chain")
		}
	})
}
