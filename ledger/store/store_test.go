package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/store"
)

var quiet = slog.New(slog.DiscardHandler)

func openPebble(t *testing.T, dir string, fs vfs.FS) *store.Pebble {
	t.Helper()
	p, err := store.Open(store.Config{Dir: dir, FS: fs, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Both stores keep the contract of [ledger.Store].
func TestContract(t *testing.T) {
	stores := map[string]func(t *testing.T) ledger.Store{
		"memory": func(*testing.T) ledger.Store { return store.NewMemory() },
		"pebble": func(t *testing.T) ledger.Store {
			p := openPebble(t, t.TempDir(), nil)
			t.Cleanup(func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
			return p
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Run("absent", func(t *testing.T) {
				if _, err := open(t).Get([]byte("x")); !errors.Is(err, ledger.ErrAbsent) {
					t.Errorf("got %v", err)
				}
			})
			t.Run("read what was written", func(t *testing.T) {
				s, value := open(t), []byte("one")
				commit(t, s, map[string][]byte{"a": value, "empty": {}})
				value[0] = 'x'
				got, err := s.Get([]byte("a"))
				if err != nil || string(got) != "one" {
					t.Errorf("got %q, %v: the store must keep its own copy", got, err)
				}
				got[0] = 'y'
				if got, _ := s.Get([]byte("a")); string(got) != "one" {
					t.Errorf("got %q: readers must get a copy", got)
				}
				if got, err := s.Get([]byte("empty")); err != nil || len(got) != 0 {
					t.Errorf("empty value: %q, %v", got, err)
				}
				commit(t, s, map[string][]byte{"a": []byte("two")})
				if got, _ := s.Get([]byte("a")); string(got) != "two" {
					t.Errorf("got %q after overwriting", got)
				}
				commit(t, s, map[string][]byte{"a": nil, "never": nil, "b": {1}})
				if _, err := s.Get([]byte("a")); !errors.Is(err, ledger.ErrAbsent) {
					t.Errorf("after removing: %v", err)
				}
			})
			t.Run("each", func(t *testing.T) {
				s, end := open(t), errors.New("enough")
				commit(t, s, map[string][]byte{"a": {}, "b1": {}, "b2": {}, "b\xff": {}, "c": {}, "\xff\xff": {}})
				var keys []string
				collect := func(key, _ []byte) error { keys = append(keys, string(key)); return nil }
				if err := s.Each([]byte("b"), collect); err != nil || fmt.Sprintf("%q", keys) != `["b1" "b2" "b\xff"]` {
					t.Errorf("b: %q, %v", keys, err)
				}
				keys = nil
				if err := s.Each(nil, collect); err != nil || len(keys) != 6 {
					t.Errorf("all: %q, %v", keys, err)
				}
				keys = nil
				if err := s.Each([]byte("\xff"), collect); err != nil || len(keys) != 1 {
					t.Errorf("last: %q, %v", keys, err)
				}
				if err := s.Each(nil, func(_, _ []byte) error { return end }); !errors.Is(err, end) {
					t.Errorf("visit's error became %v", err)
				}
			})
			t.Run("concurrent", func(t *testing.T) {
				s := open(t)
				var wait sync.WaitGroup
				for i := range 8 {
					wait.Go(func() {
						key := fmt.Sprint(i)
						if err := s.Commit(map[string][]byte{key: []byte(key)}); err != nil {
							t.Error(err)
						}
						if got, err := s.Get([]byte(key)); err != nil || string(got) != key {
							t.Errorf("got %q, %v", got, err)
						}
					})
				}
				wait.Wait()
			})
		})
	}
}

func commit(t *testing.T, s ledger.Store, rows map[string][]byte) {
	t.Helper()
	if err := s.Commit(rows); err != nil {
		t.Fatal(err)
	}
}

func TestPebbleKeepsWhatWasCommitted(t *testing.T) {
	dir := t.TempDir()
	p := openPebble(t, dir, nil)
	commit(t, p, map[string][]byte{"a": []byte("1")})
	if _, err := store.Open(store.Config{Dir: dir, Logger: quiet}); err == nil {
		t.Error("two processes have one store")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = openPebble(t, dir, nil)
	defer p.Close()
	if got, err := p.Get([]byte("a")); err != nil || string(got) != "1" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Damage that Pebble notices must become an error, not the end of the process; and the store must stay refusing.
func TestDamagedTableIsAnError(t *testing.T) {
	dir := t.TempDir()
	p := openPebble(t, dir, nil)
	rows := make(map[string][]byte)
	for i := range 2000 {
		rows[fmt.Sprintf("key %d", i)] = bytes.Repeat([]byte{byte(i), byte(i >> 3)}, 50)
	}
	commit(t, p, rows)
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	data, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/3] ^= 1
	if err := os.WriteFile(tables[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	p = openPebble(t, dir, nil)
	if err := p.Each(nil, func(_, _ []byte) error { return nil }); err == nil {
		t.Fatal("a damaged table was read")
	}
	if _, err := p.Get([]byte("key 1")); !errors.Is(err, store.ErrBroken) {
		t.Errorf("after damage was noticed: %v", err)
	}
}

// Whichever write or sync of a commit fails: the commit fails, the store refuses everything, and nothing is half there.
func TestFailingWrites(t *testing.T) {
	for n := range int32(6) {
		mem := vfs.NewCrashableMem()
		inject := errorfs.OnIndex(n)
		armed := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			return inject.MaybeError(op)
		})
		on := errorfs.Toggle{Injector: armed}
		p := openPebble(t, "db", errorfs.Wrap(mem, &on))
		commit(t, p, map[string][]byte{"old": []byte("1")})
		on.On()
		failed := false
		for i := range 10 {
			err := p.Commit(map[string][]byte{fmt.Sprint(i): []byte("x"), fmt.Sprint(i, "b"): []byte("x")})
			if failed && err == nil {
				t.Fatalf("write %d: commit %d succeeded after one failed", n, i)
			}
			failed = failed || err != nil
		}
		if !failed {
			t.Fatalf("write %d: nothing failed", n)
		}
		if _, err := p.Get([]byte("old")); !errors.Is(err, store.ErrBroken) {
			t.Errorf("write %d: reading goes on: %v", n, err)
		}
		if err := p.Close(); err != nil {
			t.Errorf("write %d: %v", n, err)
		}
		again := openPebble(t, "db", mem.CrashClone(vfs.CrashCloneCfg{}))
		found := make(map[string]bool)
		if err := again.Each(nil, func(key, _ []byte) error { found[string(key)] = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if !found["old"] {
			t.Errorf("write %d: the old row is gone", n)
		}
		for key := range maps.Keys(found) {
			if !strings.HasSuffix(key, "b") && key != "old" && !found[key+" b"] && !found[key+"b"] {
				t.Errorf("write %d: half a batch is there: %v", n, found)
			}
		}
		again.Close()
	}
}

func TestFileRegister(t *testing.T) {
	mem := vfs.NewCrashableMem()
	r, err := store.NewFileRegister("/var/r/signed", mem)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(); !errors.Is(err, ledger.ErrAbsent) {
		t.Fatalf("got %v", err)
	}
	if err := r.Swap([]byte("x"), []byte("one")); err == nil {
		t.Error("swapped against a content that is not there")
	}
	if err := r.Swap(nil, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := r.Swap(nil, []byte("two")); err == nil {
		t.Error("overwrote without knowing the content")
	}
	if err := r.Swap([]byte("two"), []byte("two")); err == nil {
		t.Error("overwrote another content")
	}
	if err := r.Swap([]byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	after, err := store.NewFileRegister("/var/r/signed", mem.CrashClone(vfs.CrashCloneCfg{}))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := after.Read(); err != nil || string(got) != "two" {
		t.Errorf("after a power cut %q, %v", got, err)
	}
}
