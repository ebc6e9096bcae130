package jose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bulla-id/bulla/credential"
)

// MaxToken bounds a compact JWS, in bytes.
const MaxToken = 256 << 10

// Header is the protected header of a compact JWS. Members that we do not know are refused by [VerifyCompact].
type Header struct {
	Algorithm Algorithm `json:"alg"`
	KeyID     string    `json:"kid,omitempty"` // absent only where the key is known without it
	Type      string    `json:"typ"`
}

// ErrToken is returned for a token that is not of the form we accept, before any signature is looked at.
var ErrToken = errors.New("token is malformed")

// SignCompact makes a compact JWS of a JSON payload. keyID is what kid says; empty means the key's thumbprint.
func SignCompact(key *SigningKey, keyID, typ string, payload any) (string, error) {
	if keyID == "" {
		keyID = key.Public().KeyID()
	}
	return SignHeader(key, Header{key.Public().Algorithm(), keyID, typ}, payload)
}

// SignUnnamed makes a compact JWS without kid, for readers who know the key from elsewhere and use [VerifyWith].
func SignUnnamed(key *SigningKey, typ string, payload any) (string, error) {
	return SignHeader(key, Header{Algorithm: key.Public().Algorithm(), Type: typ}, payload)
}

// SignHeader makes a compact JWS under a header of the caller's making, which must name the key's algorithm: for formats
// whose header has more than [Header], as DPoP's has the public key. [VerifyCompact] refuses what it makes.
func SignHeader(key *SigningKey, header, payload any) (string, error) {
	head, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encode header: %w", err)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encode token: %w", err)
	}
	message := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	signature, err := key.Sign([]byte(message))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return message + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// LookUp finds a trusted public key by its id; it returns an error for keys it does not know.
type LookUp func(keyID string) (PublicKey, error)

// Keys is a LookUp in a fixed list.
func Keys(keys ...PublicKey) LookUp {
	return func(keyID string) (PublicKey, error) {
		for _, k := range keys {
			if k.KeyID() == keyID {
				return k, nil
			}
		}
		return PublicKey{}, fmt.Errorf("key %.100q is not known here", keyID)
	}
}

// VerifyCompact checks a compact JWS with that typ against a key that lookUp trusts and returns its payload. The
// algorithm must be the key's. Time claims are the caller's to check.
func VerifyCompact(token, typ string, lookUp LookUp) ([]byte, error) {
	return verify(token, typ, func(keyID string) (PublicKey, error) {
		if keyID == "" { // absent: nobody shall be asked for a key without a name
			return PublicKey{}, fmt.Errorf("kid is missing: %w", ErrToken)
		}
		return lookUp(keyID)
	})
}

// VerifyWith checks a compact JWS with that typ against one key, which the caller knows from something signed (the cnf
// of a credential), and returns its payload. A kid is not read. Time claims are the caller's to check.
func VerifyWith(token, typ string, key PublicKey) ([]byte, error) {
	return verify(token, typ, func(string) (PublicKey, error) { return key, nil })
}

func verify(token, typ string, lookUp LookUp) ([]byte, error) {
	header, message, signature, payload, err := split(token)
	if err != nil {
		return nil, err
	}
	if header.Type != typ {
		return nil, fmt.Errorf("typ is %.100q, want %.100q: %w", header.Type, typ, ErrToken)
	}
	key, err := lookUp(header.KeyID)
	if err != nil {
		return nil, err
	}
	if header.Algorithm != key.Algorithm() {
		return nil, fmt.Errorf("alg is %.100q, but the key is for %s: %w", header.Algorithm, key.Algorithm(), ErrToken)
	}
	if err := key.Verify([]byte(message), signature); err != nil {
		return nil, err
	}
	return payload, nil
}

// PeekCompact returns the header and payload of a token without checking its signature: only to learn whose key to
// look up.
func PeekCompact(token string) (Header, []byte, error) {
	header, _, _, payload, err := split(token)
	return header, payload, err
}

func split(token string) (header Header, message string, signature, payload []byte, err error) {
	if len(token) > MaxToken {
		return header, "", nil, nil, fmt.Errorf("token of %d bytes, at most %d: %w", len(token), MaxToken, ErrToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return header, "", nil, nil, fmt.Errorf("token has %d parts, want 3: %w", len(parts), ErrToken)
	}
	decoded := make([][]byte, 3)
	for i, part := range parts {
		if decoded[i], err = credential.ParseBase64(part, -1); err != nil {
			return header, "", nil, nil, fmt.Errorf("part %d is not base64url: %w", i+1, ErrToken)
		}
	}
	// Members we do not know are refused: jwk, jku, x5c, x5u and crit among them.
	if err := credential.ParseStrict(decoded[0], &header); err != nil {
		return header, "", nil, nil, fmt.Errorf("header: %w: %w", err, ErrToken)
	}
	return header, parts[0] + "." + parts[1], decoded[2], decoded[1], nil
}
