package records_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
)

var key = bytes.Repeat([]byte{7}, issuer.RecordKeySize)

func open(t *testing.T, cfg records.Config) *records.Pebble {
	t.Helper()
	p, err := records.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The contract of issuer.Store, for every implementation.
func TestStores(t *testing.T) {
	stores := map[string]issuer.Store{
		"memory": new(records.Memory),
		"pebble": open(t, records.Config{Dir: "records", Key: key, FS: vfs.NewMem()}),
	}
	for name, s := range stores {
		t.Run(name, func(t *testing.T) { checkStore(t, s) })
	}
}

func checkStore(t *testing.T, s issuer.Store) {
	if _, err := s.Get("a/1"); !errors.Is(err, issuer.ErrAbsent) {
		t.Errorf("absent row: %v", err)
	}
	commit := func(rows map[string][]byte) {
		t.Helper()
		if err := s.Commit(rows); err != nil {
			t.Fatal(err)
		}
	}
	commit(map[string][]byte{"a/1": []byte("one"), "a/2": []byte("two"), "a/3": []byte("three"), "b/1": []byte("other"), "a": []byte("short")})
	commit(map[string][]byte{"a/2": nil, "a/3": []byte("drei"), "a/9": nil})
	if _, err := s.Get("a/2"); !errors.Is(err, issuer.ErrAbsent) {
		t.Errorf("deleted row: %v", err)
	}
	if v, err := s.Get("a/3"); err != nil || string(v) != "drei" {
		t.Errorf("replaced row: %q, %v", v, err)
	}
	scan := func(prefix, after string, limit int) (found []string) {
		t.Helper()
		err := s.Scan(prefix, after, func(key string, value []byte) bool {
			found = append(found, fmt.Sprintf("%s=%s", key, value))
			return len(found) < limit
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"a/", "", 9, []string{"a/1=one", "a/3=drei"}},
		{"a/", "a/1", 9, []string{"a/3=drei"}},
		{"a/", "a/3", 9, nil},
		{"a/", "", 1, []string{"a/1=one"}},
		{"b", "", 9, []string{"b/1=other"}},
		{"", "", 9, []string{"a=short", "a/1=one", "a/3=drei", "b/1=other"}},
	} {
		if got := scan(c.prefix, c.after, c.limit); !slices.Equal(got, c.want) {
			t.Errorf("scan %q after %q: %q, want %q", c.prefix, c.after, got, c.want)
		}
	}
	v, _ := s.Get("a/1")
	v[0] = 'X'
	if again, _ := s.Get("a/1"); string(again) != "one" {
		t.Error("a caller can change a row through what Get returned")
	}
}

func TestRowsSurviveReopening(t *testing.T) {
	fs := vfs.NewCrashableMem()
	p := open(t, records.Config{Dir: "records", Key: key, FS: fs})
	if err := p.Commit(map[string][]byte{"a/1": []byte("one")}); err != nil {
		t.Fatal(err)
	}
	afterCrash := fs.CrashClone(vfs.CrashCloneCfg{}) // only what was synced
	p = open(t, records.Config{Dir: "records", Key: key, FS: afterCrash})
	if v, err := p.Get("a/1"); err != nil || string(v) != "one" {
		t.Errorf("after a power cut: %q, %v", v, err)
	}
}

func TestAnotherKeyOpensNothing(t *testing.T) {
	fs := vfs.NewMem()
	p := open(t, records.Config{Dir: "records", Key: key, FS: fs})
	if err := p.Commit(map[string][]byte{"a/1": []byte("one")}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := records.Open(records.Config{Dir: "records", Key: bytes.Repeat([]byte{8}, 32), FS: fs}); !errors.Is(err, records.ErrDamaged) {
		t.Errorf("other key: %v", err)
	}
	p = open(t, records.Config{Dir: "records", Key: key, FS: fs}) // which the attempt left as it was
	if v, err := p.Get("a/1"); err != nil || string(v) != "one" {
		t.Errorf("%q, %v", v, err)
	}
	if _, err := records.Open(records.Config{Dir: "x", Key: key[1:], FS: fs}); err == nil {
		t.Error("a short key was taken")
	}
}

// A row that somebody put in another row's place, or changed, is refused.
func TestRowsStayInTheirPlace(t *testing.T) {
	fs := vfs.NewMem()
	p := open(t, records.Config{Dir: "records", Key: key, FS: fs})
	if err := p.Commit(map[string][]byte{"a/1": []byte("one"), "a/2": []byte("two")}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := pebble.Open("records", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		t.Fatal(err)
	}
	one, closer, err := raw.Get([]byte("a/1"))
	if err != nil {
		t.Fatal(err)
	}
	moved, changed := bytes.Clone(one), bytes.Clone(one)
	changed[len(changed)-1] ^= 1
	closer.Close()
	for k, v := range map[string][]byte{"a/1": changed, "a/2": moved, "a/3": {}, "a/4": {1}} {
		if err := raw.Set([]byte(k), v, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, records.Config{Dir: "records", Key: key, FS: fs})
	for _, k := range []string{"a/1", "a/2", "a/3", "a/4"} {
		if v, err := p.Get(k); !errors.Is(err, records.ErrDamaged) {
			t.Errorf("row %s: %q, %v", k, v, err)
		}
	}
}

func TestNothingReadableOnDisk(t *testing.T) {
	dir := t.TempDir()
	p := open(t, records.Config{Dir: dir, Key: key})
	secret := []byte("a person's claim, long enough not to come up by chance")
	for i := range 50 {
		if err := p.Commit(map[string][]byte{fmt.Sprintf("a/%02d", i): secret}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, secret[:16]) {
			t.Errorf("%s shows a row", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The count of writes is never too small, whatever happens to the process, and at most 2^16 a start too large.
func TestWritesAreCounted(t *testing.T) {
	fs := vfs.NewCrashableMem()
	p := open(t, records.Config{Dir: "records", Key: key, FS: fs})
	if n := p.Writes(); n != 0 {
		t.Errorf("%d writes to an empty store", n)
	}
	done := uint64(0)
	for start := range uint64(3) {
		for range 10 {
			if err := p.Commit(map[string][]byte{"a/1": []byte("one"), "a/2": []byte("two"), "a/3": nil}); err != nil {
				t.Fatal(err)
			}
			done += 2
		}
		if n := p.Writes(); n < done || n > done+(start+1)*(1<<16+1) {
			t.Errorf("start %d: %d are counted of %d", start, n, done)
		}
		fs = fs.CrashClone(vfs.CrashCloneCfg{}) // only what was synced
		p = open(t, records.Config{Dir: "records", Key: key, FS: fs})
		if n := p.Writes(); n < done || n > done+(start+1)*(1<<16+1) {
			t.Errorf("after power cut %d: %d are counted of %d", start, n, done)
		}
	}
}
