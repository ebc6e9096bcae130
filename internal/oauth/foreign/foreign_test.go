package foreign_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

var everything = []jose.Algorithm{jose.EdDSA, jose.ES256, foreign.RS256, foreign.PS256}

func generated(t testing.TB, a jose.Algorithm) *jose.SigningKey {
	t.Helper()
	key, err := jose.Generate(a)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func rsaJWK(n *big.Int, more string) string {
	return `{"kty":"RSA","kid":"r","e":"AQAB","n":"` + encode(n.Bytes()) + `"` + more + `}`
}

// A key of ours is handed on as it is; an RSA key has no form of ours.
func TestPublic(t *testing.T) {
	ec := generated(t, jose.ES256).Public()
	if got, err := foreign.Own(ec).Public(); err != nil || got != ec {
		t.Errorf("%v, %v", got, err)
	}
	key, err := foreign.ParseKey([]byte(rsaJWK(rsaKey(t, 2048).N, "")), []jose.Algorithm{foreign.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := key.Public(); !errors.Is(err, foreign.ErrKey) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestParseKey(t *testing.T) {
	ec, ed := generated(t, jose.ES256).Public(), generated(t, jose.EdDSA).Public()
	r := rsaKey(t, 2048)
	ecText := `{"kty":"EC","crv":"P-256","x":"` + ec.X + `","y":"` + ec.Y + `"`
	edText := `{"kty":"OKP","crv":"Ed25519","x":"` + ed.X + `"`
	small, _ := rand.Prime(rand.Reader, 1024)
	for name, c := range map[string]struct {
		text    string
		allowed []jose.Algorithm
		want    jose.Algorithm // empty: refused
	}{
		"P-256":                   {ecText + `}`, everything, jose.ES256},
		"Ed25519":                 {edText + `}`, everything, jose.EdDSA},
		"with all kinds of texts": {ecText + `,"kid":"k","use":"sig","alg":"ES256","key_ops":["verify"],"ext":true,"x5t":"x","x5c":["x"],"nbf":1}`, everything, jose.ES256},
		"RSA of one algorithm":    {rsaJWK(r.N, ``), []jose.Algorithm{foreign.RS256}, foreign.RS256},
		"RSA that names one":      {rsaJWK(r.N, `,"alg":"PS256"`), everything, foreign.PS256},
		"RSA that could be two":   {rsaJWK(r.N, ``), everything, ""},
		"RSA that is not allowed": {rsaJWK(r.N, ``), foreign.Modern, ""},
		"RSA, another algorithm":  {rsaJWK(r.N, `,"alg":"RS512"`), everything, ""},
		"RSA for encryption":      {rsaJWK(r.N, `,"alg":"RSA-OAEP","use":"enc"`), everything, ""},
		"RSA of 1024 bits":        {rsaJWK(small, ``), []jose.Algorithm{foreign.RS256}, ""},
		"RSA of 4104 bits":        {rsaJWK(new(big.Int).Lsh(r.N, 2056), ``), []jose.Algorithm{foreign.RS256}, ""},
		"RSA, even":               {rsaJWK(new(big.Int).Add(r.N, big.NewInt(1)), ``), []jose.Algorithm{foreign.RS256}, ""},
		"RSA, exponent 3":         {strings.Replace(rsaJWK(r.N, ``), "AQAB", "Aw", 1), []jose.Algorithm{foreign.RS256}, ""},
		"RSA, leading zero":       {`{"kty":"RSA","e":"AQAB","n":"` + encode(append([]byte{0}, r.N.Bytes()...)) + `"}`, []jose.Algorithm{foreign.RS256}, ""},
		"RSA without n":           {`{"kty":"RSA","e":"AQAB"}`, []jose.Algorithm{foreign.RS256}, ""},
		"P-256 not allowed":       {ecText + `}`, []jose.Algorithm{jose.EdDSA}, ""},
		"P-256 for EdDSA":         {ecText + `,"alg":"EdDSA"}`, everything, ""},
		"P-384":                   {strings.Replace(ecText, "P-256", "P-384", 1) + `}`, everything, ""},
		"a secret":                {ecText + `,"d":"AAAA"}`, everything, ""},
		"a secret that is null":   {ecText + `,"d":null}`, everything, ""},
		"symmetric":               {`{"kty":"oct","k":"AAAA"}`, everything, ""},
		"HS256 of a public key":   {ecText + `,"alg":"HS256"}`, everything, ""},
		"alg none":                {ecText + `,"alg":"none"}`, append(everything, "none"), ""},
		"for encryption":          {ecText + `,"use":"enc"}`, everything, ""},
		"for signing only":        {ecText + `,"key_ops":["sign"]}`, everything, ""},
		"key_ops a number":        {ecText + `,"key_ops":7}`, everything, ""},
		"kid a number":            {ecText + `,"kid":7}`, everything, ""},
		"kid far too long":        {ecText + `,"kid":"` + strings.Repeat("x", 257) + `"}`, everything, ""},
		"a member twice":          {ecText + `,"x":"` + ec.X + `"}`, everything, ""},
		"members in upper case":   {strings.ToUpper(edText[:7]) + edText[7:] + `}`, everything, ""},
		"a list":                  {`[]`, everything, ""},
		"null":                    {`null`, everything, ""},
		"nothing":                 {``, everything, ""},
	} {
		key, err := foreign.ParseKey([]byte(c.text), c.allowed)
		if c.want == "" && !errors.Is(err, foreign.ErrKey) || c.want != "" && (err != nil || key.Algorithm != c.want) {
			t.Errorf("%s: %+v, %v", name, key.Algorithm, err)
		}
	}
}

// Signatures of jwx verify, and the thumbprint is jwx's.
func TestRSAAgainstJWX(t *testing.T) {
	secret := rsaKey(t, 2048)
	public, err := jwk.FromRaw(secret.Public())
	if err != nil {
		t.Fatal(err)
	}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []jose.Algorithm{foreign.RS256, foreign.PS256} {
		text, err := jws.Sign([]byte(`{"sub":"x"}`), jws.WithKey(jwa.SignatureAlgorithm(a), secret))
		if err != nil {
			t.Fatal(err)
		}
		token, err := foreign.Parse(string(text), 4096)
		if err != nil {
			t.Fatal(err)
		}
		key, err := foreign.ParseKey([]byte(rsaJWK(secret.N, `,"alg":"`+string(a)+`"`)), everything)
		if err != nil || key.Thumbprint() != encode(thumbprint) {
			t.Fatalf("%s: thumbprint %s, %v", a, key.Thumbprint(), err)
		}
		if err := token.Verify(key); err != nil {
			t.Errorf("%s: %v", a, err)
		}
		other, err := foreign.ParseKey([]byte(rsaJWK(rsaKey(t, 2048).N, `,"alg":"`+string(a)+`"`)), everything)
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Verify(other); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%s, another key: %v", a, err)
		}
	}
	// A salt of another length than the digest's is another algorithm than PS256.
	digest := sha256.Sum256([]byte("m"))
	short, err := rsa.SignPSS(rand.Reader, secret, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: 8})
	if err != nil {
		t.Fatal(err)
	}
	key, _ := foreign.ParseKey([]byte(rsaJWK(secret.N, `,"alg":"PS256"`)), everything)
	if err := key.Verify([]byte("m"), short); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("a short salt: %v", err)
	}
}

// Every algorithm that the library knows is known or not on purpose; so is each new name of RFC 9864.
func TestAlgorithms(t *testing.T) {
	names := []string{"Ed25519", "Ed448", "ESP256", "es256", ""}
	for _, a := range jwa.SignatureAlgorithms() {
		names = append(names, string(a))
	}
	want := map[string]bool{"EdDSA": true, "ES256": true, "RS256": true, "PS256": true}
	for _, a := range names {
		if foreign.Known(jose.Algorithm(a)) != want[a] {
			t.Errorf("%q: known %t", a, !want[a])
		}
	}
}

func TestParseKeys(t *testing.T) {
	ec, ed := generated(t, jose.ES256).Public(), generated(t, jose.EdDSA).Public()
	one := `{"kty":"EC","crv":"P-256","kid":"one","x":"` + ec.X + `","y":"` + ec.Y + `"}`
	two := `{"kty":"OKP","crv":"Ed25519","kid":"two","x":"` + ed.X + `"}`
	for name, c := range map[string]struct {
		text string
		want int // -1: refused
	}{
		"two":                      {`{"keys":[` + one + `,` + two + `]}`, 2},
		"with others":              {`{"more":1,"keys":[{"kty":"AKP"},7,null,` + one + `,{"kty":"oct","kid":"one","k":"AAAA"}]}`, 1},
		"one without a name":       {`{"keys":[` + strings.Replace(one, `"kid":"one",`, "", 1) + `]}`, 0},
		"none":                     {`{"keys":[]}`, 0},
		"one name for two":         {`{"keys":[` + one + `,` + strings.Replace(two, "two", "one", 1) + `]}`, -1},
		"far too many":             {`{"keys":[7` + strings.Repeat(",7", 64) + `]}`, -1},
		"no keys":                  {`{}`, -1},
		"keys twice":               {`{"keys":[],"keys":[` + one + `]}`, -1},
		"an object":                {`{"keys":{}}`, -1},
		"nothing":                  {``, -1},
		"a page":                   {`<html>`, -1},
		"more behind":              {`{"keys":[]} {}`, -1},
		"deeper than anybody goes": {strings.Repeat("[", 20000), -1},
	} {
		keys, err := foreign.ParseKeys([]byte(c.text), everything)
		if (err != nil) != (c.want < 0) || err == nil && len(keys) != c.want {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}

func TestParse(t *testing.T) {
	key := generated(t, jose.ES256)
	sign := func(header string, payload string) string {
		text, err := jose.SignHeader(key, json.RawMessage(header), json.RawMessage(payload))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := sign(`{"alg":"ES256","kid":"k","typ":"application/AT+jwt","x5t":"x"}`, `{"sub":"x"}`)
	token, err := foreign.Parse(good, len(good), "x5t")
	if err != nil || token.Header.Type != "at+jwt" || token.Header.KeyID != "k" {
		t.Fatalf("%+v, %v", token, err)
	}
	if err := token.Verify(foreign.Own(key.Public())); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{
		"too large":             good + "A",
		"two parts":             good[:strings.LastIndex(good, ".")],
		"four parts":            strings.Replace(good, ".", "..", 1),
		"padding":               good[:len(good)-1] + "=",
		"a member nobody asked": sign(`{"alg":"ES256","x5c":[]}`, `{}`),
		"jwk":                   sign(`{"alg":"ES256","jwk":{}}`, `{}`),
		"jku":                   sign(`{"alg":"ES256","jku":"x"}`, `{}`),
		"x5u":                   sign(`{"alg":"ES256","x5u":"x"}`, `{}`),
		"crit":                  sign(`{"alg":"ES256","crit":["exp"]}`, `{}`),
		"b64":                   sign(`{"alg":"ES256","b64":false}`, `{}`),
		"zip":                   sign(`{"alg":"ES256","zip":"DEF"}`, `{}`),
		"cty":                   sign(`{"alg":"ES256","cty":"JWT"}`, `{}`),
		"nonce":                 sign(`{"alg":"ES256","nonce":"x"}`, `{}`),
		"no alg":                sign(`{}`, `{}`),
		"alg a number":          sign(`{"alg":7}`, `{}`),
		"ALG":                   sign(`{"ALG":"ES256"}`, `{}`),
		"kid null":              sign(`{"alg":"ES256","kid":null}`, `{}`),
		"kid a list":            sign(`{"alg":"ES256","kid":["x"]}`, `{}`),
		"kid too long":          sign(`{"alg":"ES256","kid":"`+strings.Repeat("k", 257)+`"}`, `{}`),
		"typ a list":            sign(`{"alg":"ES256","typ":["x"]}`, `{}`),
		"a list as payload":     sign(`{"alg":"ES256"}`, `[]`),
		"null as payload":       sign(`{"alg":"ES256"}`, `null`),
		"a claim twice":         strings.Replace(good, "."+encode([]byte(`{"sub":"x"}`))+".", "."+encode([]byte(`{"sub":"x","sub":"y"}`))+".", 1),
	} {
		if _, err := foreign.Parse(text, len(good)+300, "x5t"); name != "too large" && !errors.Is(err, foreign.ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := foreign.Parse(good, len(good)-1, "x5t"); !errors.Is(err, foreign.ErrToken) {
		t.Errorf("a byte too large: %v", err)
	}
}

func TestClaims(t *testing.T) {
	token, err := foreign.Parse(encode([]byte(`{"alg":"x"}`))+"."+encode([]byte(
		`{"s":"x","empty":"","n":7,"null":null,"list":["a","b"],"mixed":["a",7],"nulls":[null],"o":{"p":"q"},"t":1800000000.9,"past":-1,"far":253402300800}`))+".", 4096)
	if err != nil {
		t.Fatal(err)
	}
	c := token.Claims
	for _, name := range []string{"empty", "n", "null", "list", "o", "absent", "S"} {
		if text, err := c.String(name); err == nil {
			t.Errorf("%s is the text %q", name, text)
		}
	}
	for _, name := range []string{"n", "null", "mixed", "nulls", "o"} {
		if list, err := c.Strings(name); err == nil {
			t.Errorf("%s is the list %q", name, list)
		}
	}
	for _, name := range []string{"s", "null", "past", "far", "list", "absent"} {
		if at, err := c.Required(name); err == nil {
			t.Errorf("%s is the time %s", name, at)
		}
	}
	for _, name := range []string{"s", "null", "list"} {
		if o, err := c.Object(name); err == nil {
			t.Errorf("%s is the object %v", name, o)
		}
	}
	list, err := c.Strings("list")
	at, timeErr := c.Required("t")
	o, objectErr := c.Object("o")
	if err != nil || len(list) != 2 || timeErr != nil || !at.Equal(time.Unix(1800000000, 0)) || objectErr != nil || string(o["p"]) != `"q"` {
		t.Errorf("%v %v %v", list, at, o)
	}
}
