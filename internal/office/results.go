package office

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/verifier"
)

// The keys of a relying party's results are a ring: the one that signs, the next one, published long before it begins, and the
// public parts of those that signed before. A renewal moves each on by one place.

// resultAlgorithm is what most libraries of applications take.
const resultAlgorithm = jose.ES256

// maxRetiredResults bounds how many old keys of results are kept.
const maxRetiredResults = 16

// resultRing is what the key store has of the ring besides its two keys.
type resultRing struct {
	Renewed credential.UnixTime `json:"renewed"` // when the next key was made; 0: with all the others
	Retired []retiredResult     `json:"retired,omitempty"`
}

type retiredResult struct {
	Key jose.PublicKey      `json:"key"`
	At  credential.UnixTime `json:"at"` // when it signed no longer; 0: it may until the office serves again
}

func (r *resultRing) has(key jose.PublicKey) bool {
	return slices.ContainsFunc(r.Retired, func(k retiredResult) bool { return k.Key == key })
}

func readResultRing(secrets *keystore.Store) (ring resultRing, err error) {
	text, err := secrets.Get(retiredResults)
	if errors.Is(err, keystore.ErrAbsent) {
		return ring, nil
	}
	if err == nil && credential.ParseStrict(text, &ring) != nil {
		err = errors.New("the old keys of results in the key store are damaged")
	}
	return ring, err
}

func putResultRing(secrets *keystore.Store, ring resultRing) error {
	text, err := json.Marshal(ring)
	if err != nil {
		return err
	}
	return secrets.Put(retiredResults, text)
}

// openResultKeys gives a relying party its ring. Call it when its store is open: then no other process signs any longer.
func openResultKeys(secrets *keystore.Store, party *verifier.Config, now time.Time) (err error) {
	if party.ResultKey, err = signer(secrets, resultKey); err != nil {
		return err
	}
	ring, err := readResultRing(secrets)
	if err != nil {
		return err
	}
	next, made, err := nextResultKey(secrets, party.ResultKey.Public())
	if err != nil {
		return err
	}
	if made {
		ring.Renewed = credential.UnixTimeOf(now)
	}
	public := next.Public()
	party.NextResultKey = &public
	var left []retiredResult
	for _, r := range ring.Retired {
		if r.At == 0 {
			r.At = credential.UnixTimeOf(now)
		}
		over := !now.Before(r.At.Time().Add(verifier.RetiredFor(verifier.DefaultResultLifetime)))
		if over || r.Key == party.ResultKey.Public() { // a renewal that broke off has retired the key that is still in use
			continue
		}
		left = append(left, r)
		party.RetiredResultKeys = append(party.RetiredResultKeys, verifier.RetiredKey{Key: r.Key, At: r.At.Time()})
	}
	if slices.Equal(left, ring.Retired) && !made {
		return nil
	}
	ring.Retired = left
	return putResultRing(secrets, ring)
}

// nextResultKey is the key that will sign; it is made if there is none, or if a renewal broke off after that began to sign.
func nextResultKey(secrets *keystore.Store, current jose.PublicKey) (next *jose.SigningKey, made bool, err error) {
	next, err = signer(secrets, nextResult)
	if err == nil && next.Public() != current {
		return next, false, nil
	}
	if err != nil && !errors.Is(err, keystore.ErrAbsent) {
		return nil, false, err
	}
	next, err = newResultKey(secrets, nextResult)
	return next, true, err
}

func newResultKey(secrets *keystore.Store, name string) (*jose.SigningKey, error) {
	key, err := jose.Generate(resultAlgorithm)
	if err != nil {
		return nil, err
	}
	secret, err := key.MarshalSecret()
	if err != nil {
		return nil, err
	}
	return key, secrets.Put(name, secret)
}

// renewResult lets the next key sign, keeps the present one's public part, and makes another next one. Interrupted anywhere, it goes
// on when it is called again, and the office serves in between.
func renewResult(secrets *keystore.Store, now time.Time) error {
	current, err := signer(secrets, resultKey)
	if err != nil {
		return err
	}
	secret, err := secrets.Get(nextResult)
	if errors.Is(err, keystore.ErrAbsent) {
		return fmt.Errorf("there is no next key yet: let the office serve, which publishes one, and renew the key %s later", verifier.ResultKeysCached)
	}
	if err != nil {
		return err
	}
	next, err := jose.ParseSigningKey(secret)
	if err != nil {
		return err
	}
	if next.Public() != current.Public() {
		if err := retireResult(secrets, current.Public(), now); err != nil {
			return err
		}
		if err := secrets.Put(resultKey, secret); err != nil {
			return err
		}
	}
	_, err = newResultKey(secrets, nextResult)
	return err
}

// retireResult notes that a key will sign no longer, unless that is noted.
func retireResult(secrets *keystore.Store, key jose.PublicKey, now time.Time) error {
	ring, err := readResultRing(secrets)
	if err != nil || ring.has(key) {
		return err
	}
	if since := now.Sub(ring.Renewed.Time()); since < verifier.ResultKeysCached {
		return fmt.Errorf("applications may not have the next key yet, which is %s old: renew it when it is %s old", since.Round(time.Second), verifier.ResultKeysCached)
	}
	if len(ring.Retired) >= maxRetiredResults {
		return fmt.Errorf("%d old keys are kept: let the office serve, which forgets those that are over", len(ring.Retired))
	}
	ring.Renewed, ring.Retired = credential.UnixTimeOf(now), append(ring.Retired, retiredResult{Key: key})
	return putResultRing(secrets, ring)
}

// ReplaceResultKeys makes all keys of a relying party's results anew, as somebody else may have them: what they signed is refused
// from the next start on.
func ReplaceResultKeys(dir, passphrase string) error {
	p, secrets, err := rotating(dir, passphrase)
	if err == nil && p.Role != Verifier {
		err = fmt.Errorf("the role %s has no such key", p.Role)
	}
	if err == nil {
		err = putResultRing(secrets, resultRing{})
	}
	for _, name := range []string{nextResult, resultKey} {
		if err == nil {
			_, err = newResultKey(secrets, name)
		}
	}
	if err != nil {
		return fmt.Errorf("replace the keys of results: %w", err)
	}
	return nil
}
