package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

func ecdsaOf(scalar []byte) (*ecdsa.PrivateKey, error) {
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
}

// certified is a certificate of a key, by that key.
func certified(t testing.TB, key crypto.Signer, change ...func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bank.example"}, NotBefore: time.Unix(1_800_000_000, 0), NotAfter: time.Unix(1_900_000_000, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestCertifiedToken(t *testing.T) {
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edwards, err2 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for alg, secret := range map[jose.Algorithm]crypto.Signer{jose.ES256: p256, jose.EdDSA: edwards} {
		key, err := jose.FromSigner(secret)
		if err != nil {
			t.Fatal(err)
		}
		der := certified(t, secret)
		token, err := jose.SignCertified(key, "test+jwt", [][]byte{der, der, der}, map[string]int{"a": 1})
		if err != nil {
			t.Fatal(err)
		}
		believed := 0
		payload, err := jose.VerifyCertified(token, "test+jwt", func(c *jose.Certificate) error {
			believed++
			if c.Key != key.Public() || !bytes.Equal(c.DER, der) || c.ValidAt(time.Unix(1_850_000_000, 0)) != nil ||
				c.ValidAt(time.Unix(1_799_999_999, 0)) == nil || c.ValidAt(time.Unix(1_900_000_001, 0)) == nil {
				t.Errorf("%s: certificate %+v", alg, c)
			}
			return nil
		})
		if err != nil || string(payload) != `{"a":1}` || believed != 1 {
			t.Errorf("%s: %s, %v", alg, payload, err)
		}
		stranger := errors.New("not mine")
		if _, err := jose.VerifyCertified(token, "test+jwt", func(*jose.Certificate) error { return stranger }); !errors.Is(err, stranger) {
			t.Errorf("%s, not believed: %v", alg, err)
		}
		// Where certificates are not wanted they are refused, and there they are wanted.
		if _, err := jose.VerifyCompact(token, "test+jwt", jose.Keys(key.Public())); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: %v", alg, err)
		}
		if _, err := jose.VerifyWith(token, "test+jwt", key.Public()); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: %v", alg, err)
		}
		if _, _, err := jose.PeekCompact(token); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s: %v", alg, err)
		}
		if got, err := jose.PeekPayload(token); err != nil || string(got) != `{"a":1}` {
			t.Errorf("%s: %s, %v", alg, got, err)
		}
		plain, err := jose.SignCompact(key, "", "test+jwt", 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jose.VerifyCertified(plain, "test+jwt", believe); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s, without certificates: %v", alg, err)
		}
	}
}

func believe(*jose.Certificate) error { return nil }

func TestCertifiedTokenRefused(t *testing.T) {
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, err3 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	key, err := jose.FromSigner(p256)
	if err != nil {
		t.Fatal(err)
	}
	good := certified(t, p256)
	text := base64.StdEncoding.EncodeToString(good)
	header := func(change func(map[string]any)) string {
		h := map[string]any{"alg": "ES256", "typ": "test+jwt", "x5c": []string{text}}
		change(h)
		token, err := jose.SignHeader(key, h, 1)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	chain := func(certificates ...string) string { return header(func(h map[string]any) { h["x5c"] = certificates }) }
	encoded := func(der []byte) string { return base64.StdEncoding.EncodeToString(der) }
	if _, err := jose.VerifyCertified(chain(text), "test+jwt", believe); err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Clone([]byte(chain(text)))
	tampered[len(tampered)-3] ^= 1
	for name, token := range map[string]string{
		"no certificate":             chain(),
		"four":                       chain(text, text, text, text),
		"no list":                    header(func(h map[string]any) { h["x5c"] = text }),
		"null":                       header(func(h map[string]any) { h["x5c"] = nil }),
		"base64url":                  chain(base64.RawURLEncoding.EncodeToString(append(good, 0xff, 0xff))),
		"a line break":               chain(text[:64] + "\n" + text[64:]),
		"a second that is no base64": chain(text, "*"),
		"no certificate in it":       chain("AAAA"),
		"trailing bytes":             chain(encoded(append(bytes.Clone(good), 0))),
		"too large":                  chain(encoded(certified(t, p256, func(c *x509.Certificate) { c.DNSNames = []string{strings.Repeat("a", 5000)} }))),
		"another curve":              chain(encoded(certified(t, p384))),
		"RSA":                        chain(encoded(certified(t, rsaKey))),
		"for encryption only":        chain(encoded(certified(t, p256, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }))),
		"an unknown critical demand": chain(encoded(certified(t, p256, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}))),
		"another key's":                chain(encoded(certified(t, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)))),
		"another algorithm":            header(func(h map[string]any) { h["alg"] = "EdDSA" }),
		"none":                         header(func(h map[string]any) { h["alg"] = "none" }),
		"a key too":                    header(func(h map[string]any) { h["jwk"] = key.Public() }),
		"a key's name too":             header(func(h map[string]any) { h["kid"] = key.Public().KeyID() }),
		"an address of certificates":   header(func(h map[string]any) { h["x5u"] = "https://bank.example" }),
		"another type":                 header(func(h map[string]any) { h["typ"] = "JWT" }),
		"a changed signature":          string(tampered),
		"a certificate's digest alone": header(func(h map[string]any) { delete(h, "x5c"); h["x5t#S256"] = "AAAA" }),
	} {
		if _, err := jose.VerifyCertified(token, "test+jwt", believe); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			fuzztest.Refused(t, err)
		}
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestSelfCertified(t *testing.T) {
	from := time.Unix(1_800_000_000, 0)
	for _, alg := range []jose.Algorithm{jose.EdDSA, jose.ES256} {
		key := generated(t, alg)
		der := must(key.SelfCertify("did:web:bank.example", []string{"bank.example"}, from, from.Add(time.Hour)))(t)
		if c := must(jose.ParseCertificate(der))(t); c.Key != key.Public() || c.ValidAt(from.Add(time.Minute)) != nil || c.ValidAt(from.Add(2*time.Hour)) == nil {
			t.Errorf("%s: %+v", alg, c)
		}
		request := must(x509.ParseCertificateRequest(must(key.CertificateRequest("did:web:bank.example", []string{"bank.example"}))(t)))(t)
		if public := must(jose.PublicKeyOf(request.PublicKey))(t); request.CheckSignature() != nil || public != key.Public() || request.Subject.CommonName != "did:web:bank.example" {
			t.Errorf("%s: request %+v", alg, request)
		}
	}
}

// Whatever stands in a certificate, it is read with one of our keys in it, or refused.
func FuzzParseCertificate(f *testing.F) {
	key, err := ecdsaOf(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	der := certified(f, key)
	f.Add(der)
	f.Add(der[:len(der)-1])
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := jose.ParseCertificate(der)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if err := c.Key.Validate(); err != nil || !bytes.Equal(c.DER, der) {
			t.Errorf("%x is read with the key %+v, %v", der, c.Key, err)
		}
		if _, err := json.Marshal(c.Key); err != nil {
			t.Error(err)
		}
	})
}

// Whatever a token with certificates is, it is the one that the key signed, or refused.
func FuzzVerifyCertified(f *testing.F) {
	_, secret, err := ed25519.GenerateKey(bytes.NewReader(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	key, err := jose.FromSigner(secret)
	if err != nil {
		f.Fatal(err)
	}
	der := certified(f, secret)
	good, err := jose.SignCertified(key, "test+jwt", [][]byte{der}, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("..")
	for _, header := range fuzztest.Long([]byte(`{"alg":"EdDSA","typ":"test+jwt","x5c":["MIIB"]}`)) {
		f.Add(base64.RawURLEncoding.EncodeToString(header) + ".e30.AAAA")
	}
	f.Fuzz(func(t *testing.T, token string) {
		payload, err := jose.VerifyCertified(token, "test+jwt", func(c *jose.Certificate) error {
			if c.Key != key.Public() {
				return errors.New("another key")
			}
			return nil
		})
		if err != nil {
			fuzztest.Refused(t, err)
		} else if string(payload) != "1" {
			t.Errorf("%q has the payload %q", token, payload)
		}
	})
}
