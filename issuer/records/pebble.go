package records

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/issuer"
)

// ErrBroken is returned by every call after the store failed in a way that leaves open what is on disk.
var ErrBroken = rows.ErrBroken

// Config says where records are kept and what opens them.
type Config struct {
	Dir    string
	Key    []byte       // the record key, 32 bytes
	FS     vfs.FS       // the system's if nil
	Logger *slog.Logger // the default if nil
}

// Pebble is a durable store. It is safe for concurrent use; one process at a time can have it open.
type Pebble struct {
	db     *rows.DB
	sealer sealer
}

// Open opens or makes a store. A wrong record key is noticed at the first row that is read.
func Open(cfg Config) (*Pebble, error) {
	sealer, err := newSealer(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("open records: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	db, err := rows.Open(rows.Config{Dir: cfg.Dir, FS: cfg.FS, Logger: cfg.Logger, Forgets: true})
	if err != nil {
		return nil, fmt.Errorf("open records: %w", err)
	}
	return &Pebble{db, sealer}, nil
}

// Get implements [issuer.Store].
func (p *Pebble) Get(key string) ([]byte, error) {
	sealed, err := p.db.Get([]byte(key))
	if errors.Is(err, rows.ErrAbsent) {
		return nil, issuer.ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	return p.sealer.open(key, sealed)
}

// Commit implements [issuer.Store]: one atomic batch, synced.
func (p *Pebble) Commit(records map[string][]byte) error {
	batch := rows.Batch{Set: make(map[string][]byte)}
	for key, value := range records {
		if value == nil {
			batch.Delete = append(batch.Delete, key)
		} else {
			batch.Set[key] = p.sealer.seal(key, value)
		}
	}
	return p.db.Commit(batch)
}

var errEnough = errors.New("enough was seen")

// Scan implements [issuer.Store]: it visits a snapshot.
func (p *Pebble) Scan(prefix, after string, visit func(key string, value []byte) bool) error {
	// The first key above after is after and a zero byte.
	err := p.db.Each([]byte(prefix), []byte(after+"\x00"), func(key, sealed []byte) error {
		value, err := p.sealer.open(string(key), sealed)
		if err != nil {
			return err
		}
		if !visit(string(key), value) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Forget implements [issuer.Store]: all tables are written anew, without what is no longer there.
func (p *Pebble) Forget() error { return p.db.Rewrite() }

// Close writes what is left and unlocks the folder. A store that is out of order is left as it is.
func (p *Pebble) Close() error { return p.db.Close() }
