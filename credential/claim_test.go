package credential_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

func TestNumberOfClaim(t *testing.T) {
	integer, date, datetime := credential.ClaimType{Type: credential.Integer}, credential.ClaimType{Type: credential.Date}, credential.ClaimType{Type: credential.DateTime}
	scaled := func(scale int) credential.ClaimType {
		return credential.ClaimType{Type: credential.Integer, Scale: scale}
	}
	const refused = math.MinInt64 // itself refused, so that it can stand for it
	tests := []struct {
		claim credential.ClaimType
		text  string
		want  int64
	}{
		{integer, "0", 0},
		{integer, "-12", -12},
		{integer, "9223372036854775807", math.MaxInt64},
		{integer, "-9223372036854775807", -math.MaxInt64},
		{integer, "-9223372036854775808", refused},
		{integer, "9223372036854775808", refused},
		{integer, "99999999999999999999999", refused},
		{integer, "", refused},
		{integer, "-", refused},
		{integer, "-0", refused},
		{integer, "+1", refused},
		{integer, "01", refused},
		{integer, "-01", refused},
		{integer, "1.0", refused},
		{integer, "1.", refused},
		{integer, "1e3", refused},
		{integer, "1_000", refused},
		{integer, "0x10", refused},
		{integer, " 1", refused},
		{integer, "1\n", refused},
		{integer, "１", refused}, // full width
		{scaled(2), "12.50", 1250},
		{scaled(2), "0.05", 5},
		{scaled(2), "-0.05", -5},
		{scaled(2), "0.00", 0},
		{scaled(2), "-0.00", refused},
		{scaled(2), "12.5", refused},
		{scaled(2), "12.500", refused},
		{scaled(2), "12", refused},
		{scaled(2), ".50", refused},
		{scaled(2), "1.-5", refused},
		{scaled(2), "1.+5", refused},
		{scaled(2), "00.50", refused},
		{scaled(2), "1.5.5", refused},
		{scaled(2), "92233720368547758.07", math.MaxInt64},
		{scaled(2), "-92233720368547758.08", refused},
		{scaled(9), "9.223372036", 9223372036},
		{date, "1970-01-01", 0},
		{date, "1969-12-31", -1},
		{date, "2024-02-29", 19782},
		{date, "2000-02-29", 11016},
		{date, "0000-01-01", -719528},
		{date, "9999-12-31", 2932896},
		{date, "2023-02-29", refused},
		{date, "1900-02-29", refused},
		{date, "2024-02-30", refused},
		{date, "2024-13-01", refused},
		{date, "2024-00-01", refused},
		{date, "2024-1-1", refused},
		{date, "24-01-01", refused},
		{date, "10000-01-01", refused},
		{date, "-001-01-01", refused},
		{date, "+024-01-01", refused},
		{date, "2024-01-01 ", refused},
		{date, "2024-01-01T00:00:00Z", refused},
		{date, "20240101", refused},
		{date, "", refused},
		{datetime, "1970-01-01T00:00:00Z", 0},
		{datetime, "1969-12-31T23:59:59Z", -1},
		{datetime, "2024-02-29T12:00:00Z", 1709208000},
		{datetime, "0000-01-01T00:00:00Z", -62167219200},
		{datetime, "9999-12-31T23:59:59Z", 253402300799},
		{datetime, "2024-02-29T12:00:00z", refused},
		{datetime, "2024-02-29t12:00:00Z", refused},
		{datetime, "2024-02-29 12:00:00Z", refused},
		{datetime, "2024-02-29T12:00:00.5Z", refused},
		{datetime, "2024-02-29T12:00:00,5Z", refused},
		{datetime, "2024-02-29T12:00:00.000Z", refused},
		{datetime, "2024-02-29T12:00:00+00:00", refused},
		{datetime, "2024-02-29T12:00:00", refused},
		{datetime, "2024-02-29T12:00Z", refused},
		{datetime, "2024-02-29T24:00:00Z", refused},
		{datetime, "2016-12-31T23:59:60Z", refused}, // Unix time has no leap seconds
		{datetime, "2023-02-29T12:00:00Z", refused},
		{datetime, "2024-02-29", refused},
	}
	for _, test := range tests {
		encoded, err := test.claim.Number(test.text)
		if test.want == refused {
			if err == nil {
				t.Errorf("%s %q is accepted as %d", test.claim.Type, test.text, encoded)
			}
			continue
		}
		want := new(big.Int).Add(big.NewInt(test.want), new(big.Int).Lsh(big.NewInt(1), 63))
		if err != nil || new(big.Int).SetUint64(encoded).Cmp(want) != 0 {
			t.Errorf("%s %q is %d, %v, want %s", test.claim.Type, test.text, encoded, err, want)
		}
		if again, err := test.claim.FormatNumber(encoded); err != nil || again != test.text {
			t.Errorf("%s %q is written %q, %v", test.claim.Type, test.text, again, err)
		}
	}
}

// claimType draws a type of claim.
func claimType() *rapid.Generator[credential.ClaimType] {
	return rapid.Custom(func(t *rapid.T) credential.ClaimType {
		c := credential.ClaimType{Name: "c", Type: rapid.SampledFrom([]credential.Type{
			credential.Integer, credential.Date, credential.DateTime, credential.Boolean, credential.String, credential.Enum,
		}).Draw(t, "type")}
		if c.Type == credential.Integer {
			c.Scale = rapid.IntRange(0, 9).Draw(t, "scale")
		}
		if c.Type == credential.Enum {
			c.Values = []string{"owner", "tenant", "中文"}
		}
		return c
	})
}

// claimValue draws a value that fits.
func claimValue(t *rapid.T, c credential.ClaimType) any {
	switch c.Type {
	case credential.Boolean:
		return rapid.Bool().Draw(t, "value")
	case credential.Enum:
		return rapid.SampledFrom(c.Values).Draw(t, "value")
	case credential.String:
		return rapid.SampledFrom([]string{"a", "A", "é", "中文", "a b", "0", "\n"}).Draw(t, "value")
	}
	low, high := int64(-math.MaxInt64), int64(math.MaxInt64)
	switch c.Type {
	case credential.Date:
		low, high = -719528, 2932896
	case credential.DateTime:
		low, high = -62167219200, 253402300799
	}
	encoded, err := credential.EncodeNumber(rapid.Int64Range(low, high).Draw(t, "number"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.FormatNumber(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Number(text); err != nil || again != encoded {
		t.Fatalf("%s %q is %d, %v, want %d", c.Type, text, again, err, encoded)
	}
	return text
}

func TestNothingEncodesToZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := claimType().Draw(t, "claim type")
		value := claimValue(t, c)
		if e, err := c.Encode(value); err != nil || e.IsZero() {
			t.Fatalf("%s %v encodes to %s, %v", c.Type, value, e.Hex(), err)
		}
	})
}

// The order of encoded numbers is that of the values: intervals stand on it.
func TestNumbersKeepTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Min(-math.MaxInt64).Draw(t, "a")
		b := rapid.Int64Min(-math.MaxInt64).Draw(t, "b")
		x, errX := credential.EncodeNumber(a)
		y, errY := credential.EncodeNumber(b)
		if errX != nil || errY != nil || (a < b) != (x < y) {
			t.Fatalf("%d, %d encode to %d, %d, %v, %v", a, b, x, y, errX, errY)
		}
		if again, err := credential.DecodeNumber(x); err != nil || again != a {
			t.Fatalf("%d decodes to %d, %v", a, again, err)
		}
	})
	if _, err := credential.EncodeNumber(math.MinInt64); err == nil {
		t.Error("-2^63 is encoded")
	}
	if _, err := credential.DecodeNumber(0); err == nil {
		t.Error("0 is decoded")
	}
}

func TestEncodeClaim(t *testing.T) {
	claim := func(typ credential.Type, values ...string) credential.ClaimType {
		return credential.ClaimType{Name: "c", Type: typ, Values: values}
	}
	f := func(s string) credential.Element { return credential.F("claim", []byte(s)) }
	good := []struct {
		claim credential.ClaimType
		value any
		want  credential.Element
	}{
		{claim(credential.Boolean), false, credential.ElementFromUint64(1)},
		{claim(credential.Boolean), true, credential.ElementFromUint64(2)},
		{claim(credential.String), "é", f("é")},
		{claim(credential.String), strings.Repeat("a", credential.MaxText), f(strings.Repeat("a", credential.MaxText))},
		{claim(credential.Enum, "a", "b"), "b", f("b")},
		{claim(credential.Integer), "-1", credential.ElementFromUint64(1<<63 - 1)},
	}
	for _, test := range good {
		if got, err := test.claim.Encode(test.value); err != nil || got != test.want {
			t.Errorf("%s %v encodes to %s, %v, want %s", test.claim.Type, test.value, got.Hex(), err, test.want.Hex())
		}
	}
	bad := []struct {
		name  string
		claim credential.ClaimType
		value any
	}{
		{"JSON number", claim(credential.Integer), 1.0},
		{"Go integer", claim(credential.Integer), 1},
		{"null", claim(credential.String), nil},
		{"list", claim(credential.String), []any{"a"}},
		{"object", claim(credential.Enum, "a"), map[string]any{"a": 1}},
		{"text for boolean", claim(credential.Boolean), "true"},
		{"number for boolean", claim(credential.Boolean), 1.0},
		{"boolean for integer", claim(credential.Integer), true},
		{"boolean for text", claim(credential.String), true},
		{"empty text", claim(credential.String), ""},
		{"long text", claim(credential.String), strings.Repeat("a", credential.MaxText+1)},
		{"not NFC", claim(credential.String), "e\u0301"},
		{"invalid UTF-8", claim(credential.String), "\xff"},
		{"U+FFFD", claim(credential.String), "\ufffd"},
		{"foreign value", claim(credential.Enum, "a"), "b"},
		{"other case", claim(credential.Enum, "a"), "A"},
		{"unknown type", claim("float"), "1"},
	}
	for _, test := range bad {
		if got, err := test.claim.Encode(test.value); err == nil {
			t.Errorf("%s encodes to %s", test.name, got.Hex())
		}
	}
}

func TestFormatNumberOutsideTheCalendar(t *testing.T) {
	for _, test := range []struct {
		typ   credential.Type
		value int64
	}{
		{credential.Date, -719529}, {credential.Date, 2932897}, {credential.Date, math.MaxInt64},
		{credential.DateTime, -62167219201}, {credential.DateTime, 253402300800}, {credential.DateTime, -math.MaxInt64},
		{credential.String, 1}, {credential.Boolean, 1},
	} {
		encoded, err := credential.EncodeNumber(test.value)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := (credential.ClaimType{Type: test.typ}).FormatNumber(encoded); err == nil {
			t.Errorf("%s %d is written %q", test.typ, test.value, text)
		}
	}
	if _, err := (credential.ClaimType{Type: credential.Integer}).FormatNumber(0); err == nil {
		t.Error("absent is written as a number")
	}
}

func TestEncodeTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", rapid.IntRange(-12*3600, 14*3600).Draw(t, "zone"))
		at := time.Unix(rapid.Int64Range(-62167219200, 253402300799).Draw(t, "time"), 0).In(zone)
		if again := credential.DecodeTime(credential.EncodeTime(at)); !again.Equal(at) || again.Location() != time.UTC {
			t.Fatalf("%s decodes to %s", at, again)
		}
		number, err := credential.ClaimType{Type: credential.DateTime}.Number(at.UTC().Format("2006-01-02T15:04:05Z"))
		if err != nil || number != credential.EncodeTime(at) {
			t.Fatalf("%s is %d as a bound and %d as a claim, %v", at, credential.EncodeTime(at), number, err)
		}
	})
}

// An error must not grow with what a stranger sends.
func TestErrorsAreShort(t *testing.T) {
	long := strings.Repeat("9", 1<<20)
	for _, c := range []credential.ClaimType{{Type: credential.Integer}, {Type: credential.Integer, Scale: 2}, {Type: credential.Date}, {Type: credential.DateTime}, {Type: credential.Enum}, {Type: credential.String}} {
		if _, err := c.Encode(long); err == nil || len(err.Error()) > 300 {
			t.Errorf("%s: error of %d bytes", c.Type, len(fmt.Sprint(err)))
		}
	}
}

func FuzzClaimNumber(f *testing.F) {
	for _, text := range []string{"-12", "12.50", "-0.00", "2024-02-29", "0000-01-01", "2024-02-29T12:00:00Z", "2016-12-31T23:59:60Z", "2024-02-29T12:00:00.5Z"} {
		f.Add(text, 2)
	}
	f.Fuzz(func(t *testing.T, text string, scale int) {
		for _, c := range []credential.ClaimType{{Type: credential.Integer}, {Type: credential.Integer, Scale: 1 + (scale&0xff)%9}, {Type: credential.Date}, {Type: credential.DateTime}} {
			encoded, err := c.Number(text)
			if err != nil {
				fuzztest.Refused(t, err)
				continue
			}
			if again, err := c.FormatNumber(encoded); err != nil || again != text || encoded == 0 {
				t.Fatalf("%s of scale %d: %q is %d, which is written %q, %v", c.Type, c.Scale, text, encoded, again, err)
			}
		}
	})
}

func ExampleClaimType_Encode() {
	area := credential.ClaimType{Name: "area", Type: credential.Integer, Scale: 2}
	e, err := area.Encode("12.50")
	fmt.Println(e.Hex(), err)
	_, err = area.Encode("12.5")
	fmt.Println(err)
	// Output:
	// 00000000000000000000000000000000000000000000000080000000000004e2 <nil>
	// "12.5" does not have exactly 2 digits after the point
}

func TestErrorsNameTheirKind(t *testing.T) {
	if _, err := credential.EncodeText("e\u0301"); !errors.Is(err, credential.ErrNotNFC) {
		t.Error(err)
	}
	if _, err := credential.EncodeText("\xff"); !errors.Is(err, credential.ErrNotCanonical) {
		t.Error(err)
	}
}
