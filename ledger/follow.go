package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// Follower replays a chain that another orders into a store of its own, and serves it: what a mirror is made of. Follow
// must not be called concurrently; Static may be read meanwhile.
type Follower struct {
	store   Store
	machine *Machine
	genesis credential.Digest
	head    atomic.Pointer[Followed]
}

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

// ErrOtherTree is returned when the entries that were replayed do not have the root that was signed.
var ErrOtherTree = errors.New("the entries replayed do not have the signed root")

// NewFollower takes up what a store has replayed of a chain.
func NewFollower(store Store, genesis credential.Digest) (*Follower, error) {
	f := &Follower{store: store, genesis: genesis}
	if err := f.load(); err != nil {
		return nil, fmt.Errorf("open the replayed chain: %w", err)
	}
	return f, nil
}

func (f *Follower) load() (err error) {
	if f.machine, err = NewMachine(f.store); err != nil {
		return err
	}
	if _, hash := f.machine.Genesis(); f.machine.Size() > 0 && hash != f.genesis {
		return fmt.Errorf("the store is of the chain %s, not of %s", hash, f.genesis)
	}
	text, err := f.store.Get([]byte(rowCheckpoint))
	if isAbsent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := compareHead(f.machine, f.store, text); err != nil {
		return err
	}
	size, err := noteSize(text)
	if err != nil {
		return err
	}
	root, err := RootAt(f.store, size)
	f.head.Store(&Followed{text, size, root})
	return err
}

// Head is the newest checkpoint up to which everything was replayed, or nil.
func (f *Follower) Head() *Followed { return f.head.Load() }

// Machine is the replayed state. It must not be used while Follow runs.
func (f *Follower) Machine() *Machine { return f.machine }

// Follow replays entries up to a checkpoint whose signatures were checked, compares the roots, and serves it from then
// on. entry reads one entry; what it returns is checked by the root. [*EntryError] and [ErrOtherTree] accuse the log;
// other errors mean that it could not be checked. What was replayed before an error stays.
func (f *Follower) Follow(ctx context.Context, next Followed, entry func(ctx context.Context, index uint64) ([]byte, error)) error {
	for f.machine.Size() < next.Size {
		if err := f.some(ctx, next.Size, entry); err != nil {
			return errors.Join(err, f.load()) // forget what is not committed
		}
	}
	root, err := RootAt(f.store, next.Size)
	if err != nil {
		return err
	}
	if root != next.Root {
		return fmt.Errorf("%w: %d entries have %s, signed is %s", ErrOtherTree, next.Size, root, next.Root)
	}
	if err := f.store.Commit(map[string][]byte{rowCheckpoint: next.Checkpoint}); err != nil {
		return fmt.Errorf("store the checkpoint: %w", err)
	}
	f.head.Store(&next)
	return nil
}

// some replays as many entries as are committed at once.
func (f *Follower) some(ctx context.Context, size uint64, entry func(ctx context.Context, index uint64) ([]byte, error)) error {
	for n := 0; n < commitEvery && f.machine.Size() < size; n++ {
		index := f.machine.Size()
		raw, err := entry(ctx, index)
		if err != nil {
			return fmt.Errorf("read entry %d: %w", index, err)
		}
		_, err = f.machine.Apply(raw)
		if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
			return &EntryError{index, raw, err}
		}
		if err != nil {
			return fmt.Errorf("replay entry %d: %w", index, err)
		}
		if _, hash := f.machine.Genesis(); hash != f.genesis {
			return &EntryError{index, raw, fmt.Errorf("it begins the chain %s, not %s", hash, f.genesis)}
		}
	}
	rows, err := f.machine.Changes()
	if err != nil {
		return err
	}
	if err := f.store.Commit(rows); err != nil {
		return fmt.Errorf("commit replayed entries: %w", err)
	}
	f.machine.Committed()
	return nil
}

// Prune drops versions of the active tree of seals before a time. The last seal of the checkpoint that is served stays.
func (f *Follower) Prune(before credential.UnixTime) error {
	head := f.Head()
	if head == nil {
		return nil
	}
	index, err := lastSeal(f.store, head.Size)
	if err != nil || index == 0 {
		return err
	}
	seal, err := readSeal(f.store, index)
	for more := err == nil; more && err == nil; {
		more, err = Prune(f.store, seal.Height, before)
	}
	return err
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
	return NewStatic(f.store, head, size, logger)
}
