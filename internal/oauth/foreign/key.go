// Package foreign reads what other people's software writes in JOSE: keys and key sets with members that mean nothing to
// us, tokens whose headers have more than ours. It is more lenient than internal/jose where standards tell others to be
// free, and in nothing else: a key is for one algorithm, headers do not bring keys unless the caller's format says so,
// and JSON that two readers could read differently is refused.
package foreign

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
)

// The RSA algorithms. We sign with neither; many OpenID providers of agencies have nothing else (RFC 9068 section 2.1
// makes RS256 the one that everybody has), so a provider's configuration may allow them.
const (
	RS256 jose.Algorithm = "RS256"
	PS256 jose.Algorithm = "PS256"
)

// Modern are the algorithms that we sign with ourselves, and what is allowed where nothing else is said.
var Modern = []jose.Algorithm{jose.EdDSA, jose.ES256}

// Known tells whether an algorithm is one that any caller may allow.
func Known(a jose.Algorithm) bool {
	return a == jose.EdDSA || a == jose.ES256 || a == RS256 || a == PS256
}

// Limits of what is read.
const (
	maxKeyID     = 256 // bytes
	maxKeys      = 64  // in a set, for us or not
	minRSA       = 2048
	maxRSA       = 4096 // bits
	rsaExponent  = 65537
	exponentText = "AQAB"
)

// ErrKey is returned for a key that we cannot use.
var ErrKey = errors.New("key is not one we can use")

// Key is a public key of somebody else, with the one algorithm that it is for.
type Key struct {
	ID        string // kid as its owner wrote it; may be empty
	Algorithm jose.Algorithm

	elliptic jose.PublicKey // for EdDSA, ES256
	rsa      *rsa.PublicKey // for RS256, PS256
}

// Own is a key of ours, under its thumbprint.
func Own(key jose.PublicKey) Key {
	return Key{ID: key.KeyID(), Algorithm: key.Algorithm(), elliptic: key}
}

// Public is the key in our own form, for what is bound to it. An RSA key has none.
func (k Key) Public() (jose.PublicKey, error) {
	if k.rsa != nil {
		return jose.PublicKey{}, fmt.Errorf("an RSA key: %w", ErrKey)
	}
	return k.elliptic, nil
}

// Thumbprint is that of RFC 7638 (SHA-256), base64url, 43 characters.
func (k Key) Thumbprint() string {
	if k.rsa == nil {
		return k.elliptic.KeyID()
	}
	n := base64.RawURLEncoding.EncodeToString(k.rsa.N.Bytes())
	return credential.DigestOf([]byte(`{"e":"` + exponentText + `","kty":"RSA","n":"` + n + `"}`)).String()
}

// Verify checks a signature, or returns [jose.ErrSignature].
func (k Key) Verify(message, signature []byte) error {
	digest := sha256.Sum256(message)
	var err error
	switch k.Algorithm {
	case jose.EdDSA, jose.ES256:
		return k.elliptic.Verify(message, signature)
	case RS256:
		err = rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest[:], signature)
	case PS256: // SPEC: RFC 7518 section 3.5: the salt is as long as the digest
		err = rsa.VerifyPSS(k.rsa, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	default:
		return fmt.Errorf("algorithm %.100q: %w", k.Algorithm, ErrKey)
	}
	if err != nil {
		return jose.ErrSignature
	}
	return nil
}

// ParseKey reads a public JWK. Members that we do not know are ignored, as RFC 7517 section 4 asks; a private or
// symmetric key is refused, whoever may have sent it. The key's algorithm is the one of allowed that fits its type and
// its own alg; a key for which none or two are left is refused, so that no token chooses.
func ParseKey(text []byte, allowed []jose.Algorithm) (Key, error) {
	members, err := Object(text)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := members[secret]; ok {
			return Key{}, fmt.Errorf("a secret key: it is spent now that it was sent: %w", ErrKey)
		}
	}
	if err := forSignatures(members); err != nil {
		return Key{}, err
	}
	key, fitting, err := material(members)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if key.ID, err = members.optional("kid"); err != nil || len(key.ID) > maxKeyID {
		return Key{}, fmt.Errorf("kid is not a text of at most %d bytes: %w", maxKeyID, ErrKey)
	}
	named, err := members.optional("alg")
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	fitting = slices.DeleteFunc(fitting, func(a jose.Algorithm) bool {
		return !slices.Contains(allowed, a) || named != "" && named != string(a)
	})
	if len(fitting) != 1 {
		return Key{}, fmt.Errorf("%d of the allowed algorithms fit, want one: %w", len(fitting), ErrKey)
	}
	key.Algorithm = fitting[0]
	return key, nil
}

// forSignatures refuses keys that say of themselves that they are for something else.
func forSignatures(members Claims) error {
	use, err := members.optional("use")
	if err != nil || use != "" && use != "sig" {
		return fmt.Errorf("use is not sig: %w", ErrKey)
	}
	if _, ok := members["key_ops"]; !ok {
		return nil
	}
	if operations, err := members.Strings("key_ops"); err != nil || !slices.Contains(operations, "verify") {
		return fmt.Errorf("key_ops lacks verify: %w", ErrKey)
	}
	return nil
}

// material reads the key itself, and which algorithms could use it.
func material(members Claims) (Key, []jose.Algorithm, error) {
	texts := make(map[string]string, 6)
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		text, err := members.optional(name)
		if err != nil {
			return Key{}, nil, err
		}
		texts[name] = text
	}
	if texts["kty"] == "RSA" {
		key, err := parseRSA(texts["n"], texts["e"])
		return Key{rsa: key}, []jose.Algorithm{RS256, PS256}, err
	}
	key := jose.PublicKey{Type: texts["kty"], Curve: texts["crv"], X: texts["x"], Y: texts["y"]}
	return Key{elliptic: key}, []jose.Algorithm{key.Algorithm()}, key.Validate()
}

func parseRSA(n, e string) (*rsa.PublicKey, error) {
	if e != exponentText {
		return nil, errors.New("the RSA exponent is not 65537")
	}
	modulus, err := credential.ParseBase64(n, -1)
	if err != nil {
		return nil, fmt.Errorf("RSA modulus: %w", err)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: rsaExponent}
	if bits := key.N.BitLen(); len(modulus) == 0 || modulus[0] == 0 || bits < minRSA || bits > maxRSA || key.N.Bit(0) == 0 {
		return nil, fmt.Errorf("an RSA modulus of %d bits: want %d to %d, odd, without leading zeros", bits, minRSA, maxRSA)
	}
	return key, nil
}

// ParseKeys reads a JWK set and returns the keys that we can use, each of them named. Others are left out, as RFC 7517
// section 5 asks; two keys of one name make the whole set ambiguous, and refused.
func ParseKeys(text []byte, allowed []jose.Algorithm) ([]Key, error) {
	members, err := Object(text)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(members["keys"], &list); err != nil || len(list) > maxKeys {
		return nil, fmt.Errorf("key set: keys is not a list of at most %d", maxKeys)
	}
	var keys []Key
	for _, text := range list {
		key, err := ParseKey(text, allowed)
		if err != nil || key.ID == "" {
			continue
		}
		if slices.ContainsFunc(keys, func(k Key) bool { return k.ID == key.ID }) {
			return nil, fmt.Errorf("key set: two keys are named %.100q", key.ID)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
