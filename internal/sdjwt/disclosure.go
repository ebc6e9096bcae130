package sdjwt

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/bulla-id/bulla/credential"
)

// saltSize is the length of a salt in bytes. SPEC (RFC 9901 9.3): at least 128 bits, new for each claim; else a verifier
// tries the values of what was not disclosed to it.
const saltSize = 16

// disclosure opens one digest.
type disclosure struct {
	text    string // as it is handed over
	digest  string
	element bool   // of a list, so that it has no name
	name    string // of the claim
	value   any
	path    Path // where its digest was found
}

// newDisclosure hides a claim behind a fresh salt.
func newDisclosure(random io.Reader, name string, value any) (*disclosure, error) {
	salt, err := draw(random, saltSize)
	if err != nil {
		return nil, err
	}
	content, err := credential.Canonical([]any{base64.RawURLEncoding.EncodeToString(salt), name, value})
	if err != nil {
		return nil, fmt.Errorf("claim %.100q is not what JSON carries safely", name) // the cause quotes the value
	}
	text := base64.RawURLEncoding.EncodeToString(content)
	return &disclosure{text: text, digest: digestOf(text), name: name, value: value}, nil
}

func draw(random io.Reader, size int) ([]byte, error) {
	out := make([]byte, size)
	if _, err := io.ReadFull(random, out); err != nil {
		return nil, fmt.Errorf("draw a salt: %w", err)
	}
	return out, nil
}

// digestOf is over the text that is handed over, not over the JSON in it.
func digestOf(text string) string { return credential.DigestOf([]byte(text)).String() }

// parseDisclosure reads [salt, name, value], or [salt, value] for an element of a list.
func parseDisclosure(text string) (*disclosure, error) {
	content, err := credential.ParseBase64(text, -1)
	if err != nil {
		return nil, fmt.Errorf("not base64url: %w", ErrMalformed)
	}
	var parts []any
	if err := decode(content, &parts); err != nil {
		return nil, errors.Join(errors.New("not a strict JSON list"), err)
	}
	if len(parts) != 2 && len(parts) != 3 {
		return nil, fmt.Errorf("a list of %d, want 2 or 3: %w", len(parts), ErrMalformed)
	}
	if _, ok := parts[0].(string); !ok {
		return nil, fmt.Errorf("the salt is not a string: %w", ErrMalformed)
	}
	d := &disclosure{text: text, digest: digestOf(text), element: len(parts) == 2, value: parts[len(parts)-1]}
	if d.element {
		return d, nil
	}
	name, ok := parts[1].(string)
	if !ok {
		return nil, fmt.Errorf("the name is not a string: %w", ErrMalformed)
	}
	// SPEC (RFC 9901 7.1, 3.c.ii): a disclosure must not put digests or placeholders where the issuer did not.
	if reserved(name) {
		return nil, fmt.Errorf("the name %q is reserved: %w", name, ErrMalformed)
	}
	d.name = name
	return d, nil
}

func reserved(name string) bool {
	return name == digestsName || name == elementName || name == algorithmName
}
