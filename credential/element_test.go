package credential_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
)

// element draws elements, with the edges more often than chance would.
func element() *rapid.Generator[credential.Element] {
	return rapid.Custom(func(t *rapid.T) credential.Element {
		if rapid.Bool().Draw(t, "edge") {
			fromTop := rapid.Uint64Range(1, 3).Draw(t, "from the modulus")
			v := new(big.Int).Sub(fr.Modulus(), new(big.Int).SetUint64(fromTop))
			return fromInt(t, v)
		}
		b := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bytes")
		return fromInt(t, new(big.Int).Mod(new(big.Int).SetBytes(b), fr.Modulus()))
	})
}

func fromInt(t interface{ Fatal(...any) }, v *big.Int) credential.Element {
	e, err := credential.ParseElement(v.FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestElementRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := element().Draw(t, "element")
		b := e.Bytes()
		if again, err := credential.ParseElement(b[:]); err != nil || again != e {
			t.Fatalf("bytes of %s parse to %s, %v", e, again, err)
		}
		if e.BigInt().Cmp(new(big.Int).SetBytes(b[:])) != 0 {
			t.Fatalf("%s: integer and bytes differ", e)
		}
		text, err := json.Marshal(e)
		if err != nil || string(text) != `"`+base64.RawURLEncoding.EncodeToString(b[:])+`"` {
			t.Fatalf("JSON %s, %v", text, err)
		}
		var again credential.Element
		if err := json.Unmarshal(text, &again); err != nil || again != e {
			t.Fatalf("JSON %s parses to %s, %v", text, again, err)
		}
	})
}

// x and x+p must not be two encodings of one tag.
func TestElementPlusModulusIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := element().Draw(t, "element")
		for _, times := range []int64{1, 2, 3, 4} {
			v := new(big.Int).Mul(fr.Modulus(), big.NewInt(times))
			v.Add(v, e.BigInt())
			if v.BitLen() > 256 {
				break
			}
			b := v.FillBytes(make([]byte, 32))
			if _, err := credential.ParseElement(b); !errors.Is(err, credential.ErrNotCanonical) {
				t.Fatalf("%s + %d·p: %v", e, times, err)
			}
			var got credential.Element
			if err := got.UnmarshalText([]byte(base64.RawURLEncoding.EncodeToString(b))); !errors.Is(err, credential.ErrNotCanonical) {
				t.Fatalf("text of %s + %d·p: %v", e, times, err)
			}
		}
	})
}

func TestParseElementRefusesLengths(t *testing.T) {
	for n := range 70 {
		_, err := credential.ParseElement(make([]byte, n))
		if (err == nil) != (n == 32) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	modulus := fr.Modulus().FillBytes(make([]byte, 32))
	if _, err := credential.ParseElement(modulus); err == nil {
		t.Error("the modulus itself is accepted")
	}
	modulus[31]--
	if _, err := credential.ParseElement(modulus); err != nil {
		t.Errorf("the modulus less one: %v", err)
	}
}

func TestElementText(t *testing.T) {
	good := credential.ElementFromUint64(1).String()
	tests := []struct{ name, text string }{
		{"empty", ""},
		{"short", good[1:]},
		{"long", good + "A"},
		{"padded", good + "="},
		{"line break", good[:20] + "\n" + good[20:]},
		{"carriage return for a character", good[:20] + "\r" + good[21:]},
		{"line break for a character", good[:42] + "\n"},
		{"trailing bits", good[:42] + "F"}, // the last character of 32 bytes carries two spare bits
		{"standard alphabet", strings.Repeat("+", 42) + "A"},
		{"space", " " + good[1:]},
		{"hexadecimal", credential.ElementFromUint64(1).Hex()},
		{"other script", "é" + good[2:]},
	}
	for _, test := range tests {
		var e credential.Element
		if err := e.UnmarshalText([]byte(test.text)); !errors.Is(err, credential.ErrNotCanonical) {
			t.Errorf("%s: %q is accepted as %s, %v", test.name, test.text, e, err)
		}
	}
	for _, text := range []string{`1`, `[1]`, `"AQ"`, `{}`} {
		var e credential.Element
		if err := json.Unmarshal([]byte(text), &e); err == nil {
			t.Errorf("JSON %s is accepted as %s", text, e)
		}
	}
}

func TestElementFits31(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 248)
	if fromInt(t, limit).Fits31() || !fromInt(t, limit.Sub(limit, big.NewInt(1))).Fits31() {
		t.Error("Fits31 is not < 2^248")
	}
	if !credential.Random31().Fits31() {
		t.Error("Random31 does not fit 31 bytes")
	}
	seen := make(map[credential.Element]bool)
	for range 10 {
		seen[credential.RandomElement()], seen[credential.Random31()] = true, true
	}
	if len(seen) != 20 {
		t.Error("random elements repeat")
	}
}

func TestElementOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := element().Draw(t, "a"), element().Draw(t, "b")
		if a.Cmp(b) != a.BigInt().Cmp(b.BigInt()) {
			t.Fatalf("%s and %s do not compare as integers", a, b)
		}
	})
}

func TestDigestText(t *testing.T) {
	d := credential.DigestOf([]byte("bulla"))
	var again credential.Digest
	if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d || again.IsZero() {
		t.Errorf("%s parses to %s, %v", d, again, err)
	}
	for _, text := range []string{"", d.String() + "=", d.String()[1:], d.String()[:42] + "\n"} {
		if err := again.UnmarshalText([]byte(text)); !errors.Is(err, credential.ErrNotCanonical) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzElementText(f *testing.F) {
	f.Add(credential.ElementFromUint64(1).String())
	f.Add(strings.Repeat("_", 43))
	f.Add(strings.Repeat("A", 42) + "F")
	f.Fuzz(func(t *testing.T, text string) {
		var e credential.Element
		if err := e.UnmarshalText([]byte(text)); err == nil && e.String() != text {
			t.Fatalf("%q is a second spelling of %s", text, e)
		}
	})
}
