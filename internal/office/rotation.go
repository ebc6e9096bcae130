package office

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
)

// NextKey makes the key that will replace the signing key of an agency or relying party, or finds the one made before,
// and returns its public part. The present key stays in use until [SwitchKey].
func NextKey(dir, passphrase string, alg jose.Algorithm) (Public, error) {
	p, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return p, fmt.Errorf("make the next key: %w", err)
	}
	if alg == "" {
		alg = p.Key.Algorithm()
	}
	key, err := secrets.SigningKey(nextKey, alg)
	if err != nil {
		return p, fmt.Errorf("make the next key: %w", err)
	}
	public := key.Public()
	p.Key = &public
	return p, nil
}

// SwitchKey makes the next key the signing key; the old one is gone. Do it once the chain lists the next one.
func SwitchKey(dir, passphrase string) (Public, error) {
	p, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	secret, err := secrets.Get(nextKey)
	if errors.Is(err, keystore.ErrAbsent) {
		return p, errors.New("switch keys: there is no next key: make one with bulla key next")
	}
	if err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	key, err := jose.ParseSigningKey(secret)
	if err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	if err := secrets.Put(signingKey, secret); err != nil {
		return p, fmt.Errorf("switch keys: %w", err)
	}
	public := key.Public()
	p.Key = &public
	if err := p.Write(filepath.Join(dir, PublicFile)); err != nil {
		return p, err
	}
	return p, secrets.Delete(nextKey)
}

// RenewKey replaces a key that the chain does not know: that of the API's tokens ("api") or, of a relying party, of its
// results ("result"). What the old one signed is refused from the next start on.
func RenewKey(dir, passphrase, which string) error {
	p, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return fmt.Errorf("renew the %s key: %w", which, err)
	}
	name, alg := apiKey, jose.EdDSA
	switch {
	case which == "api" && p.Role == Issuer:
		name = adminKey
	case which == "result" && p.Role == Verifier:
		name, alg = resultKey, jose.ES256
	case which != "api":
		return fmt.Errorf("renew key %q: the role %s has the key api, a verifier result, too", which, p.Role)
	}
	key, err := jose.Generate(alg)
	if err != nil {
		return fmt.Errorf("renew the %s key: %w", which, err)
	}
	secret, err := key.MarshalSecret()
	if err != nil {
		return fmt.Errorf("renew the %s key: %w", which, err)
	}
	return secrets.Put(name, secret)
}

// ChangePassphrase seals an office's key store under another passphrase.
func ChangePassphrase(dir, old, passphrase string, workFactor int) error {
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), old)
	if err != nil {
		return err
	}
	return secrets.ChangePassphrase(passphrase, workFactor)
}

// rotating opens the folder of an office whose signing key the chain lets change.
func rotating(dir, passphrase string) (Public, *keystore.Store, error) {
	p, err := ReadPublic(filepath.Join(dir, PublicFile), "")
	if err != nil {
		return p, nil, err
	}
	if p.Role != Issuer && p.Role != Verifier {
		return p, nil, fmt.Errorf("the key of the role %s stands in genesis or in profiles and is not rotated: doc/operations.md says what to do if it is lost", p.Role)
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	return p, secrets, err
}

// MakeSubjectKey makes the key of a subject register in an agency's key store, once. Agencies that share the register
// need the same key.
func MakeSubjectKey(dir, passphrase, register string) error {
	if !credential.ValidName(register) {
		return fmt.Errorf("make the key of a subject register: %q is not a plain name", register)
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		return fmt.Errorf("make the key of a subject register: %w", err)
	}
	_, err = secrets.Random(subjectKey(register), subjectKeySize)
	return err
}

const subjectKeySize = 32

// subjectKey names the key of a subject register in a key store, whose names are narrower.
func subjectKey(register string) string {
	digest := credential.DigestOf([]byte(register))
	return "subject-" + hex.EncodeToString(digest[:8])
}
