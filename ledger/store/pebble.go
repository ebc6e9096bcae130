// Package store keeps the rows of a ledger: in Pebble, or in memory.
//
// Package ledger reads back what it wrote, and compares the store with the last-signed register when it opens: see
// package rows for what Pebble does not notice.
package store

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/ledger"
)

const (
	memTableSize = 64 << 20 // bytes; one memory table holds the largest batch with ease
	// cacheSize is in bytes. Pebble takes its memory tables out of it, of which two can be full: what is left keeps the
	// filters of some 40 million leaves.
	cacheSize = 3 * memTableSize
)

// Config says where rows are kept.
type Config struct {
	Dir    string
	FS     vfs.FS       // the system's if nil
	Logger *slog.Logger // the default if nil
}

// Pebble is a durable store. It is safe for concurrent use.
type Pebble struct{ db *rows.DB }

// ErrBroken is returned by every call after the store failed in a way that leaves open what is on disk: a write or
// sync that failed, or corruption. Restart, so that everything is checked.
var ErrBroken = rows.ErrBroken

// Open opens or makes a store. One process at a time can have it open.
func Open(cfg Config) (*Pebble, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	db, err := rows.Open(rows.Config{Dir: cfg.Dir, FS: cfg.FS, Logger: cfg.Logger, MemTableSize: memTableSize, CacheSize: cacheSize})
	if err != nil {
		return nil, fmt.Errorf("%w. If another process has it open, stop that one; if the folder is damaged, repair it with "+
			"`bulla ledger rebuild` from a mirror, or restore a backup that is newer", err)
	}
	return &Pebble{db}, nil
}

// Err says why the store is out of order, or nil.
func (p *Pebble) Err() error { return p.db.Err() }

// Get implements [ledger.Reader].
func (p *Pebble) Get(key []byte) ([]byte, error) {
	value, err := p.db.Get(key)
	if errors.Is(err, rows.ErrAbsent) {
		return nil, ledger.ErrAbsent
	}
	return value, err
}

// Commit implements [ledger.Store]: one atomic batch, synced. After an error it is open whether the batch is on disk,
// and the store refuses everything. nil removes a row.
func (p *Pebble) Commit(set map[string][]byte) error {
	batch := rows.Batch{Set: make(map[string][]byte, len(set))}
	for key, value := range set {
		if value == nil {
			batch.Delete = append(batch.Delete, key)
			continue
		}
		batch.Set[key] = value
	}
	return p.db.Commit(batch)
}

// Each implements [ledger.Store]: it visits a snapshot.
func (p *Pebble) Each(prefix []byte, visit func(key, value []byte) error) error {
	return p.db.Each(prefix, nil, visit)
}

// Flush writes what is in memory to tables, where damage is noticed when it is read: before a backup of the folder.
func (p *Pebble) Flush() error { return p.db.Flush() }

// Close writes what is left and unlocks the folder. A store that is out of order is left as it is.
func (p *Pebble) Close() error { return p.db.Close() }
