package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/store"
	"github.com/bulla-id/bulla/verifier/store/storetest"
)

func openMem(t *testing.T, fs vfs.FS) *store.Pebble {
	t.Helper()
	s, err := store.Open(store.Config{Dir: "db", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) verifier.Store { return store.NewMemory() })
}

func TestPebble(t *testing.T) {
	storetest.Run(t, func(t *testing.T) verifier.Store { return openMem(t, vfs.NewMem()) })
	storetest.RunDurable(t, func(*testing.T) storetest.Disk {
		return &disk{fs: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(5, 6))}
	})
}

// disk is one in memory, of which a power cut leaves what was synced and some of the rest.
type disk struct {
	fs  *vfs.MemFS
	rng *rand.Rand
}

func (d *disk) Open(t *testing.T) verifier.Store { return openMem(t, d.fs) }

func (d *disk) Cut(*testing.T) {
	d.fs = d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: d.rng.IntN(101), RNG: d.rng})
}

// After a write that failed the store refuses everything; opened again it has all that was acknowledged.
func TestFailedWrite(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileWrite) {
			return errorfs.ErrInjected
		}
		return nil
	}))
	s, err := store.Open(store.Config{Dir: "db", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(verifier.Batch{Set: map[string][]byte{"before": {1}}}); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	if err := s.Commit(verifier.Batch{Set: map[string][]byte{"during": {1}}}); err == nil {
		t.Fatal("a write that failed was acknowledged")
	}
	broken.Store(false)
	if err := s.Commit(verifier.Batch{Set: map[string][]byte{"later": {1}}}); !errors.Is(err, store.ErrBroken) {
		t.Errorf("commit after a failed write: %v", err)
	}
	if _, err := s.Get("before"); !errors.Is(err, store.ErrBroken) {
		t.Errorf("read after a failed write: %v", err)
	}
	again := openMem(t, mem.CrashClone(vfs.CrashCloneCfg{}))
	if _, err := again.Get("before"); err != nil {
		t.Error(err)
	}
	if _, err := again.Get("later"); !errors.Is(err, verifier.ErrAbsent) {
		t.Errorf("a refused row is there: %v", err)
	}
}

// Whichever write or sync fails while many commit at once: what was acknowledged is there when the store is opened again,
// and no batch by halves.
func TestNthWriteFails(t *testing.T) {
	for n := range int64(24) {
		mem := vfs.NewCrashableMem()
		var count atomic.Int64
		count.Store(-1 << 60)
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && count.Add(1) == n+1 {
				return errorfs.ErrInjected
			}
			return nil
		}))
		s, err := store.Open(store.Config{Dir: "db", FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		count.Store(0)
		var wg sync.WaitGroup
		var acknowledged [8][40]bool
		for client := range acknowledged {
			wg.Go(func() {
				for i := range acknowledged[client] {
					a, b := fmt.Sprintf("tag/%d-%d", client, i), fmt.Sprintf("session/%d-%d", client, i)
					err := s.Commit(verifier.Batch{Absent: []string{a}, Set: map[string][]byte{a: {}, b: {}}})
					if acknowledged[client][i] = err == nil; err != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		_ = s.Close()
		again := openMem(t, mem.CrashClone(vfs.CrashCloneCfg{}))
		for client := range acknowledged {
			for i, want := range acknowledged[client] {
				_, err1 := again.Get(fmt.Sprintf("tag/%d-%d", client, i))
				_, err2 := again.Get(fmt.Sprintf("session/%d-%d", client, i))
				if want && err1 != nil || (err1 == nil) != (err2 == nil) {
					t.Fatalf("write %d failed: tag %d-%d, acknowledged %v: %v, %v", n, client, i, want, err1, err2)
				}
			}
		}
	}
}
