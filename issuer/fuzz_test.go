package issuer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
