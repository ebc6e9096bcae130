package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"

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

	mu       sync.Mutex // guards the count, not the rows
	writes   uint64     // sealed under the key so far, or a few more
	reserved uint64     // as much is written down in the store
}

// countRow says how much was sealed under the key. It begins with a zero byte, as no row of an issuer does.
const countRow = "\x00writes"

// countAhead is how many writes are counted in advance, so that not each of them writes the count down. A start counts what is left of
// them as used.
const countAhead = 1 << 16

// Open opens or makes a store. A wrong record key is noticed here, or in a store that nothing was written to yet at the first row that is
// read.
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
	p := &Pebble{db: db, sealer: sealer}
	if err := p.recount(); err != nil {
		return nil, errors.Join(fmt.Errorf("open records: %w", err), db.Close())
	}
	return p, nil
}

// recount takes up the count.
func (p *Pebble) recount() error {
	text, err := p.Get(countRow)
	if errors.Is(err, issuer.ErrAbsent) {
		return nil
	}
	if err == nil && len(text) != 8 {
		err = ErrDamaged
	}
	if err != nil {
		return err
	}
	p.writes = binary.BigEndian.Uint64(text)
	p.reserved = p.writes
	return nil
}

// count counts the values of a batch, and adds the count to it when it is to be written down.
func (p *Pebble) count(batch rows.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes += uint64(len(batch.Set))
	if p.writes <= p.reserved {
		return
	}
	p.writes++ // the count's own
	p.reserved = p.writes + countAhead
	batch.Set[countRow] = p.sealer.seal(countRow, binary.BigEndian.AppendUint64(nil, p.reserved))
}

// Writes is how many values were sealed under the record key, or at most 2^16 more for each start. At [MaxWrites] nonces begin to be
// at risk of coming twice.
func (p *Pebble) Writes() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
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
	if len(batch.Set) > 0 {
		p.count(batch)
	}
	return p.db.Commit(batch)
}

var errEnough = errors.New("enough was seen")

// Scan implements [issuer.Store]: it visits a snapshot.
func (p *Pebble) Scan(prefix, after string, visit func(key string, value []byte) bool) error {
	// The first key above after is after and a zero byte.
	err := p.db.Each([]byte(prefix), []byte(after+"\x00"), func(key, sealed []byte) error {
		if string(key) == countRow {
			return nil
		}
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
