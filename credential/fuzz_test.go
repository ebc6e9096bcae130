package credential_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

func FuzzParseElement(f *testing.F) {
	one := credential.ElementFromUint64(1).Bytes()
	f.Add(one[:])
	f.Add(bytes.Repeat([]byte{0xff}, credential.ElementSize))
	f.Add(one[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := credential.ParseElement(b)
		if err != nil {
			if fuzztest.Refused(t, err); !errors.Is(err, credential.ErrNotCanonical) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		var again credential.Element
		if got := e.Bytes(); !bytes.Equal(got[:], b) {
			t.Errorf("%x is a second spelling of %x", b, got)
		}
		if err := again.UnmarshalText([]byte(e.String())); err != nil || again != e {
			t.Errorf("%s reads as %s, %v", e, again, err)
		}
	})
}

func FuzzDigestText(f *testing.F) {
	f.Add(credential.DigestOf(nil).String())
	f.Add(strings.Repeat("_", 43))
	f.Add(strings.Repeat("A", 42) + "F")
	f.Fuzz(func(t *testing.T, text string) {
		var d credential.Digest
		if err := d.UnmarshalText([]byte(text)); err != nil {
			fuzztest.Refused(t, err)
		} else if d.String() != text {
			t.Errorf("%q is a second spelling of %s", text, d)
		}
	})
}

func FuzzParseBase64(f *testing.F) {
	f.Add("", -1)
	f.Add("AAAA", 3)
	f.Add("AA==", 1)
	f.Add("AB", 1)
	f.Add("AA\nAA", 3)
	f.Fuzz(func(t *testing.T, text string, size int) {
		b, err := credential.ParseBase64(text, size)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if base64.RawURLEncoding.EncodeToString(b) != text || size >= 0 && len(b) != size {
			t.Errorf("%q is read as %x", text, b)
		}
	})
}

// However a document is formatted, it has one canonical form, and that one is read as the same value.
func FuzzParseStrict(f *testing.F) {
	for _, test := range refusedJSON {
		f.Add([]byte(test.text))
	}
	f.Add([]byte(` { "version" : 1.0, "map":{}, "list":[1,2] } `))
	f.Add([]byte(`[{"value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]`))
	f.Add([]byte(strings.Repeat("[", 20_000)))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, targets := range [][2]any{{new(any), new(any)}, {new(document), new(document)}, {new([]nested), new([]nested)}} {
			var err error
			fuzztest.Bounded(t, 1<<20+1000*len(text), func() { err = credential.ParseStrict(text, targets[0]) })
			if err != nil {
				fuzztest.Refused(t, err)
				continue
			}
			compact, err := credential.CanonicalJSON(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := credential.ParseStrict(compact, targets[1]); err != nil {
				t.Fatalf("%q is canonically %q, which is refused: %v", text, compact, err)
			}
			one, err1 := credential.Canonical(targets[0])
			two, err2 := credential.Canonical(targets[1])
			if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
				t.Fatalf("%q is read as %q, and canonically as %q: %v, %v", text, one, two, err1, err2)
			}
		}
	})
}

// Claims take the slots of their names: a claim that is there is never 0, one that is not is.
func FuzzClaims(f *testing.F) {
	schema := titleSchema()
	f.Add([]byte(`{"parcel":"a","area":"1.00","right":"owner"}`))
	for _, long := range fuzztest.Long([]byte(`{"parcel":"a","area":"1.00","right":"owner","since":"2024-02-29","seen":"1969-12-31T23:59:59Z"}`)) {
		f.Add(long)
	}
	f.Add([]byte(`{"parcel":"a","area":"-92233720368547758.08","right":"tenant","since":"2024-02-29","disputed":true,"seen":"1969-12-31T23:59:59Z"}`))
	f.Add([]byte(`{"parcel":"","area":null,"owned":"true"}`))
	f.Add([]byte(`{"area":12}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		claims, again := credential.Claims{}, credential.Claims{}
		if err := credential.ParseStrict(text, &claims); err != nil {
			fuzztest.Refused(t, err)
			return
		}
		slots, err := schema.Encode(claims)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		for i, slot := range slots {
			present := false
			if i < len(schema.Claims) {
				_, present = claims[schema.Claims[i].Name]
			}
			if slot.IsZero() == present {
				t.Errorf("slot %d of %s is %s", i, text, slot)
			}
		}
		written, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		if err := credential.ParseStrict(written, &again); err != nil {
			t.Fatal(err)
		}
		if slots2, err := schema.Encode(again); err != nil || slots2 != slots {
			t.Errorf("%s is written %s, which encodes to something else: %v", text, written, err)
		}
	})
}
