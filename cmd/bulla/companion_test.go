package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/sdjwt"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

const formType, jsonType = "application/x-www-form-urlencoded", "application/json"

// fetch gets what is at an address, or posts to it.
func fetch(t *testing.T, address, contentType, body, token string) (int, []byte) {
	t.Helper()
	method := http.MethodGet
	if contentType != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, text
}

// read is fetch of JSON that must be there.
func read[T any](t *testing.T, address, contentType, body, token string) (value T) {
	t.Helper()
	status, text := fetch(t, address, contentType, body, token)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", address, status, text)
	}
	decode(t, string(text), &value)
	return value
}

func wellKnown(t *testing.T, identifier, name string) string {
	t.Helper()
	address, err := openid.WellKnown(identifier, name)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// takeCompanion is what a wallet does that knows nothing of ours: it takes the companion of an offer, bound to a key of its own.
func takeCompanion(t *testing.T, link string, key *jose.SigningKey) *sdjwt.SDJWT {
	t.Helper()
	offer, reference, err := openid.ParseOfferLink(link)
	if err != nil {
		t.Fatal(err)
	}
	if offer == nil {
		o := read[openid.CredentialOffer](t, reference, "", "", "")
		offer = &o
	}
	metadata := read[openid.IssuerMetadata](t, wellKnown(t, offer.CredentialIssuer, openid.IssuerWellKnown), "", "", "")
	server := read[openid.ServerMetadata](t, wellKnown(t, offer.CredentialIssuer, openid.ServerWellKnown), "", "", "")
	grant := url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {offer.Grants.PreAuthorized.Code}}
	token := read[openid.TokenResponse](t, server.TokenEndpoint, formType, grant.Encode(), "").AccessToken
	nonce := read[openid.NonceResponse](t, metadata.NonceEndpoint, formType, "", "").Nonce
	proof, err := jose.SignHeader(key,
		map[string]any{"alg": key.Public().Algorithm(), "typ": "openid4vci-proof+jwt", "jwk": key.Public()},
		map[string]any{"aud": offer.CredentialIssuer, "iat": time.Now().Unix(), "nonce": nonce})
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"credential_configuration_id":%q,"proofs":{"jwt":[%q]}}`, offer.ConfigurationIDs[0], proof)
	answer := read[openid.CredentialResponse](t, metadata.CredentialEndpoint, jsonType, body, token)
	var text string
	decode(t, string(answer.Credentials[0].Credential), &text)
	held, err := sdjwt.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// readingRoom answers one policy by our wallet, with a proof, and by another, with a companion of a real agency: the verifier reads keys and
// status list at the agency's own address.
func (w *town) readingRoom(id string) {
	t := w.t
	started := w.ask(demo.PolicyReadingRoom)
	if x := answer[shownRequest](t, w.citizen("explain", started.RequestLink)...); !strings.Contains(strings.Join(x.Request.Queries[0].Shown, " "), "ordinary credential (companion) instead of the proof") {
		t.Errorf("explained %q", x.Request.Queries[0].Shown)
	}
	succeed(t, w.citizen("present", "--yes", started.RequestLink)...)
	if s := w.status(started.ID); s.State != verifier.Verified || s.Checked.Facts[0].Linkable {
		t.Errorf("with a proof: %+v", s)
	}

	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	held := takeCompanion(t, answer[issuer.Offer](t, "issuer", "offer-companion", id, "--data", w.data, "--agency", "civil").Link, key)
	started = w.ask(demo.PolicyReadingRoom)
	request := w.requestOf(started)
	show := func(paths ...sdjwt.Path) (int, check.Code) {
		t.Helper()
		text, err := held.Present(sdjwt.Binding{Key: key, Audience: request.ClientID, Nonce: request.Nonce, Now: time.Now()}, paths...)
		if err != nil {
			t.Fatal(err)
		}
		token, err := json.Marshal(map[string][]string{request.Query.Companions[0].ID: {text}})
		if err != nil {
			t.Fatal(err)
		}
		form, err := request.ResponseForm(openid.AuthorizationResponse{Token: token, State: request.State})
		if err != nil {
			t.Fatal(err)
		}
		status, answer := fetch(t, request.ResponseURI, formType, form.Encode(), "")
		var e openid.Error
		decode(t, string(answer), &e)
		return status, check.Code(e.Code)
	}
	if status, code := show(held.Disclosable()...); status != http.StatusBadRequest || code != check.CompanionExcess {
		t.Errorf("with all claims: %d %s", status, code)
	}
	if status, code := show(sdjwt.Path{"district"}, sdjwt.Path{"since"}); status != http.StatusOK {
		t.Fatalf("with a companion: %d %s", status, code)
	}
	s := w.status(started.ID)
	if s.State != verifier.Verified || !s.Checked.Facts[0].Linkable || s.Checked.Facts[0].Issuers[0] != demo.CivilDID || len(s.Checked.Facts[0].Disclosed) != 0 {
		t.Errorf("with a companion: %+v", s)
	}
	if text := succeed(t, "verifier", "status", "--data", w.data, started.ID); !strings.Contains(text, "so that visits can be linked") || !strings.Contains(text, "saw the values of") {
		t.Errorf("status: %s", text)
	}
}

// requestOf is the request of a session, as anybody fetches it.
func (w *town) requestOf(started verifier.Started) *openid.RequestObject {
	t := w.t
	status, token := fetch(t, started.RequestURI, "", "", "")
	payload, err := jose.PeekPayload(string(token))
	if status != http.StatusOK || err != nil {
		t.Fatalf("%d %s, %v", status, token, err)
	}
	request, err := openid.ParseRequestObject(payload)
	if err != nil {
		t.Fatal(err)
	}
	return request
}
