package records

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/issuer"
)

// formatMajorVersion of Pebble's files is raised on purpose only: there is no way back.
const formatMajorVersion = pebble.FormatValueSeparation

// ErrBroken is returned by every call after the store failed in a way that leaves open what is on disk.
var ErrBroken = errors.New("records are out of order: restart, so that everything is checked")

// Config says where records are kept and what opens them.
type Config struct {
	Dir    string
	Key    []byte       // the record key, 32 bytes
	FS     vfs.FS       // the system's if nil
	Logger *slog.Logger // the default if nil
}

// Pebble is a durable store. It is safe for concurrent use; one process at a time can have it open.
type Pebble struct {
	db     *pebble.DB
	sealer sealer
	logger *slog.Logger

	mu     sync.Mutex
	broken error // the first fatal failure
}

// Open opens or makes a store. A wrong record key is noticed at the first row that is read.
func Open(cfg Config) (*Pebble, error) {
	sealer, err := newSealer(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("open records: %w", err)
	}
	p := &Pebble{sealer: sealer, logger: cfg.Logger}
	if p.logger == nil {
		p.logger = slog.Default()
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	err = p.guard(func() (err error) {
		p.db, err = pebble.Open(cfg.Dir, &pebble.Options{
			FS: cfg.FS, FormatMajorVersion: formatMajorVersion, Logger: pebbleLogger{p},
			EventListener: &pebble.EventListener{DataCorruption: p.corrupted},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open records in %s: %w", cfg.Dir, err)
	}
	return p, nil
}

// Get implements [issuer.Store].
func (p *Pebble) Get(key string) (value []byte, err error) {
	err = p.guard(func() error {
		sealed, closer, err := p.db.Get([]byte(key))
		if errors.Is(err, pebble.ErrNotFound) {
			return issuer.ErrAbsent
		}
		if err != nil {
			return fmt.Errorf("read record: %w", err)
		}
		value, err = p.sealer.open(key, sealed)
		return errors.Join(err, closer.Close())
	})
	return value, err
}

// Commit implements [issuer.Store]: one atomic batch, synced.
func (p *Pebble) Commit(rows map[string][]byte) error {
	return p.guard(func() error {
		batch := p.db.NewBatch()
		defer batch.Close()
		for key, value := range rows {
			err := error(nil)
			if value == nil {
				err = batch.Delete([]byte(key), nil)
			} else {
				err = batch.Set([]byte(key), p.sealer.seal(key, value), nil)
			}
			if err != nil {
				return fmt.Errorf("stage record: %w", err)
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			p.fail(err)
			return fmt.Errorf("commit %d records: %w", len(rows), err)
		}
		return nil
	})
}

// Scan implements [issuer.Store]: it visits a snapshot.
func (p *Pebble) Scan(prefix, after string, visit func(key string, value []byte) bool) error {
	return p.guard(func() (err error) {
		it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte(prefix), UpperBound: end(prefix)})
		if err != nil {
			return fmt.Errorf("scan records: %w", err)
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		// The first key above after is after and a zero byte.
		for ok := it.SeekGE([]byte(max(prefix, after+"\x00"))); ok; ok = it.Next() {
			key := string(it.Key())
			sealed, err := it.ValueAndErr()
			if err != nil {
				return fmt.Errorf("scan records: %w", err)
			}
			value, err := p.sealer.open(key, sealed)
			if err != nil {
				return err
			}
			if !visit(key, value) {
				return nil
			}
		}
		return it.Error()
	})
}

// end is the first key behind all keys with that prefix; nil if there is none.
func end(prefix string) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			return append([]byte(prefix[:i]), prefix[i]+1)
		}
	}
	return nil
}

// Close writes what is left and unlocks the folder. A store that is out of order is left as it is.
func (p *Pebble) Close() error {
	if err := p.guard(p.db.Close); !errors.Is(err, ErrBroken) {
		return err
	}
	return nil
}

// fatal is what Pebble panics with, through our logger, where it would end the process.
type fatal struct{ error }

// guard runs f unless the store is out of order, and turns Pebble's fatal failures into errors.
func (p *Pebble) guard(f func() error) (err error) {
	p.mu.Lock()
	broken := p.broken
	p.mu.Unlock()
	if broken != nil {
		return fmt.Errorf("%w: %w", ErrBroken, broken)
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
	p.logger.ErrorContext(context.Background(), "records are damaged", slog.Any("error", err))
	p.fail(err)
}

// pebbleLogger passes Pebble's words on. They hold file names and sizes, never rows.
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
// stack, and ends the process where it is not.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.p.fail(err)
	panic(fatal{err})
}
