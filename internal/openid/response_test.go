package openid

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

func newKey(t testing.TB) *jose.DecryptionKey {
	t.Helper()
	key, err := jose.GenerateDecryptionKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEncryptedResponse(t *testing.T) {
	key, other := newKey(t), newKey(t)
	r := &RequestObject{ResponseMode: DirectPost}
	if err := r.CanReceive(); err != nil {
		t.Error(err)
	}
	if _, err := r.Encrypt(AuthorizationResponse{State: "s"}); err == nil {
		t.Error("encrypted to nobody")
	}
	r.EncryptTo(key.Public())
	for _, response := range []AuthorizationResponse{{Token: json.RawMessage(`{"q":[]}`), State: "s"}, {Error: "access_denied", State: "s"}} {
		text, err := r.Encrypt(response)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecryptResponse(key, text)
		if err != nil || string(got.Token) != string(response.Token) || got.Error != response.Error || got.State != "s" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := DecryptResponse(other, text); err == nil {
			t.Error("somebody else reads it")
		}
	}
	largest := AuthorizationResponse{Token: json.RawMessage(`{"q":"` + strings.Repeat("x", MaxResponse-8) + `"}`), State: strings.Repeat("s", 512)}
	text, err := r.Encrypt(largest)
	if err != nil || len(text) > MaxEncryptedResponse {
		t.Fatalf("%d bytes, at most %d: %v", len(text), MaxEncryptedResponse, err)
	}
	if _, err := DecryptResponse(key, text); err != nil {
		t.Error(err)
	}
	if _, err := DecryptResponse(key, text+strings.Repeat("A", MaxEncryptedResponse)); !errors.Is(err, jose.ErrToken) {
		t.Errorf("too long: %v", err)
	}
}

func TestResponseKeyRefused(t *testing.T) {
	ed, err := jose.Generate(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*RequestObject){
		"no keys":      func(r *RequestObject) { r.ClientMetadata.Keys = nil },
		"an empty set": func(r *RequestObject) { r.ClientMetadata.Keys.Keys = nil },
		"two keys": func(r *RequestObject) {
			r.ClientMetadata.Keys.Keys = append(r.ClientMetadata.Keys.Keys, r.ClientMetadata.Keys.Keys[0])
		},
		"another kid":      func(r *RequestObject) { r.ClientMetadata.Keys.Keys[0].KeyID += "x" },
		"for signatures":   func(r *RequestObject) { r.ClientMetadata.Keys.Keys[0].Use = "sig" },
		"wrapped keys":     func(r *RequestObject) { r.ClientMetadata.Keys.Keys[0].Algorithm = "ECDH-ES+A128KW" },
		"off the curve":    func(r *RequestObject) { k := &r.ClientMetadata.Keys.Keys[0]; k.X, k.Y = k.Y, k.X },
		"an Ed25519 key":   func(r *RequestObject) { r.EncryptTo(ed.Public()) },
		"other encryption": func(r *RequestObject) { r.ClientMetadata.Encryptions = []string{"A128CBC-HS256"} },
		"no encryption":    func(r *RequestObject) { r.ClientMetadata.Encryptions = nil },
		"another mode":     func(r *RequestObject) { r.ResponseMode = "fragment" },
	} {
		r := &RequestObject{}
		r.EncryptTo(newKey(t).Public())
		if err := r.CanReceive(); err != nil {
			t.Fatal(err)
		}
		spoil(r)
		if r.CanReceive() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	r := &RequestObject{}
	r.EncryptTo(newKey(t).Public())
	r.ClientMetadata.Encryptions = []string{"A256GCM"}
	if enc, err := r.contentEncryption(); err != nil || enc != "A256GCM" {
		t.Errorf("%s, %v", enc, err)
	}
}

func TestParseResponseRefused(t *testing.T) {
	for _, bad := range []string{
		`{}`, `{"state":"s"}`, `{"vp_token":{}}`, `{"vp_token":{},"error":"e","state":"s"}`, `{"VP_token":{},"state":"s"}`, `{"vp_token":{},"State":"s"}`, `{"vp_token":{},"state":""}`,
		`{"vp_token":{},"state":1}`, `{"error":"","state":"s"}`, `{"error":{},"state":"s"}`, `{"vp_token":{},"vp_token":{},"state":"s"}`, `{"vp_token":{},"state":"s"}x`, `null`, ``, "{\"error\":\"e\u0301\",\"state\":\"s\"}",
	} {
		if r, err := ParseResponse([]byte(bad)); err == nil {
			t.Errorf("%s reads as %+v", bad, r)
		}
	}
	if _, err := ParseResponse([]byte(` {"vp_token": {}, "state": "s", "more": [1]} `)); err != nil {
		t.Errorf("unknown parameters are ignored: %v", err)
	}
}

func TestClientIDs(t *testing.T) {
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	did, err := DIDJWK(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	digest, name := credential.DigestOf([]byte("certificate")), credential.ClientName("did:web:v.example")
	for id, want := range map[string]Client{
		ClientIDPrefix + "did:web:v.example": {Scheme: SchemeDID, DID: "did:web:v.example"},
		ClientIDPrefix + did:                 {Scheme: SchemeDIDJWK, DID: did, Key: key.Public()},
		"x509_hash:" + digest.String():       {Scheme: SchemeX509Hash, Certificate: digest},
		name.String():                        {Scheme: SchemePreRegistered, Name: name},
	} {
		if got, err := ParseClientID(id); err != nil || got != want || got.ID() != id {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	spaced := did[:len(didJWKPrefix)] + EncodeBytes([]byte(`{"kty":"EC","crv":"P-256","x":"`+key.Public().X+`","y":"`+key.Public().Y+`"}`))
	private := did[:len(didJWKPrefix)] + EncodeBytes([]byte(`{"crv":"P-256","d":"`+key.Public().X+`","kty":"EC","x":"`+key.Public().X+`","y":"`+key.Public().Y+`"}`))
	for _, bad := range []string{
		"", "did:web:v.example", ClientIDPrefix + "v.example", ClientIDPrefix, "x509_hash:abc", "x509_hash:" + digest.String() + "=", "x509_san_dns:v.example", "redirect_uri:https://v.example/r",
		"https://v.example", "openid_federation:https://v.example", "verifier_attestation:v", "origin:https://v.example", "client", ClientIDPrefix + "did:jwk:", ClientIDPrefix + did + "=", ClientIDPrefix + did + "#0",
		ClientIDPrefix + spaced, ClientIDPrefix + private, ClientIDPrefix + "did:web:" + strings.Repeat("v", maxClientID),
	} {
		if got, err := ParseClientID(bad); err == nil {
			t.Errorf("client_id %q reads as %+v", bad, got)
		}
	}
}

func TestWalletNonce(t *testing.T) {
	for nonce, want := range map[string]bool{"n": true, "a+/=~": true, strings.Repeat("n", 512): true, "": false, strings.Repeat("n", 513): false, "a b": false, "a\n": false, "é": false} {
		if ValidWalletNonce(nonce) != want {
			t.Errorf("%.20q is not %v", nonce, want)
		}
	}
}
