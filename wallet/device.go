package wallet

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"filippo.io/age"
)

// DeviceKeySize is the length of a key that a device keeps for its person, such as what a passkey's PRF gives, in bytes.
const DeviceKeySize = 32

// ErrDeviceKey is returned for another key than the vault was sealed for, or for a vault whose passphrase was changed since: it is
// opened by its passphrase, and sealed anew.
var ErrDeviceKey = errors.New("the vault does not open with this key: open it with its passphrase")

// SealFor encrypts what opens the vault to a device's key, for [OpenVaultBySeal]: a nonce of 12 bytes, then the vault's identity in
// AES-256-GCM under a key that HKDF-SHA-256 makes of the device's. The vault opens with its passphrase as before; when that is
// changed, the seal opens nothing any longer.
func (v *Vault) SealFor(key []byte) ([]byte, error) {
	aead, err := deviceCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal vault: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, []byte(v.identity.String()), nil), nil
}

// OpenVaultBySeal opens a vault with a device's key instead of its passphrase. Errors are those of [OpenVault], with [ErrDeviceKey] in the
// place of [ErrPassphrase].
func OpenVaultBySeal(cfg VaultConfig, seal, key []byte) (*Vault, error) {
	identity, err := openSeal(seal, key)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v, err := openVault(cfg, func(string) (*age.X25519Identity, error) { return identity, nil })
	if errors.Is(err, ErrPassphrase) { // it is of another identity
		return nil, fmt.Errorf("open vault: %w", ErrDeviceKey)
	}
	return v, err
}

func openSeal(seal, key []byte) (*age.X25519Identity, error) {
	aead, err := deviceCipher(key)
	if err != nil {
		return nil, err
	}
	if len(seal) < aead.NonceSize() || len(seal) > maxIdentity {
		return nil, ErrDeviceKey
	}
	text, err := aead.Open(nil, seal[:aead.NonceSize()], seal[aead.NonceSize():], nil)
	if err != nil {
		return nil, ErrDeviceKey
	}
	identity, err := age.ParseX25519Identity(string(text))
	if err != nil {
		return nil, ErrDeviceKey // not the cause, which could quote the key
	}
	return identity, nil
}

func deviceCipher(key []byte) (cipher.AEAD, error) {
	if len(key) != DeviceKeySize {
		return nil, fmt.Errorf("a device's key has %d bytes, want %d", len(key), DeviceKeySize)
	}
	secret, err := hkdf.Key(sha256.New, key, nil, "bulla vault 1 device", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
