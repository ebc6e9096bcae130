// Package rows is Pebble as all our stores use it: rows of bytes, atomic synced batches, and errors where Pebble would
// end the process. Below it there is nothing of ours; ledger/store, issuer/records and verifier/store say what the rows
// mean.
//
// Pebble is trusted to survive crashes, and not trusted to notice loss: one flipped bit in its live log or manifest
// opens cleanly with acknowledged rows gone.
package rows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatMajorVersion of Pebble's files is raised on purpose only: there is no way back.
const formatMajorVersion = pebble.FormatValueSeparation

// filterBits are those of a Bloom filter for each row: one row in a hundred that is absent is looked for all the same.
const filterBits = 10

var (
	// ErrAbsent is returned for a row that is not there.
	ErrAbsent = errors.New("row is absent")
	// ErrBroken is returned by every call after the store failed in a way that leaves open what is on disk: a write or
	// sync that failed, or corruption. Restart, so that everything is checked.
	ErrBroken = errors.New("store is out of order: restart, so that everything is checked")
)

// Config says where rows are kept.
type Config struct {
	Dir          string
	FS           vfs.FS       // the system's if nil
	Logger       *slog.Logger // nil: nothing is logged. Rows never are, only names and sizes of files.
	MemTableSize uint64       // bytes; Pebble's default if 0
	// Forgets says that what is rewritten must be gone from journals too: they are deleted once they are of no use, and not
	// written over later, which would be a little faster.
	Forgets   bool
	CacheSize int64 // bytes of tables that are kept in memory, filters among them; Pebble's default if 0
}

// DB is a durable store. It is safe for concurrent use; one process at a time can have it open.
type DB struct {
	db     *pebble.DB
	logger *slog.Logger

	mu     sync.Mutex
	broken error         // the first fatal failure; from then on the store refuses everything
	out    chan struct{} // closed when broken is set
}

// Open opens or makes a store.
func Open(cfg Config) (*DB, error) {
	d := &DB{logger: cfg.Logger, out: make(chan struct{})}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	err := d.waiting(func() (err error) {
		options := &pebble.Options{
			FS: directories{cfg.FS, d}, FormatMajorVersion: formatMajorVersion, MemTableSize: cfg.MemTableSize,
			Logger:        logger{d},
			EventListener: &pebble.EventListener{DataCorruption: d.corrupted, BackgroundError: d.failedBehind},
		}
		if cfg.Forgets {
			options.Cleaner = deleting{}
		}
		if cfg.CacheSize > 0 {
			options.Cache = pebble.NewCache(cfg.CacheSize)
			defer options.Cache.Unref() // the database has its own reference
		}
		// A ledger asks for each new leaf whether it is there already. The filter answers no without reading a table; the other
		// levels take it over from the first.
		options.Levels[0].FilterPolicy = bloom.FilterPolicy(filterBits)
		d.db, err = pebble.Open(cfg.Dir, options)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Dir, err)
	}
	return d, nil
}

// deleting is Pebble's usual cleaner with the mark of its other one, which keeps old journals from being used again. Its
// methods are those of DeleteCleaner, as the mark lies deeper.
type deleting struct {
	pebble.DeleteCleaner
	kept
}

type kept struct{ pebble.ArchiveCleaner }

// Get returns a copy of a row, or [ErrAbsent].
func (d *DB) Get(key []byte) (out []byte, err error) {
	err = d.guard(func() error {
		value, closer, err := d.db.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return ErrAbsent
		}
		if err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		out = bytes.Clone(value)
		return closer.Close()
	})
	return out, err
}

// Batch is what is written together.
type Batch struct {
	Set    map[string][]byte
	Delete []string
}

// Commit writes a batch whole or not at all, and returns when it is durable. After an error it is open whether it is on
// disk, and the store refuses everything.
func (d *DB) Commit(b Batch) error {
	return d.waiting(func() error {
		batch := d.db.NewBatch()
		defer batch.Close()
		for _, key := range b.Delete {
			if err := batch.Delete([]byte(key), nil); err != nil {
				return fmt.Errorf("stage deletion: %w", err)
			}
		}
		// Ascending, as the memory table then goes on where it was instead of searching for each key's place.
		for _, key := range slices.Sorted(maps.Keys(b.Set)) {
			if err := batch.Set([]byte(key), b.Set[key], nil); err != nil {
				return fmt.Errorf("stage row: %w", err)
			}
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			d.fail(err)
			return fmt.Errorf("commit %d rows: %w", len(b.Set)+len(b.Delete), err)
		}
		return nil
	})
}

// Each visits the rows whose keys begin with prefix and are not below from, ascending, as of now, until visit returns an
// error, which it returns. visit gets copies.
func (d *DB) Each(prefix, from []byte, visit func(key, value []byte) error) error {
	return d.guard(func() (err error) {
		lower := prefix
		if bytes.Compare(from, prefix) > 0 {
			lower = from
		}
		it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: behind(prefix)})
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

// behind is the first key behind all keys with that prefix; nil if there is none.
func behind(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			end := bytes.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// Flush writes what is in memory to tables, where damage is noticed when it is read: before a backup of the folder.
func (d *DB) Flush() error { return d.waiting(d.db.Flush) }

// Checkpoint writes a copy of the store as of now to a folder that must not exist. It shares files with the store where the disk
// lets it.
func (d *DB) Checkpoint(dir string) error {
	return d.waiting(func() error { return d.db.Checkpoint(dir, pebble.WithFlushedWAL()) })
}

// Stop puts the store out of order, as its owner knows that it must not go on.
func (d *DB) Stop(why error) { d.fail(why) }

// Rewrite writes all tables anew, so that what was deleted or replaced is in no file that the store keeps, if it is one that
// forgets. The old files are deleted a moment later. What they held can still be read from the disk itself, until that is
// overwritten.
func (d *DB) Rewrite() error {
	return d.waiting(func() error {
		if err := d.db.Flush(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		if err := d.db.Compact(context.Background(), []byte{0}, bytes.Repeat([]byte{0xff}, 64), false); err != nil {
			return fmt.Errorf("rewrite tables: %w", err)
		}
		return nil
	})
}

// Close writes what is left and unlocks the folder. A store that is out of order is left as it is.
func (d *DB) Close() error {
	err := d.waiting(d.db.Close)
	if errors.Is(err, ErrBroken) {
		return nil
	}
	d.fail(errClosed) // Pebble panics when it is used after closing
	return err
}

var errClosed = errors.New("it was closed")

// Err says why the store is out of order, or nil. A store can get there by itself, as when a flush finds the disk full.
func (d *DB) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken == nil || errors.Is(d.broken, errClosed) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrBroken, d.broken)
}

// fatal is what Pebble panics with, through our logger, where it would end the process.
type fatal struct{ error }

// guard runs f unless the store is out of order, and turns Pebble's fatal failures into errors.
func (d *DB) guard(f func() error) (err error) {
	d.mu.Lock()
	broken := d.broken
	d.mu.Unlock()
	if broken != nil {
		return fmt.Errorf("%w: %w", ErrBroken, broken)
	}
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if _, ours := r.(runtime.Error); ours || !ok {
				panic(r)
			}
			d.fail(cause) // Pebble panics with errors of the file system, too
			err = fmt.Errorf("%w: %w", ErrBroken, cause)
		}
	}()
	return f()
}

// waiting guards what can wait for Pebble's own goroutines. When one of those failed for good, nobody will wake it: it is
// left behind, as all of a store that is out of order.
func (d *DB) waiting(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- d.guard(f) }()
	select {
	case err := <-done:
		return err
	case <-d.out:
	}
	select { // it may be the one that failed, on its way back
	case err := <-done:
		return err
	case <-time.After(farewell):
		return d.guard(nil)
	}
}

// farewell is how long a call gets to end by itself once the store is out of order.
const farewell = 200 * time.Millisecond

func (d *DB) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken == nil {
		d.broken = err
		close(d.out)
	}
}

// corrupted is told of damaged files that Pebble noticed.
func (d *DB) corrupted(info pebble.DataCorruptionInfo) {
	err := fmt.Errorf("file %s is damaged: %w", info.Path, info.Details)
	d.logger.Error("store is damaged", slog.Any("error", err))
	d.fail(err)
}

// directories is a file system that is careful with folders where Pebble is not: it syncs the folder of a new manifest
// before the marker that names it is written, as a power cut between the two may keep either; and it ends Pebble's own
// goroutines when a folder cannot be synced, as Pebble panics then.
type directories struct {
	vfs.FS
	d *DB
}

// Create implements [vfs.FS].
func (fs directories) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasPrefix(fs.PathBase(name), "MANIFEST-") {
		return file, err
	}
	dir, err := fs.OpenDir(fs.PathDir(name))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// OpenDir implements [vfs.FS].
func (fs directories) OpenDir(name string) (vfs.File, error) {
	dir, err := fs.FS.OpenDir(name)
	return directory{dir, fs.d}, err
}

// Unwrap implements [vfs.FS].
func (fs directories) Unwrap() vfs.FS { return fs.FS }

type directory struct {
	vfs.File
	d *DB
}

// Sync implements [vfs.File].
func (f directory) Sync() error {
	err := f.File.Sync()
	if err != nil {
		f.d.failedBehind(fmt.Errorf("sync the store's folder: %w", err))
	}
	return err
}

// failedBehind is told of flushes and compactions that failed. Pebble would try again at once and for ever, on a disk
// of which nobody knows what it kept. It ends the goroutine, whose deferred functions unlock what it held.
func (d *DB) failedBehind(err error) {
	if errors.Is(err, pebble.ErrCancelledCompaction) {
		return
	}
	d.logger.Error("store cannot write behind the scenes", slog.Any("error", err))
	d.fail(err)
	if !guarded() {
		runtime.Goexit()
	}
}

// guarded tells whether a call of ours is on the stack, so that a panic ends in [DB.guard].
func guarded() bool {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "rows.(*DB).guard") {
			return true
		}
		if !more {
			return false
		}
	}
}

// logger passes Pebble's words on.
type logger struct{ d *DB }

// Infof logs at debug level: it is Pebble's housekeeping.
func (l logger) Infof(format string, args ...any) {
	if l.d.logger.Enabled(context.Background(), slog.LevelDebug) {
		l.d.logger.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

// Errorf logs.
func (l logger) Errorf(format string, args ...any) {
	l.d.logger.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return, as Pebble does not know how to go on. Under a call of ours the panic becomes its error; a
// goroutine of Pebble's own, as one that cannot write its manifest, ends.
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.d.logger.Error("store is out of order", slog.Any("error", err))
	l.d.fail(err)
	if !guarded() {
		runtime.Goexit()
	}
	panic(fatal{err})
}
