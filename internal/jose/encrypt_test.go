package jose_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

const limit = 1 << 10

func decryptionKey(t testing.TB) *jose.DecryptionKey {
	t.Helper()
	key, err := jose.GenerateDecryptionKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEncryptDecrypt(t *testing.T) {
	key, other := decryptionKey(t), decryptionKey(t)
	for _, enc := range jose.ContentEncryptions {
		token, err := jose.Encrypt(key.Public(), enc, []byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.Decrypt(token, limit); err != nil || string(got) != "message" {
			t.Errorf("%s: %q, %v", enc, got, err)
		}
		if _, err := other.Decrypt(token, limit); !errors.Is(err, jose.ErrToken) {
			t.Errorf("%s, another's key: %v", enc, err)
		}
		again, err := jose.Encrypt(key.Public(), enc, []byte("message"))
		if err != nil || again == token {
			t.Errorf("%s: the same message looks the same, %v", enc, err)
		}
	}
	secret, err := key.Secret()
	if err != nil || len(secret) != 32 {
		t.Fatalf("%d bytes, %v", len(secret), err)
	}
	if again, err := jose.ParseDecryptionKey(secret); err != nil || again.Public() != key.Public() {
		t.Errorf("kept and read again: %v", err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 32), secret[1:], bytes.Repeat([]byte{0xff}, 32)} {
		if _, err := jose.ParseDecryptionKey(bad); err == nil {
			t.Errorf("%x is a secret", bad)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, key); !strings.Contains(text, key.Public().KeyID()) || len(text) > 70 {
			t.Errorf("%s prints %s", format, text)
		}
	}
	if _, err := jose.Encrypt(generated(t, jose.EdDSA).Public(), "A128GCM", nil); err == nil {
		t.Error("encrypted to a key for signatures")
	}
	if _, err := jose.Encrypt(key.Public(), "A128CBC-HS256", nil); err == nil {
		t.Error("encrypted in another way")
	}
}

// Every algorithm that the library knows is accepted or refused on purpose.
func TestEncryptionAlgorithms(t *testing.T) {
	key := decryptionKey(t)
	scalar, err := key.Secret()
	if err != nil {
		t.Fatal(err)
	}
	header := func(alg jwa.KeyEncryptionAlgorithm, enc jwa.ContentEncryptionAlgorithm) string {
		good, err := jose.Encrypt(key.Public(), "A128GCM", []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		return reheaded(t, good, func(h map[string]any) { h["alg"], h["enc"] = alg, enc })
	}
	for _, alg := range jwa.KeyEncryptionAlgorithms() {
		_, err := key.Decrypt(header(alg, jwa.A128GCM), limit)
		if wanted := alg == jwa.ECDH_ES; errors.Is(err, jose.ErrToken) == wanted {
			t.Errorf("%s: %v", alg, err)
		}
	}
	for _, enc := range jwa.ContentEncryptionAlgorithms() {
		_, err := key.Decrypt(header(jwa.ECDH_ES, enc), limit)
		if wanted := enc == jwa.A128GCM || enc == jwa.A256GCM; errors.Is(err, jose.ErrToken) == wanted {
			t.Errorf("%s: %v", enc, err)
		}
	}
	// What the library itself makes for others of its algorithms is refused by its form.
	wrapped, err := jwe.Encrypt([]byte("m"), jwe.WithKey(jwa.A128KW, scalar[:16]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Decrypt(string(wrapped), limit); !errors.Is(err, jose.ErrToken) {
		t.Errorf("wrapped: %v", err)
	}
}

// reheaded is a message with another header.
func reheaded(t testing.TB, token string, change func(map[string]any)) string {
	t.Helper()
	parts := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	change(header)
	if text, err = json.Marshal(header); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text) + "." + strings.Join(parts[1:], ".")
}

func TestDecryptRefuses(t *testing.T) {
	key := decryptionKey(t)
	good, err := jose.Encrypt(key.Public(), "A128GCM", []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	with := func(i int, part string) string {
		changed := slices.Clone(parts)
		changed[i] = part
		return strings.Join(changed, ".")
	}
	flipped := func(i int) string {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		raw[0] ^= 1
		return with(i, base64.RawURLEncoding.EncodeToString(raw))
	}
	// A compressed message, as the library makes it: small, and large once it is read.
	headers := jwe.NewHeaders()
	if err := headers.Set(jwe.KeyIDKey, key.Public().KeyID()); err != nil {
		t.Fatal(err)
	}
	secret, err := key.Secret()
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsaOf(secret)
	if err != nil {
		t.Fatal(err)
	}
	bomb, err := jwe.Encrypt(make([]byte, 1<<20), jwe.WithKey(jwa.ECDH_ES, &ecdsaKey.PublicKey), jwe.WithContentEncryption(jwa.A128GCM), jwe.WithCompress(jwa.Deflate), jwe.WithProtectedHeaders(headers))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jwe.Decrypt(bomb, jwe.WithKey(jwa.ECDH_ES, ecdsaKey)); err != nil {
		t.Fatalf("the library does not read its own: %v", err)
	}
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"compressed":             {string(bomb), jose.ErrToken},
		"four parts":             {strings.Join(parts[:4], "."), jose.ErrToken},
		"six parts":              {good + ".", jose.ErrToken},
		"an encrypted key":       {with(1, "AAAA"), jose.ErrToken},
		"a short nonce":          {with(2, parts[2][:12]), jose.ErrToken},
		"a short tag":            {with(4, parts[4][:16]), jose.ErrToken},
		"padding":                {with(3, parts[3]+"="), jose.ErrToken},
		"a line break":           {good + "\n", jose.ErrToken},
		"JSON":                   {`{"protected":"` + parts[0] + `","iv":"` + parts[2] + `","ciphertext":"` + parts[3] + `","tag":"` + parts[4] + `"}`, jose.ErrToken},
		"nothing":                {"", jose.ErrToken},
		"too long":               {with(3, strings.Repeat("A", 3*limit+jose.MaxEncryptedHeader)), jose.ErrToken},
		"a changed nonce":        {flipped(2), jose.ErrDecryption},
		"a changed message":      {flipped(3), jose.ErrDecryption},
		"a changed tag":          {flipped(4), jose.ErrDecryption},
		"no message":             {with(3, ""), jose.ErrDecryption},
		"another spelling":       {with(0, base64.RawURLEncoding.EncodeToString(append([]byte(" "), must(base64.RawURLEncoding.DecodeString(parts[0]))(t)...))), jose.ErrDecryption},
		"a party nobody named":   {reheaded(t, good, func(h map[string]any) { h["apu"] = "AAAA" }), jose.ErrDecryption},
		"another ephemeral key":  {reheaded(t, good, func(h map[string]any) { h["epk"] = decryptionKey(t).Public() }), jose.ErrDecryption},
		"no ephemeral key":       {reheaded(t, good, func(h map[string]any) { delete(h, "epk") }), jose.ErrToken},
		"a point off the curve":  {reheaded(t, good, func(h map[string]any) { e := h["epk"].(map[string]any); e["x"], e["y"] = e["y"], e["x"] }), jose.ErrToken},
		"a private ephemeral":    {reheaded(t, good, func(h map[string]any) { h["epk"].(map[string]any)["d"] = strings.Repeat("A", 43) }), jose.ErrToken},
		"an Ed25519 ephemeral":   {reheaded(t, good, func(h map[string]any) { h["epk"] = generated(t, jose.EdDSA).Public() }), jose.ErrToken},
		"no kid":                 {reheaded(t, good, func(h map[string]any) { delete(h, "kid") }), jose.ErrToken},
		"another kid":            {reheaded(t, good, func(h map[string]any) { h["kid"] = decryptionKey(t).Public().KeyID() }), jose.ErrToken},
		"a critical header":      {reheaded(t, good, func(h map[string]any) { h["crit"] = []string{"b64"} }), jose.ErrToken},
		"zip":                    {reheaded(t, good, func(h map[string]any) { h["zip"] = "DEF" }), jose.ErrToken},
		"a certificate":          {reheaded(t, good, func(h map[string]any) { h["x5c"] = []string{"AAAA"} }), jose.ErrToken},
		"another content's type": {reheaded(t, good, func(h map[string]any) { h["cty"] = "JWT" }), jose.ErrToken},
		"another type":           {reheaded(t, good, func(h map[string]any) { h["typ"] = "other" }), jose.ErrToken},
		"a long party":           {reheaded(t, good, func(h map[string]any) { h["apv"] = strings.Repeat("A", 600) }), jose.ErrToken},
		"a long header":          {reheaded(t, good, func(h map[string]any) { h["apv"] = strings.Repeat("A", 5000) }), jose.ErrToken},
	} {
		if got, err := key.Decrypt(c.token, limit); !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v, want %v", name, got, err, c.want)
		} else {
			fuzztest.Refused(t, err)
		}
	}
}

// A message of more than the limit is refused before anything is decoded.
func TestDecryptIsBounded(t *testing.T) {
	key := decryptionKey(t)
	huge := strings.Repeat("A", 64<<20)
	fuzztest.Bounded(t, 1<<20, func() {
		if _, err := key.Decrypt(huge, limit); !errors.Is(err, jose.ErrToken) {
			t.Error(err)
		}
	})
}

// Whatever is sent, it reads as what was encrypted, or not at all.
func FuzzDecrypt(f *testing.F) {
	key, err := jose.ParseDecryptionKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	token, err := jose.Encrypt(key.Public(), "A256GCM", []byte("message"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(strings.Repeat(".", 4))
	f.Add("")
	for _, header := range fuzztest.Long([]byte(`{"alg":"ECDH-ES","enc":"A128GCM","epk":{"crv":"P-256","kty":"EC","x":"x","y":"y"},"kid":"k"}`)) {
		f.Add(base64.RawURLEncoding.EncodeToString(header) + ".." + strings.Repeat("A", 16) + ".AAAA." + strings.Repeat("A", 22))
	}
	f.Fuzz(func(t *testing.T, token string) {
		payload, err := key.Decrypt(token, limit)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, jose.ErrToken) && !errors.Is(err, jose.ErrDecryption) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if len(payload) > limit+jose.MaxEncryptedHeader {
			t.Errorf("%d bytes", len(payload))
		}
		parts := strings.Split(token, ".")
		if _, err := credential.ParseBase64(parts[3], len(payload)); err != nil {
			t.Errorf("a second spelling: %q", token)
		}
	})
}
