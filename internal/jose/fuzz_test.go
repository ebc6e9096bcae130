package jose_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

// A token without a checked signature has at least the one spelling of its parts, and no header that carries keys.
func FuzzPeekCompact(f *testing.F) {
	f.Add("eyJhbGciOiJFZERTQSIsImtpZCI6ImsiLCJ0eXAiOiJ0In0.e30.AAAA")
	f.Add("eyJhbGciOiJub25lIiwiandrIjp7fX0.e30.")
	f.Add("e30.e30.")
	for _, header := range fuzztest.Long([]byte(`{"alg":"EdDSA","kid":"k","typ":"t"}`)) {
		f.Add(base64.RawURLEncoding.EncodeToString(header) + ".e30.AAAA")
	}
	f.Add(strings.Repeat(".", 3))
	f.Fuzz(func(t *testing.T, token string) {
		header, payload, err := jose.PeekCompact(token)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, jose.ErrToken) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		parts := strings.Split(token, ".")
		var again jose.Header
		text, _ := base64.RawURLEncoding.DecodeString(parts[0])
		if err := json.Unmarshal(text, &again); err != nil || again != header {
			t.Errorf("header %s is read as %+v, %v", text, header, err)
		}
		if base64.RawURLEncoding.EncodeToString(payload) != parts[1] {
			t.Errorf("payload %q is not that of %q", payload, parts[1])
		}
	})
}

// A public key that is accepted has one spelling, verifies nothing by itself, and keeps its thumbprint.
func FuzzPublicKey(f *testing.F) {
	seed := credential.DigestOf([]byte("key"))
	edwards, err := jose.FromSeed(seed[:])
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []jose.PublicKey{
		edwards.Public(),
		{Type: "EC", Curve: "P-256", X: "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis", Y: "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE"},
		{Type: "EC", Curve: "P-256", X: strings.Repeat("A", 43), Y: strings.Repeat("A", 43)},
		{Type: "OKP", Curve: "X25519", X: rfc8037X},
	} {
		text, err := json.Marshal(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		for _, long := range fuzztest.Long(text) {
			f.Add(long)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var key, again jose.PublicKey
		err := credential.ParseStrict(text, &key)
		if err == nil {
			err = key.Validate()
		}
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		canonical, err := credential.Canonical(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := credential.ParseCanonical(canonical, &again); err != nil || again.KeyID() != key.KeyID() || len(key.KeyID()) != 43 {
			t.Errorf("%s becomes %s, %v", text, canonical, err)
		}
		if err := key.Verify([]byte("message"), make([]byte, 63)); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("a signature of 63 bytes: %v", err)
		}
	})
}

// A signing key is refused in words that do not quote it, or signs what its own public key verifies, and is written and
// read again.
func FuzzParseSigningKey(f *testing.F) {
	for _, text := range []string{
		`{"kty":"OKP","crv":"Ed25519","d":"` + rfc8037Secret + `","x":"` + rfc8037X + `"}`,
		`{"kty":"EC","crv":"P-256","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}`,
		`{"kty":"OKP","crv":"Ed25519","d":"` + rfc8037Secret + `","x":"` + strings.Repeat("A", 43) + `"}`,
		`{"kty":"oct","k":"AAAA"}`,
		`{"kty":"OKP","crv":"Ed25519","x":"` + rfc8037X + `"}`,
	} {
		f.Add([]byte(text))
	}
	message := []byte("message")
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := jose.ParseSigningKey(text)
		if err != nil {
			if fuzztest.Refused(t, err); len(text) > 60 && strings.Contains(err.Error(), string(text[20:60])) {
				t.Errorf("the error quotes the key: %v", err)
			}
			return
		}
		signature, err := key.Sign(message)
		if err != nil {
			t.Fatalf("%s was read, but does not sign: %v", text, err)
		}
		if err := key.Public().Verify(message, signature); err != nil {
			t.Fatalf("%s signs what its public key %+v does not verify: %v", text, key.Public(), err)
		}
		written, err := key.MarshalSecret()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := jose.ParseSigningKey(written); err != nil || again.Public() != key.Public() {
			t.Errorf("%s is written %s and read as another key, %v", text, written, err)
		}
	})
}
