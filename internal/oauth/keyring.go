package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

const maxRing = 8 // keys

// RingKey is a key with the time from which on it signs.
type RingKey struct {
	Key  *jose.SigningKey
	From time.Time // zero: since ever
}

// KeyRing holds the signing keys of an authorization server. The key that began last signs. A key is published from the
// day it stands in the ring, so that others know it when it begins, and verifies until an overlap after its successor
// began, when the last token that it signed is over. A key that leaked is taken out with [KeyRing.Replace], and its tokens
// are void at once. It is safe for concurrent use.
type KeyRing struct {
	overlap time.Duration
	clock   func() time.Time

	mu   sync.RWMutex
	keys []RingKey // by From, ascending
}

// NewKeyRing makes a ring. overlap bounds the lifetime of the tokens that its keys sign.
func NewKeyRing(overlap time.Duration, clock func() time.Time, keys ...RingKey) (*KeyRing, error) {
	if overlap < time.Minute || clock == nil {
		return nil, errors.New("key ring: want a clock, and an overlap of at least a minute")
	}
	r := &KeyRing{overlap: overlap, clock: clock}
	return r, r.Replace(keys...)
}

// Replace puts other keys in the place of all; on error the old ones stay.
func (r *KeyRing) Replace(keys ...RingKey) error {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b RingKey) int { return a.From.Compare(b.From) })
	if len(keys) == 0 || len(keys) > maxRing {
		return fmt.Errorf("key ring: %d keys, want 1 to %d", len(keys), maxRing)
	}
	for i, k := range keys {
		switch {
		case k.Key == nil:
			return errors.New("key ring: a key is missing")
		case i > 0 && k.From.Equal(keys[i-1].From):
			return errors.New("key ring: two keys begin at the same time")
		case slices.ContainsFunc(keys[:i], func(o RingKey) bool { return o.Key.Public() == k.Key.Public() }):
			return errors.New("key ring: a key stands twice")
		}
	}
	if keys[0].From.After(r.clock()) {
		return errors.New("key ring: no key has begun")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = keys
	return nil
}

// signing is the key that signs now.
func (r *KeyRing) signing() *jose.SigningKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := r.clock()
	signing := r.keys[0].Key
	for _, k := range r.keys[1:] {
		if !k.From.After(now) {
			signing = k.Key
		}
	}
	return signing
}

// published are the keys that are announced or still verify, the oldest first.
func (r *KeyRing) published() []jose.PublicKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := r.clock()
	var keys []jose.PublicKey
	for i, k := range r.keys {
		if i+1 < len(r.keys) && now.After(r.keys[i+1].From.Add(r.overlap)) {
			continue // its successor's overlap is over
		}
		keys = append(keys, k.Key.Public())
	}
	return keys
}

// Key implements [KeySource] without a network.
func (r *KeyRing) Key(_ context.Context, id string) (foreign.Key, error) {
	for _, k := range r.published() {
		if k.KeyID() == id {
			return foreign.Own(k), nil
		}
	}
	return foreign.Key{}, fmt.Errorf("key %.100q: %w", id, ErrUnknownKey)
}

// KeySet is a JWK set (RFC 7517 section 5).
type KeySet struct {
	Keys []PublishedKey `json:"keys"`
}

// PublishedKey is a key as RFC 7517 writes it, with what it is for.
type PublishedKey struct {
	jose.PublicKey
	KeyID     string         `json:"kid"`
	Use       string         `json:"use"`
	Algorithm jose.Algorithm `json:"alg"`
}

// Document is what the server publishes.
func (r *KeyRing) Document() KeySet {
	set := KeySet{Keys: []PublishedKey{}}
	for _, k := range r.published() {
		set.Keys = append(set.Keys, PublishedKey{k, k.KeyID(), "sig", k.Algorithm()})
	}
	return set
}
