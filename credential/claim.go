package credential

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Slots is the number of claims a credential has room for. Unused slots hold 0.
const Slots = 16

// MaxText bounds a string claim, in bytes of UTF-8.
const MaxText = 1024

// Type is the type of a claim. It fixes how values are written in JSON and how they become field elements.
type Type string

// The types of claims, with the JSON form of their values. Every value but a boolean is a JSON string, since JSON
// numbers lose digits above 2^53.
const (
	Integer  Type = "integer"  // "-12", or "12.50" with scale 2: an exact decimal
	Date     Type = "date"     // "2024-02-29", encoded as days since 1970-01-01
	DateTime Type = "datetime" // "2024-02-29T12:00:00Z", encoded as seconds since 1970-01-01 UTC
	Boolean  Type = "boolean"  // true or false
	String   Type = "string"   // any text in NFC
	Enum     Type = "enum"     // one of the schema's values
)

// Ordered tells whether values of the type are numbers, on which intervals make sense.
func (t Type) Ordered() bool { return t == Integer || t == Date || t == DateTime }

func (t Type) valid() bool {
	switch t {
	case Integer, Date, DateTime, Boolean, String, Enum:
		return true
	}
	return false
}

// EncodeNumber is value + 2^63, in [1, 2^64). The one value that would encode to 0, -2^63, is refused.
func EncodeNumber(value int64) (uint64, error) {
	encoded := uint64(value) + 1<<63 // two's complement: this is the sum modulo 2^64, which is exact here
	if encoded == 0 {
		return 0, errors.New("-2^63 cannot be encoded, as 0 means absent")
	}
	return encoded, nil
}

// DecodeNumber is the inverse of [EncodeNumber].
func DecodeNumber(encoded uint64) (int64, error) {
	if encoded == 0 {
		return 0, errors.New("0 means absent and is no number")
	}
	return int64(encoded - 1<<63), nil
}

// EncodeTime is the encoded datetime, as validity bounds and "now" are.
func EncodeTime(t time.Time) uint64 { return uint64(t.Unix()) + 1<<63 }

// DecodeTime is the inverse of [EncodeTime].
func DecodeTime(encoded uint64) time.Time { return time.Unix(int64(encoded-1<<63), 0).UTC() }

// EncodeText is the element of a string or enum value.
func EncodeText(s string) (Element, error) {
	switch {
	case s == "":
		return Element{}, errors.New("text is empty; leave the claim out instead")
	case len(s) > MaxText:
		return Element{}, fmt.Errorf("text of %d bytes, at most %d", len(s), MaxText)
	}
	if err := checkText(s); err != nil {
		return Element{}, err
	}
	return F(tagClaim, []byte(s)), nil
}

// Number is the encoded 64-bit value of an ordered claim: in [1, 2^64).
func (c ClaimType) Number(value string) (uint64, error) {
	switch c.Type {
	case Integer:
		return parseDecimal(value, c.Scale)
	case Date:
		t, err := time.Parse(time.DateOnly, value)
		if err != nil || t.Format(time.DateOnly) != value {
			return 0, fmt.Errorf("%s is not a date like 2024-02-29", quote(value))
		}
		return EncodeNumber(t.Unix() / secondsPerDay)
	case DateTime:
		t, err := time.Parse("2006-01-02T15:04:05Z", value)
		if err != nil || t.Format("2006-01-02T15:04:05Z") != value {
			return 0, fmt.Errorf("%s is not a UTC time like 2024-02-29T12:00:00Z", quote(value))
		}
		return EncodeNumber(t.Unix())
	}
	return 0, fmt.Errorf("a %s is no number", c.Type)
}

// FormatNumber is the inverse of Number.
func (c ClaimType) FormatNumber(encoded uint64) (string, error) {
	value, err := DecodeNumber(encoded)
	if err != nil {
		return "", err
	}
	switch c.Type {
	case Integer:
		return formatDecimal(value, c.Scale), nil
	case Date:
		if value < minDay || value > maxDay {
			return "", fmt.Errorf("day %d is outside the years 0000 to 9999", value)
		}
		return time.Unix(value*secondsPerDay, 0).UTC().Format(time.DateOnly), nil
	case DateTime:
		if value < minDay*secondsPerDay || value >= (maxDay+1)*secondsPerDay {
			return "", fmt.Errorf("second %d is outside the years 0000 to 9999", value)
		}
		return time.Unix(value, 0).UTC().Format("2006-01-02T15:04:05Z"), nil
	}
	return "", fmt.Errorf("a %s is no number", c.Type)
}

const (
	secondsPerDay = 24 * 60 * 60
	minDay        = -719528 // 0000-01-01
	maxDay        = 2932896 // 9999-12-31
)

// parseDecimal reads the one spelling of a decimal with exactly scale digits after the point.
func parseDecimal(text string, scale int) (uint64, error) {
	digits := text
	if scale > 0 {
		whole, fraction, found := strings.Cut(text, ".")
		if !found || len(fraction) != scale {
			return 0, fmt.Errorf("%s does not have exactly %d digits after the point", quote(text), scale)
		}
		digits = whole + fraction
	}
	value, err := strconv.ParseInt(digits, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s is outside 64 bits", quote(text))
	}
	if err != nil || formatDecimal(value, scale) != text {
		return 0, fmt.Errorf("%s is not a plain decimal number like %s", quote(text), formatDecimal(1250, scale))
	}
	return EncodeNumber(value)
}

func formatDecimal(value int64, scale int) string {
	if scale == 0 {
		return strconv.FormatInt(value, 10)
	}
	digits := new(big.Int).Abs(big.NewInt(value)).String()
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	sign := ""
	if value < 0 {
		sign = "-"
	}
	point := len(digits) - scale
	return sign + digits[:point] + "." + digits[point:]
}

// Encode maps a claim's JSON value (string or bool) to its field element, never 0.
func (c ClaimType) Encode(value any) (Element, error) {
	if b, ok := value.(bool); ok {
		if c.Type != Boolean {
			return Element{}, fmt.Errorf("is true or false, but a %s is wanted", c.Type)
		}
		if b {
			return ElementFromUint64(2), nil
		}
		return ElementFromUint64(1), nil
	}
	s, ok := value.(string)
	if !ok {
		return Element{}, fmt.Errorf("a %s is written as %s", c.Type, c.jsonForm())
	}
	switch c.Type {
	case Boolean:
		return Element{}, errors.New("is text, but true or false is wanted")
	case String:
		return EncodeText(s)
	case Enum:
		if !c.hasValue(s) {
			return Element{}, fmt.Errorf("%s is not one of the schema's values", quote(s))
		}
		return EncodeText(s)
	}
	n, err := c.Number(s)
	if err != nil {
		return Element{}, err
	}
	return ElementFromUint64(n), nil
}

func (c ClaimType) jsonForm() string {
	switch c.Type {
	case Boolean:
		return "true or false"
	case Integer:
		return fmt.Sprintf("a JSON string like %q", formatDecimal(1250, c.Scale))
	}
	return "a JSON string"
}

// UnixTime is a time in whole seconds since 1970-01-01 UTC, a plain number in JSON.
type UnixTime int64

// UnixTimeOf drops the fraction of a second.
func UnixTimeOf(t time.Time) UnixTime { return UnixTime(t.Unix()) }

// Time is the time in UTC.
func (t UnixTime) Time() time.Time { return time.Unix(int64(t), 0).UTC() }

// String is the time as RFC 3339.
func (t UnixTime) String() string { return t.Time().Format(time.RFC3339) }
