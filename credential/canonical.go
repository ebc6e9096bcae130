package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
	"golang.org/x/text/unicode/norm"
)

// MaxDocument bounds any JSON document that we parse as canonical, in bytes.
const MaxDocument = 4 << 20

// ErrNotNFC is returned for text that is not in Unicode normalisation form C: two spellings of one name.
var ErrNotNFC = errors.New("text is not in Unicode normalisation form C")

// Canonical returns value as RFC 8785 JSON. Text that is not valid UTF-8 or not in NFC is refused.
func Canonical(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return CanonicalJSON(buf.Bytes())
}

// CanonicalJSON rewrites a JSON text as RFC 8785. Duplicate keys, invalid UTF-8, lone surrogates and text not in NFC
// are refused, as they would let two readers see two documents.
func CanonicalJSON(text []byte) ([]byte, error) {
	if len(text) > MaxDocument {
		return nil, fmt.Errorf("JSON document of %d bytes, at most %d are read", len(text), MaxDocument)
	}
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("JSON is not valid UTF-8: %w", ErrNotCanonical)
	}
	out, err := jcs.Transform(text)
	if err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	if err := checkStrings(out); err != nil {
		return nil, err
	}
	return out, nil
}

// checkStrings looks at every decoded string, as an escape could hide what the text form does not show.
func checkStrings(text []byte) error {
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
		if s, ok := token.(string); ok && !norm.NFC.IsNormalString(s) {
			return fmt.Errorf("%q: %w", s, ErrNotNFC)
		}
	}
}

// ParseCanonical decodes RFC 8785 JSON into target, which must be a pointer. The bytes must be exactly what [Canonical]
// writes for the decoded value: unknown or differently spelled members and second spellings of a value are refused.
// On error target may be half filled: pass a temporary.
func ParseCanonical(text []byte, target any) error {
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

// ParseStrict decodes one JSON value that may be formatted freely, but has no duplicate keys, no unknown members and
// nothing after it.
func ParseStrict(text []byte, target any) error {
	if _, err := CanonicalJSON(text); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(target); err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	return nil
}
