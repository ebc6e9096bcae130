// Package store keeps the rows of a ledger: in Pebble, or in memory.
//
// Pebble is trusted to survive crashes, and not trusted to notice loss: one flipped bit in its live log or manifest
// opens cleanly with acknowledged rows gone. Package ledger therefore reads back what it wrote and compares the store
// with the last-signed register when it opens.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/ledger"
)

// formatMajorVersion of Pebble's files is raised on purpose only: there is no way back.
const formatMajorVersion = pebble.FormatValueSeparation

const memTableSize = 64 << 20 // bytes; one memory table holds the largest batch with ease

// Config says where rows are kept.
type Config struct {
	Dir    string
	FS     vfs.FS       // the system's if nil
	Logger *slog.Logger // the default if nil
}

// Pebble is a durable store. It is safe for concurrent use.
type Pebble struct {
	db     *pebble.DB
	logger *slog.Logger

	mu     sync.Mutex
	broken error // the first fatal failure; from then on the store refuses everything
}

// ErrBroken is returned by every call after the store failed in a way that leaves open what is on disk: a write or
// sync that failed, or corruption. Restart, so that everything is checked.
var ErrBroken = errors.New("store is out of order")

// Open opens or makes a store. One process at a time can have it open.
func Open(cfg Config) (*Pebble, error) {
	p := &Pebble{logger: cfg.Logger}
	if p.logger == nil {
		p.logger = slog.Default()
	}
	fs := cfg.FS
	if fs == nil {
		fs = vfs.Default
	}
	err := p.guard(func() (err error) {
		p.db, err = pebble.Open(cfg.Dir, &pebble.Options{
			FS: fs, FormatMajorVersion: formatMajorVersion, MemTableSize: memTableSize,
			Logger:        pebbleLogger{p},
			EventListener: &pebble.EventListener{DataCorruption: p.corrupted},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Dir, err)
	}
	return p, nil
}

// Get implements [ledger.Reader].
func (p *Pebble) Get(key []byte) ([]byte, error) {
	var out []byte
	err := p.guard(func() error {
		value, closer, err := p.db.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return ledger.ErrAbsent
		}
		if err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		out = bytes.Clone(value)
		return closer.Close()
	})
	return out, err
}

// Commit implements [ledger.Store]: one atomic batch, synced. After an error it is open whether the batch is on disk,
// and the store refuses everything.
func (p *Pebble) Commit(rows map[string][]byte) error {
	return p.guard(func() error {
		batch := p.db.NewBatch()
		defer batch.Close()
		for key, value := range rows {
			if err := batch.Set([]byte(key), value, nil); err != nil {
				return fmt.Errorf("stage row: %w", err)
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			p.fail(err)
			return fmt.Errorf("commit %d rows: %w", len(rows), err)
		}
		return nil
	})
}

// Each implements [ledger.Store]: it visits a snapshot.
func (p *Pebble) Each(prefix []byte, visit func(key, value []byte) error) error {
	return p.guard(func() (err error) {
		it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
		if err != nil {
			return fmt.Errorf("iterate: %w", err)
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for ok := it.First(); ok; ok = it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				return fmt.Errorf("iterate: %w", err)
			}
			if err := visit(bytes.Clone(it.Key()), bytes.Clone(value)); err != nil {
				return err
			}
		}
		return it.Error()
	})
}

// Flush writes what is in memory to tables, where damage is noticed when it is read: before a backup of the folder.
func (p *Pebble) Flush() error { return p.guard(p.db.Flush) }

// after is the first key behind all keys with that prefix; nil if there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			end := bytes.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// Close writes what is left and unlocks the folder. A store that is out of order is left as it is.
func (p *Pebble) Close() error {
	err := p.guard(p.db.Close)
	if errors.Is(err, ErrBroken) {
		return nil
	}
	return err
}

// fatal is what Pebble panics with, through our logger, where it would end the process.
type fatal struct{ error }

// guard runs f unless the store is out of order, and turns Pebble's fatal failures into errors.
func (p *Pebble) guard(f func() error) (err error) {
	if err := p.failure(); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(fatal)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%w: %w", ErrBroken, cause.error)
		}
	}()
	return f()
}

func (p *Pebble) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return fmt.Errorf("%w: %w", ErrBroken, p.broken)
	}
	return nil
}

func (p *Pebble) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = err
	}
}

// corrupted is told of damaged files that Pebble noticed.
func (p *Pebble) corrupted(info pebble.DataCorruptionInfo) {
	err := fmt.Errorf("file %s is damaged: %w", info.Path, info.Details)
	p.logger.ErrorContext(context.Background(), "store is damaged", slog.Any("error", err))
	p.fail(err)
}

// pebbleLogger passes Pebble's words on.
type pebbleLogger struct{ p *Pebble }

// Infof logs at debug level: it is Pebble's housekeeping.
func (l pebbleLogger) Infof(format string, args ...any) {
	if l.p.logger.Enabled(context.Background(), slog.LevelDebug) {
		l.p.logger.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.p.logger.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return, as Pebble does not know how to go on. The panic ends in guard where a call of ours is on the
// stack, and ends the process where it is not: a manifest that cannot be written.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.p.fail(err)
	panic(fatal{err})
}
