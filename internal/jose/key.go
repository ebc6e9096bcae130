// Package jose is the one place where jwx meets our keys: two algorithms, keys named by their RFC 7638 thumbprint,
// JWS signatures over bytes that we lay out ourselves, short-lived JWTs, and messages encrypted to one reader.
//
// A key fixes its algorithm. Headers that carry or point to keys (jwk, jku, x5c, x5u) are refused by everything that
// parses here: a key is looked up by kid where the caller already trusts it, or not at all. The one exception is
// [VerifyCertified], whose caller says which certificate it believes.
package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/bulla-id/bulla/credential"
)

// Algorithm is a JWS algorithm that we accept.
type Algorithm string

// The allow-list. EdDSA (Ed25519) for its plain and deterministic signatures; ES256 because that is what hardware
// tokens and public-key infrastructures of agencies have.
const (
	EdDSA Algorithm = "EdDSA"
	ES256 Algorithm = "ES256"
)

// SignatureSize is the length of a signature of either algorithm, in bytes.
const SignatureSize = 64

// ErrSignature is returned when a signature does not fit message and key.
var ErrSignature = errors.New("signature does not verify")

// PublicKey is a public key as a JWK with only its required members, so that it has one spelling.
type PublicKey struct {
	Curve string `json:"crv"` // Ed25519 or P-256
	Type  string `json:"kty"` // OKP or EC
	X     string `json:"x"`   // base64url, 32 bytes
	Y     string `json:"y,omitempty"`
}

// Algorithm is the one algorithm that the key is for.
func (k PublicKey) Algorithm() Algorithm {
	if k.Type == "OKP" {
		return EdDSA
	}
	return ES256
}

// Validate refuses keys that are neither Ed25519 nor P-256, not canonical, or not on their curve.
func (k PublicKey) Validate() error {
	_, err := k.raw()
	return err
}

func (k PublicKey) raw() (crypto.PublicKey, error) {
	x, err := credential.ParseBase64(k.X, 32)
	if err != nil {
		return nil, fmt.Errorf("public key, x: %w", err)
	}
	switch {
	case k.Type == "OKP" && k.Curve == "Ed25519" && k.Y == "":
		return ed25519.PublicKey(x), nil
	case k.Type == "EC" && k.Curve == "P-256":
		y, err := credential.ParseBase64(k.Y, 32)
		if err != nil {
			return nil, fmt.Errorf("public key, y: %w", err)
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, fmt.Errorf("public key: %w", err)
		}
		return key, nil
	}
	return nil, fmt.Errorf("public key of type %.100q on curve %.100q: only Ed25519 and P-256 are accepted", k.Type, k.Curve)
}

// KeyID is the RFC 7638 thumbprint (SHA-256), base64url, 43 characters.
func (k PublicKey) KeyID() string {
	// The form that RFC 7638 asks for. No member has a character that JSON escapes: the parser sees to it.
	text := `{"crv":"` + k.Curve + `","kty":"` + k.Type + `","x":"` + k.X
	if k.Y != "" {
		text += `","y":"` + k.Y
	}
	return credential.DigestOf([]byte(text + `"}`)).String()
}

// Verify checks a signature (64 bytes) over message, or returns [ErrSignature].
func (k PublicKey) Verify(message, signature []byte) error {
	key, err := k.raw()
	if err != nil {
		return err
	}
	if len(signature) != SignatureSize {
		return ErrSignature
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(k.Algorithm()))
	if err != nil {
		return fmt.Errorf("verifier for %s: %w", k.Algorithm(), err)
	}
	if verifier.Verify(message, signature, key) != nil {
		return ErrSignature
	}
	return nil
}

// SigningKey signs. It never prints its secret; it is safe for concurrent use.
type SigningKey struct {
	secret crypto.Signer
	public PublicKey
}

// Generate draws a new key for an algorithm.
func Generate(alg Algorithm) (*SigningKey, error) {
	switch alg {
	case EdDSA:
		_, secret, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return FromSigner(secret)
	case ES256:
		secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return FromSigner(secret)
	}
	return nil, fmt.Errorf("algorithm %.100q: only EdDSA and ES256 are accepted", alg)
}

// FromSeed is the Ed25519 key of a 32-byte seed (RFC 8032), for test vectors and keys derived from a stored secret.
func FromSeed(seed []byte) (*SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("seed has %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	return FromSigner(ed25519.NewKeyFromSeed(seed))
}

// FromSigner is the key of a signer that may keep its secret to itself, as an HSM's client does: Ed25519, or ECDSA on P-256. It must be safe for
// concurrent use; what it fails with comes out of Sign. A key whose secret cannot be read is in no key store.
func FromSigner(secret crypto.Signer) (*SigningKey, error) {
	public, err := PublicKeyOf(secret.Public())
	return &SigningKey{secret, public}, err
}

// PublicKeyOf is a key of the standard library's types: [ed25519.PublicKey], or [*ecdsa.PublicKey] on P-256.
func PublicKeyOf(key crypto.PublicKey) (k PublicKey, err error) {
	switch public := key.(type) {
	case ed25519.PublicKey:
		k = PublicKey{Type: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(public)}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return k, errors.New("public key is on another curve than P-256")
		}
		point, err := public.Bytes()
		if err != nil {
			return k, err
		}
		k = PublicKey{Type: "EC", Curve: "P-256", X: base64.RawURLEncoding.EncodeToString(point[1:33]), Y: base64.RawURLEncoding.EncodeToString(point[33:])}
	}
	return k, k.Validate()
}

// Public is the key that verifies.
func (k *SigningKey) Public() PublicKey { return k.public }

// Sign signs message; the signature has 64 bytes.
func (k *SigningKey) Sign(message []byte) ([]byte, error) {
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(k.public.Algorithm()))
	if err != nil {
		return nil, fmt.Errorf("signer for %s: %w", k.public.Algorithm(), err)
	}
	return signer.Sign(message, k.secret)
}

// String hides the secret.
func (k *SigningKey) String() string { return "signing key " + k.public.KeyID() }

// GoString hides the secret.
func (k *SigningKey) GoString() string { return k.String() }

// MarshalSecret is the private JWK, for an encrypted key store only.
func (k *SigningKey) MarshalSecret() ([]byte, error) {
	key, err := jwk.FromRaw(k.secret)
	if err != nil {
		return nil, fmt.Errorf("encode signing key: %w", err)
	}
	return json.Marshal(key)
}

// ParseSigningKey reads what MarshalSecret wrote.
func ParseSigningKey(text []byte) (*SigningKey, error) {
	key, err := jwk.ParseKey(text)
	if err != nil {
		return nil, errors.New("signing key is not a JWK") // the cause could quote the secret
	}
	var raw any
	if key.Raw(&raw) != nil {
		return nil, errors.New("signing key is not a private JWK")
	}
	switch secret := raw.(type) {
	case ed25519.PrivateKey:
		return FromSigner(secret)
	case *ecdsa.PrivateKey:
		if secret.Curve == elliptic.P256() {
			return pairedKey(secret)
		}
	}
	return nil, errors.New("signing key is neither Ed25519 nor P-256")
}

// pairedKey refuses a secret with a public key that is not its own: nobody could verify what it signs.
func pairedKey(secret *ecdsa.PrivateKey) (*SigningKey, error) {
	unpaired := errors.New("signing key: the public key is not that of the secret")
	raw, err := secret.Bytes()
	if err != nil {
		return nil, unpaired
	}
	own, err := ecdsa.ParseRawPrivateKey(secret.Curve, raw)
	if err != nil || !own.PublicKey.Equal(&secret.PublicKey) {
		return nil, unpaired
	}
	return FromSigner(own)
}
