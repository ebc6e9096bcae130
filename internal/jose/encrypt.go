package jose

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"

	"github.com/bulla-id/bulla/credential"
)

// KeyAgreement is the one algorithm by which a message is encrypted to a key: ECDH-ES on P-256, without key wrapping, as
// a message has one reader.
const KeyAgreement = "ECDH-ES"

// ContentEncryptions are how its content may be encrypted. AES-GCM: authenticated, and in every library. We take the
// first that the reader names too: P-256 is as strong as a key of 128 bits.
var ContentEncryptions = []string{"A128GCM", "A256GCM"}

// ErrDecryption is returned for a message that was not encrypted to the key, or was changed.
var ErrDecryption = errors.New("message does not decrypt")

// DecryptionKey reads what is encrypted to its public part: a P-256 key, for one message. It never prints its secret.
type DecryptionKey struct {
	secret *ecdsa.PrivateKey
	public PublicKey
}

// GenerateDecryptionKey draws a new key.
func GenerateDecryptionKey() (*DecryptionKey, error) {
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return decryptionKey(secret)
}

// ParseDecryptionKey reads what Secret wrote.
func ParseDecryptionKey(scalar []byte) (*DecryptionKey, error) {
	secret, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return nil, errors.New("decryption key is no secret of P-256") // the cause could quote it
	}
	return decryptionKey(secret)
}

func decryptionKey(secret *ecdsa.PrivateKey) (*DecryptionKey, error) {
	public, err := PublicKeyOf(&secret.PublicKey)
	return &DecryptionKey{secret, public}, err
}

// Public is the key that others encrypt to.
func (k *DecryptionKey) Public() PublicKey { return k.public }

// Secret is the private key, 32 bytes, to be kept encrypted only.
func (k *DecryptionKey) Secret() ([]byte, error) { return k.secret.Bytes() }

// String hides the secret.
func (k *DecryptionKey) String() string { return "decryption key " + k.public.KeyID() }

// GoString hides the secret.
func (k *DecryptionKey) GoString() string { return k.String() }

// encryptedHeader is all that the header of a message may have. zip is not among it: a small message must not become a
// large one.
type encryptedHeader struct {
	Algorithm  string    `json:"alg"`
	Encryption string    `json:"enc"`
	KeyID      string    `json:"kid"`
	Ephemeral  PublicKey `json:"epk"`
	PartyU     string    `json:"apu,omitempty"` // both go into the key derivation, and mean nothing to us
	PartyV     string    `json:"apv,omitempty"`
	Type       string    `json:"typ,omitempty"`
}

// maxParty bounds apu and apv, in characters.
const maxParty = 512

// The lengths of a compact JWE's last parts in AES-GCM, in bytes.
const (
	gcmNonce = 12
	gcmTag   = 16
)

// Decrypt reads a compact JWE that was encrypted to the key, by the algorithms above and nothing else, under its
// thumbprint as kid. A message of more than limit bytes is refused before anything of it is decoded. [ErrToken] is of its
// form, [ErrDecryption] of its contents.
func (k *DecryptionKey) Decrypt(token string, limit int) ([]byte, error) {
	if most := limit/3*4 + MaxEncryptedHeader; len(token) > most {
		return nil, fmt.Errorf("encrypted message of %d bytes, at most %d: %w", len(token), most, ErrToken)
	}
	if err := k.checkForm(token); err != nil {
		return nil, err
	}
	payload, err := jwe.Decrypt([]byte(token), jwe.WithKey(jwa.ECDH_ES, k.secret))
	if err != nil {
		return nil, ErrDecryption // the library's own words tell nothing that is ours to tell
	}
	return payload, nil
}

// MaxEncryptedHeader is what an encrypted message may have beside its content, in bytes.
const MaxEncryptedHeader = 4 << 10

// checkForm holds a message to the one form that we read, before the library sees it.
func (k *DecryptionKey) checkForm(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 5 {
		return fmt.Errorf("encrypted message has %d parts, want 5: %w", len(parts), ErrToken)
	}
	for i, size := range []int{-1, 0, gcmNonce, -1, gcmTag} {
		if _, err := credential.ParseBase64(parts[i], size); err != nil {
			return fmt.Errorf("part %d of an encrypted message is not base64url of its length: %w", i+1, ErrToken)
		}
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || len(text) > MaxEncryptedHeader {
		return fmt.Errorf("header of an encrypted message: %w", ErrToken)
	}
	var header encryptedHeader
	// Members we do not know are refused: zip, crit, jwk, x5c and those of other algorithms among them.
	if err := credential.ParseStrict(text, &header); err != nil {
		return fmt.Errorf("header: %w: %w", err, ErrToken)
	}
	switch {
	case header.Algorithm != KeyAgreement || !slices.Contains(ContentEncryptions, header.Encryption):
		return fmt.Errorf("alg %.50q with enc %.50q is not accepted: %w", header.Algorithm, header.Encryption, ErrToken)
	case header.KeyID != k.public.KeyID():
		return fmt.Errorf("the message is for the key %.100q: %w", header.KeyID, ErrToken)
	case header.Type != "" && header.Type != "JWT":
		return fmt.Errorf("typ is %.50q: %w", header.Type, ErrToken)
	case len(header.PartyU) > maxParty || len(header.PartyV) > maxParty:
		return fmt.Errorf("apu or apv is too long: %w", ErrToken)
	}
	// A point off the curve would tell of the secret, bit by bit.
	if _, err := header.Ephemeral.agreement(); err != nil {
		return fmt.Errorf("epk: %w: %w", err, ErrToken)
	}
	return nil
}

// agreement is the key for ECDH: P-256 only.
func (k PublicKey) agreement() (*ecdh.PublicKey, error) {
	raw, err := k.raw()
	if err != nil {
		return nil, err
	}
	key, ok := raw.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("public key is not one of P-256, so nothing can be encrypted to it")
	}
	return key.ECDH()
}

// ValidateEncryption refuses keys that nothing can be encrypted to.
func (k PublicKey) ValidateEncryption() error {
	_, err := k.agreement()
	return err
}

// Encrypt makes a compact JWE that only the key's owner reads, under its thumbprint as kid. The content encryption is
// one of [ContentEncryptions].
func Encrypt(key PublicKey, contentEncryption string, payload []byte) (string, error) {
	if !slices.Contains(ContentEncryptions, contentEncryption) {
		return "", fmt.Errorf("enc %.50q is not accepted", contentEncryption)
	}
	if err := key.ValidateEncryption(); err != nil {
		return "", err
	}
	raw, err := key.raw()
	if err != nil {
		return "", err
	}
	header := jwe.NewHeaders()
	if err := header.Set(jwe.KeyIDKey, key.KeyID()); err != nil {
		return "", err
	}
	token, err := jwe.Encrypt(payload, jwe.WithKey(jwa.ECDH_ES, raw), jwe.WithContentEncryption(jwa.ContentEncryptionAlgorithm(contentEncryption)), jwe.WithProtectedHeaders(header))
	if err != nil {
		return "", fmt.Errorf("encrypt message: %w", err)
	}
	return string(token), nil
}
