// Package outbox tells other systems what happened, by webhooks (Standard Webhooks 1.0; doc/spec/webhooks.md). A message
// is committed together with the change that caused it, so neither can be without the other, and sent afterwards until it
// arrives: at least once, under the same identifier, in no order.
//
//	rows := …                            // the change
//	err := box.Add(rows, outbox.Event{…})
//	err = store.Commit(rows)             // both, or neither
//	box.Wake()
//
// All that an outbox knows is in the store: what a crash interrupts is sent after the next start.
package outbox

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/internal/egress"
)

const maxPayload = 32 << 10

// For how long a message is tried: by default, and within what bounds. Longer than a dead message is kept would be of no use.
const (
	DefaultRetry = 3 * 24 * time.Hour
	MinRetry     = time.Hour
	MaxRetry     = deadRetention
)

// Store keeps an outbox's rows among those of its role, under keys that begin with `outbox/`. It must be safe for
// concurrent use, and it must encrypt: rows hold secrets and payloads.
//
// Whoever can change the store can forge messages, send them elsewhere, or make us forget them.
type Store interface {
	// Commit writes rows, all or none; nil deletes. Once it returned nil they survive a power cut. After an error it is
	// open which: the store must refuse everything from then on.
	Commit(rows map[string][]byte) error
	// Scan visits the rows whose keys begin with prefix and are greater than after, ascending, until visit says false. Visit
	// keeps nothing of a value, and writes nothing.
	Scan(prefix, after string, visit func(key string, value []byte) bool) error
}

// Config is what an outbox needs.
type Config struct {
	Store  Store
	Types  []string      // of all events there are, for example `credential.revoked`
	Egress egress.Config // whom it may call
	// RetryFor is for how long a message is tried, from the event on; 0: [DefaultRetry]. One that waits already keeps its own.
	RetryFor time.Duration
	// Endpoints is how many there may be in all, PerOwner how many of one owner; 0: MaxEndpoints.
	Endpoints, PerOwner int
	Logger              *slog.Logger // nil: nothing is logged. Payloads, URLs and secrets never are.
}

// Outbox sends messages to endpoints. It is safe for concurrent use; a store has one.
type Outbox struct {
	store  Store
	types  []string
	egress egress.Config
	client *http.Client
	retry  time.Duration
	logger *slog.Logger

	most, perOwner int

	arrived, failed, givenUp atomic.Uint64

	view    atomic.Pointer[[]Endpoint] // written by publish
	wake    chan struct{}
	running atomic.Bool

	mu        sync.Mutex // held over each change of our own to rows, so over the next two, too
	endpoints map[string]Endpoint
	logs      map[string][]Attempt // by endpoint, the oldest first
}

// New reads the endpoints from the store. Nothing is sent before [Outbox.Run].
func New(cfg Config) (*Outbox, error) {
	client, err := egress.New(cfg.Egress)
	if err != nil {
		return nil, err
	}
	if cfg.Store == nil {
		return nil, errors.New("outbox: no store")
	}
	if cfg.RetryFor == 0 {
		cfg.RetryFor = DefaultRetry
	}
	if cfg.RetryFor < MinRetry || cfg.RetryFor > MaxRetry {
		return nil, fmt.Errorf("outbox: to try for %s: want %s to %s", cfg.RetryFor, MinRetry, MaxRetry)
	}
	if cfg.Endpoints < 0 || cfg.PerOwner < 0 {
		return nil, errors.New("outbox: a number of endpoints is negative")
	}
	for _, name := range cfg.Types {
		if !isType(name) {
			return nil, fmt.Errorf("outbox: %.80q is not the type of an event", name)
		}
	}
	o := &Outbox{
		store: cfg.Store, types: slices.Sorted(slices.Values(cfg.Types)), egress: cfg.Egress, client: client, retry: cfg.RetryFor, logger: cfg.Logger,
		wake: make(chan struct{}, 1), endpoints: make(map[string]Endpoint), logs: make(map[string][]Attempt),
		most: cmp.Or(cfg.Endpoints, MaxEndpoints), perOwner: cmp.Or(cfg.PerOwner, MaxEndpoints),
	}
	if o.logger == nil {
		o.logger = slog.New(slog.DiscardHandler)
	}
	if err := o.load(); err != nil {
		return nil, fmt.Errorf("open outbox: %w", err)
	}
	return o, nil
}

func (o *Outbox) load() error {
	err := o.scan(tableEndpoint, "", func(key string, value []byte) (bool, error) {
		id := strings.TrimPrefix(key, tableEndpoint)
		e, err := decodeEndpoint(id, value)
		o.endpoints[id] = e
		return true, err
	})
	if err != nil {
		return err
	}
	o.publish()
	return o.scan(tableLog, "", func(key string, value []byte) (bool, error) {
		var attempts []Attempt
		err := decode(tableLog, value, &attempts)
		o.logs[strings.TrimPrefix(key, tableLog)] = attempts
		return true, err
	})
}

// isType takes words of lower-case letters, digits and underscores, with dots between them. SPEC: full-stop delimited.
func isType(name string) bool {
	if len(name) > 64 {
		return false
	}
	for word := range strings.SplitSeq(name, ".") {
		if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			return false
		}
	}
	return true
}

// Event is what happened.
type Event struct {
	Type  string
	Owner string // whose endpoints are told: see [Endpoint.Owner]
	// Data is encoded as JSON, at most 32 KiB with its frame. It should name things, not describe people: receivers ask for
	// the rest.
	Data any
}

// Add puts an event's rows into rows, one for each endpoint that wants it now, for the caller to commit with the change
// that caused it, and to call [Outbox.Wake] then. It takes no lock that a commit holds.
func (o *Outbox) Add(rows map[string][]byte, e Event) error {
	if !slices.Contains(o.types, e.Type) {
		return fmt.Errorf("event of unknown type %.80q", e.Type)
	}
	now := time.Now()
	payload, err := json.Marshal(struct {
		Type      string `json:"type"`
		Timestamp string `json:"timestamp"`
		Data      any    `json:"data"`
	}{e.Type, now.UTC().Format(time.RFC3339), e.Data})
	if err != nil {
		return fmt.Errorf("encode event %s: %T is not JSON", e.Type, e.Data) // the cause could quote it
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("event %s has %d bytes, at most %d", e.Type, len(payload), maxPayload)
	}
	d := delivery{
		ID: newID(now), Type: e.Type, Payload: payload,
		Created: now.UnixMilli(), Deadline: now.Add(o.retry).UnixMilli(),
	}
	for _, endpoint := range *o.view.Load() {
		if endpoint.wants(e) {
			rows[keyDue(endpoint.ID, now, d.ID)] = encode(d)
		}
	}
	return nil
}

// newID rises with time. SPEC: unique, without a dot.
func newID(now time.Time) string {
	var random [10]byte
	rand.Read(random[:])
	return fmt.Sprintf("msg_%012x%x", now.UnixMilli(), random)
}

// Wake says that events were committed, or that endpoints changed. It never waits.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // somebody did
	}
}
