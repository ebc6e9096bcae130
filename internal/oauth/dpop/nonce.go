package dpop

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

// A nonce is u64be of the time it was made ‖ 16 random bytes ‖ 16 bytes of HMAC-SHA-256 over a label and these: nothing is
// stored, so that asking for nonces, which anybody may, fills no memory.
const (
	nonceSize  = 8 + 16 + 16
	nonceLabel = "bulla dpop nonce\x00"
)

// Nonces makes and checks nonces. Servers that share the key take each other's. It is safe for concurrent use.
type Nonces struct {
	key      []byte
	lifetime time.Duration
	clock    func() time.Time
}

// NewNonces makes nonces under a key of 32 bytes; nil draws one, so that no nonce survives the process.
func NewNonces(key []byte, lifetime time.Duration, clock func() time.Time) (*Nonces, error) {
	if key == nil {
		key = make([]byte, 32)
		rand.Read(key)
	}
	switch {
	case len(key) != 32:
		return nil, fmt.Errorf("dpop: nonce key of %d bytes, want 32", len(key))
	case lifetime < time.Second || lifetime > time.Hour || clock == nil:
		return nil, errors.New("dpop: nonces live a second to an hour, by a clock")
	}
	return &Nonces{append([]byte(nil), key...), lifetime, clock}, nil
}

// Make makes a nonce. A proof may take it as often as it likes while it lives, each time with another jti.
func (n *Nonces) Make() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceSize), uint64(n.clock().Unix()))[:24]
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(append(b, n.tag(b)...))
}

func (n *Nonces) tag(b []byte) []byte {
	mac := hmac.New(sha256.New, n.key)
	mac.Write([]byte(nonceLabel))
	mac.Write(b)
	return mac.Sum(nil)[:16]
}

// Check returns when one of our nonces was made and until when it lives, or [ErrNonce].
func (n *Nonces) Check(nonce string) (made, until time.Time, err error) {
	b, err := credential.ParseBase64(nonce, nonceSize)
	if err != nil || subtle.ConstantTimeCompare(n.tag(b[:24]), b[24:]) != 1 {
		return made, until, fmt.Errorf("not one of ours: %w", ErrNonce)
	}
	made = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	until = made.Add(n.lifetime)
	if now := n.clock(); now.After(until) || made.After(now.Add(foreign.Skew)) { // servers that share a key have clocks of their own
		return made, until, fmt.Errorf("expired: %w", ErrNonce)
	}
	return made, until, nil
}
