package wallet_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

// publish serves a token and returns the link to it, for a client.
func (w *world) publish(clientID, token string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serial++
	path := fmt.Sprintf("/bank/request/%d", w.serial)
	w.requests[path] = token
	return openid.RequestLink(clientID, w.server.URL+path)
}

// TestReadByPost: the wallet posts a nonce where the link allows it, and takes no request without it.
func TestReadByPost(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	sign := func(o *openid.RequestObject) string {
		return ledgertest.Must(jose.SignCompact(w.verifier, openid.RequestKeyID(bank, w.verifier.Public().KeyID()), openid.RequestType, o))(t)
	}
	var echo func(nonce string) string
	seen := map[string]bool{}
	w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/bank/posted" {
			return false
		}
		var metadata openid.WalletMetadata
		if err := json.Unmarshal([]byte(r.PostFormValue("wallet_metadata")), &metadata); err != nil || len(metadata.Formats) != 1 || r.Method != http.MethodPost || seen[r.PostFormValue("wallet_nonce")] {
			t.Errorf("%s %v: %v", r.Method, r.PostForm, err)
		}
		seen[r.PostFormValue("wallet_nonce")] = true
		o := w.object("residence")
		o.WalletNonce = echo(r.PostFormValue("wallet_nonce"))
		fmt.Fprint(rw, sign(o))
		return true
	}
	link := openid.RequestReference{ClientID: openid.ClientIDPrefix + bank, URI: w.server.URL + "/bank/posted", Post: true}.Link()
	var old string
	for _, c := range []struct {
		name string
		echo func(string) string
		code wallet.Code
	}{
		{"ours", func(nonce string) string { old = nonce; return nonce }, ""},
		{"another wallet's", func(string) string { return old }, wallet.CodeRequest},
		{"none", func(string) string { return "" }, wallet.CodeRequest},
	} {
		echo = c.echo
		if _, err := person.Read(t.Context(), link); wallet.CodeOf(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	_, err := person.Read(t.Context(), w.request("residence", func(o *openid.RequestObject) { o.WalletNonce = "n" }))
	wantCode(t, err, wallet.CodeRequest)
	w.onPath = func(rw http.ResponseWriter, r *http.Request) bool {
		http.Redirect(rw, r, "/bank/request/1", http.StatusTemporaryRedirect)
		return true
	}
	_, err = person.Read(t.Context(), link)
	wantCode(t, err, wallet.CodeAddress)
}

// TestReadRefusesForms: what a request may not have, and how it may not be answered.
func TestReadRefusesForms(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	key := ledgertest.Must(jose.GenerateDecryptionKey())(t)
	encrypted := func(change func(*openid.ClientMetadata)) func(*openid.RequestObject) {
		return func(o *openid.RequestObject) {
			o.EncryptTo(key.Public())
			change(&o.ClientMetadata)
		}
	}
	for _, c := range []struct {
		name  string
		code  wallet.Code
		spoil func(*openid.RequestObject)
	}{
		{"encrypted", "", encrypted(func(*openid.ClientMetadata) {})},
		{"encrypted to nobody", wallet.CodeUnsupported, encrypted(func(m *openid.ClientMetadata) { m.Keys = nil })},
		{"encrypted to two", wallet.CodeUnsupported, encrypted(func(m *openid.ClientMetadata) { m.Keys.Keys = append(m.Keys.Keys, m.Keys.Keys[0]) })},
		{"encrypted in another way", wallet.CodeUnsupported, encrypted(func(m *openid.ClientMetadata) { m.Encryptions = []string{"A128CBC-HS256"} })},
		{"with a wrapped key", wallet.CodeUnsupported, encrypted(func(m *openid.ClientMetadata) { m.Keys.Keys[0].Algorithm = "ECDH-ES+A256KW" })},
		{"transaction data", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.TransactionData = json.RawMessage(`["eyJ0eXBlIjoicGF5In0"]`) }},
		{"no transaction data", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.TransactionData = json.RawMessage(`null`) }},
		{"redirect_uri", wallet.CodeRequest, func(o *openid.RequestObject) { o.RedirectURI = json.RawMessage(`"https://bank.example/"`) }},
		{"the browser's API", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.ResponseMode = "dc_api.jwt" }},
		{"no response mode", wallet.CodeUnsupported, func(o *openid.RequestObject) { o.ResponseMode = "" }},
	} {
		if _, err := person.Read(t.Context(), w.request("residence", c.spoil)); wallet.CodeOf(err) != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
	// Unknown members are ignored, but bounded.
	with := func(more string) string {
		text := string(ledgertest.Must(json.Marshal(w.object("residence")))(t))
		token := ledgertest.Must(jose.SignCompact(w.verifier, openid.RequestKeyID(bank, w.verifier.Public().KeyID()), openid.RequestType, json.RawMessage(`{"more":`+more+`,`+text[1:])))(t)
		return w.publish(openid.ClientIDPrefix+bank, token)
	}
	if _, err := person.Read(t.Context(), with(`{"x":[1,2]}`)); err != nil {
		t.Error(err)
	}
	for _, more := range []string{strings.Repeat("[", 20) + strings.Repeat("]", 20), "[" + strings.Repeat("1,", 5000) + "1]", `"` + strings.Repeat("x", 200<<10) + `"`} {
		_, err := person.Read(t.Context(), with(more))
		if code := wallet.CodeOf(err); code != wallet.CodeRequest && code != wallet.CodeAnswer {
			t.Errorf("%.20s…: %v", more, err)
		}
	}
}

// certificateOf is one of a key that the test has.
func certificateOf(t *testing.T, key ed25519.PrivateKey, from, until time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until}
	return ledgertest.Must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
}

// TestReadClients: by whatever client_id a request comes, it must lead to keys that are registered for the policy's
// verifier.
func TestReadClients(t *testing.T) {
	w := newWorld(t)
	person := w.wallet()
	_, secret, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, stranger := ledgertest.Must(jose.FromSigner(secret))(t), ledgertest.Key(t, "stranger")
	_, strange, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// The bank gets a second key, which the test can make certificates for.
	w.chain.Govern(entry.VerifierRegistered{
		DID: bank, Name: credential.Text{English: "Bank"}, Keys: []jose.PublicKey{w.verifier.Public(), key.Public()}, ResponseURIs: []string{w.server.URL + "/bank/"},
	})
	w.chain.Settle()
	now := time.Now()
	good := certificateOf(t, secret, now.Add(-time.Hour), now.Add(time.Hour))
	did := ledgertest.Must(openid.DIDJWK(key.Public()))(t)
	foreignDID := ledgertest.Must(openid.DIDJWK(stranger.Public()))(t)
	x509Of := func(der []byte) string { return "x509_hash:" + credential.DigestOf(der).String() }
	signed := func(client, kid string, key *jose.SigningKey, change ...func(*openid.RequestObject)) string {
		o := w.object("residence")
		o.ClientID = client
		for _, f := range change {
			f(o)
		}
		return w.publish(client, ledgertest.Must(jose.SignCompact(key, kid, openid.RequestType, o))(t))
	}
	certified := func(client string, key ed25519.PrivateKey, chain [][]byte, change ...func(*openid.RequestObject)) string {
		o := w.object("residence")
		o.ClientID = client
		for _, f := range change {
			f(o)
		}
		return w.publish(client, ledgertest.Must(jose.SignCertified(ledgertest.Must(jose.FromSigner(key))(t), openid.RequestType, chain, o))(t))
	}
	another := func(verifier string) func(*openid.RequestObject) {
		return func(o *openid.RequestObject) {
			p := ledgertest.Must(policy.Parse(o.VerifierInfo[0].Data))(t)
			p.Verifier = verifier
			o.VerifierInfo[0].Data = ledgertest.Must(p.Canonical())(t)
		}
	}
	elsewhere := func(o *openid.RequestObject) { o.ResponseURI = "https://evil.example/bank/response" }
	byDID, byKey, byName := openid.ClientIDPrefix+bank, openid.ClientIDPrefix+did, credential.ClientName(bank).String()
	for _, c := range []struct {
		name, link string
		code       wallet.Code
	}{
		{"DID", signed(byDID, openid.RequestKeyID(bank, key.Public().KeyID()), key), ""},
		{"did:jwk", signed(byKey, did+"#0", key), ""},
		{"name", signed(byName, key.Public().KeyID(), key), ""},
		{"certificate", certified(x509Of(good), secret, [][]byte{good}), ""},
		{"certificate with others", certified(x509Of(good), secret, [][]byte{good, {1}, {2}}), ""},

		{"did:jwk of a stranger", signed(openid.ClientIDPrefix+foreignDID, foreignDID+"#0", stranger), wallet.CodeSignature},
		{"did:jwk, signed by another registered key", signed(byKey, did+"#0", w.verifier), wallet.CodeSignature},
		{"did:jwk, another kid", signed(byKey, did+"#1", key), wallet.CodeSignature},
		{"did:jwk, the thumbprint as kid", signed(byKey, openid.RequestKeyID(did, key.Public().KeyID()), key), wallet.CodeSignature},
		{"did:jwk, a registered key's kid", signed(byKey, openid.RequestKeyID(bank, key.Public().KeyID()), key), wallet.CodeSignature},
		{"did:jwk with a certificate", certified(byKey, secret, [][]byte{good}), wallet.CodeSignature},
		{"did:jwk, the policy of nobody", signed(byKey, did+"#0", key, another("did:web:nobody.example")), wallet.CodeNotRegistered},
		{"did:jwk, no policy", signed(byKey, did+"#0", key, func(o *openid.RequestObject) { o.VerifierInfo = nil }), wallet.CodeRequest},
		{"did:jwk, answer elsewhere", signed(byKey, did+"#0", key, elsewhere), wallet.CodeResponseURI},

		{"name of nobody", signed(credential.ClientName("did:web:nobody.example").String(), key.Public().KeyID(), key), wallet.CodeNotRegistered},
		{"name, signed by a stranger", signed(byName, stranger.Public().KeyID(), stranger), wallet.CodeSignature},
		{"name, a DID URL as kid", signed(byName, openid.RequestKeyID(bank, key.Public().KeyID()), key), wallet.CodeSignature},
		{"name, another verifier's policy", signed(byName, key.Public().KeyID(), key, another(civil)), wallet.CodeNotRegistered},
		{"name, answer elsewhere", signed(byName, key.Public().KeyID(), key, elsewhere), wallet.CodeResponseURI},

		{"certificate of a stranger", func() string {
			der := certificateOf(t, strange, now.Add(-time.Hour), now.Add(time.Hour))
			return certified(x509Of(der), strange, [][]byte{der})
		}(), wallet.CodeSignature},
		{"certificate, signed by a stranger", certified(x509Of(good), strange, [][]byte{good}), wallet.CodeSignature},
		{"another certificate of the key", certified(x509Of(good), secret, [][]byte{certificateOf(t, secret, now.Add(-time.Hour), now.Add(2*time.Hour))}), wallet.CodeSignature},
		{"certificate in second place", certified(x509Of(good), strange, [][]byte{certificateOf(t, strange, now.Add(-time.Hour), now.Add(time.Hour)), good}), wallet.CodeSignature},
		{"certificate past its end", func() string {
			der := certificateOf(t, secret, now.Add(-2*time.Hour), now.Add(-time.Hour))
			return certified(x509Of(der), secret, [][]byte{der})
		}(), wallet.CodeSignature},
		{"certificate before its time", func() string {
			der := certificateOf(t, secret, now.Add(time.Hour), now.Add(2*time.Hour))
			return certified(x509Of(der), secret, [][]byte{der})
		}(), wallet.CodeSignature},
		{"four certificates", certified(x509Of(good), secret, [][]byte{good, good, good, good}), wallet.CodeSignature},
		{"no certificate", signed(x509Of(good), key.Public().KeyID(), key), wallet.CodeSignature},
		{"certificate, another verifier's policy", certified(x509Of(good), secret, [][]byte{good}, another("did:web:nobody.example")), wallet.CodeNotRegistered},
		{"certificate, answer elsewhere", certified(x509Of(good), secret, [][]byte{good}, elsewhere), wallet.CodeResponseURI},
		{"certificate, another client in it", func() string {
			return certified(x509Of(good), secret, [][]byte{good}, func(o *openid.RequestObject) { o.ClientID = byDID })
		}(), wallet.CodeClient},
		{"DID with a certificate", certified(byDID, secret, [][]byte{good}), wallet.CodeSignature},
		{"redirect_uri", signed("redirect_uri:"+w.server.URL+"/bank/response", key.Public().KeyID(), key), wallet.CodeClient},
		{"x509_san_dns", certified("x509_san_dns:bank.example", secret, [][]byte{good}), wallet.CodeClient},
	} {
		if _, err := person.Read(t.Context(), c.link); wallet.CodeOf(err) != c.code || (err == nil) != (c.code == "") {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
	}
	if posts := w.posted(); len(posts) != 0 {
		t.Errorf("%d responses were sent", len(posts))
	}
}

// TestEncryptedAnswer: what leaves the wallet can only be read by the verifier, and says the same to onlookers whether
// the person would not or could not.
func TestEncryptedAnswer(t *testing.T) {
	w := newWorld(t)
	able, unable := w.wallet(), w.wallet()
	ledgertest.Must(able.Receive(t.Context(), w.offer(&residence, livesThere), ""))(t)
	key, other := ledgertest.Must(jose.GenerateDecryptionKey())(t), ledgertest.Must(jose.GenerateDecryptionKey())(t)
	encrypted := func(o *openid.RequestObject) { o.EncryptTo(key.Public()) }
	read := func() openid.AuthorizationResponse {
		t.Helper()
		posts := w.posted()
		if len(posts) != 1 || len(posts[0]) != 1 {
			t.Fatalf("posted %v", posts)
		}
		text := posts[0].Get("response")
		if _, err := openid.DecryptResponse(other, text); err == nil {
			t.Error("somebody else reads it")
		}
		return ledgertest.Must(openid.DecryptResponse(key, text))(t)
	}
	r := ledgertest.Must(able.Read(t.Context(), w.request("residence", encrypted)))(t)
	answer := ledgertest.Must(able.Answer(t.Context(), r.Consent(nil)))(t)
	response := read()
	if token, err := openid.ParseVPToken(response.Token); err != nil || response.State != "state" || len(token["residence"]) != 1 {
		t.Errorf("%+v, %v", response, err)
	}
	if answer.RedirectURI != w.server.URL+"/bank/done" {
		t.Errorf("goes on at %q", answer.RedirectURI)
	}
	for name, person := range map[string]*wallet.Wallet{"would not": able, "could not": unable} {
		r := ledgertest.Must(person.Read(t.Context(), w.request("residence", encrypted)))(t)
		if err := person.Refuse(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if got := read(); got.Error != "access_denied" || got.State != "state" || got.Token != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// A redirect to a place that is not safe is not shown.
	for _, address := range []string{"http://shop.example/", "javascript:alert(1)", "https://u@shop.example/"} {
		w.reply = func(rw http.ResponseWriter, _ *http.Request) {
			answerJSON(rw, openid.DirectPostAnswer{RedirectURI: address})
		}
		r := ledgertest.Must(able.Read(t.Context(), w.request("residence", encrypted)))(t)
		if answer := ledgertest.Must(able.Answer(t.Context(), r.Consent(nil)))(t); answer.RedirectURI != "" {
			t.Errorf("goes on at %q", answer.RedirectURI)
		}
		w.posted()
	}
}
