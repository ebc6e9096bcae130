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

// Pebble is a durable [verifier.Store]. It is safe for concurrent use by one process, which locks the folder.
//
// Whoever can put an older copy of the folder in its place makes us forget the tags used since.
type Pebble struct {
	db *rows.DB
	mu sync.Mutex // held while conditions are looked at and the batch is synced: so one of two excluding batches wins
}

// ErrBroken is returned by every call after a write failed, until the store is opened again.
var ErrBroken = rows.ErrBroken

// Open opens or makes a store.
func Open(cfg Config) (*Pebble, error) {
	db, err := rows.Open(rows.Config{Dir: cfg.Dir, FS: cfg.FS, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	return &Pebble{db: db}, nil
}

// Get implements [verifier.Store].
func (p *Pebble) Get(key string) ([]byte, error) {
	value, err := p.db.Get([]byte(key))
	if errors.Is(err, rows.ErrAbsent) {
		return nil, verifier.ErrAbsent
	}
	return value, err
}

// Commit implements [verifier.Store]: one atomic batch, synced.
func (p *Pebble) Commit(b verifier.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := conditions(b, p.Get); err != nil {
		return err
	}
	return p.db.Commit(rows.Batch{Set: b.Set, Delete: b.Delete})
}

// Each implements [verifier.Store]: it visits a snapshot.
func (p *Pebble) Each(prefix string, visit func(key string, value []byte) error) error {
	return p.db.Each([]byte(prefix), nil, func(key, value []byte) error { return visit(string(key), value) })
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
