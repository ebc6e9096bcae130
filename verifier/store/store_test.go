package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/store"
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

// contract is what every verifier.Store promises.
func contract(t *testing.T, open func(*testing.T) verifier.Store) {
	set := func(pairs ...string) map[string][]byte {
		m := make(map[string][]byte)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = []byte(pairs[i+1])
		}
		return m
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("rows", func(t *testing.T) {
		s := open(t)
		if _, err := s.Get("a"); !errors.Is(err, verifier.ErrAbsent) {
			t.Errorf("absent row: %v", err)
		}
		must(t, s.Commit(verifier.Batch{Set: set("a", "1", "b", "")}))
		for key, want := range map[string]string{"a": "1", "b": ""} {
			if got, err := s.Get(key); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v", key, got, err)
			}
		}
		got, _ := s.Get("a")
		got[0] = 'x'
		if again, _ := s.Get("a"); string(again) != "1" {
			t.Error("a caller can change a row in place")
		}
		must(t, s.Commit(verifier.Batch{Delete: []string{"a", "never"}, Set: set("b", "2")}))
		if _, err := s.Get("a"); !errors.Is(err, verifier.ErrAbsent) {
			t.Errorf("deleted row: %v", err)
		}
	})
	t.Run("conditions", func(t *testing.T) {
		s := open(t)
		must(t, s.Commit(verifier.Batch{Set: set("session", "open", "tag1", "x")}))
		var taken *verifier.TakenError
		err := s.Commit(verifier.Batch{Same: set("session", "open"), Absent: []string{"tag0", "tag1"}, Set: set("tag0", "x", "session", "done")})
		if !errors.As(err, &taken) || taken.Key != "tag1" {
			t.Errorf("taken tag: %v", err)
		}
		if bytes.Contains([]byte(err.Error()), []byte("tag1")) {
			t.Error("the error quotes the tag")
		}
		if _, err := s.Get("tag0"); !errors.Is(err, verifier.ErrAbsent) {
			t.Error("a refused batch left something behind")
		}
		// A request that was answered is told so, rather than that its tags are used.
		if err := s.Commit(verifier.Batch{Same: set("session", "other"), Absent: []string{"tag1"}}); !errors.Is(err, verifier.ErrChanged) {
			t.Errorf("changed row: %v", err)
		}
		if err := s.Commit(verifier.Batch{Same: set("nothing", "")}); !errors.Is(err, verifier.ErrChanged) {
			t.Errorf("row that is gone: %v", err)
		}
		must(t, s.Commit(verifier.Batch{Same: set("session", "open"), Absent: []string{"tag0"}, Set: set("session", "done", "tag0", "x")}))
	})
	t.Run("each", func(t *testing.T) {
		s := open(t)
		must(t, s.Commit(verifier.Batch{Set: set("a/2", "2", "a/1", "1", "b", "3", "a", "0", "a/3", "3")}))
		var seen []string
		stop := errors.New("enough")
		err := s.Each("a/", func(key string, value []byte) error {
			seen = append(seen, key+string(value))
			if key == "a/2" {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) || !slices.Equal(seen, []string{"a/11", "a/22"}) {
			t.Errorf("saw %v, %v", seen, err)
		}
	})
	t.Run("one of many wins", func(t *testing.T) {
		s := open(t)
		must(t, s.Commit(verifier.Batch{Set: set("session", "open")}))
		var wg sync.WaitGroup
		var won, lost atomic.Int32
		for i := range 64 {
			wg.Go(func() {
				b := verifier.Batch{Absent: []string{"tag"}, Set: set("tag", fmt.Sprint(i))}
				if i%2 == 0 {
					b = verifier.Batch{Same: set("session", "open"), Absent: []string{"tag"}, Set: set("session", fmt.Sprint(i), "tag", fmt.Sprint(i))}
				}
				err := s.Commit(b)
				var taken *verifier.TakenError
				switch {
				case err == nil:
					won.Add(1)
				case errors.As(err, &taken) || errors.Is(err, verifier.ErrChanged):
					lost.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 63 {
			t.Errorf("%d won, %d lost", won.Load(), lost.Load())
		}
	})
}

func TestMemory(t *testing.T) {
	contract(t, func(*testing.T) verifier.Store { return store.NewMemory() })
}

func TestPebble(t *testing.T) {
	contract(t, func(t *testing.T) verifier.Store { return openMem(t, vfs.NewMem()) })
}

// What Commit returned nil for is there after a power cut.
func TestPowerCut(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openMem(t, fs)
	for i := range 50 {
		key := fmt.Sprintf("tag/%d", i)
		if err := s.Commit(verifier.Batch{Absent: []string{key}, Set: map[string][]byte{key: {1}}}); err != nil {
			t.Fatal(err)
		}
		if i%10 != 9 {
			continue
		}
		after := openMem(t, fs.CrashClone(vfs.CrashCloneCfg{}))
		for j := range i + 1 {
			if _, err := after.Get(fmt.Sprintf("tag/%d", j)); err != nil {
				t.Fatalf("cut after %d: tag %d: %v", i+1, j, err)
			}
		}
	}
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
