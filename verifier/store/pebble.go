// Package store keeps the rows of a verifier: in Pebble, or in memory.
package store

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/verifier"
)

// Config says where rows are kept.
type Config struct {
	Dir    string
	FS     vfs.FS       // the system's if nil
	Logger *slog.Logger // nil: nothing is logged
}

// Pebble is a durable [verifier.Store]. It is safe for concurrent use by one process, which locks the folder. Batches that
// come while another is synced are checked one after another, and synced together.
//
// Whoever can put an older copy of the folder in its place makes us forget the tags used since.
type Pebble struct {
	db   *rows.DB
	turn sync.Mutex // of who checks and writes for all who wait

	mu      sync.Mutex // guards what follows
	waiting []*waiter
	writing map[string]chan struct{} // keys that are written but perhaps not durable; closed when that is known

	gate sync.RWMutex // held for writing while a group is written, so that no snapshot has what is not durable
}

// waiter is a batch that waits for its turn.
type waiter struct {
	batch verifier.Batch
	done  bool // guarded by turn
	err   error
}

// ErrBroken is returned by every call after a write failed, until the store is opened again.
var ErrBroken = rows.ErrBroken

// cacheSize has room for some thousand open sessions, which are read when they are answered.
const cacheSize = 64 << 20

// Open opens or makes a store.
func Open(cfg Config) (*Pebble, error) {
	db, err := rows.Open(rows.Config{Dir: cfg.Dir, FS: cfg.FS, Logger: cfg.Logger, CacheSize: cacheSize})
	if err != nil {
		return nil, err
	}
	return &Pebble{db: db, writing: make(map[string]chan struct{})}, nil
}

// Get implements [verifier.Store].
func (p *Pebble) Get(key string) ([]byte, error) {
	for {
		value, err := p.get(key)
		p.mu.Lock()
		written := p.writing[key] // if what we read is not durable, it is here still
		p.mu.Unlock()
		if written == nil || errors.Is(err, ErrBroken) {
			return value, err
		}
		<-written
	}
}

// get reads a row that may not be durable yet.
func (p *Pebble) get(key string) ([]byte, error) {
	value, err := p.db.Get([]byte(key))
	if errors.Is(err, rows.ErrAbsent) {
		return nil, verifier.ErrAbsent
	}
	return value, err
}

// Commit implements [verifier.Store]. Who has the turn works for all who wait at that moment.
func (p *Pebble) Commit(b verifier.Batch) error {
	w := &waiter{batch: b}
	p.mu.Lock()
	p.waiting = append(p.waiting, w)
	p.mu.Unlock()
	p.turn.Lock()
	defer p.turn.Unlock()
	if !w.done {
		p.mu.Lock()
		group := p.waiting
		p.waiting = nil
		p.mu.Unlock()
		p.commit(group)
	}
	return w.err
}

// commit checks batches in the order they came, each as if those before it were applied, and writes those that hold as
// one. Refusals wait for that, too: what they speak of may be in the same group.
func (p *Pebble) commit(group []*waiter) {
	staged := newStage(p.get)
	for _, w := range group {
		w.done = true
		if w.err = conditions(w.batch, staged.get); w.err == nil {
			staged.apply(w.batch)
		}
	}
	if err := p.write(staged); err != nil {
		for _, w := range group {
			w.err = err
		}
	}
}

// write commits what is staged. Nobody reads it before it is durable.
func (p *Pebble) write(s *stage) error {
	if len(s.rows) == 0 {
		return nil
	}
	b := rows.Batch{Set: make(map[string][]byte)}
	written := make(chan struct{})
	defer close(written) // behind the change of writing
	p.mu.Lock()
	for key, value := range s.rows {
		p.writing[key] = written
		if value == nil {
			b.Delete = append(b.Delete, key)
		} else {
			b.Set[key] = *value
		}
	}
	p.mu.Unlock()
	p.gate.Lock()
	err := p.db.Commit(b)
	p.gate.Unlock()
	if err != nil {
		return err // what is in writing stays there: nobody knows whether it is durable
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.writing) // one group at a time
	return nil
}

// stage is what the rows will be when a group is written.
type stage struct {
	below func(string) ([]byte, error)
	rows  map[string]*[]byte // nil: deleted
}

func newStage(below func(string) ([]byte, error)) *stage {
	return &stage{below, make(map[string]*[]byte)}
}

func (s *stage) get(key string) ([]byte, error) {
	value, ok := s.rows[key]
	switch {
	case !ok:
		return s.below(key)
	case value == nil:
		return nil, verifier.ErrAbsent
	}
	return *value, nil
}

func (s *stage) apply(b verifier.Batch) {
	for _, key := range b.Delete {
		s.rows[key] = nil
	}
	for key, value := range b.Set {
		s.rows[key] = &value
	}
}

// Each implements [verifier.Store]: it visits a snapshot.
func (p *Pebble) Each(prefix string, visit func(key string, value []byte) error) error {
	return p.EachFrom(prefix, "", visit)
}

// EachFrom implements [verifier.Store]: it visits a snapshot.
func (p *Pebble) EachFrom(prefix, from string, visit func(key string, value []byte) error) error {
	p.gate.RLock()
	open := sync.OnceFunc(p.gate.RUnlock) // the snapshot is taken when the first row is visited
	defer open()
	return p.db.Each([]byte(prefix), []byte(from), func(key, value []byte) error {
		open()
		return visit(string(key), value)
	})
}

// Close writes what is left and unlocks the folder. A store that is out of order is left as it is.
func (p *Pebble) Close() error { return p.db.Close() }

// conditions checks what a batch is conditional on.
func conditions(b verifier.Batch, get func(key string) ([]byte, error)) error {
	for key, want := range b.Same {
		row, err := get(key)
		if errors.Is(err, verifier.ErrAbsent) || err == nil && !bytes.Equal(row, want) {
			return verifier.ErrChanged
		}
		if err != nil {
			return err
		}
	}
	for _, key := range b.Absent {
		_, err := get(key)
		if err == nil {
			return &verifier.TakenError{Key: key}
		}
		if !errors.Is(err, verifier.ErrAbsent) {
			return err
		}
	}
	return nil
}
