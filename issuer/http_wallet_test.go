package issuer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
)

// credentialBody is a credential request with a fresh nonce.
func (a *agency) credentialBody(p *person, change func(map[string]any)) string {
	a.t.Helper()
	m := map[string]any{
		"credential_configuration_id": titleType,
		"proofs":                      map[string]any{openid.ProofType: []any{p.prove(a.t, a.statement(titleType, a.Nonce().Nonce))}},
	}
	if change != nil {
		change(m)
	}
	return string(must(json.Marshal(m))(a.t))
}

// The short link leads to the very offer of the long one, until its code is used.
func TestOfferByReference(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	offer := must(a.Offer(t.Context(), clerk, a.title(p, "1")))(t)
	want, _, err := openid.ParseOfferLink(offer.Link)
	if err != nil {
		t.Fatal(err)
	}
	_, reference, err := openid.ParseOfferLink(offer.Reference)
	if err != nil || !strings.HasPrefix(reference, agencyURL+"/offers/") || len(offer.Reference) > 200 {
		t.Fatalf("%q: %v", offer.Reference, err)
	}
	fetch := func() answer {
		return a.call(call{method: http.MethodGet, path: strings.TrimPrefix(reference, "https://agency.example")})
	}
	got := fetch()
	var fetched openid.CredentialOffer
	if err := json.Unmarshal(got.body, &fetched); err != nil || got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s: %v", got.status, got.body, err)
	}
	code := fetched.Grants.PreAuthorized.Code
	if code != want.Grants.PreAuthorized.Code || fetched.CredentialIssuer != agencyURL {
		t.Errorf("another offer: %s", got.body)
	}
	if wrong := a.call(call{method: http.MethodGet, path: "/agencies/land/offers/x"}); wrong.status != http.StatusNotFound {
		t.Errorf("an offer that nobody made: %d", wrong.status)
	}
	must(a.Token(t.Context(), issuer.TokenRequest{Code: code}))(t)
	if used := fetch(); used.status != http.StatusNotFound {
		t.Errorf("after its code was used: %d %s", used.status, used.body)
	}
	late := must(a.Offer(t.Context(), clerk, a.title(p, "2")))(t)
	_, reference, _ = openid.ParseOfferLink(late.Reference)
	a.clock.Advance(2 * time.Hour)
	a.restart() // purges at once
	eventually(t, "the offer is gone", func() bool { return fetch().status == http.StatusNotFound })
}

// A request that the ledger keeps waiting is answered with a transaction, and asked for with it until it is there.
func TestDeferredEndpoint(t *testing.T) {
	a, p := newAgency(t, func(c *issuer.Config) { c.SealWait = 50 * time.Millisecond }), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	gate := make(chan struct{})
	a.ledger.set(func(l *fakeLedger) { l.gate = gate })
	first := a.call(call{path: "/agencies/land/credential", body: a.credentialBody(p, nil), bearer: token})
	transaction, _ := first.fields["transaction_id"].(string)
	if first.status != http.StatusAccepted || transaction == "" || first.fields["interval"] != 5.0 || first.fields["credentials"] != nil {
		t.Fatalf("%d %s", first.status, first.body)
	}
	poll := func(transaction, token string) answer {
		return a.call(call{path: "/agencies/land/deferred-credential", body: fmt.Sprintf(`{"transaction_id":%q,"unknown":1}`, transaction), bearer: token})
	}
	if again := poll(transaction, token); again.status != http.StatusAccepted || again.fields["transaction_id"] != transaction {
		t.Errorf("still waiting: %d %s", again.status, again.body)
	}
	if wrong := poll("x", token); wrong.status != http.StatusBadRequest || wrong.fields["error"] != "invalid_transaction_id" {
		t.Errorf("made-up transaction: %d %s", wrong.status, wrong.body)
	}
	if wrong := poll(transaction, ""); wrong.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", wrong.status, wrong.body)
	}
	close(gate)
	var last answer
	eventually(t, "the credential is there", func() bool { last = poll(transaction, token); return last.status == http.StatusOK })
	var response openid.CredentialResponse
	if err := json.Unmarshal(last.body, &response); err != nil || len(response.Credentials) != 1 || response.Transaction != "" {
		t.Errorf("%s: %v", last.body, err)
	}
}

func TestNotificationEndpoint(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	token := a.token(a.title(p, "1"))
	issued := a.call(call{path: "/agencies/land/credential", body: a.credentialBody(p, nil), bearer: token})
	id, _ := issued.fields["notification_id"].(string)
	if issued.status != http.StatusOK || id == "" {
		t.Fatalf("%d %s", issued.status, issued.body)
	}
	tell := func(body string) answer {
		return a.call(call{path: "/agencies/land/notification", body: body, bearer: token})
	}
	good := fmt.Sprintf(`{"notification_id":%q,"event":"credential_accepted","event_description":"ok"}`, id)
	for range 2 { // SPEC: section 11: the same again is answered alike
		if got := tell(good); got.status != http.StatusNoContent || len(got.body) != 0 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	for body, want := range map[string]string{
		`{"notification_id":"x","event":"credential_accepted"}`:              "invalid_notification_id",
		fmt.Sprintf(`{"notification_id":%q,"event":"credential_liked"}`, id): "invalid_notification_request",
		`x`: "invalid_notification_request",
	} {
		if got := tell(body); got.status != http.StatusBadRequest || got.fields["error"] != want {
			t.Errorf("%s: %d %s, want %s", body, got.status, got.body, want)
		}
	}
}

// tokenBody is a token request for a new offer.
func (a *agency) tokenBody(p *person, parcel, details string) string {
	form := url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {a.code(a.title(p, parcel))}}
	if details != "" {
		form.Set("authorization_details", details)
	}
	return form.Encode()
}

// Credential identifiers are there for those who asked for them, who then must use them; nobody else may.
func TestAuthorizationDetails(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	detail := func(configuration string) string {
		return fmt.Sprintf(`[{"type":"openid_credential","credential_configuration_id":%q,"locations":["x"]}]`, configuration)
	}
	exchange := func(details string) answer {
		return a.call(call{path: "/agencies/land/token", body: a.tokenBody(p, "1", details), contentType: "application/x-www-form-urlencoded"})
	}
	for _, wrong := range []string{"x", "[]", "{}", `[{"type":"x"}]`, detail(residenceType), detail(titleType)[:9]} {
		if got := exchange(wrong); got.status != http.StatusBadRequest || got.fields["error"] != "invalid_authorization_details" {
			t.Errorf("%s: %d %s", wrong, got.status, got.body)
		}
	}
	got := exchange(detail(titleType))
	details, _ := got.fields["authorization_details"].([]any)
	if got.status != http.StatusOK || len(details) != 1 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	identifiers, _ := details[0].(map[string]any)["credential_identifiers"].([]any)
	if len(identifiers) != 1 {
		t.Fatalf("%s", got.body)
	}
	token, _ := got.fields["access_token"].(string)
	post := func(token string, change func(map[string]any)) answer {
		return a.call(call{path: "/agencies/land/credential", body: a.credentialBody(p, change), bearer: token})
	}
	if byConfiguration := post(token, nil); byConfiguration.fields["error"] != "unknown_credential_identifier" {
		t.Errorf("by configuration: %s", byConfiguration.body)
	}
	identified := func(m map[string]any) {
		delete(m, "credential_configuration_id")
		m["credential_identifier"] = identifiers[0]
	}
	if byIdentifier := post(token, identified); byIdentifier.status != http.StatusOK {
		t.Errorf("by identifier: %d %s", byIdentifier.status, byIdentifier.body)
	}
	plain := exchange("")
	if _, there := plain.fields["authorization_details"]; there {
		t.Errorf("details that nobody asked for: %s", plain.body)
	}
	token, _ = plain.fields["access_token"].(string)
	if got := post(token, identified); got.fields["error"] != "invalid_credential_request" {
		t.Errorf("an identifier that was not given: %s", got.body)
	}
}

// A token that is bound to a wallet's key is worth nothing to who only reads it.
func TestProofOfPossession(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	a.clock.Advance(time.Minute) // so that proofs without a nonce are taken
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	prover, thief := dpop.NewProver(signingKey(t, "wallet"), a.clock.Now), dpop.NewProver(signingKey(t, "thief"), a.clock.Now)
	// send asks the server as if at its public address.
	send := func(path, body, contentType string, header http.Header) answer {
		r := must(http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL+"/agencies/land"+path, strings.NewReader(body)))(t)
		for name, values := range header {
			r.Header[name] = values
		}
		r.Header.Set("Content-Type", contentType)
		response := must(server.Client().Do(r))(t)
		defer response.Body.Close()
		out := answer{status: response.StatusCode, header: response.Header}
		_ = json.NewDecoder(response.Body).Decode(&out.fields)
		return out
	}
	proof := func(by *dpop.Prover, path, token string) string {
		return must(by.Proof(http.MethodPost, agencyURL+path, token))(t)
	}
	const form = "application/x-www-form-urlencoded"
	body := a.tokenBody(p, "1", "")
	wrong := send("/token", body, form, http.Header{"Dpop": {proof(prover, "/credential", "")}})
	if wrong.status != http.StatusBadRequest || wrong.fields["error"] != "invalid_dpop_proof" || wrong.header.Get("DPoP-Nonce") == "" {
		t.Errorf("a proof for another endpoint: %d %v", wrong.status, wrong.fields)
	}
	first := proof(prover, "/token", "")
	got := send("/token", body, form, http.Header{"Dpop": {first}}) // the code is still good
	token, _ := got.fields["access_token"].(string)
	if got.status != http.StatusOK || got.fields["token_type"] != "DPoP" || token == "" {
		t.Fatalf("%d %v", got.status, got.fields)
	}
	other := a.tokenBody(p, "2", "")
	if replayed := send("/token", other, form, http.Header{"Dpop": {first}}); replayed.fields["error"] != "invalid_dpop_proof" {
		t.Errorf("a proof used twice: %d %v", replayed.status, replayed.fields)
	}
	if fresh := send("/token", other, form, nil); fresh.status != http.StatusOK || fresh.fields["token_type"] != "Bearer" {
		t.Errorf("the code of the replayed request: %d %v", fresh.status, fresh.fields)
	}
	ask := func(scheme string, proofs ...string) answer {
		header := http.Header{"Authorization": {scheme + " " + token}}
		if len(proofs) > 0 {
			header["Dpop"] = proofs
		}
		return send("/credential", a.credentialBody(p, nil), "application/json", header)
	}
	stolen := proof(prover, "/credential", token)
	for name, c := range map[string]struct {
		got  answer
		want string
	}{
		"as a bearer token":    {ask("Bearer"), "invalid_token"},
		"without a proof":      {ask("DPoP"), "invalid_dpop_proof"},
		"by another key":       {ask("DPoP", proof(thief, "/credential", token)), "invalid_dpop_proof"},
		"of another token":     {ask("DPoP", proof(prover, "/credential", "x")), "invalid_dpop_proof"},
		"for another endpoint": {ask("DPoP", proof(prover, "/notification", token)), "invalid_dpop_proof"},
		"two proofs":           {ask("DPoP", stolen, proof(prover, "/credential", token)), "invalid_dpop_proof"},
	} {
		if c.got.status != http.StatusUnauthorized || c.got.fields["error"] != c.want || c.got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %v", name, c.got.status, c.got.fields)
		}
	}
	if a.ledger.count() != 0 {
		t.Error("something reached the chain")
	}
	if good := ask("DPoP", stolen); good.status != http.StatusOK {
		t.Errorf("%d %v", good.status, good.fields)
	}
	if again := ask("DPoP", stolen); again.fields["error"] != "invalid_dpop_proof" {
		t.Errorf("used twice: %d %v", again.status, again.fields)
	}
	a.restart()
	fresh := httptest.NewServer(a.Handler())
	defer fresh.Close()
	server = fresh
	if again := ask("DPoP", stolen); again.status != http.StatusUnauthorized || again.fields["error"] != "use_dpop_nonce" || again.header.Get("DPoP-Nonce") == "" {
		t.Errorf("used before a restart: %d %v", again.status, again.fields)
	}
	slow := dpop.NewProver(signingKey(t, "wallet"), func() time.Time { return a.clock.Now().Add(-time.Hour) })
	late := ask("DPoP", proof(slow, "/credential", token))
	if late.fields["error"] != "invalid_dpop_proof" || !slow.Remember(agencyURL, late.header) {
		t.Errorf("a clock an hour behind: %d %v", late.status, late.fields)
	}
	if good := ask("DPoP", proof(slow, "/credential", token)); good.status != http.StatusOK {
		t.Errorf("with our nonce: %d %v", good.status, good.fields)
	}
}
