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
// hour after they expired, when their applications have been told. It returns how many. Tags stay until their scope is closed, entries of the log as long as configured.
func (v *Verifier) Purge(ctx context.Context) (int, error) {
	if _, err := v.lapse(ctx, ""); err != nil {
		return 0, err
	}
	var done purged
	err := errors.Join(v.purgeNamed(ctx), v.purgeSessions(ctx, &done), v.purgeTags(ctx, &done), v.purgeLog(ctx, &done))
	if err := errors.Join(err, v.logPurge(done)); err != nil {
		return done.sessions, fmt.Errorf("purge: %w", err)
	}
	return done.sessions, nil
}

func (v *Verifier) purgeSessions(ctx context.Context, done *purged) error {
	now := v.cfg.Clock()
	for {
		due, err := v.due(now)
		if err != nil {
			return err
		}
		for _, key := range due {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := v.purge(key); err != nil {
				return err
			}
			done.sessions++
		}
		if len(due) < purgeBatch {
			return nil
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

// purge drops one session. Nothing else changes a session that is due, but another verifier on the same store may drop it.
func (v *Verifier) purge(key string) error {
	b := Batch{Set: make(map[string][]byte), Delete: []string{key}}
	if at, id, ok := parseDue(key); ok {
		s, err := v.read(id)
		switch {
		case err == nil && s.PurgeAt == at:
			b.Same = map[string][]byte{sessionKey(id): s.row} // so that it is in the log once
			b.Delete = append(b.Delete, sessionKey(id), objectKey(id), requestKey(s.RequestID), pageKey(s.Page), ownKey(&s.session))
			if err := v.logExpired(&b, s.session); err != nil {
				return err
			}
		case err != nil && !errors.Is(err, ErrAbsent):
			return err
		}
	}
	if err := v.cfg.Store.Commit(b); !errors.Is(err, ErrChanged) {
		return err
	}
	return nil
}
