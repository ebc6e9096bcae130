package sdjwt

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/jose"
)

// fixedScene is the same each time, so that corpora stay of use.
func fixedScene(t testing.TB) scene {
	t.Helper()
	var s scene
	for name, key := range map[string]**jose.SigningKey{"issuer": &s.issuer, "holder": &s.holder} {
		seed := credential.DigestOf([]byte(name))
		var err error
		if *key, err = jose.FromSeed(seed[:]); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// assemble is a credential with any payload, which nobody signed.
func assemble(payload string, disclosures ...string) string {
	const header = `{"alg":"EdDSA","kid":"k","typ":"dc+sd-jwt"}`
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + ".AAAA~" + strings.Join(append(disclosures, ""), "~")
}

// A credential has one spelling, and every selection of its disclosures is a credential again. The payload is fuzzed as it
// is, as no fuzzer gets through two layers of base64.
func FuzzParse(f *testing.F) {
	area, digest := disclose(`["salt","area",523]`)
	use, element := disclose(`["salt","living"]`)
	good := `{"vct":"t","iss":"i","iat":1,"nbf":1,"exp":2,"cnf":{"jwk":{"kty":"OKP","crv":"Ed25519","x":"` + rfc8037X + `"}},` +
		`"status":{"status_list":{"idx":1,"uri":"https://h/1"}},"a":[{"...":"` + element + `"}],"_sd":["` + digest + `"],"_sd_alg":"sha-256"}`
	f.Add(good, area, use)
	for _, long := range fuzztest.Long([]byte(good)) {
		f.Add(string(long), area, use)
	}
	f.Add(good, area, area)
	f.Add(`{"vct":"t","iss":"i","_sd":["`+digest+`"],"area":1}`, area, "")
	f.Add(strings.Repeat("[", 1000), area, use)
	f.Fuzz(func(t *testing.T, payload, first, second string) {
		text := assemble(payload, first, second)
		if second == "" {
			text = assemble(payload, first)
		}
		s, err := Parse(text)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrDisclosure) && !errors.Is(err, jose.ErrToken) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if s.String() != text {
			t.Fatalf("%s is written as %s", text, s)
		}
		if s.claimed.Type == "" || s.claimed.Issuer == "" {
			t.Errorf("a credential without type or issuer: %s", payload)
		}
		for _, paths := range [][]Path{nil, s.Disclosable(), s.met} {
			selected, err := s.Select(paths...)
			if err != nil {
				t.Fatalf("%q: %v", paths, err)
			}
			again, err := Parse(selected)
			if err != nil || len(paths) > 0 && selected != text {
				t.Errorf("%s presents %q as %s, %v, %v", payload, paths, selected, again, err)
			}
		}
	})
}

const rfc8037X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

// A disclosure has one spelling and no reserved name.
func FuzzParseDisclosure(f *testing.F) {
	for _, content := range []string{`["salt","area",523]`, `["salt","living"]`, `["salt","_sd",[]]`, `[1,2]`, `null`, `["s","a",{"a":1,"a":2}]`} {
		text, _ := disclose(content)
		f.Add(text)
	}
	for _, long := range fuzztest.Long([]byte(`["salt","area",523]`)) {
		f.Add(base64.RawURLEncoding.EncodeToString(long))
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDisclosure(text)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrMalformed) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if content, err := base64.RawURLEncoding.DecodeString(d.text); err != nil || base64.RawURLEncoding.EncodeToString(content) != text {
			t.Errorf("%q has another spelling, %v", text, err)
		}
		if d.digest != digestOf(text) || reserved(d.name) || d.element && d.name != "" {
			t.Errorf("%q is read as %+v", text, d)
		}
	})
}

// Nothing but what the holder made for this verifier and nonce is accepted.
func FuzzVerify(f *testing.F) {
	s := fixedScene(f)
	i := s.issuance()
	i.Random = rand.NewChaCha8([32]byte{})
	text, err := i.Issue(s.issuer)
	if err != nil {
		f.Fatal(err)
	}
	held, err := Parse(text)
	if err != nil {
		f.Fatal(err)
	}
	good := map[string]bool{}
	for _, paths := range [][]Path{nil, {{"area"}}, {{"owner"}, {"address", "street"}}} {
		presented, err := held.Present(s.binding(), paths...)
		if err != nil {
			f.Fatal(err)
		}
		good[presented] = true
		f.Add(presented)
	}
	f.Add(text)
	f.Add("~")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Verify(text, s.expected()); err != nil {
			fuzztest.Refused(t, err)
		} else if !good[text] {
			t.Errorf("nobody made %q", text)
		}
	})
}

// Key bindings that were signed, whatever is in them: refused, or for this verifier and nonce.
func FuzzReadBinding(f *testing.F) {
	good := []byte(`{"iat":1780315200,"aud":"a","nonce":"n","sd_hash":"h","nbf":1,"exp":1780315201,"x":{}}`)
	f.Add(good)
	for _, long := range fuzztest.Long(good) {
		f.Add(long)
	}
	f.Add([]byte(`{"iat":1780315200,"aud":"a","AUD":"b","nonce":"n","sd_hash":"h"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, err := readBinding(payload)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, ErrBinding) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if b.issuedAt < 1 || b.audience == "" || b.nonce == "" || b.hash == "" {
			t.Errorf("%s is read as %+v", payload, b)
		}
		if err := b.verify("x~", Expected{Now: now, Binding: &Challenge{Audience: bank, Nonce: nonce}}); err != nil {
			fuzztest.Refused(t, err)
		}
	})
}
