package outbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/egress"
)

var local = egress.Config{
	AllowHTTP: true,
	Allowed:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
}

var errPower = errors.New("power is out")

// memory is a store that keeps to the contract: after a failure, which may or may not have written, it refuses all.
type memory struct {
	mu     sync.Mutex
	rows   map[string][]byte
	failAt int  // the commit that fails, counted from 1; none if 0
	wrote  bool // whether it is written all the same
	broken bool
}

func newMemory() *memory { return &memory{rows: make(map[string][]byte)} }

func (m *memory) Commit(rows map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errPower
	}
	if m.failAt > 0 {
		m.failAt--
		m.broken = m.failAt == 0
	}
	if !m.broken || m.wrote {
		for key, value := range rows {
			if value == nil {
				delete(m.rows, key)
			} else {
				m.rows[key] = bytes.Clone(value)
			}
		}
	}
	if m.broken {
		return errPower
	}
	return nil
}

func (m *memory) Scan(prefix, after string, visit func(key string, value []byte) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errPower
	}
	for _, key := range slices.Sorted(maps.Keys(m.rows)) {
		if strings.HasPrefix(key, prefix) && key > after && !visit(key, m.rows[key]) {
			return nil
		}
	}
	return nil
}

// copy is what a disk holds after the process was killed at this moment.
func (m *memory) copy() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{rows: maps.Clone(m.rows)}
}

func (m *memory) isBroken() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broken
}

// keys are those of a table.
func (m *memory) keys(table string) []string {
	var keys []string
	for key := range m.copy().rows {
		if strings.HasPrefix(key, table) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

var testTypes = []string{"credential.issued", "credential.revoked"}

func open(t *testing.T, store Store) *Outbox {
	t.Helper()
	o, err := New(Config{Store: store, Types: testTypes, Egress: local})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// run starts an outbox; stop ends it and says how it ended.
func run(t *testing.T, o *Outbox) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	return stop
}

func addEndpoint(t *testing.T, o *Outbox, e Endpoint) Endpoint {
	t.Helper()
	e, err := o.AddEndpoint(e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// update replaces an endpoint.
func update(o *Outbox, e Endpoint) error {
	_, err := o.change(e.Owner, e.ID, func(was *Endpoint) { *was = e.clone() })
	return err
}

// happen commits an event with a row of its own.
func happen(t *testing.T, o *Outbox, store Store, data string) {
	t.Helper()
	rows := map[string][]byte{"change/" + data: []byte(data)}
	if err := o.Add(rows, Event{Type: "credential.revoked", Data: data}); err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(rows); err != nil {
		t.Fatal(err)
	}
	o.Wake()
}

// message is what a receiver got.
type message struct {
	id     string
	body   string
	header http.Header
}

// receiver is a real HTTP server that hands on what it gets before it answers.
type receiver struct {
	*httptest.Server
	got chan message
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{got: make(chan message, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil || q.Method != http.MethodPost {
			t.Errorf("%s, %v", q.Method, err)
		}
		r.got <- message{q.Header.Get(headerID), string(body), q.Header}
		if answer != nil {
			answer(w, q)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(t *testing.T) message {
	t.Helper()
	select {
	case m := <-r.got:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("nothing arrived")
		return message{}
	}
}

// eventually waits until what another goroutine does is done.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// transport answers in place of a network, for tests whose time is not real.
type transport func(r *http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Body.Close()
	return f(r)
}

func answer(status int, header ...string) *http.Response {
	a := &http.Response{StatusCode: status, Header: make(http.Header), Body: http.NoBody}
	for i := 0; i < len(header); i += 2 {
		a.Header.Set(header[i], header[i+1])
	}
	return a
}
