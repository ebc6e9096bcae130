// Package store keeps the rows of a verifier: in Pebble, or in memory.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/verifier"
)

// formatMajorVersion of Pebble's files is raised on purpose only: there is no way back.
const formatMajorVersion = pebble.FormatValueSeparation

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
	db     *pebble.DB
	logger *slog.Logger

	mu     sync.Mutex // held while conditions are looked at and the batch is synced: so one of two excluding batches wins
	broken error      // after a write that failed, nobody knows what is on disk: the store refuses everything
}

// ErrBroken is returned by every call after a write failed, until the store is opened again.
var ErrBroken = errors.New("store is out of order after a failed write: restart")

// Open opens or makes a store.
func Open(cfg Config) (*Pebble, error) {
	p := &Pebble{logger: cfg.Logger}
	if p.logger == nil {
		p.logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	err := guard(func() (err error) {
		p.db, err = pebble.Open(cfg.Dir, &pebble.Options{FS: cfg.FS, FormatMajorVersion: formatMajorVersion, Logger: pebbleLogger{p.logger}})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Dir, err)
	}
	return p, nil
}

// Get implements [verifier.Store].
func (p *Pebble) Get(key string) ([]byte, error) {
	if err := p.failure(); err != nil {
		return nil, err
	}
	return p.get(key)
}

func (p *Pebble) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken
}

func (p *Pebble) get(key string) (out []byte, err error) {
	err = guard(func() error {
		value, closer, err := p.db.Get([]byte(key))
		if errors.Is(err, pebble.ErrNotFound) {
			return verifier.ErrAbsent
		}
		if err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		out = bytes.Clone(value)
		return closer.Close()
	})
	return out, err
}

// Commit implements [verifier.Store]: one atomic batch, synced.
func (p *Pebble) Commit(b verifier.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return p.broken
	}
	if err := conditions(b, p.get); err != nil {
		return err
	}
	if err := guard(func() error { return p.write(b) }); err != nil {
		p.broken = fmt.Errorf("%w: %w", ErrBroken, err)
		return p.broken
	}
	return nil
}

func (p *Pebble) write(b verifier.Batch) error {
	batch := p.db.NewBatch()
	defer batch.Close()
	for _, key := range b.Delete {
		if err := batch.Delete([]byte(key), nil); err != nil {
			return fmt.Errorf("stage deletion: %w", err)
		}
	}
	for key, value := range b.Set {
		if err := batch.Set([]byte(key), value, nil); err != nil {
			return fmt.Errorf("stage row: %w", err)
		}
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("commit %d rows: %w", len(b.Set)+len(b.Delete), err)
	}
	return nil
}

// Each implements [verifier.Store]: it visits a snapshot.
func (p *Pebble) Each(prefix string, visit func(key string, value []byte) error) error {
	if err := p.failure(); err != nil {
		return err
	}
	return guard(func() (err error) {
		it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix)})
		if err != nil {
			return fmt.Errorf("iterate: %w", err)
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for ok := it.First(); ok && bytes.HasPrefix(it.Key(), []byte(prefix)); ok = it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				return fmt.Errorf("iterate: %w", err)
			}
			if err := visit(string(it.Key()), bytes.Clone(value)); err != nil {
				return err
			}
		}
		return it.Error()
	})
}

// Close writes what is left and unlocks the folder. A store that is out of order is left as it is.
func (p *Pebble) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return nil
	}
	p.broken = errClosed
	return guard(p.db.Close)
}

var errClosed = errors.New("store is closed")

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

// fatal is what Pebble panics with, through our logger, where it would end the process.
type fatal struct{ error }

// guard turns such a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(fatal)
			if !ok {
				panic(r)
			}
			err = cause.error
		}
	}()
	return f()
}

// pebbleLogger passes Pebble's words on.
type pebbleLogger struct{ logger *slog.Logger }

// Infof logs at debug level: it is Pebble's housekeeping.
func (l pebbleLogger) Infof(format string, args ...any) {
	if l.logger.Enabled(context.Background(), slog.LevelDebug) {
		l.logger.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.logger.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return, as Pebble does not know how to go on. Where no call of ours is on the stack the process ends.
func (l pebbleLogger) Fatalf(format string, args ...any) { panic(fatal{fmt.Errorf(format, args...)}) }
