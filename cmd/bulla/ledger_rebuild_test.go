package main

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/store"
)

// A store of format version 1 is rebuilt in place: the old one stays beside it, and nothing happens if it cannot be done.
func TestLedgerRebuild(t *testing.T) {
	archive, err := zip.OpenReader("../../ledger/testdata/store-format-1.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	data := t.TempDir()
	if err := os.CopyFS(data, archive); err != nil {
		t.Fatal(err)
	}
	dir, register := filepath.Join(data, "store"), filepath.Join(data, "last-signed")
	run := func() (string, ledger.Report, error) { return rebuild(t.Context(), dir, register, "", func(uint64) {}) }

	signed, err := os.ReadFile(register)
	if err := errors.Join(err, os.WriteFile(register, []byte(strings.Replace(string(signed), "\n27\n", "\n28\n", 1)), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(); err == nil || !strings.Contains(err.Error(), "register") {
		t.Errorf("beside another register: %v", err)
	}
	if err := os.WriteFile(register, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(dir + ".*"); err != nil || len(left) > 0 {
		t.Errorf("a failed rebuild leaves %v, %v", left, err)
	}

	old, report, err := run()
	if err != nil || report.Size != 27 {
		t.Fatalf("%+v, %v", report, err)
	}
	if _, err := os.Stat(filepath.Join(old, "MANIFEST-000001")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	again, err := verifyStore(t.Context(), dir, register, func(uint64) {})
	if err != nil || again.Root != report.Root {
		t.Errorf("the new store: %+v, %v", again, err)
	}
	before, err := store.Open(store.Config{Dir: old})
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	var format *ledger.FormatError
	if _, err := ledger.NewMachine(before); !errors.As(err, &format) {
		t.Errorf("the old store: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(data, "bulla-replay-*")); err != nil || len(left) > 0 {
		t.Errorf("scratch is left: %v, %v", left, err)
	}
}
