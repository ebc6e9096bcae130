package jose_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

// The Ed25519 key of RFC 8037 appendix A, with its thumbprint (A.3) and signature (A.4).
const (
	rfc8037Secret     = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
	rfc8037X          = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	rfc8037Thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	rfc8037Message    = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
	rfc8037Signature  = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)

func TestRFC8037(t *testing.T) {
	seed, err := base64.RawURLEncoding.DecodeString(rfc8037Secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jose.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	if p := key.Public(); p.X != rfc8037X || p.KeyID() != rfc8037Thumbprint || p.Algorithm() != jose.EdDSA {
		t.Errorf("public key %+v, thumbprint %s", p, p.KeyID())
	}
	signature, err := key.Sign([]byte(rfc8037Message))
	if err != nil || base64.RawURLEncoding.EncodeToString(signature) != rfc8037Signature {
		t.Errorf("signature %x, %v", signature, err)
	}
}

func generated(t *testing.T, alg jose.Algorithm) *jose.SigningKey {
	t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSignVerify(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256} {
		key, other := generated(t, alg), generated(t, alg)
		signature, err := key.Sign([]byte("message"))
		if err != nil || len(signature) != jose.SignatureSize {
			t.Fatalf("%s: %d bytes, %v", alg, len(signature), err)
		}
		if err := key.Public().Verify([]byte("message"), signature); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		flipped := append([]byte(nil), signature...)
		flipped[40] ^= 1
		for name, err := range map[string]error{
			"another message":                key.Public().Verify([]byte("massage"), signature),
			"another key":                    other.Public().Verify([]byte("message"), signature),
			"a flipped bit":                  key.Public().Verify([]byte("message"), flipped),
			"a byte more":                    key.Public().Verify([]byte("message"), append(signature, 0)),
			"nothing":                        key.Public().Verify([]byte("message"), nil),
			"all zero":                       key.Public().Verify([]byte("message"), make([]byte, 64)),
			"a zero, for psychic signatures": key.Public().Verify([]byte("message"), append(make([]byte, 63), 1)),
		} {
			if !errors.Is(err, jose.ErrSignature) {
				t.Errorf("%s, %s: %v", alg, name, err)
			}
		}
	}
}

// Every algorithm that the library knows is accepted or refused on purpose.
func TestAlgorithms(t *testing.T) {
	for _, alg := range jwa.SignatureAlgorithms() {
		_, err := jose.Generate(jose.Algorithm(alg))
		if wanted := alg == jwa.EdDSA || alg == jwa.ES256; (err == nil) != wanted {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestPublicKeyRefused(t *testing.T) {
	good := generated(t, jose.ES256).Public()
	ed := generated(t, jose.EdDSA).Public()
	p := elliptic.P256().Params().P
	// A point whose x was moved up by the field's size, where that still fits 32 bytes: a second spelling.
	tests := map[string]jose.PublicKey{
		"empty":              {},
		"RSA":                {Type: "RSA"},
		"P-384":              {Type: "EC", Curve: "P-384", X: good.X, Y: good.Y},
		"Ed448":              {Type: "OKP", Curve: "Ed448", X: ed.X},
		"X25519":             {Type: "OKP", Curve: "X25519", X: ed.X},
		"Ed25519 with y":     {Type: "OKP", Curve: "Ed25519", X: ed.X, Y: ed.X},
		"not on the curve":   {Type: "EC", Curve: "P-256", X: good.Y, Y: good.X},
		"without y":          {Type: "EC", Curve: "P-256", X: good.X},
		"padded":             {Type: "OKP", Curve: "Ed25519", X: ed.X + "="},
		"short":              {Type: "OKP", Curve: "Ed25519", X: ed.X[:42]},
		"x at the modulus":   {Type: "EC", Curve: "P-256", X: base64.RawURLEncoding.EncodeToString(p.FillBytes(make([]byte, 32))), Y: good.Y},
		"the point at 0, 0":  {Type: "EC", Curve: "P-256", X: strings.Repeat("A", 43), Y: strings.Repeat("A", 43)},
		"x beyond, all ones": {Type: "EC", Curve: "P-256", X: base64.RawURLEncoding.EncodeToString(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)).Bytes()), Y: good.Y},
	}
	for name, key := range tests {
		if key.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := key.Verify([]byte("m"), make([]byte, 64)); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestSecretsRoundTripAndStayHidden(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256} {
		key := generated(t, alg)
		secret, err := key.MarshalSecret()
		if err != nil {
			t.Fatal(err)
		}
		again, err := jose.ParseSigningKey(secret)
		if err != nil || again.Public() != key.Public() {
			t.Fatalf("%s: %v", alg, err)
		}
		var private struct{ D string }
		if err := json.Unmarshal(secret, &private); err != nil || private.D == "" {
			t.Fatalf("%s: no secret in it: %v", alg, err)
		}
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if strings.Contains(fmt.Sprintf(format, key), private.D) {
				t.Errorf("%s prints the secret", format)
			}
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []any{rsaKey, p384, []byte("symmetric key of some length")} {
		key, err := jwk.FromRaw(raw)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jose.ParseSigningKey(text); err == nil {
			t.Errorf("a %T was taken", raw)
		}
	}
}

func TestCompact(t *testing.T) {
	key, other := generated(t, jose.ES256), generated(t, jose.EdDSA)
	token, err := jose.SignCompact(key, "", "test+jwt", map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jose.VerifyCompact(token, "test+jwt", jose.Keys(other.Public(), key.Public()))
	if err != nil || string(payload) != `{"a":1}` {
		t.Errorf("payload %s, %v", payload, err)
	}
	parts := strings.Split(token, ".")
	header := func(text string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + parts[1] + "." + parts[2]
	}
	kid := key.Public().KeyID()
	for name, bad := range map[string]string{
		"two parts":        parts[0] + "." + parts[1],
		"four parts":       token + ".",
		"no signature":     parts[0] + "." + parts[1] + ".",
		"padding":          token + "=",
		"a line break":     token + "\n",
		"a break within":   token[:len(token)-9] + "\r\n" + token[len(token)-9:],
		"alg none":         header(`{"alg":"none","kid":"` + kid + `","typ":"test+jwt"}`),
		"alg of another":   header(`{"alg":"EdDSA","kid":"` + kid + `","typ":"test+jwt"}`),
		"jwk in it":        header(`{"alg":"ES256","jwk":{},"kid":"` + kid + `","typ":"test+jwt"}`),
		"jku in it":        header(`{"alg":"ES256","jku":"https://x","kid":"` + kid + `","typ":"test+jwt"}`),
		"an unknown key":   header(`{"alg":"ES256","kid":"x","typ":"test+jwt"}`),
		"a member twice":   header(`{"alg":"ES256","alg":"ES256","kid":"` + kid + `","typ":"test+jwt"}`),
		"no JSON":          header(`x`),
		"another payload":  parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"a":2}`)) + "." + parts[2],
		"far too large":    strings.Repeat("A", jose.MaxToken+1),
		"another spelling": header(`{"typ":"test+jwt","alg":"ES256","kid":"` + kid + `"}`), // signed bytes differ
	} {
		if _, err := jose.VerifyCompact(bad, "test+jwt", jose.Keys(key.Public())); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := jose.VerifyCompact(token, "other+jwt", jose.Keys(key.Public())); !errors.Is(err, jose.ErrToken) {
		t.Errorf("another typ: %v", err)
	}
	if _, err := jose.VerifyCompact(token, "test+jwt", jose.Keys(other.Public())); err == nil {
		t.Error("a stranger's key: accepted")
	}
}

// A token without kid is for readers who know the key; nobody else takes it.
func TestUnnamed(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256} {
		key, other := generated(t, alg), generated(t, alg)
		token, err := jose.SignUnnamed(key, "test+jwt", map[string]int{"a": 1})
		if err != nil {
			t.Fatal(err)
		}
		if header, _, err := jose.PeekCompact(token); err != nil || header != (jose.Header{Algorithm: alg, Type: "test+jwt"}) {
			t.Errorf("header %+v, %v", header, err)
		}
		if payload, err := jose.VerifyWith(token, "test+jwt", key.Public()); err != nil || string(payload) != `{"a":1}` {
			t.Errorf("payload %s, %v", payload, err)
		}
		if _, err := jose.VerifyWith(token, "test+jwt", other.Public()); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("a stranger's key: %v", err)
		}
		if _, err := jose.VerifyWith(token, "other+jwt", key.Public()); !errors.Is(err, jose.ErrToken) {
			t.Errorf("another typ: %v", err)
		}
		anyKey := func(string) (jose.PublicKey, error) { return key.Public(), nil }
		if _, err := jose.VerifyCompact(token, "test+jwt", anyKey); !errors.Is(err, jose.ErrToken) {
			t.Errorf("a look-up was asked for a key without a name: %v", err)
		}
		named, err := jose.SignCompact(key, "", "test+jwt", map[string]int{"a": 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jose.VerifyWith(named, "test+jwt", key.Public()); err != nil {
			t.Errorf("with a kid: %v", err)
		}
	}
}

func FuzzVerifyCompact(f *testing.F) {
	seed := make([]byte, 32)
	key, err := jose.FromSeed(seed)
	if err != nil {
		f.Fatal(err)
	}
	good, err := jose.SignCompact(key, "", "test+jwt", map[string]int{"a": 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("..")
	f.Add("e30.e30.")
	for _, header := range fuzztest.Long([]byte(`{"alg":"EdDSA","kid":"k","typ":"test+jwt"}`)) {
		f.Add(base64.RawURLEncoding.EncodeToString(header) + ".e30.AAAA")
	}
	f.Fuzz(func(t *testing.T, token string) {
		_, err := jose.VerifyCompact(token, "test+jwt", jose.Keys(key.Public()))
		if err != nil {
			fuzztest.Refused(t, err)
		} else if token != good {
			t.Fatalf("a second spelling of a token: %q", token)
		}
	})
}
