// Package records keeps an issuer's rows: in Pebble, encrypted, or in memory for tests.
//
// Each value is sealed with AES-256-GCM under a key derived from the record key, with the row's key as associated data:
// a copied folder says how many rows of which table there are and how long they are, and nothing else. Whoever can
// write the folder can delete rows or bring back older ones, but not change one or put it in another's place.
//
// A random nonce of 96 bits allows 2^32 writes under one key before it should be changed ([MaxWrites]); they are counted.
package records

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/issuer"
)

// ErrDamaged is returned for a row that was not written by us under this key, or stood in another place.
var ErrDamaged = errors.New("row is damaged, or the record key is another")

// MaxWrites is how many values one key seals before two nonces agree with a chance of more than 2^-32 (NIST SP 800-38D, section 8.3).
const MaxWrites = 1 << 32

// formatVersion is the first byte of each value.
const formatVersion = 1

// sealer encrypts rows.
type sealer struct{ aead cipher.AEAD }

func newSealer(recordKey []byte) (sealer, error) {
	if len(recordKey) != issuer.RecordKeySize {
		return sealer{}, fmt.Errorf("record key has %d bytes, want %d", len(recordKey), issuer.RecordKeySize)
	}
	key, err := hkdf.Key(sha256.New, recordKey, nil, "bulla records: aes-256-gcm", 32)
	if err != nil {
		return sealer{}, fmt.Errorf("derive key of records: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, fmt.Errorf("derive key of records: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return sealer{}, fmt.Errorf("derive key of records: %w", err)
	}
	return sealer{aead}, nil
}

// seal is version ‖ nonce ‖ ciphertext ‖ tag.
func (s sealer) seal(key string, value []byte) []byte {
	return s.aead.Seal([]byte{formatVersion}, nil, value, []byte(key))
}

func (s sealer) open(key string, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != formatVersion {
		return nil, ErrDamaged
	}
	value, err := s.aead.Open(nil, nil, sealed[1:], []byte(key))
	if err != nil {
		return nil, ErrDamaged
	}
	return value, nil
}
