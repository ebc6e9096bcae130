package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
	"golang.org/x/text/unicode/norm"
)

// MaxDocument bounds any JSON document that we parse as canonical, in bytes.
const MaxDocument = 4 << 20

// MaxDepth bounds how deep objects and lists stand in each other. No document of ours comes near it, and a parser that follows
// strangers down 64 KiB of brackets takes a tenth of a second.
const MaxDepth = 64

// ErrNotNFC is returned for text that is not in Unicode normalisation form C: two spellings of one name.
var ErrNotNFC = errors.New("text is not in Unicode normalisation form C")

// MaxJSONInteger is the greatest integer that a JSON number can be trusted with. Larger ones are refused, as RFC 8785
// would round two of them to one: write them as strings.
const MaxJSONInteger = 1<<53 - 1

// Canonical returns value as RFC 8785 JSON. Text that is not valid UTF-8 or not in NFC, U+FFFD, and integers beyond
// [MaxJSONInteger] are refused.
func Canonical(value any) ([]byte, error) {
	text, err := encode(value)
	if err != nil {
		return nil, err
	}
	return CanonicalJSON(text)
}

// encode is the JSON of a value as encoding/json has it, without the line's end.
func encode(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// CanonicalJSON rewrites a JSON text as RFC 8785. Duplicate keys, invalid UTF-8, lone surrogates, U+FFFD, text not in
// NFC, integers beyond [MaxJSONInteger] and nesting beyond [MaxDepth] are refused, as they would let two readers see two documents, or make one of
// two.
func CanonicalJSON(text []byte) ([]byte, error) {
	if len(text) > MaxDocument {
		return nil, fmt.Errorf("JSON document of %d bytes, at most %d are read", len(text), MaxDocument)
	}
	if out, _, ok := rewritePlain(text); ok {
		return out, nil
	}
	return rewrite(text)
}

// tooDeep tells whether brackets outside strings stand deeper in each other than [MaxDepth]. The text need not be JSON.
func tooDeep(text []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// rewrite is the general way of [CanonicalJSON].
func rewrite(text []byte) ([]byte, error) {
	if tooDeep(text) {
		return nil, fmt.Errorf("JSON is nested deeper than %d", MaxDepth)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("JSON is not valid UTF-8: %w", ErrNotCanonical)
	}
	out, err := jcs.Transform(text)
	if err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	if err := checkTokens(out); err != nil {
		return nil, err
	}
	return out, nil
}

// checkTokens looks at every decoded string and number, as an escape could hide what the text form does not show.
func checkTokens(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("canonical JSON: %w", err)
		}
		switch token := token.(type) {
		case string:
			err = checkText(token)
		case json.Number:
			err = checkNumber(token)
		}
		if err != nil {
			return err
		}
	}
}

// checkText refuses text with a second spelling. U+FFFD stands where encoding/json, and others, met broken text: two
// broken texts would become one.
func checkText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not valid UTF-8: %w", quote(s), ErrNotCanonical)
	case strings.ContainsRune(s, utf8.RuneError):
		return fmt.Errorf("%s contains U+FFFD, which stands for broken text: %w", quote(s), ErrNotCanonical)
	case !norm.NFC.IsNormalString(s):
		return fmt.Errorf("%s: %w", quote(s), ErrNotNFC)
	}
	return nil
}

func checkNumber(n json.Number) error {
	if f, err := n.Float64(); err != nil || math.Abs(f) > MaxJSONInteger {
		return fmt.Errorf("number %s is beyond 2^53: write it as a string: %w", n, ErrNotCanonical)
	}
	return nil
}

// quote shows the beginning of a text in an error, which must not grow with what a stranger sends.
func quote(s string) string {
	const shown = 64
	if len(s) > shown {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:shown], ""))
	}
	return fmt.Sprintf("%q", s)
}

// ParseCanonical decodes RFC 8785 JSON into target, which must be a pointer. The bytes must be exactly what [Canonical]
// writes for the decoded value: unknown or differently spelled members and second spellings of a value are refused.
// On error target may be half filled: pass a temporary.
func ParseCanonical(text []byte, target any) error {
	if plain, nulls, ok := rewritePlain(text); ok && !nulls && bytes.Equal(plain, text) && parsePlain(text, target) {
		return nil
	}
	if err := ParseStrict(text, target); err != nil {
		return err
	}
	again, err := Canonical(target)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, text) {
		return fmt.Errorf("JSON is not in the form we write (RFC 8785, no other members): %w", ErrNotCanonical)
	}
	return nil
}

// parsePlain decodes a text in canonical form without nulls, and tells whether encoding the result gives the text again.
// If not, target is as it was. The general way says what is wrong, or right all the same.
func parsePlain(text []byte, target any) bool {
	value := reflect.ValueOf(target)
	if value.Kind() != reflect.Pointer || value.IsNil() || !value.Elem().IsZero() {
		return false
	}
	if json.Unmarshal(text, target) == nil { // what it drops, as unknown members, is missing in what is encoded again
		if again, err := Canonical(target); err == nil && bytes.Equal(again, text) {
			return true
		}
	}
	value.Elem().SetZero()
	return false
}

// ParseStrict decodes one JSON value that may be formatted freely, but has no duplicate keys, no unknown or differently
// spelled members, no null for a list or map, and nothing after it.
func ParseStrict(text []byte, target any) error {
	if _, err := CanonicalJSON(text); err != nil {
		return err
	}
	if err := checkMembers(text, target); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(target); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	return nil
}
