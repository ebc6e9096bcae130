package verifier

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
)

// The keys of results, at /jwks.json: the one that signs, the one that will, so that applications know it when it begins, and those
// that did, as long as results that they signed are good.

// RetiredKey is a key that signed results until a time.
type RetiredKey struct {
	Key jose.PublicKey
	At  time.Time // when it signed the last one, or later
}

// ResultKeysCached is for how long applications may keep the keys without asking again. A key should be published as the next
// one for longer than that before it signs.
const ResultKeysCached = 5 * time.Minute

// DefaultResultLifetime is that of results if the configuration says no other.
const DefaultResultLifetime = defaultResultLifetime

// maxResultKeys bounds how many keys are published.
const maxResultKeys = 32

// RetiredFor is how long after it signed its last result a key has to be published, for results of a lifetime.
func RetiredFor(lifetime time.Duration) time.Duration { return lifetime + ResultKeysCached }

// validateResultKeys refuses keys that stand for two things.
func (cfg *Config) validateResultKeys() error {
	all := []jose.PublicKey{cfg.SigningKey.Public(), cfg.ResultKey.Public()}
	if cfg.NextResultKey != nil {
		all = append(all, *cfg.NextResultKey)
	}
	for _, r := range cfg.RetiredResultKeys {
		all = append(all, r.Key)
	}
	if len(all) > maxResultKeys {
		return fmt.Errorf("%d keys of results, at most %d", len(all)-1, maxResultKeys-1)
	}
	for i, key := range all {
		if err := key.Validate(); err != nil {
			return fmt.Errorf("key of results %d: %w", i, err)
		}
		if slices.Contains(all[:i], key) {
			return errors.New("signing key, result key, the next one and the retired ones are not all different")
		}
	}
	return nil
}

// resultKeys are published now, the one that signs first.
func (v *Verifier) resultKeys(now time.Time) oauth.KeySet {
	keys := []jose.PublicKey{v.cfg.ResultKey.Public()}
	if v.cfg.NextResultKey != nil {
		keys = append(keys, *v.cfg.NextResultKey)
	}
	for _, r := range v.cfg.RetiredResultKeys {
		if now.Before(r.At.Add(RetiredFor(v.cfg.ResultLifetime))) {
			keys = append(keys, r.Key)
		}
	}
	var set oauth.KeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, oauth.PublishedKey{PublicKey: k, KeyID: k.KeyID(), Use: "sig", Algorithm: k.Algorithm()})
	}
	return set
}

func (v *Verifier) getKeys(c *gin.Context) {
	c.Header("Content-Type", "application/jwk-set+json")
	c.Header("Cache-Control", fmt.Sprintf("public, max-age=%d", ResultKeysCached/time.Second))
	c.JSON(http.StatusOK, v.resultKeys(v.cfg.Clock()))
}
