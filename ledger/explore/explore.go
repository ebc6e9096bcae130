// Package explore is an index of a chain, for people who look at it: entries by number, signer, kind, commitment and leaf,
// seals by height, what each party did, who asks for what, and counts by the hour.
//
// It reads as anybody reads: every entry under a checkpoint that satisfies the policy, from a ledger or a mirror that it does not
// believe ([client]), and it compares the root of all it read with the signed one. It does not judge whether an entry was
// allowed: that is what cosigners vouch for. It learns nothing that is not on the chain, and notes nothing of who looks for what.
//
// What it holds is bounded by the disk: the rows of a store of its own, from which it goes on after a restart. The folder can be
// deleted: it is made again from the chain. Whoever can change the rows can make pages show something else than the chain says; the
// proofs that they come with then fail in the visitor's browser.
package explore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

var (
	// ErrAbsent is returned for what is not on the chain, as far as it was read.
	ErrAbsent = errors.New("there is nothing like that on the chain")
	// ErrOtherChain is returned when what is in the store is not what the signed checkpoint fixes. Only deleting the folder helps.
	ErrOtherChain = errors.New("the index is not of the chain that is signed: delete its folder, and it is made again")
	// ErrUnreadable is returned for an entry under a believable checkpoint that this program cannot read: a newer one may.
	ErrUnreadable = errors.New("the chain has an entry that this program cannot read")
)

// Config says which chain to read, and where the index is kept.
type Config struct {
	Profile    client.Profile
	Dir        string        // folder of the index
	FS         vfs.FS        // the system's if nil; tests keep it in memory, with a Memory of their own
	Memory     client.Memory // the last checkpoint seen; nil: a file in the folder
	HTTPClient *http.Client  // transport to the ledger; nil: the client's own
	Every      time.Duration // between two looks; 2 s
	Limits     client.Limits
	Clock      func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: nothing is logged
}

// Index is the index of one chain. Reading is safe for concurrent use, also while Run or Sync goes on, of which there is one at a time.
type Index struct {
	cfg   Config
	rows  *rows.DB
	chain *client.Client
	log   *client.Log

	state state // owned by Sync
	head  atomic.Pointer[Head]

	changedMu sync.Mutex
	changed   chan struct{} // closed, and another made, when the head becomes another

	setsMu sync.Mutex
	sets   map[credential.Digest]*policy.Set // some that were read
}

// Head is how far the index is. It never changes: do not change what it points to.
type Head struct {
	Chain       credential.Digest // the genesis hash
	Genesis     entry.Genesis     // once Size is not 0
	Policy      client.Policy
	Size        uint64 // entries in the index
	Checkpoint  string // the newest one that all of the index was compared with; empty before the first
	Checked     uint64 // its size
	Signed      uint64 // entries under the newest checkpoint seen: more than Size while it catches up
	Leaves      uint64 // credentials ever issued
	Live        uint64 // those that are neither suspended nor revoked
	Seals       uint64
	LastSeal    SealRef
	Totals      map[string]uint64 // by the names of [Count]
	Issuers     uint64
	Verifiers   uint64
	Policies    uint64
	OutOfOrder  bool // what is signed does not fit: nothing here can be relied on
	LastLook    time.Time
	Unreachable bool // the last look did not end well; it is tried again
}

// Work is how many entries there are besides seals.
func (h *Head) Work() uint64 { return h.Size - h.Seals }

// Open takes up the index in a folder, or begins one. It does not reach out.
func Open(cfg Config) (*Index, error) {
	if cfg.Every <= 0 {
		cfg.Every = 2 * time.Second
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Memory == nil {
		cfg.Memory = client.File(filepath.Join(cfg.Dir, "last-seen"))
	}
	x := &Index{cfg: cfg, changed: make(chan struct{}), sets: make(map[credential.Digest]*policy.Set)}
	reader := cfg.Profile.Config()
	reader.Memory, reader.Clock, reader.HTTPClient, reader.Limits = cfg.Memory, cfg.Clock, cfg.HTTPClient, cfg.Limits
	var err error
	if x.chain, err = client.New(reader); err != nil {
		return nil, fmt.Errorf("open the index of the chain: %w", err)
	}
	if x.log, err = client.NewLog(cfg.Profile.Ledger, cfg.HTTPClient, nil, cfg.Limits); err != nil {
		return nil, fmt.Errorf("open the index of the chain: %w", err)
	}
	if x.rows, err = openRows(cfg); err != nil {
		return nil, fmt.Errorf("open the index of the chain: %w", err)
	}
	if err := x.load(); err != nil {
		return nil, fmt.Errorf("open the index of the chain: %w", errors.Join(err, x.rows.Close()))
	}
	return x, nil
}

// openRows opens the store. Rows of another version are deleted: all of them follow from the chain, and are made again.
func openRows(cfg Config) (*rows.DB, error) {
	where := rows.Config{Dir: filepath.Join(cfg.Dir, "rows"), FS: cfg.FS, Logger: cfg.Logger}
	db, err := rows.Open(where)
	if err != nil {
		return nil, err
	}
	_, other := readState(db)
	if !errors.Is(other, errOtherVersion) {
		return db, nil // whatever else is wrong is reported by who loads it
	}
	cfg.Logger.Info("the index of the chain is made again", slog.Any("reason", other))
	fs := cfg.FS
	if fs == nil {
		fs = vfs.Default
	}
	if err := errors.Join(db.Close(), fs.RemoveAll(where.Dir)); err != nil {
		return nil, err
	}
	return rows.Open(where)
}

// Close closes the store. Run must have ended.
func (x *Index) Close() error { return x.rows.Close() }

// Head is how far the index is.
func (x *Index) Head() *Head { return x.head.Load() }

// Changed is closed when there are more entries than Head has, for who takes it before Head.
func (x *Index) Changed() <-chan struct{} {
	x.changedMu.Lock()
	defer x.changedMu.Unlock()
	return x.changed
}

// tellChanged wakes who waits.
func (x *Index) tellChanged() {
	x.changedMu.Lock()
	defer x.changedMu.Unlock()
	close(x.changed)
	x.changed = make(chan struct{})
}

// Run follows the chain until ctx ends. It logs when looks begin to fail, and when they end well again.
func (x *Index) Run(ctx context.Context) error {
	failing := false
	for {
		err := x.Sync(ctx)
		var problem *client.Problem
		switch {
		case ctx.Err() != nil, errors.As(err, &problem) && problem.Code == "not-published": // a chain that is new
		case err != nil && !failing:
			x.cfg.Logger.WarnContext(ctx, "the index of the chain does not get on; it tries again", slog.Any("error", err))
		case err == nil && failing:
			x.cfg.Logger.InfoContext(ctx, "the index of the chain follows again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(x.cfg.Every):
		}
	}
}

// Sync looks once, and reads what is new. After an error the index is what it was, or has some more entries.
func (x *Index) Sync(ctx context.Context) error {
	err := x.sync(ctx)
	h := *x.head.Load()
	h.LastLook = x.cfg.Clock()
	h.Unreachable = err != nil
	h.OutOfOrder = h.OutOfOrder || errors.Is(err, ErrOtherChain) || errors.Is(err, ErrUnreadable) || errors.Is(err, client.ErrFork)
	x.head.Store(&h)
	return err
}

func (x *Index) sync(ctx context.Context) error {
	view, err := x.chain.Update(ctx)
	if err != nil {
		return err
	}
	signed := view.Checkpoint
	if signed.Size < x.state.Size {
		return fmt.Errorf("%d entries are signed, the index has %d: %w", signed.Size, x.state.Size, ErrOtherChain)
	}
	for x.state.Size < signed.Size {
		if err := x.some(ctx, signed); err != nil {
			// What was not committed is forgotten: the store says how far the index is.
			return errors.Join(err, x.load())
		}
	}
	root, err := tlog.TreeHash(int64(signed.Size), hashReader(x.rows.Get))
	if err != nil {
		return fmt.Errorf("root of the index: %w", err)
	}
	if credential.Digest(root) != signed.Root {
		return fmt.Errorf("%d entries: %w", signed.Size, ErrOtherChain)
	}
	if string(signed.Text) == x.Head().Checkpoint {
		return nil
	}
	if err := x.rows.Commit(rows.Batch{Set: map[string][]byte{rowCheckpoint: signed.Text}}); err != nil {
		return err
	}
	x.publish(string(signed.Text), signed.Size, signed.Size)
	return nil
}

// Entries that are committed together: so many, or as many as have so many rows.
const (
	maxBatchEntries = 256
	maxBatchRows    = 50_000
)

// some reads entries and commits them together.
func (x *Index) some(ctx context.Context, signed checkpoint.Checkpoint) error {
	b := x.begin()
	for n := 0; n < maxBatchEntries && len(b.rows) < maxBatchRows && b.state.Size < signed.Size; n++ {
		raw, err := x.log.Entry(ctx, signed.Tree(), b.state.Size)
		if err != nil {
			return err
		}
		if err := b.add(raw); err != nil {
			return fmt.Errorf("entry %d: %w", b.state.Size, err)
		}
	}
	if err := b.finish(); err != nil {
		return err
	}
	if err := x.rows.Commit(rows.Batch{Set: b.rows}); err != nil {
		return err
	}
	x.state = b.state
	h := x.Head()
	x.publish(h.Checkpoint, h.Checked, signed.Size)
	return nil
}

// load takes up what the store has.
func (x *Index) load() error {
	s, err := readState(x.rows)
	if err != nil {
		return err
	}
	x.state = s
	text, err := x.rows.Get([]byte(rowCheckpoint))
	if err != nil && !errors.Is(err, rows.ErrAbsent) {
		return err
	}
	var size uint64
	if len(text) > 0 {
		judge, err := x.cfg.Profile.Policy.Parse()
		if err != nil {
			return err
		}
		c, err := checkpoint.Parse(text, judge.Log)
		if err != nil {
			return fmt.Errorf("checkpoint of the index: %w", err)
		}
		size = c.Size
	}
	if old := x.Head(); old == nil {
		x.head.Store(&Head{Chain: x.cfg.Profile.Genesis, Policy: x.cfg.Profile.Policy})
	}
	if s.Size > 0 {
		first, err := x.Entry(0)
		if err != nil {
			return err
		}
		genesis, ok := first.Payload.(entry.Genesis)
		if !ok || first.Entry.Digest() != x.cfg.Profile.Genesis {
			return ErrOtherChain
		}
		h := *x.Head()
		h.Genesis = genesis
		x.head.Store(&h)
	}
	x.publish(string(text), size, max(size, s.Size))
	return nil
}

// publish makes the committed state what readers see.
func (x *Index) publish(checkpoint string, checked, signed uint64) {
	h, s := *x.Head(), x.state
	h.Size, h.Leaves, h.Live, h.Seals, h.LastSeal, h.Totals = s.Size, s.Leaves, s.Live, s.Seals, s.LastSeal, s.Totals
	h.Issuers, h.Verifiers, h.Policies = s.Issuers, s.Verifiers, s.Policies
	h.Checkpoint, h.Checked, h.Signed = checkpoint, checked, signed
	if h.Genesis.Version == 0 && s.Size > 0 {
		if first, err := x.Entry(0); err == nil {
			h.Genesis, _ = first.Payload.(entry.Genesis)
		}
	}
	x.head.Store(&h)
	x.tellChanged()
}
