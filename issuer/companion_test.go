package issuer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/sdjwt"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
)

var companionType = openid.CompanionID(titleType)

// newCompanionAgency is an agency whose titles have companions.
func newCompanionAgency(t testing.TB, change ...func(*issuer.Config)) *agency {
	t.Helper()
	return newAgency(t, append(change, func(c *issuer.Config) {
		c.Companions, c.Keys.Companion = []string{titleType}, must(jose.Generate(jose.ES256))(t)
	})...)
}

// otherWallet is a wallet that knows nothing of ours: it has a key.
type otherWallet struct {
	*agency
	key *jose.SigningKey
}

func (a *agency) otherWallet(alg jose.Algorithm) *otherWallet {
	return &otherWallet{a, must(jose.Generate(alg))(a.t)}
}

type members = map[string]any

// proof is a key proof with a fresh nonce.
func (w *otherWallet) proof(change func(header, payload members)) string {
	w.t.Helper()
	header := members{"alg": w.key.Public().Algorithm(), "typ": "openid4vci-proof+jwt", "jwk": w.key.Public()}
	payload := members{"aud": agencyURL, "iat": w.clock.Now().Unix(), "nonce": w.Nonce().Nonce}
	if change != nil {
		change(header, payload)
	}
	return must(jose.SignHeader(w.key, header, payload))(w.t)
}

// request asks for a companion with proofs.
func (w *otherWallet) request(token string, proofs ...any) answer {
	w.t.Helper()
	body := must(json.Marshal(members{"credential_configuration_id": companionType, "proofs": members{"jwt": proofs}}))(w.t)
	return w.call(call{path: "/agencies/land/credential", body: string(body), bearer: token})
}

// ask is the whole credential request, and its one credential.
func (w *otherWallet) ask(token string) (string, answer) {
	w.t.Helper()
	got := w.request(token, w.proof(nil))
	return companionIn(got), got
}

func companionIn(got answer) (text string) {
	var response openid.CredentialResponse
	if json.Unmarshal(got.body, &response) == nil && len(response.Credentials) == 1 {
		_ = json.Unmarshal(response.Credentials[0].Credential, &text)
	}
	return text
}

// offerCompanion is the clerk's request.
func (a *agency) offerCompanion(id, body string) (issuer.Offer, answer) {
	a.t.Helper()
	got := a.by("clerk", http.MethodPost, "/credentials/"+id+"/companion-offers", body, "")
	var offer issuer.Offer
	_ = json.Unmarshal(got.body, &offer)
	return offer, got
}

// companionToken is an access token for a companion of a credential.
func (a *agency) companionToken(id string) string {
	a.t.Helper()
	offer, got := a.offerCompanion(id, `{}`)
	if got.status != http.StatusCreated {
		a.t.Fatalf("offer: %d %s", got.status, got.body)
	}
	return must(a.Token(context.Background(), issuer.TokenRequest{Code: codeOf(a.t, offer)}))(a.t).AccessToken
}

// mustCompanion goes the whole way.
func (a *agency) mustCompanion(id string) (w *otherWallet, text string) {
	a.t.Helper()
	w = a.otherWallet(jose.ES256)
	text, got := w.ask(a.companionToken(id))
	if got.status != http.StatusOK || text == "" {
		a.t.Fatalf("%d %s", got.status, got.body)
	}
	return w, text
}

// issuerKeys are the keys as a verifier finds them.
func (a *agency) issuerKeys() jose.LookUp {
	a.t.Helper()
	got := a.call(call{method: http.MethodGet, path: "/.well-known/jwt-vc-issuer/agencies/land"})
	var metadata struct {
		Issuer string `json:"issuer"`
		Set    struct {
			Keys []struct {
				jose.PublicKey
				ID string `json:"kid"`
			} `json:"keys"`
		} `json:"jwks"`
	}
	if err := json.Unmarshal(got.body, &metadata); err != nil || got.status != http.StatusOK || metadata.Issuer != agencyURL || len(metadata.Set.Keys) == 0 {
		a.t.Fatalf("%d %s", got.status, got.body)
	}
	var keys []jose.PublicKey
	for _, k := range metadata.Set.Keys {
		if k.ID != k.KeyID() {
			a.t.Errorf("kid %s of key %s", k.ID, k.KeyID())
		}
		keys = append(keys, k.PublicKey)
	}
	return jose.Keys(keys...)
}

// verify is what a relying party makes of a credential that its holder shows whole.
func (w *otherWallet) verify(text string) *sdjwt.Credential {
	w.t.Helper()
	held := must(sdjwt.Parse(text))(w.t)
	shown := must(held.Present(sdjwt.Binding{Key: w.key, Audience: "https://bank.example", Nonce: "n", Now: w.clock.Now()}, held.Disclosable()...))(w.t)
	return must(sdjwt.Verify(shown, sdjwt.Expected{
		Types: []string{titleType}, Keys: func(iss, kid string) (jose.PublicKey, error) {
			if iss != agencyURL {
				return jose.PublicKey{}, fmt.Errorf("issuer %s", iss)
			}
			return w.issuerKeys()(kid)
		}, Now: w.clock.Now(), Binding: &sdjwt.Challenge{Audience: "https://bank.example", Nonce: "n"},
	}))(w.t)
}

// list fetches a status list.
func (a *agency) list(uri string) answer {
	a.t.Helper()
	return a.call(call{method: http.MethodGet, path: strings.TrimPrefix(uri, "https://agency.example")})
}

// status is what the list says of a credential now.
func (a *agency) status(text string) statuslist.Status {
	a.t.Helper()
	r := referenceOf(a.t, text)
	got := a.list(r.URI)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/statuslist+jwt" {
		a.t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	token := must(statuslist.Verify(string(got.body), statuslist.Expected{URI: r.URI, Keys: a.issuerKeys(), Now: a.clock.Now()}))(a.t)
	return must(token.List.At(r.Index))(a.t)
}

// payloadOf is what the issuer's JWT says.
func payloadOf(t testing.TB, text string) (p members) {
	t.Helper()
	token, _, _ := strings.Cut(text, "~")
	_, payload, err := jose.PeekCompact(token)
	if err == nil {
		err = json.Unmarshal(payload, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func referenceOf(t testing.TB, text string) (r statuslist.Reference) {
	t.Helper()
	raw := must(json.Marshal(payloadOf(t, text)["status"].(members)["status_list"]))(t)
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// fullTitle has a claim of each type.
func (a *agency) fullTitle(p *person) issuer.Application {
	application := a.title(p, "91216 AB 12")
	maps.Copy(application.Claims, credential.Claims{
		"price": "12.50", "since": "2024-02-29", "entered": "2024-02-29T12:00:00Z", "built": false, "use": "farm",
	})
	return application
}

// A wallet that is not ours gets the same data in a form that everybody reads, and its status follows the credential's.
func TestCompanion(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			a, p := newCompanionAgency(t), newPerson("Li Wei")
			_, c := a.mustIssue(p, a.fullTitle(p))
			offer, made := a.offerCompanion(c.ID, `{}`)
			parsed, _, err := openid.ParseOfferLink(offer.Link)
			if err != nil || made.status != http.StatusCreated || fmt.Sprint(parsed.ConfigurationIDs) != "["+companionType+"]" || offer.TxCode != "" {
				t.Fatalf("%d %s %v", made.status, made.body, err)
			}
			token := must(a.Token(t.Context(), issuer.TokenRequest{Code: codeOf(t, offer)}))(t).AccessToken
			w := a.otherWallet(alg)
			text, got := w.ask(token)
			if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%d %s", got.status, got.body)
			}
			verified := w.verify(text)
			want := sdjwt.Claims{
				"parcel": "91216 AB 12", "area": json.Number("612"), "price": "12.50", "since": "2024-02-29",
				"entered": "2024-02-29T12:00:00Z", "built": false, "use": "farm",
			}
			if fmt.Sprint(verified.Claims) != fmt.Sprint(want) {
				t.Errorf("claims %v", verified.Claims)
			}
			day := func(y int, m time.Month, d int) credential.UnixTime {
				return credential.UnixTimeOf(time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
			}
			if verified.IssuedAt != day(2026, 3, 1) || verified.NotBefore != day(2026, 3, 1) || verified.ExpiresAt != day(2030, 1, 1) || *verified.HolderKey != w.key.Public() {
				t.Errorf("%v %v %v", verified.IssuedAt, verified.NotBefore, verified.ExpiresAt)
			}
			payload := payloadOf(t, text)
			if digests, _ := payload["_sd"].([]any); len(digests) != credential.Slots {
				t.Errorf("%d digests", len(digests))
			}
			for name := range want {
				if _, open := payload[name]; open {
					t.Errorf("%s is always shown", name)
				}
			}
			a.checkFollows(c.ID, text)
		})
	}
}

// checkFollows checks that a companion's status is its credential's, over restarts.
func (a *agency) checkFollows(id, text string) {
	a.t.Helper()
	want := func(when string, want statuslist.Status) {
		a.t.Helper()
		if got := a.status(text); got != want {
			a.t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	want("issued", statuslist.Valid)
	must(a.Suspend(a.t.Context(), clerk, id, because("r")))(a.t)
	want("suspended", statuslist.Suspended)
	a.restart()
	want("suspended, after a restart", statuslist.Suspended)
	must(a.Reinstate(a.t.Context(), clerk, id, because("r")))(a.t)
	want("reinstated", statuslist.Valid)
	must(a.Revoke(a.t.Context(), clerk, id, because("r")))(a.t)
	want("revoked", statuslist.Invalid)
	a.restart()
	want("revoked, after a restart", statuslist.Invalid)
}

// Several companions of one credential have a place each, and all follow it; another credential's does not.
func TestSeveralCompanions(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	_, other := a.mustIssue(p, a.title(p, "2"))
	_, first := a.mustCompanion(c.ID)
	_, second := a.mustCompanion(c.ID)
	_, others := a.mustCompanion(other.ID)
	if referenceOf(t, first) == referenceOf(t, second) || referenceOf(t, first) == referenceOf(t, others) {
		t.Error("two companions share a place")
	}
	must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
	if a.status(first) != statuslist.Suspended || a.status(second) != statuslist.Suspended || a.status(others) != statuslist.Valid {
		t.Errorf("%s, %s, %s", a.status(first), a.status(second), a.status(others))
	}
	if got := must(a.Credential(clerk, c.ID))(t); got.Companions != 2 {
		t.Errorf("the clerk sees %d companions", got.Companions)
	}
}

// What is in the metadata is what a wallet that knows the standards alone needs.
func TestCompanionMetadata(t *testing.T) {
	a := newCompanionAgency(t)
	got := a.call(call{method: http.MethodGet, path: "/.well-known/openid-credential-issuer/agencies/land"})
	var m struct {
		Configurations map[string]members `json:"credential_configurations_supported"`
	}
	if err := json.Unmarshal(got.body, &m); err != nil || len(m.Configurations) != 3 {
		t.Fatalf("%d configurations, %v", len(m.Configurations), err)
	}
	c := m.Configurations[companionType]
	metadata, _ := c["credential_metadata"].(members)
	claims, _ := metadata["claims"].([]any)
	delete(c, "credential_metadata")
	const want = `{"credential_signing_alg_values_supported":["ES256"],"cryptographic_binding_methods_supported":["jwk"],"format":"dc+sd-jwt",` +
		`"proof_types_supported":{"jwt":{"proof_signing_alg_values_supported":["ES256","EdDSA"]}},"scope":"urn:bulla:schema:test-title:1+sd-jwt",` +
		`"vct":"urn:bulla:schema:test-title:1"}`
	if text := string(must(json.Marshal(c))(t)); text != want || len(claims) != 7 {
		t.Errorf("%s, %d claims", text, len(claims))
	}
	if appended := a.call(call{method: http.MethodGet, path: "/agencies/land/.well-known/jwt-vc-issuer"}); appended.status != http.StatusNotFound {
		t.Errorf("keys are served where the path was appended: %d", appended.status)
	}
	plain := newAgency(t)
	for _, path := range []string{"/.well-known/jwt-vc-issuer/agencies/land", "/agencies/land/status-lists/1"} {
		if got := plain.call(call{method: http.MethodGet, path: path}); got.status != http.StatusNotFound {
			t.Errorf("an agency without companions has %s: %d", path, got.status)
		}
	}
}

// Each proof is refused for what it is named after, and uses no offer up.
func TestKeyProofRefused(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	token := a.companionToken(c.ID)
	w, other := a.otherWallet(jose.ES256), a.otherWallet(jose.ES256)
	header := func(name string, value any) string {
		return w.proof(func(header, _ members) {
			if header[name] = value; value == nil {
				delete(header, name)
			}
		})
	}
	payload := func(name string, value any) string {
		return w.proof(func(_, payload members) {
			if payload[name] = value; value == nil {
				delete(payload, name)
			}
		})
	}
	private := members{}
	if err := json.Unmarshal(must(w.key.MarshalSecret())(t), &private); err != nil {
		t.Fatal(err)
	}
	now := a.clock.Now()
	stale := a.Nonce().Nonce
	used := w.proof(nil)
	if got := other.request(token, w.proof(nil), used); got.fields["error"] != "invalid_proof" {
		t.Errorf("two proofs: %s", got.body)
	}
	for name, proof := range map[string]any{
		"no text":                    members{},
		"garbage":                    "x",
		"another typ":                header("typ", "dpop+jwt"),
		"no typ":                     header("typ", nil),
		"no key":                     header("jwk", nil),
		"a kid too":                  header("kid", w.key.Public().KeyID()),
		"a kid alone":                w.proof(func(h, _ members) { delete(h, "jwk"); h["kid"] = "did:jwk:x#0" }),
		"certificates":               w.proof(func(h, _ members) { delete(h, "jwk"); h["x5c"] = []string{"MII"} }),
		"certificates too":           header("x5c", []string{"MII"}),
		"a trust chain":              header("trust_chain", []string{"x"}),
		"an attestation":             header("key_attestation", "x.y.z"),
		"crit":                       header("crit", []string{"exp"}),
		"a private key":              header("jwk", private),
		"another key":                header("jwk", other.key.Public()),
		"a key for encryption":       header("jwk", members{"kty": "EC", "crv": "P-256", "x": w.key.Public().X, "y": w.key.Public().Y, "use": "enc"}),
		"a key of another curve":     header("jwk", members{"kty": "EC", "crv": "P-384", "x": w.key.Public().X, "y": w.key.Public().Y}),
		"a symmetric key":            header("jwk", members{"kty": "oct", "k": "AAAA"}),
		"alg none":                   header("alg", "none"),
		"alg HS256":                  header("alg", "HS256"),
		"alg of another key":         header("alg", "EdDSA"),
		"no aud":                     payload("aud", nil),
		"another aud":                payload("aud", agencyURL+"/"),
		"two auds":                   payload("aud", []string{agencyURL, "https://other.example"}),
		"no iat":                     payload("iat", nil),
		"an iat in a text":           payload("iat", "now"),
		"made six minutes ago":       payload("iat", now.Add(-6*time.Minute).Unix()),
		"made in six minutes":        payload("iat", now.Add(6*time.Minute).Unix()),
		"expired":                    payload("exp", now.Add(-time.Minute).Unix()),
		"not yet":                    payload("nbf", now.Add(time.Minute).Unix()),
		"no nonce":                   payload("nonce", nil),
		"iss without a client_id":    payload("iss", "wallet"),
		"too long":                   payload("x", strings.Repeat("x", 4<<10)),
		"a signature of another key": spliced(w.proof(nil), other.proof(nil)),
	} {
		if got := w.request(token, proof); got.status != http.StatusBadRequest || got.fields["error"] != "invalid_proof" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for name, proof := range map[string]string{"a nonce that is not ours": payload("nonce", "x"), "a nonce of another agency": payload("nonce", base64.RawURLEncoding.EncodeToString(make([]byte, 40)))} {
		if got := w.request(token, proof); got.status != http.StatusBadRequest || got.fields["error"] != "invalid_nonce" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for name, body := range map[string]string{
		"no proofs":         `{"credential_configuration_id":"` + companionType + `"}`,
		"no proof":          `{"credential_configuration_id":"` + companionType + `","proofs":{"jwt":[]}}`,
		"another kind":      `{"credential_configuration_id":"` + companionType + `","proofs":{"attestation":["x"]}}`,
		"proof, not proofs": `{"credential_configuration_id":"` + companionType + `","proof":{"proof_type":"jwt","jwt":"` + w.proof(nil) + `"}}`,
	} {
		if got := w.call(call{path: "/agencies/land/credential", body: body, bearer: token}); got.fields["error"] != "invalid_proof" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	edge := w.proof(func(_, p members) {
		p["iat"] = now.Add(4*time.Minute + 50*time.Second).Unix()
		p["exp"] = now.Add(time.Hour).Unix()
	})
	if got := w.request(token, edge); got.status != http.StatusOK {
		t.Fatalf("a good one: %d %s", got.status, got.body)
	}
	if got := w.request(token, edge); got.fields["error"] != "invalid_nonce" {
		t.Errorf("used again: %s", got.body)
	}
	if got := w.request(token, used); got.status != http.StatusOK {
		t.Errorf("the nonce of a proof that was refused with another: %d %s", got.status, got.body)
	}
	a.clock.Advance(5 * time.Minute)
	if got := w.request(token, w.proof(func(_, p members) { p["nonce"] = stale })); got.fields["error"] != "invalid_nonce" {
		t.Errorf("an old nonce: %s", got.body)
	}
	if log := a.log.String(); strings.Contains(log, w.key.Public().KeyID()) || strings.Contains(log, w.key.Public().X) {
		t.Error("the log has the holder's key")
	}
}

// spliced is a token with the signature of another.
func spliced(token, other string) string {
	return token[:strings.LastIndex(token, ".")] + other[strings.LastIndex(other, "."):]
}

// An offer has one answer: the same key gets the same again, also after a restart, and another gets nothing.
func TestCompanionOnce(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	token := a.companionToken(c.ID)
	w, thief := a.otherWallet(jose.EdDSA), a.otherWallet(jose.EdDSA)
	first, got := w.ask(token)
	id, _ := got.fields["notification_id"].(string)
	a.restart()
	again, repeated := w.ask(token)
	if first == "" || first != again || repeated.fields["notification_id"] != id || id == "" {
		t.Errorf("asked again: %d %s", repeated.status, repeated.body)
	}
	if _, got := thief.ask(token); got.status != http.StatusBadRequest || got.fields["error"] != "credential_request_denied" {
		t.Errorf("another key: %d %s", got.status, got.body)
	}
	tell := a.call(call{path: "/agencies/land/notification", body: fmt.Sprintf(`{"notification_id":%q,"event":"credential_accepted"}`, id), bearer: token})
	if tell.status != http.StatusNoContent {
		t.Errorf("notification: %d %s", tell.status, tell.body)
	}
	for _, transaction := range []string{"", "x"} {
		got := a.call(call{path: "/agencies/land/deferred-credential", body: fmt.Sprintf(`{"transaction_id":%q}`, transaction), bearer: token})
		if got.status != http.StatusBadRequest || got.fields["error"] != "invalid_transaction_id" {
			t.Errorf("deferred with %q: %d %s", transaction, got.status, got.body)
		}
	}
	if got := must(a.Credential(clerk, c.ID))(t); got.Companions != 1 {
		t.Errorf("%d companions", got.Companions)
	}
	must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
	if _, got := w.ask(token); got.fields["error"] != "credential_request_denied" {
		t.Errorf("again, when suspended: %d %s", got.status, got.body)
	}
}

// A token for the one format never gets the other, whatever is asked for and proven.
func TestNeverMixed(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	w := a.otherWallet(jose.ES256)
	ours := func(configuration string) members {
		return members{"credential_configuration_id": configuration, "proofs": members{openid.ProofType: []any{p.prove(t, a.statement(titleType, a.Nonce().Nonce))}}}
	}
	theirs := func(configuration string) members {
		return members{"credential_configuration_id": configuration, "proofs": members{"jwt": []any{w.proof(nil)}}}
	}
	companionToken, token := a.companionToken(c.ID), a.token(a.title(p, "2"))
	for name, c := range map[string]struct {
		token string
		body  members
		want  string
	}{
		"ours for a companion's token":                 {companionToken, ours(titleType), "credential_request_denied"},
		"our proof for a companion":                    {companionToken, ours(companionType), "invalid_proof"},
		"a key proof for ours":                         {companionToken, theirs(titleType), "invalid_proof"},
		"a companion for our token":                    {token, theirs(companionType), "credential_request_denied"},
		"ours by a key proof":                          {token, theirs(titleType), "invalid_proof"},
		"a companion of a type that has none":          {companionToken, theirs(openid.CompanionID(residenceType)), "invalid_proof"},
		"ours of a type that is the companion's id":    {token, ours(companionType), "invalid_proof"},
		"ours of another type for a companion's token": {companionToken, ours(residenceType), "invalid_proof"},
	} {
		got := a.call(call{path: "/agencies/land/credential", body: string(must(json.Marshal(c.body))(t)), bearer: c.token})
		if got.status != http.StatusBadRequest || got.fields["error"] != c.want && got.fields["error"] != "credential_request_denied" {
			t.Errorf("%s: %d %s, want %s", name, got.status, got.body, c.want)
		}
	}
	if _, got := w.ask(companionToken); got.status != http.StatusOK {
		t.Errorf("the companion after all: %d %s", got.status, got.body)
	}
	if _, err := a.ask(p, token, titleType); err != nil {
		t.Errorf("ours after all: %v", err)
	}
}

// Codes, transaction codes, references, details and bound tokens work for companions as for ours.
func TestCompanionTokens(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	w := a.otherWallet(jose.ES256)

	offer, _ := a.offerCompanion(c.ID, `{"tx_code":true}`)
	if len(offer.TxCode) != 6 {
		t.Fatalf("%+v", offer)
	}
	_, reference, err := openid.ParseOfferLink(offer.Reference)
	if err != nil {
		t.Fatal(err)
	}
	var fetched openid.CredentialOffer
	if err := json.Unmarshal(a.list(reference).body, &fetched); err != nil || fetched.Grants.PreAuthorized.Code != codeOf(t, offer) || fetched.ConfigurationIDs[0] != companionType {
		t.Errorf("by reference: %+v, %v", fetched, err)
	}
	form := url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {codeOf(t, offer)}, "tx_code": {"x"}}
	for range 5 {
		if got := a.postToken(form); got.fields["error"] != "invalid_grant" {
			t.Errorf("a wrong transaction code: %d %s", got.status, got.body)
		}
	}
	form.Set("tx_code", offer.TxCode)
	if got := a.postToken(form); got.fields["error"] != "invalid_grant" {
		t.Errorf("an offer that is locked: %d %s", got.status, got.body)
	}

	offer, _ = a.offerCompanion(c.ID, `{}`)
	detail := func(configuration string) string {
		return `[{"type":"openid_credential","credential_configuration_id":"` + configuration + `"}]`
	}
	form = url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {codeOf(t, offer)}, "authorization_details": {detail(titleType)}, "client_id": {"a wallet"}}
	if got := a.postToken(form); got.fields["error"] != "invalid_authorization_details" {
		t.Errorf("details of our own format: %d %s", got.status, got.body)
	}
	form.Set("authorization_details", detail(companionType))
	got := a.postToken(form)
	token, _ := got.fields["access_token"].(string)
	if got.status != http.StatusOK || !strings.Contains(string(got.body), `"credential_identifiers":["`+companionType+`"]`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	named := func(iss any) string {
		return w.proof(func(_, p members) { p["iss"] = iss })
	}
	byIdentifier := func(proof string) answer {
		body := must(json.Marshal(members{"credential_identifier": companionType, "proofs": members{"jwt": []any{proof}}}))(t)
		return a.call(call{path: "/agencies/land/credential", body: string(body), bearer: token})
	}
	if got := w.request(token, w.proof(nil)); got.fields["error"] != "unknown_credential_identifier" {
		t.Errorf("by configuration: %s", got.body)
	}
	for _, iss := range []any{"another wallet", "", 1} {
		if got := byIdentifier(named(iss)); got.fields["error"] != "invalid_proof" {
			t.Errorf("iss %v: %d %s", iss, got.status, got.body)
		}
	}
	if got := byIdentifier(named("a wallet")); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}

	offer, _ = a.offerCompanion(c.ID, `{}`)
	a.clock.Advance(time.Minute) // so that proofs without a nonce are taken
	prover := dpop.NewProver(signingKey(t, "wallet"), a.clock.Now)
	r := a.dpopRequest("/token", "application/x-www-form-urlencoded", url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {codeOf(t, offer)}}.Encode())
	r.Header.Set("DPoP", must(prover.Proof(http.MethodPost, agencyURL+"/token", ""))(t))
	bound := record(a.Handler(), r)
	token, _ = bound.fields["access_token"].(string)
	if bound.fields["token_type"] != "DPoP" {
		t.Fatalf("%d %s", bound.status, bound.body)
	}
	if _, got := w.ask(token); got.status != http.StatusUnauthorized {
		t.Errorf("a bound token as a bearer token: %d %s", got.status, got.body)
	}
	r = a.dpopRequest("/credential", "application/json", string(must(json.Marshal(members{"credential_configuration_id": companionType, "proofs": members{"jwt": []any{w.proof(nil)}}}))(t)))
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", must(prover.Proof(http.MethodPost, agencyURL+"/credential", token))(t))
	if got := record(a.Handler(), r); got.status != http.StatusOK || companionIn(got) == "" {
		t.Errorf("with a proof of possession: %d %s", got.status, got.body)
	}
}

func (a *agency) dpopRequest(path, contentType, body string) *http.Request {
	r := must(http.NewRequestWithContext(context.Background(), http.MethodPost, agencyURL+path, strings.NewReader(body)))(a.t)
	r.Header.Set("Content-Type", contentType)
	return r
}

// Offers are refused to a clerk for what the credential is, and requests to a wallet for what it became.
func TestCompanionRefused(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	huge := a.title(p, "2")
	huge.Claims["area"] = "9007199254740992"
	_, wide := a.mustIssue(p, huge)
	_, other := a.mustIssue(p, a.residence(p, "2026-01-01", "2028-01-01"))
	short := a.title(p, "3")
	short.ValidUntil = "2026-03-02"
	_, brief := a.mustIssue(p, short)
	refused := func(what, id, body string, status int, code string) {
		t.Helper()
		if _, got := a.offerCompanion(id, body); got.status != status || got.fields["code"] != code || strings.Contains(string(got.body), "9007") {
			t.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, code)
		}
	}
	refused("unknown", "x", `{}`, 404, "not-found")
	refused("an unknown member", c.ID, `{"x":1}`, 422, "request")
	refused("no body", c.ID, ``, 400, "request")
	refused("a type without companions", other.ID, `{}`, 409, "no-companion")
	refused("a number that JSON does not carry", wide.ID, `{}`, 400, "claim")
	if got := a.call(call{path: "/agencies/land/admin/v1/credentials/" + c.ID + "/companion-offers", body: `{}`, bearer: a.bearer(issuer.ScopeCredentials, issuer.ScopeRevoke)}); got.status != http.StatusForbidden {
		t.Errorf("without the scope: %d", got.status)
	}

	w := a.otherWallet(jose.ES256)
	token, briefToken := a.companionToken(c.ID), a.companionToken(brief.ID)
	denied := func(what, token string) {
		t.Helper()
		if _, got := w.ask(token); got.status != http.StatusBadRequest || got.fields["error"] != "credential_request_denied" {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
	refused("suspended", c.ID, `{}`, 409, "state")
	denied("suspended meanwhile", token)
	must(a.Reinstate(t.Context(), clerk, c.ID, because("r")))(t)
	if _, got := w.ask(token); got.status != http.StatusOK {
		t.Errorf("reinstated: %d %s", got.status, got.body)
	}
	unanswered := a.companionToken(c.ID)
	must(a.Revoke(t.Context(), clerk, c.ID, because("r")))(t)
	refused("revoked", c.ID, `{}`, 409, "state")
	denied("revoked meanwhile", unanswered)
	denied("revoked, and asked again", token)
	if err := a.Erase(t.Context(), clerk, c.ID, because("r")); err != nil {
		t.Fatal(err)
	}
	refused("erased", c.ID, `{}`, 409, "state")
	denied("erased meanwhile", unanswered)
	if _, got := w.ask(token); got.status != http.StatusUnauthorized {
		t.Errorf("the token of what was erased: %d %s", got.status, got.body)
	}
	a.clock.Advance(15 * time.Hour)
	refused("past its end", brief.ID, `{}`, 409, "state")
	denied("past its end meanwhile", briefToken)
}

// A change that is on its way counts as made: no companion slips through before it is sealed.
func TestCompanionDuringChange(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	token := a.companionToken(c.ID)
	_, before := a.mustCompanion(c.ID)
	gate := make(chan struct{})
	a.ledger.set(func(l *fakeLedger) { l.gate = gate })
	done := make(chan error, 1)
	go func() {
		_, err := a.Suspend(context.Background(), clerk, c.ID, because("r"))
		done <- err
	}()
	eventually(t, "the change is on its way", func() bool { return must(a.Credential(clerk, c.ID))(t).Change != "" })
	if _, got := a.otherWallet(jose.ES256).ask(token); got.fields["error"] != "credential_request_denied" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if a.status(before) != statuslist.Valid {
		t.Error("suspended before it is sealed")
	}
	close(gate)
	if err := <-done; err != nil || a.status(before) != statuslist.Suspended {
		t.Errorf("%v, %s", err, a.status(before))
	}
}

// A credential has only so many companions.
func TestMaxCompanions(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	last := a.companionToken(c.ID)
	places := map[statuslist.Reference]bool{}
	for range 64 {
		_, text := a.mustCompanion(c.ID)
		places[referenceOf(t, text)] = true
	}
	if len(places) != 64 {
		t.Errorf("%d places", len(places))
	}
	if _, got := a.offerCompanion(c.ID, `{}`); got.status != http.StatusConflict || got.fields["code"] != "no-companion" {
		t.Errorf("one more: %d %s", got.status, got.body)
	}
	if _, got := a.otherWallet(jose.ES256).ask(last); got.fields["error"] != "credential_request_denied" {
		t.Errorf("an offer of before: %d %s", got.status, got.body)
	}
}

// Where credentials need other officers' approval, so does giving their data to another key.
func TestCompanionCase(t *testing.T) {
	a, p := newCompanionAgency(t, func(c *issuer.Config) { c.Approvals = map[string]int{titleType: 1} }), newPerson("Li Wei")
	first := a.file(p, "1")
	token := a.offered(first)
	must(a.Approve(second, first.ID, first.Version))(t)
	eventually(t, "the credential is there", func() bool { _, err := a.ask(p, token, titleType); return err == nil })
	id := a.newest().ID
	if _, got := a.offerCompanion(id, `{}`); got.status != http.StatusConflict || got.fields["code"] != "approval-needed" {
		t.Errorf("offered directly: %d %s", got.status, got.body)
	}
	for name, f := range map[string]issuer.Filing{
		"a reason":      {Kind: issuer.CaseCompanion, Credential: id, Reason: &issuer.Reason{Code: issuer.ReasonHolder}},
		"no credential": {Kind: issuer.CaseCompanion},
	} {
		if _, _, err := a.File(clerk, f); err == nil {
			t.Errorf("%s: filed", name)
		}
	}
	filed := a.by("clerk", http.MethodPost, "/applications", `{"kind":"companion","credential":"`+id+`"}`, "")
	var answer struct{ issuer.Case }
	if err := json.Unmarshal(filed.body, &answer); err != nil || filed.status != http.StatusCreated {
		t.Fatalf("%d %s", filed.status, filed.body)
	}
	c := answer.Case
	offer := func() (issuer.Offer, error) { return a.OfferCase(t.Context(), clerk, c.ID, false) }
	_, err := offer()
	wantRefusal(t, err, issuer.ErrState)
	_, err = a.Approve(issuer.Officer(c.Author), c.ID, c.Version)
	wantRefusal(t, err, issuer.ErrSameOfficer)
	c = must(a.Approve(second, c.ID, c.Version))(t)
	redeem := func(o issuer.Offer) string {
		return must(a.Token(t.Context(), issuer.TokenRequest{Code: codeOf(t, o)}))(t).AccessToken
	}
	one, other := redeem(must(offer())(t)), redeem(must(offer())(t))
	w := a.otherWallet(jose.ES256)
	text, got := w.ask(one)
	if got.status != http.StatusOK || a.status(text) != statuslist.Valid {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if again, _ := w.ask(one); again != text {
		t.Error("asked again, it is another")
	}
	if _, got := w.ask(other); got.fields["error"] != "credential_request_denied" {
		t.Errorf("a second answer to one case: %d %s", got.status, got.body)
	}
	if c = must(a.Case(clerk, c.ID))(t); c.State != issuer.CaseIssued {
		t.Errorf("the case is %s", c.State)
	}
	_, err = offer()
	wantRefusal(t, err, issuer.ErrState)
}

// What a companion was is erased with its credential, and its status is not.
func TestEraseCompanion(t *testing.T) {
	store := new(records.Memory)
	a, p := newCompanionAgency(t, func(c *issuer.Config) { c.Store = store }), newPerson("Li Wei the Elder")
	_, c := a.mustIssue(p, a.title(p, "parcel-77"))
	w, text := a.mustCompanion(c.ID)
	must(a.Revoke(t.Context(), clerk, c.ID, because("r")))(t)
	if err := a.Erase(t.Context(), clerk, c.ID, because("r")); err != nil {
		t.Fatal(err)
	}
	token, _, _ := strings.Cut(text, "~")
	secrets := []string{"Li Wei", "parcel-77", w.key.Public().KeyID(), w.key.Public().X, token, fmt.Sprintf(`"index":%d`, referenceOf(t, text).Index)}
	err := store.Scan("", "", func(key string, value []byte) bool {
		for _, secret := range secrets {
			if strings.Contains(string(value), secret) {
				t.Errorf("row %s has %q", key, secret)
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if a.status(text) != statuslist.Invalid {
			t.Errorf("%s", a.status(text))
		}
		a.restart()
	}
}

// What happened is in the audit log: ids and no more.
func TestCompanionAudit(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	a.mustCompanion(c.ID)
	page, _, err := a.Audit(clerk, issuer.AuditQuery{Object: c.ID, Limit: issuer.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	var offered, issued issuer.AuditRecord
	for _, r := range page {
		switch r.Verb {
		case issuer.DidOfferCompanion:
			offered = r
		case issuer.DidIssueCompanion:
			issued = r
		}
	}
	if offered.By != agencyURL+"|clerk" || issued.By != issuer.Holder || offered.Detail == "" || offered.Detail != issued.Detail {
		t.Errorf("%+v, %+v", offered, issued)
	}
}

// An agency's configuration of companions makes sense, or it does not start.
func TestCompanionConfig(t *testing.T) {
	good := newCompanionAgency(t).cfg
	good.Store = new(records.Memory)
	reserved := titleSchema()
	reserved.Claims[1].Name = "status"
	for name, change := range map[string]func(*issuer.Config){
		"no key":                  func(c *issuer.Config) { c.Keys.Companion = nil },
		"the key of entries":      func(c *issuer.Config) { c.Keys.Companion = c.Keys.Signing },
		"the key of tokens":       func(c *issuer.Config) { c.Keys.Companion = c.Keys.Admin },
		"a type that is not ours": func(c *issuer.Config) { c.Companions = []string{"urn:x:1"} },
		"a type twice":            func(c *issuer.Config) { c.Companions = []string{titleType, titleType} },
		"a claim called status":   func(c *issuer.Config) { c.Schemas = []*credential.Schema{reserved} },
		"a retired key in use":    func(c *issuer.Config) { c.Keys.CompanionRetired = []jose.PublicKey{c.Keys.Companion.Public()} },
		"no retired key":          func(c *issuer.Config) { c.Keys.CompanionRetired = []jose.PublicKey{{}} },
	} {
		cfg := good
		change(&cfg)
		if _, err := issuer.New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	must(issuer.New(good))(t)
}
