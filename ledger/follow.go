package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// FollowerConfig is what a follower needs.
type FollowerConfig struct {
	Store   Store // of its own
	Genesis credential.Digest
	Keep    time.Duration    // versions of the active tree; 0: only the last, less than 0: for ever
	Clock   func() time.Time // that seals must not be ahead of; nil: their times are nobody's matter here
}

// Follower replays a chain that another orders into a store of its own: what mirrors and cosigners are made of. Replay
// and Follow must not be called concurrently, nor while Machine is used; Static may be read meanwhile.
type Follower struct {
	cfg     FollowerConfig
	machine *Machine
	stale   bool // the machine holds what was not committed: load it again
	head    atomic.Pointer[Followed]
}

// ReadEntry reads one entry of the log that is followed. The root shows whether it is the right one.
type ReadEntry func(ctx context.Context, index uint64) ([]byte, error)

// rowReplayed is the newest checkpoint under which entries were replayed, whether or not all of them were.
const rowReplayed = prefixOwner + "/replayed"

// Followed is a checkpoint up to which everything was replayed.
type Followed struct {
	Checkpoint []byte // signed note
	Size       uint64
	Root       tlog.Hash
}

// EntryError is returned for an entry that the log's operator should not have accepted.
type EntryError struct {
	Index uint64
	Entry []byte
	Cause error
}

// Error names the entry.
func (e *EntryError) Error() string {
	return fmt.Sprintf("entry %d breaks the rules: %v", e.Index, e.Cause)
}

// Unwrap gives the cause.
func (e *EntryError) Unwrap() error { return e.Cause }

// Errors of [Follower.Replay].
var (
	ErrOtherTree = errors.New("the entries replayed do not have the signed root")
	ErrSealAhead = errors.New("a seal is ahead of our clock")
)

// NewFollower takes up what a store has replayed of a chain.
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	f := &Follower{cfg: cfg}
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("open the replayed chain: %w", err)
	}
	return f, nil
}

func (f *Follower) load() error {
	machine, err := NewMachine(f.cfg.Store)
	if err != nil {
		return err
	}
	if _, hash := machine.Genesis(); machine.Size() > 0 && hash != f.cfg.Genesis {
		return fmt.Errorf("the store is of the chain %s, not of %s", hash, f.cfg.Genesis)
	}
	head, err := loadHead(machine, f.cfg.Store)
	if err != nil {
		return err
	}
	f.machine, f.stale = machine, false
	f.head.Store(head)
	return nil
}

// loadHead reads the checkpoint that is served, nil if there is none.
func loadHead(m *Machine, rows Reader) (*Followed, error) {
	text, err := rows.Get([]byte(rowCheckpoint))
	if isAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := compareHead(m, rows, text); err != nil {
		return nil, err
	}
	size, err := noteSize(text)
	if err != nil {
		return nil, err
	}
	root, err := RootAt(rows, size)
	return &Followed{text, size, root}, err
}

// Head is the newest checkpoint up to which everything was replayed, or nil.
func (f *Follower) Head() *Followed { return f.head.Load() }

// Reload forgets what a replay could not commit, if it did not do so itself because the store could not be read.
func (f *Follower) Reload() error {
	if !f.stale {
		return nil
	}
	if err := f.load(); err != nil {
		return fmt.Errorf("load the replayed chain again: %w", err)
	}
	return nil
}

// Machine is the replayed state. After an error of Replay, [Follower.Reload] comes first.
func (f *Follower) Machine() *Machine { return f.machine }

// Under is the newest checkpoint under which entries were replayed, or an error that is [ErrAbsent]. A replay that was
// interrupted ends before it.
func (f *Follower) Under() ([]byte, error) { return f.cfg.Store.Get([]byte(rowReplayed)) }

// Follow is [Follower.Replay], and serves the checkpoint from then on.
func (f *Follower) Follow(ctx context.Context, next Followed, read ReadEntry) error {
	if err := f.Replay(ctx, next, read); err != nil {
		return err
	}
	if err := f.cfg.Store.Commit(map[string][]byte{rowCheckpoint: next.Checkpoint}); err != nil {
		return fmt.Errorf("store the checkpoint: %w", err)
	}
	f.head.Store(&next)
	return f.prune()
}

// Replay replays entries up to a checkpoint whose signatures were checked, and compares the roots. [*EntryError] and
// [ErrOtherTree] accuse the log; other errors, of which [ErrSealAhead] is one, mean that it could not be checked. What was
// replayed before an entry could not be read stays, and the next replay goes on from there: it is the caller who knows
// that its log begins with the same entries, or learns it by the roots.
func (f *Follower) Replay(ctx context.Context, next Followed, read ReadEntry) error {
	if err := f.Reload(); err != nil {
		return err
	}
	for f.machine.Size() < next.Size {
		if err := f.some(ctx, next, read); err != nil {
			f.stale = true
			return errors.Join(err, f.Reload())
		}
	}
	root, err := RootAt(f.cfg.Store, next.Size)
	if err != nil {
		return err
	}
	if root != next.Root {
		return fmt.Errorf("%w: %d entries have %s, signed is %s", ErrOtherTree, next.Size, root, next.Root)
	}
	return nil
}

// some replays as many entries as are committed at once, or as can be read.
func (f *Follower) some(ctx context.Context, next Followed, read ReadEntry) error {
	var unread error
	for n := 0; n < commitEvery && f.machine.Size() < next.Size; n++ {
		var raw []byte
		if raw, unread = read(ctx, f.machine.Size()); unread != nil {
			unread = fmt.Errorf("read entry %d: %w", f.machine.Size(), unread)
			break
		}
		if err := f.one(raw); err != nil {
			return err
		}
	}
	return errors.Join(f.commit(next), unread)
}

func (f *Follower) one(raw []byte) error {
	index := f.machine.Size()
	_, err := f.machine.Apply(raw)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		return &EntryError{index, raw, err}
	}
	if err != nil {
		return fmt.Errorf("replay entry %d: %w", index, err)
	}
	genesis, hash := f.machine.Genesis()
	if hash != f.cfg.Genesis {
		return &EntryError{index, raw, fmt.Errorf("it begins the chain %s, not %s", hash, f.cfg.Genesis)}
	}
	last, _ := f.machine.Sealed()
	if f.cfg.Clock == nil || index == 0 || last.Index != index {
		return nil
	}
	skew := time.Duration(genesis.ClockSkewSeconds) * time.Second
	if ahead := last.Time.Time().Sub(f.cfg.Clock()); ahead > skew {
		return fmt.Errorf("%w: entry %d by %s", ErrSealAhead, index, ahead)
	}
	return nil
}

func (f *Follower) commit(next Followed) error {
	rows, err := f.machine.Changes()
	if err != nil || len(rows) == 0 {
		return err
	}
	rows[rowReplayed] = next.Checkpoint
	if err := f.cfg.Store.Commit(rows); err != nil {
		return fmt.Errorf("commit replayed entries: %w", err)
	}
	f.machine.Committed()
	return f.prune()
}

// prune drops the versions of the active tree that are too old. The last seal stays, and that of the checkpoint that is
// served.
func (f *Follower) prune() error {
	last, seals := f.machine.Sealed()
	if f.cfg.Keep < 0 || seals == 0 {
		return nil
	}
	newest := seals - 1
	if head := f.Head(); head != nil {
		index, err := lastSeal(f.cfg.Store, head.Size)
		if err != nil || index == 0 {
			return err
		}
		served, err := readSeal(f.cfg.Store, index)
		if err != nil {
			return err
		}
		newest = served.Height
	}
	before := last.Time - credential.UnixTime(f.cfg.Keep/time.Second)
	for more := true; more; {
		var err error
		if more, err = Prune(f.cfg.Store, newest, before); err != nil {
			return err
		}
	}
	return nil
}

// Static is the part of the chain that is files, up to the checkpoint that is served.
func (f *Follower) Static(logger *slog.Logger) *Static {
	head := func() []byte {
		if h := f.Head(); h != nil {
			return h.Checkpoint
		}
		return nil
	}
	size := func() uint64 {
		if h := f.Head(); h != nil {
			return h.Size
		}
		return 0
	}
	return NewStatic(f.cfg.Store, head, size, logger)
}
