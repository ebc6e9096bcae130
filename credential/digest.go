package credential

import (
	"crypto/sha256"
	"encoding/base64"
)

// Digest is a SHA-256 digest of public bytes: an entry, a circuit, a verifying key, a registry. Its text form is
// base64url without padding, 43 characters.
type Digest [sha256.Size]byte

// DigestOf is the SHA-256 of data.
func DigestOf(data []byte) Digest { return sha256.Sum256(data) }

// String is the text form.
func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// IsZero tells whether the digest was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes the text form.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form, canonical or refused.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := ParseBase64(string(text), len(d))
	if err != nil {
		return err
	}
	copy(d[:], b)
	return nil
}
