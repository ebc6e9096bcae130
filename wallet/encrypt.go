package wallet

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
)

// maxWorkFactor is the most of scrypt's cost that we pay, for our own vault or for a backup that somebody hands us: 2^20
// takes a gigabyte.
const maxWorkFactor = 20

// newIdentity draws an identity and encrypts it to a passphrase; the result is base64url.
func newIdentity(passphrase string, workFactor int) (*age.X25519Identity, string, error) {
	if passphrase == "" {
		return nil, "", errors.New("the passphrase is empty")
	}
	if workFactor == 0 {
		workFactor = DefaultWorkFactor
	}
	if workFactor < 1 || workFactor > maxWorkFactor {
		return nil, "", fmt.Errorf("work factor %d, want 1 to %d", workFactor, maxWorkFactor)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, "", err
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, "", err
	}
	recipient.SetWorkFactor(workFactor)
	encrypted, err := encrypt([]byte(identity.String()), recipient)
	if err != nil {
		return nil, "", err
	}
	return identity, openid.EncodeBytes(encrypted), nil
}

func openIdentity(sealed, passphrase string) (*age.X25519Identity, error) {
	encrypted, err := credential.ParseBase64(sealed, -1)
	if err != nil || len(encrypted) > maxIdentity {
		return nil, errDamaged
	}
	scrypt, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, ErrPassphrase // it is empty
	}
	scrypt.SetMaxWorkFactor(maxWorkFactor)
	text, err := decrypt(encrypted, scrypt, maxIdentity)
	if err != nil {
		return nil, ErrPassphrase
	}
	identity, err := age.ParseX25519Identity(string(text))
	if err != nil {
		return nil, errDamaged // not the cause, which could quote the key
	}
	return identity, nil
}

func encrypt(plain []byte, recipient age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipient)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return out.Bytes(), nil
}

func decrypt(encrypted []byte, identity age.Identity, limit int) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(encrypted), identity)
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(plain) > limit {
		return nil, errDamaged
	}
	return plain, nil
}
