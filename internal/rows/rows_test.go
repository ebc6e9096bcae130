package rows_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/bulla-id/bulla/internal/rows"
)

// What fails in Pebble's own goroutines must leave a store that refuses with a reason: not end the process, not hang
// those who wait, and not be tried again for ever.
func TestFailuresBehindTheScenes(t *testing.T) {
	tests := []struct{ name, file string }{
		{"the manifest cannot be written", "MANIFEST"},
		{"no room for a table", ".sst"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			failures := 0
			on := errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemove && strings.Contains(op.Path, test.file) {
					failures++
					return syscall.ENOSPC
				}
				return nil
			})}
			db, err := rows.Open(rows.Config{Dir: "db", FS: errorfs.Wrap(mem, &on), MemTableSize: 256 << 10})
			if err != nil {
				t.Fatal(err)
			}
			on.On()
			committed := fill(t, db)
			eventually(t, func() bool { return db.Err() != nil })
			if err := db.Err(); !errors.Is(err, rows.ErrBroken) || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("the store says %v", err)
			}
			for name, call := range map[string]func() error{
				"get":    func() error { _, err := db.Get([]byte("key 0")); return err },
				"commit": func() error { return db.Commit(rows.Batch{Set: map[string][]byte{"a": nil}}) },
				"flush":  db.Flush,
			} {
				if err := call(); !errors.Is(err, rows.ErrBroken) {
					t.Errorf("%s goes on: %v", name, err)
				}
			}
			before := failures
			time.Sleep(20 * time.Millisecond)
			if failures > before+3 {
				t.Errorf("Pebble still tries: %d failures", failures)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			again, err := rows.Open(rows.Config{Dir: "db", FS: mem.CrashClone(vfs.CrashCloneCfg{})})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			for i := range committed {
				if _, err := again.Get(fmt.Appendf(nil, "key %d", i)); err != nil {
					t.Fatalf("row %d of %d: %v", i, committed, err)
				}
			}
		})
	}
}

// fill commits until memory tables are flushed, or a commit fails. It returns how many rows were committed.
func fill(t *testing.T, db *rows.DB) int {
	t.Helper()
	for i := range 200 {
		err := db.Commit(rows.Batch{Set: map[string][]byte{fmt.Sprintf("key %d", i): bytes.Repeat([]byte{byte(i)}, 8<<10)}})
		if err != nil {
			if !errors.Is(err, rows.ErrBroken) {
				t.Fatal(err)
			}
			return i
		}
	}
	return 200
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not happen in 5 s")
}

// The marker that names a manifest must not survive a power cut that the manifest does not survive.
func TestPowerCutWhileTheManifestIsNew(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	mem := vfs.NewCrashableMem()
	for range 30 { // each opening has a new manifest
		var clones []*vfs.MemFS
		watch := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, "marker.manifest") {
				clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
			}
			return nil
		})
		db, err := rows.Open(rows.Config{Dir: "db", FS: errorfs.Wrap(mem, watch)})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Commit(rows.Batch{Set: map[string][]byte{"a": nil}}), db.Close()); err != nil {
			t.Fatal(err)
		}
		for _, clone := range clones {
			again, err := rows.Open(rows.Config{Dir: "db", FS: clone})
			if err != nil {
				t.Fatal(err)
			}
			again.Close()
		}
	}
}
