package ledger_test

import (
	"archive/zip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/store"
)

// unzip lays out a stored state of an earlier release.
func unzip(t *testing.T, path string) (dir string) {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir = t.TempDir()
	for _, f := range archive.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err := errors.Join(err, in.Close(), os.MkdirAll(filepath.Join(dir, filepath.Dir(f.Name)), 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// openAt is an open store of a folder, closed with the test.
func openAt(t *testing.T, dir string) *store.Pebble {
	t.Helper()
	p, err := store.Open(store.Config{Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// The stored state of each release is kept: it opens, or it says what to do, and after that it opens with the same tree
// under the same register, and goes on.
func TestStoredStatesOfEarlierReleases(t *testing.T) {
	for _, test := range []struct {
		file    string
		version uint32
		size    uint64
	}{
		{"store-format-1.zip", 1, 27},
	} {
		t.Run(test.file, func(t *testing.T) {
			dir := unzip(t, filepath.Join("testdata", test.file))
			c := newChain(t)
			cfg := c.config()
			cfg.Now = func() time.Time { return genesisTime.Time().Add(time.Hour) }
			old := openAt(t, filepath.Join(dir, "store"))
			register, err := store.NewFileRegister(filepath.Join(dir, "last-signed"), nil)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Store, cfg.Register = old, register
			var format *ledger.FormatError
			if _, err := ledger.Open(cfg); !errors.As(err, &format) || format.Version != test.version || !strings.Contains(err.Error(), "bulla ledger rebuild") {
				t.Fatalf("got %v", err)
			}
			before := allRows(t, old)
			rebuilt := openAt(t, filepath.Join(dir, "rebuilt"))
			report, err := ledger.Rebuild(t.Context(), ledger.Entries{Reader: old}, rebuilt, nil)
			if err != nil || report.Size != test.size {
				t.Fatalf("%+v, %v", report, err)
			}
			if len(allRows(t, old)) != len(before) {
				t.Error("the old store was changed")
			}
			cfg.Store = rebuilt
			l, err := ledger.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			next, err := l.NextSequence(landDID)
			if err != nil {
				t.Fatal(err)
			}
			c.opening()
			c.next[landDID], c.issued = next, 1000
			c.submit(l, c.issue(landDID, 3))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			scratch := openAt(t, filepath.Join(dir, "scratch"))
			if _, err := ledger.VerifyStoreOn(t.Context(), rebuilt, register, scratch, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFormatsAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		rows map[string][]byte
		want string
	}{
		"older":        {map[string][]byte{"v": {0, 0, 0, 1}}, "bulla ledger rebuild"},
		"newer":        {map[string][]byte{"v": {0, 0, 0, 99}}, "use the program that wrote it"},
		"no number":    {map[string][]byte{"v": {2}}, "has 1 bytes"},
		"lost version": {map[string][]byte{"s": []byte("{}")}, "no format version"},
	} {
		s := store.NewMemory()
		if err := s.Commit(test.rows); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"machine": func() error { _, err := ledger.NewMachine(s); return err }(),
			"verify":  func() error { _, err := ledger.VerifyStore(t.Context(), s, nil, nil); return err }(),
		} {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// A replay into a store does not keep rows in memory beyond a batch, finds what the one in memory finds, and refuses a
// store that holds anything.
func TestVerifyStoreOnScratch(t *testing.T) {
	_, cfg, want := grown(t)
	for _, scratch := range []ledger.Store{store.NewMemory(), openAt(t, t.TempDir())} {
		got, err := ledger.VerifyStoreOn(t.Context(), cfg.Store, cfg.Register, scratch, nil)
		if err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		if _, err := ledger.VerifyStoreOn(t.Context(), cfg.Store, cfg.Register, scratch, nil); err == nil {
			t.Error("a scratch store was used twice")
		}
	}
	good := allRows(t, cfg.Store)
	if _, err := ledger.VerifyStoreOn(t.Context(), harmed(t, good, "p\x00\x00\x00\x00", nil), nil, store.NewMemory(), nil); err == nil ||
		!strings.Contains(err.Error(), "is missing") {
		t.Errorf("a missing row: %v", err)
	}
}
