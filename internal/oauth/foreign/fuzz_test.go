package foreign_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

const (
	okp = `{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	ecp = `{"kty":"EC","crv":"P-256","kid":"e","use":"sig","alg":"ES256","key_ops":["verify"],"x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`
)

// A set gives keys of allowed algorithms, each under a name of its own, that verify no signature of zeros.
func FuzzParseKeys(f *testing.F) {
	for _, key := range []string{okp, ecp, `{"kty":"RSA","kid":"r","alg":"RS256","e":"AQAB","n":"` + strings.Repeat("_", 342) + `"}`, `{"kty":"oct","kid":"o","k":"AAAA"}`} {
		f.Add([]byte(`{"keys":[` + key + `]}`))
	}
	for _, long := range fuzztest.Long([]byte(`{"keys":[` + okp + `,` + ecp + `]}`)) {
		f.Add(long)
	}
	f.Add([]byte(`{"keys":[` + okp + `,` + okp + `]}`))
	allowed := []jose.Algorithm{jose.EdDSA, jose.ES256, foreign.RS256}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := foreign.ParseKeys(text, allowed)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		names := make(map[string]bool)
		for _, key := range keys {
			if key.ID == "" || names[key.ID] || !foreign.Known(key.Algorithm) || key.Algorithm == foreign.PS256 || len(key.Thumbprint()) != 43 {
				t.Errorf("%s gives key %q for %s", text, key.ID, key.Algorithm)
			}
			names[key.ID] = true
			for _, size := range []int{0, 63, 64, 256} {
				if err := key.Verify([]byte("m"), make([]byte, size)); !errors.Is(err, jose.ErrSignature) {
					t.Errorf("%s: a signature of %d zeros: %v", text, size, err)
				}
			}
		}
	})
}

// A token has the one spelling of its parts, a header with nothing that was not asked for, and is signed by nobody's key.
func FuzzParse(f *testing.F) {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	f.Add(part(`{"alg":"EdDSA","kid":"k","typ":"at+jwt","x5t":"x"}`) + "." + part(`{"sub":"x","aud":["a"],"iat":1.5}`) + ".AAAA")
	f.Add(part(`{"alg":"none","jwk":{}}`) + "." + part(`{}`) + ".")
	f.Add("..")
	for _, long := range fuzztest.Long([]byte(`{"alg":"EdDSA","kid":"k","typ":"at+jwt","x5t":"x"}`)) {
		f.Add(part(string(long)) + ".e30.AAAA")
	}
	for _, long := range fuzztest.Long([]byte(`{"sub":"x"}`)) {
		f.Add(part(`{"alg":"EdDSA"}`) + "." + part(string(long)) + ".AAAA")
	}
	key, err := foreign.ParseKey([]byte(okp), foreign.Modern)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := foreign.Parse(text, 8<<10, "x5t")
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, foreign.ErrToken) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		parts := strings.Split(text, ".")
		decoded, err := base64.RawURLEncoding.DecodeString(parts[0])
		var header map[string]any
		if err != nil || json.Unmarshal(decoded, &header) != nil || header["alg"] != string(token.Header.Algorithm) || header["jwk"] != nil || header["crit"] != nil {
			t.Errorf("header %s is read as %+v", decoded, token.Header)
		}
		if base64.RawURLEncoding.EncodeToString(decoded) != parts[0] {
			t.Errorf("a second spelling of %s", decoded)
		}
		if err := token.Verify(key); err == nil {
			t.Errorf("forged: %s", text)
		} else {
			fuzztest.Refused(t, err)
		}
	})
}
