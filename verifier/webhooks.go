package verifier

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/outbox"
)

// Webhooks of a verifier: each application has endpoints of its own, which are told that one of its sessions has ended, and
// nothing about a person. The event is in one commit with the end, so that neither can be without the other.

// The types of events.
const (
	EventVerified  = "session.verified"
	EventRejected  = "session.rejected" // only if it is final
	EventExpired   = "session.expired"
	EventCancelled = "session.cancelled"
	// EventEnded is the only event of sessions with a return URI, whatever became of them: what may be known of those without
	// the response code is for [Verifier.StatusWith] to say.
	EventEnded = "session.ended"
)

// EventTypes are all that a webhook can ask for.
func EventTypes() []string {
	return []string{EventVerified, EventRejected, EventExpired, EventCancelled, EventEnded}
}

// How many endpoints there are in all and of one application, at most.
const (
	maxWebhooks          = 256
	maxWebhooksPerClient = 8
)

// SessionEvent is the data of an event.
type SessionEvent struct {
	Session string              `json:"session"`
	Policy  string              `json:"policy"`
	State   State               `json:"state,omitempty"` // not of sessions with a return URI
	EndedAt credential.UnixTime `json:"ended_at"`
}

// eventOf is what a session's application is told of its end.
func eventOf(s *session, at credential.UnixTime) outbox.Event {
	data := SessionEvent{Session: s.ID, Policy: s.Policy, EndedAt: at}
	if s.ReturnURI != "" {
		return outbox.Event{Type: EventEnded, Owner: s.Client, Data: data}
	}
	data.State = s.State
	return outbox.Event{Type: "session." + string(data.State), Owner: s.Client, Data: data}
}

func (v *Verifier) openWebhooks() (err error) {
	if others, err := v.hooks.foreign(); err != nil {
		return err
	} else if others {
		v.cfg.Logger.Warn("the store has webhooks of another session key, which are not read: applications add them anew")
	}
	v.webhooks, err = outbox.New(outbox.Config{
		Store: v.hooks, Types: EventTypes(), Egress: v.cfg.Egress, RetryFor: v.cfg.WebhookRetry, Logger: v.cfg.Logger,
		Endpoints: maxWebhooks, PerOwner: maxWebhooksPerClient,
	})
	return err
}

// WebhookCounts are figures of what was sent.
func (v *Verifier) WebhookCounts() outbox.Counts { return v.webhooks.Counts() }

// announceEnd adds the end of a session to the batch that ends it. Once that is committed, wake the webhooks.
func (v *Verifier) announceEnd(b *Batch, s *session, at credential.UnixTime) error {
	rows := make(map[string][]byte)
	if err := v.webhooks.Add(rows, eventOf(s, at)); err != nil {
		return fmt.Errorf("announce the end of a session: %w", err)
	}
	for key, value := range rows {
		sealed, err := v.hooks.seal(key, value)
		if err != nil {
			return err
		}
		b.Set[v.hooks.prefix+key] = sealed
	}
	return nil
}

// lapseKey is the row that stands for a session whose end nobody has been told of yet.
func lapseKey(at credential.UnixTime, id string) string {
	return fmt.Sprintf("%s%016x/%s", lapsePrefix, uint64(at), id)
}

const (
	lapsePrefix = "lapse/"
	lapseEvery  = 5 * time.Second
)

// lapse ends the sessions that nobody answered in time, and tells their applications: each once, as what it writes is
// conditional on the session as it was. A session whose response is being checked waits for that. It begins at a key, and
// returns the one to begin at next time: new sessions expire later.
func (v *Verifier) lapse(ctx context.Context, from string) (next string, err error) {
	now, at, left := credential.UnixTimeOf(v.cfg.Clock()), from, false
	for {
		keys, err := v.lapsed(now, at)
		if err != nil {
			return from, fmt.Errorf("expire sessions: %w", err)
		}
		for _, key := range keys {
			if err := ctx.Err(); err != nil {
				return from, err
			}
			waits, err := v.lapseOne(key)
			if err != nil {
				return from, fmt.Errorf("expire sessions: %w", err)
			}
			at, left = key+"\x00", left || waits
		}
		if len(keys) < purgeBatch {
			break
		}
	}
	if left {
		return from, nil
	}
	return lapseKey(now, ""), nil
}

// lapsed lists some keys of sessions that may have expired.
func (v *Verifier) lapsed(now credential.UnixTime, from string) (keys []string, err error) {
	err = v.cfg.Store.EachFrom(lapsePrefix, from, func(key string, _ []byte) error {
		if at, _, ok := parseTimed(lapsePrefix, key); ok && at > now || len(keys) == purgeBatch {
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

// lapseOne ends one session, or says that it has to wait.
func (v *Verifier) lapseOne(key string) (waits bool, err error) {
	_, id, _ := parseTimed(lapsePrefix, key)
	s, err := v.read(id)
	switch {
	case errors.Is(err, ErrAbsent) || err == nil && (s.Final || s.Lapsed):
		return false, v.cfg.Store.Commit(Batch{Delete: []string{key}})
	case err != nil:
		return false, err
	case v.isPending(id):
		return true, nil
	}
	next := s.session
	next.Lapsed = true
	if err = v.replace(s, next, Batch{}); errors.Is(err, ErrChanged) {
		return true, nil
	}
	return false, err
}

// lapseAll looks for sessions that expired until ctx ends.
func (v *Verifier) lapseAll(ctx context.Context) error {
	next := ""
	for {
		var err error
		if next, err = v.lapse(ctx, next); err != nil && ctx.Err() == nil {
			v.cfg.Logger.ErrorContext(ctx, "sessions that expired", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lapseEvery):
		}
	}
}

// hookRows keeps the webhooks' rows among the verifier's, encrypted. Under another session key there are other webhooks: what was
// written under the first stays unread until that is back.
type hookRows struct {
	store  Store
	prefix string // of our rows; it names the key
	secret []byte
}

// hookPrefix begins all rows of webhooks, under whatever key.
const hookPrefix = "hooks/"

func newHookRows(store Store, sessionKey []byte) (*hookRows, error) {
	secret, err1 := hkdf.Key(sha256.New, sessionKey, nil, "bulla verifier 1 webhooks", 32)
	name, err2 := hkdf.Key(sha256.New, sessionKey, nil, "bulla verifier 1 name of webhooks", 8)
	return &hookRows{store, fmt.Sprintf("%s%x/", hookPrefix, name), secret}, errors.Join(err1, err2)
}

// Commit implements [outbox.Store].
func (h *hookRows) Commit(rows map[string][]byte) error {
	b := Batch{Set: make(map[string][]byte)}
	for key, value := range rows {
		if value == nil {
			b.Delete = append(b.Delete, h.prefix+key)
			continue
		}
		sealed, err := h.seal(key, value)
		if err != nil {
			return err
		}
		b.Set[h.prefix+key] = sealed
	}
	return h.store.Commit(b)
}

// Scan implements [outbox.Store].
func (h *hookRows) Scan(prefix, after string, visit func(key string, value []byte) bool) error {
	err := h.store.EachFrom(h.prefix+prefix, h.prefix+after+"\x00", func(key string, sealed []byte) error {
		key = key[len(h.prefix):]
		value, err := h.open(key, sealed)
		if err != nil {
			return err
		}
		if !visit(key, value) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// foreign tells whether there are webhooks that were kept under another key.
func (h *hookRows) foreign() (bool, error) {
	found := false
	look := func(from string) error {
		err := h.store.EachFrom(hookPrefix, from, func(key string, _ []byte) error {
			found = len(key) < len(h.prefix) || key[:len(h.prefix)] != h.prefix
			return errEnough
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	}
	if err := look(""); err != nil || found {
		return found, err
	}
	return found, look(h.prefix + "\xff") // behind ours
}

// saltSize is the length of what makes a row's own key, so that no two rows are encrypted under one, however many there are.
const saltSize = 32

// aead is that of one row. Its key is used once, so that the nonce need not be drawn.
func (h *hookRows) aead(salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, h.secret, string(salt), 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal encrypts a row: 32 random bytes, then AES-256-GCM under the key that they make, with the row's key as additional data.
func (h *hookRows) seal(key string, value []byte) ([]byte, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	aead, err := h.aead(salt)
	if err != nil {
		return nil, fmt.Errorf("seal row of webhooks: %w", err)
	}
	return aead.Seal(salt, make([]byte, aead.NonceSize()), value, []byte(key)), nil
}

var errHookRow = errors.New("row of webhooks is damaged, or from another place")

func (h *hookRows) open(key string, sealed []byte) ([]byte, error) {
	if len(sealed) < saltSize {
		return nil, errHookRow
	}
	aead, err := h.aead(sealed[:saltSize])
	if err != nil {
		return nil, fmt.Errorf("open row of webhooks: %w", err)
	}
	value, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed[saltSize:], []byte(key))
	if err != nil {
		return nil, errHookRow
	}
	return value, nil
}
