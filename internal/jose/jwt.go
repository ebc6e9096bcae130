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
	var header Header
	s, err := split(token, &header)
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
	return s.verify(header.Algorithm, key)
}

// PeekCompact returns the header and payload of a token without checking its signature: only to learn whose key to
// look up.
func PeekCompact(token string) (Header, []byte, error) {
	var header Header
	s, err := split(token, &header)
	return header, s.payload, err
}

// PeekPayload returns the payload of a token without checking its signature, whatever its header has: for
// tokens of one's own keeping, and for those who trust nobody.
func PeekPayload(token string) ([]byte, error) {
	s, err := split(token, new(json.RawMessage))
	return s.payload, err
}

// signed is a token in its parts.
type signed struct {
	message            string
	signature, payload []byte
}

// verify returns the payload if the key signed it, by the algorithm that is the key's.
func (s *signed) verify(alg Algorithm, key PublicKey) ([]byte, error) {
	if alg != key.Algorithm() {
		return nil, fmt.Errorf("alg is %.100q, but the key is for %s: %w", alg, key.Algorithm(), ErrToken)
	}
	if err := key.Verify([]byte(s.message), s.signature); err != nil {
		return nil, err
	}
	return s.payload, nil
}

// split reads a token and its header, which has the members of the target and no others.
func split(token string, header any) (s signed, err error) {
	if len(token) > MaxToken {
		return s, fmt.Errorf("token of %d bytes, at most %d: %w", len(token), MaxToken, ErrToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return s, fmt.Errorf("token has %d parts, want 3: %w", len(parts), ErrToken)
	}
	decoded := make([][]byte, 3)
	for i, part := range parts {
		if decoded[i], err = credential.ParseBase64(part, -1); err != nil {
			return s, fmt.Errorf("part %d is not base64url: %w", i+1, ErrToken)
		}
	}
	// Members we do not know are refused: jwk, jku, x5u and crit among them, and x5c where it is not wanted.
	if err := credential.ParseStrict(decoded[0], header); err != nil {
		return s, fmt.Errorf("header: %w: %w", err, ErrToken)
	}
	return signed{parts[0] + "." + parts[1], decoded[2], decoded[1]}, nil
}
