package records_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/bulla-id/bulla/issuer/records"
)

// After Forget no file has the bytes of a row that was deleted before, neither tables nor journals; before it, some do.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	p := open(t, records.Config{Dir: dir, Key: key})
	for n := range 50 {
		if err := p.Commit(map[string][]byte{fmt.Sprintf("datakey/%02d", n): []byte("a data key"), fmt.Sprintf("case/%02d", n): []byte("a row")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil { // so that the row is in a table
		t.Fatal(err)
	}
	sealed := rawRow(t, dir, "datakey/07")
	p = open(t, records.Config{Dir: dir, Key: key})
	if err := p.Commit(map[string][]byte{"datakey/07": nil}); err != nil {
		t.Fatal(err)
	}
	if !inFiles(t, dir, sealed) {
		t.Fatal("the deleted row is nowhere: the test proves nothing")
	}
	if err := p.Forget(); err != nil {
		t.Fatal(err)
	}
	wantGone(t, dir, sealed)
	// A row that was only ever in the journal, which Pebble would use again.
	if err := p.Commit(map[string][]byte{"datakey/99": []byte("a data key")}); err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	sealed = rawRow(t, copied, "datakey/99")
	if !inFiles(t, dir, sealed) {
		t.Fatal("the row is nowhere: the test proves nothing")
	}
	if err := p.Commit(map[string][]byte{"datakey/99": nil}); err != nil {
		t.Fatal(err)
	}
	if err := p.Forget(); err != nil {
		t.Fatal(err)
	}
	wantGone(t, dir, sealed)
	if v, err := p.Get("datakey/08"); err != nil || string(v) != "a data key" {
		t.Errorf("a row that was not deleted: %q, %v", v, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func rawRow(t *testing.T, dir, key string) []byte {
	t.Helper()
	raw, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatValueSeparation, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	value, closer, err := raw.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return bytes.Clone(value)
}

// wantGone waits for the old files to be deleted, which Pebble does beside.
func wantGone(t *testing.T, dir string, row []byte) {
	t.Helper()
	for range 200 {
		if !inFiles(t, dir, row) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the deleted row is in a file")
}

// inFiles tells whether any file has the end of a row: compression may have taken its beginning apart.
func inFiles(t *testing.T, dir string, row []byte) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		found = found || bytes.Contains(data, row[len(row)-16:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
