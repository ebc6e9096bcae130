package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/ledger/store"
)

// faulty is a store that fails when told.
type faulty struct {
	ledger.Store
	commit, get error
}

func (b *faulty) Commit(rows map[string][]byte) error {
	if b.commit != nil {
		return b.commit
	}
	return b.Store.Commit(rows)
}

func (b *faulty) Get(key []byte) ([]byte, error) {
	if b.get != nil {
		return nil, b.get
	}
	return b.Store.Get(key)
}

// following is a follower of a host's chain.
type following struct {
	*testing.T
	host  *ledgertest.Host
	store *faulty
	*ledger.Follower
	until uint64 // entries from here on cannot be read; 0: all can
}

var errUnread = errors.New("cannot be read")

func newFollowing(t *testing.T, keep time.Duration) *following {
	f := &following{T: t, host: ledgertest.NewHost(t, nil), store: &faulty{Store: store.NewMemory()}}
	f.Follower = ledgertest.Must(ledger.NewFollower(ledger.FollowerConfig{
		Store: f.store, Genesis: f.host.Genesis, Keep: keep, Clock: f.host.Clock,
	}))(t)
	return f
}

// head is the host's newest checkpoint.
func (f *following) head() ledger.Followed {
	f.Helper()
	c := ledgertest.Must(f.host.Client(nil).Update(f.Context()))(f.T).Checkpoint
	return ledger.Followed{Checkpoint: c.Text, Size: c.Size, Root: c.Tree().Hash}
}

func (f *following) read(_ context.Context, index uint64) ([]byte, error) {
	if f.until > 0 && index >= f.until {
		return nil, errUnread
	}
	return f.host.Entries[index], nil
}

// wantSize checks how many entries are replayed and durable.
func (f *following) wantSize(size uint64) {
	f.Helper()
	durable := ledgertest.Must(ledger.NewMachine(f.store.Store))(f.T)
	if f.Machine().Size() != size || durable.Size() != size {
		f.Fatalf("%d entries are replayed and %d durable, want %d", f.Machine().Size(), durable.Size(), size)
	}
}

// What was replayed before an entry could not be read is not replayed again.
func TestFollowerKeepsWhatItReplayed(t *testing.T) {
	f := newFollowing(t, 0)
	for range 20 {
		f.host.Issue("", 1)
	}
	f.host.Seal(ledgertest.Start + 10)
	f.until = 10
	if err := f.Replay(t.Context(), f.head(), f.read); !errors.Is(err, errUnread) {
		t.Fatal(err)
	}
	f.wantSize(10)
	if under, err := f.Under(); err != nil || string(under) != string(f.head().Checkpoint) {
		t.Errorf("replayed under %s, %v", under, err)
	}
	f.until = 0
	all := func(ctx context.Context, index uint64) ([]byte, error) {
		if index < 10 {
			t.Errorf("entry %d is read again", index)
		}
		return f.read(ctx, index)
	}
	if err := f.Follow(t.Context(), f.head(), all); err != nil {
		t.Fatal(err)
	}
	f.wantSize(uint64(len(f.host.Entries)))
}

// What could not be committed is forgotten, though the store cannot be read for a while.
func TestFollowerForgets(t *testing.T) {
	f := newFollowing(t, 0)
	f.host.Seal(ledgertest.Start + 10)
	disk := errors.New("disk is full")
	if f.store.commit = disk; !errors.Is(f.Replay(t.Context(), f.head(), f.read), disk) {
		t.Error("replayed into a full disk")
	}
	f.wantSize(0)
	head := f.head()
	unreadable := func(_ context.Context, index uint64) ([]byte, error) {
		f.store.get = disk
		return f.host.Entries[index], nil
	}
	for range 2 {
		if err := f.Replay(t.Context(), head, unreadable); !errors.Is(err, disk) || f.Reload() == nil {
			t.Errorf("replayed from a disk that does not answer: %v", err)
		}
	}
	f.store.commit, f.store.get = nil, nil
	if err := f.Reload(); err != nil {
		t.Fatal(err)
	}
	f.wantSize(0)
	if err := f.Follow(t.Context(), head, f.read); err != nil {
		t.Fatal(err)
	}
	f.wantSize(head.Size)
}

func TestFollowerClock(t *testing.T) {
	f := newFollowing(t, 0)
	f.host.Seal(ledgertest.Start + 100)
	head := f.head()
	f.host.Now = ledgertest.Start + 94 // the chain allows five seconds
	if err := f.Follow(t.Context(), head, f.read); !errors.Is(err, ledger.ErrSealAhead) || f.Head() != nil {
		t.Errorf("error is %v, want that the seal is ahead", err)
	}
	f.wantSize(0)
	f.host.Now++
	if err := f.Follow(t.Context(), head, f.read); err != nil {
		t.Error(err)
	}
}

// Versions of the active tree go when they are too old, but never the one that is served.
func TestFollowerPrunes(t *testing.T) {
	for keep, want := range map[time.Duration]struct{ following, served uint64 }{
		-1: {0, 0}, 0: {0, 3}, 15 * time.Second: {0, 2}, time.Hour: {0, 0},
	} {
		f := newFollowing(t, keep)
		f.host.Seal(ledgertest.Start + 10)
		if err := f.Follow(t.Context(), f.head(), f.read); err != nil {
			t.Fatal(err)
		}
		for i := range credential.UnixTime(3) {
			f.host.Issue("", 1)
			f.host.Seal(ledgertest.Start + 20 + 10*i)
		}
		check := func(what string, want uint64, err error) {
			t.Helper()
			if from := ledgertest.Must(ledger.KeptFrom(f.store))(t); err != nil || from != want {
				t.Errorf("keep %s, %s: versions from seal %d on, want %d: %v", keep, what, from, want, err)
			}
		}
		check("replayed", want.following, f.Replay(t.Context(), f.head(), f.read))
		check("served", want.served, f.Follow(t.Context(), f.head(), f.read))
	}
}
