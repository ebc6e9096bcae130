// Package credential holds the nouns that every role shares: field elements, C4, schemas, claims, commitments and
// clauses. Each encoding is written here once; the wallet, the issuer, the verifier, the ledger, the circuits and the
// test vectors all use this code. The formats are described in doc/spec/encodings.md.
package credential

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// ElementSize is the length of a field element on the wire: 32 bytes, big endian.
const ElementSize = fr.Bytes

// ErrNotCanonical is returned for any second spelling of a value: a field element at or above the modulus, padded or
// non-minimal base64, JSON that is not RFC 8785. Two spellings of one tag would be two tags.
var ErrNotCanonical = errors.New("not canonical")

// Element is an element of the scalar field of BN254. The zero value is 0. Elements are comparable with ==.
//
// Its text form, used in all our JSON, is base64url without padding of the 32 bytes (43 characters).
type Element struct{ v fr.Element }

// ParseElement reads 32 bytes, big endian, and refuses values that are not below the modulus.
func ParseElement(b []byte) (Element, error) {
	var e Element
	if len(b) != ElementSize {
		return e, fmt.Errorf("field element has %d bytes, want %d: %w", len(b), ElementSize, ErrNotCanonical)
	}
	if err := e.v.SetBytesCanonical(b); err != nil {
		return Element{}, fmt.Errorf("field element is not below the modulus: %w", ErrNotCanonical)
	}
	return e, nil
}

// ElementFromUint64 is the element with that value.
func ElementFromUint64(u uint64) Element {
	var e Element
	e.v.SetUint64(u)
	return e
}

// ElementFrom31 is the big-endian value of 31 bytes, which is always below the modulus.
func ElementFrom31(b [31]byte) Element {
	var e Element
	e.v.SetBytes(b[:])
	return e
}

// ElementFromFr wraps a value of gnark-crypto's field.
func ElementFromFr(v fr.Element) Element { return Element{v} }

// RandomElement draws a uniform field element from crypto/rand. It panics if the system's source fails, as crypto/rand does.
func RandomElement() Element {
	var e Element
	if _, err := e.v.SetRandom(); err != nil {
		panic(err)
	}
	return e
}

// Random31 draws 31 random bytes from crypto/rand and returns them as an element (salts and response numbers).
func Random31() Element {
	var b [31]byte
	rand.Read(b[:])
	return ElementFrom31(b)
}

// Fr is the element as gnark-crypto's type.
func (e Element) Fr() fr.Element { return e.v }

// BigInt is the canonical integer in [0, modulus).
func (e Element) BigInt() *big.Int { return e.v.BigInt(new(big.Int)) }

// Bytes is the canonical encoding: 32 bytes, big endian.
func (e Element) Bytes() [ElementSize]byte { return e.v.Bytes() }

// IsZero tells whether the element is 0, which means "absent" or "off" throughout.
func (e Element) IsZero() bool { return e.v.IsZero() }

// Fits31 tells whether the element is below 2^248, as salts, response numbers and the values of F are.
func (e Element) Fits31() bool { b := e.Bytes(); return b[0] == 0 }

// Cmp compares as integers: -1, 0 or 1.
func (e Element) Cmp(o Element) int { return e.v.Cmp(&o.v) }

// Hex is 64 lowercase digits, for test vectors and people.
func (e Element) Hex() string { b := e.Bytes(); return hex.EncodeToString(b[:]) }

// String is the text form.
func (e Element) String() string { b := e.Bytes(); return base64.RawURLEncoding.EncodeToString(b[:]) }

// MarshalText writes the text form.
func (e Element) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads the text form, canonical or refused.
func (e *Element) UnmarshalText(text []byte) error {
	b, err := ParseBase64(string(text), ElementSize)
	if err != nil {
		return err
	}
	*e, err = ParseElement(b)
	return err
}

// ParseBase64 decodes base64url without padding into exactly size bytes (any length if size is negative) and refuses
// line breaks, padding and non-zero trailing bits, so that a byte string has one spelling.
func ParseBase64(s string, size int) ([]byte, error) {
	if size >= 0 && len(s) != base64.RawURLEncoding.EncodedLen(size) {
		return nil, fmt.Errorf("base64url of %d characters, want %d: %w", len(s), base64.RawURLEncoding.EncodedLen(size), ErrNotCanonical)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != s {
		return nil, fmt.Errorf("base64url: %w", ErrNotCanonical)
	}
	return b, nil
}
