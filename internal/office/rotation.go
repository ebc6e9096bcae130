package office

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

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

// RenewKey replaces a key that the chain does not know. That of the API's tokens ("api"): what the old one signed is refused from
// the next start on. Of a relying party, that of its results ("result") by the next one, which applications have already: what the
// old one signed stays good until it expires; see [ReplaceResultKeys]. Of an agency, that of its companion credentials
// ("companion"), which is made if there is none: what the old one signed stays good, until [VoidKey].
func RenewKey(dir, passphrase, which string) error {
	p, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return fmt.Errorf("renew the %s key: %w", which, err)
	}
	if which == "result" && p.Role == Verifier {
		if err := renewResult(secrets, time.Now()); err != nil {
			return fmt.Errorf("renew the %s key: %w", which, err)
		}
		return nil
	}
	name, alg := apiKey, jose.EdDSA
	switch {
	case which == "companion" && p.Role == Issuer:
		if err := retire(secrets); err != nil {
			return fmt.Errorf("renew the %s key: %w", which, err)
		}
		name, alg = companionKey, companionAlgorithm
	case which == "api" && p.Role == Issuer:
		name = adminKey
	case which != "api":
		return fmt.Errorf("renew key %q: the role %s has the key api, an issuer companion, too, a verifier result", which, p.Role)
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

// companionAlgorithm is what most verifiers take that are not ours.
const companionAlgorithm = jose.ES256

// maxRetired bounds how many old keys of companions are published.
const maxRetired = 16

// companionKeys are the key of an agency's companions, nil if it has none, and those before it.
func companionKeys(secrets *keystore.Store) (key *jose.SigningKey, retired []jose.PublicKey, err error) {
	key, err = signer(secrets, companionKey)
	if errors.Is(err, keystore.ErrAbsent) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	text, err := secrets.Get(retiredKeys)
	switch {
	case errors.Is(err, keystore.ErrAbsent):
		return key, nil, nil
	case err != nil:
		return nil, nil, err
	case credential.ParseStrict(text, &retired) != nil:
		return nil, nil, errors.New("the old keys of companions in the key store are damaged")
	}
	// A renewal that broke off has retired the key that is still in use.
	return key, slices.DeleteFunc(retired, func(k jose.PublicKey) bool { return k == key.Public() }), nil
}

// retire keeps the public part of the present key of companions, which goes on being published.
func retire(secrets *keystore.Store) error {
	key, retired, err := companionKeys(secrets)
	if err != nil || key == nil {
		return err
	}
	if len(retired) >= maxRetired {
		return fmt.Errorf("%d old keys are published: void those whose credentials are over, with bulla key void", len(retired))
	}
	return putRetired(secrets, append(retired, key.Public()))
}

func putRetired(secrets *keystore.Store, keys []jose.PublicKey) error {
	text, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	return secrets.Put(retiredKeys, text)
}

// VoidKey stops publishing an old key of an agency's companions: what it signed is refused from the next start on, as verifiers
// find its key no more. A key that somebody else may have is renewed first.
func VoidKey(dir, passphrase, keyID string) error {
	_, secrets, err := rotating(dir, passphrase)
	if err != nil {
		return fmt.Errorf("void a key: %w", err)
	}
	key, retired, err := companionKeys(secrets)
	if err != nil {
		return fmt.Errorf("void a key: %w", err)
	}
	left := slices.DeleteFunc(slices.Clone(retired), func(k jose.PublicKey) bool { return k.KeyID() == keyID })
	switch {
	case key != nil && key.Public().KeyID() == keyID:
		return errors.New("void a key: it is in use: renew it first, with bulla key renew --key companion")
	case len(left) == len(retired):
		return fmt.Errorf("void a key: no old key of companions has the id %.100q", keyID)
	}
	return putRetired(secrets, left)
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
