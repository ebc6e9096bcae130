package verifier

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
)

const (
	keepUnanswered = credential.UnixTime(60 * 60) // seconds after expiry that a session can be asked for
	purgeEvery     = 10 * time.Minute
	purgeBatch     = 1000
)

var errEnough = errors.New("enough")

// Purge drops sessions with their results at the end of the retention that the policy promised, and unanswered ones an
// hour after they expired, when their applications have been told. It returns how many. Tags stay for ever.
func (v *Verifier) Purge(ctx context.Context) (int, error) {
	if _, err := v.lapse(ctx, ""); err != nil {
		return 0, err
	}
	now, purged := v.cfg.Clock(), 0
	for {
		due, err := v.due(now)
		if err != nil {
			return purged, fmt.Errorf("purge: %w", err)
		}
		for _, key := range due {
			if err := ctx.Err(); err != nil {
				return purged, err
			}
			if err := v.purge(key); err != nil {
				return purged, fmt.Errorf("purge: %w", err)
			}
			purged++
		}
		if len(due) < purgeBatch {
			return purged, nil
		}
	}
}

// due lists some keys of sessions to drop.
func (v *Verifier) due(now time.Time) (keys []string, err error) {
	err = v.cfg.Store.Each(duePrefix, func(key string, _ []byte) error {
		at, _, ok := parseDue(key)
		if ok && at > credential.UnixTimeOf(now) || len(keys) == purgeBatch {
			return errEnough
		}
		keys = append(keys, key)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return keys, err
}

func parseDue(key string) (at credential.UnixTime, id string, ok bool) {
	return parseTimed(duePrefix, key)
}

// parseTimed reads a key that begins with prefix, a time and an id.
func parseTimed(prefix, key string) (at credential.UnixTime, id string, ok bool) {
	number, id, ok := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	n, err := strconv.ParseUint(number, 16, 63)
	at = credential.UnixTime(n)
	return at, id, ok && err == nil && fmt.Sprintf("%s%016x/%s", prefix, n, id) == key
}

// purge drops one session. Nothing else changes a session that is due.
func (v *Verifier) purge(key string) error {
	rows := []string{key}
	if at, id, ok := parseDue(key); ok {
		s, err := v.read(id)
		switch {
		case err == nil && s.PurgeAt == at:
			rows = append(rows, sessionKey(id), requestKey(s.RequestID), pageKey(s.Page))
		case err != nil && !errors.Is(err, ErrAbsent):
			return err
		}
	}
	return v.cfg.Store.Commit(Batch{Delete: rows})
}
