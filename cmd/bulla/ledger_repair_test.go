package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/ledger/mirror"
	"github.com/bulla-id/bulla/ledger/store"
)

// entries are a source.
type entries [][]byte

func (e entries) Entry(index uint64) ([]byte, error) {
	if index >= uint64(len(e)) {
		return nil, ledger.ErrAbsent
	}
	return e[index], nil
}

// original is a stopped ledger's folder, with a mirror of it that runs, and the mirror's profile in a file.
type original struct {
	*testing.T
	host                   *ledgertest.Host
	dir, register, profile string
}

func newOriginal(t *testing.T) *original {
	data := t.TempDir()
	o := &original{T: t, host: ledgertest.NewHost(t, nil), dir: filepath.Join(data, "store"), register: filepath.Join(data, "last-signed")}
	o.profile = filepath.Join(data, "mirror.json")
	for i := range 3 {
		o.host.Issue("", 200)
		o.host.Seal(ledgertest.Start + credential.UnixTime(10*i+10))
	}
	rows := ledgertest.Must(store.Open(store.Config{Dir: o.dir}))(t)
	if _, err := ledger.Rebuild(t.Context(), entries(o.host.Entries), rows, nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rows.Close(), os.WriteFile(o.register, o.host.Checkpoint, 0o600)); err != nil {
		t.Fatal(err)
	}
	o.mirrored()
	return o
}

// mirrored runs a mirror of it.
func (o *original) mirrored() {
	cfg := o.host.Config()
	profile := client.Profile{Ledger: cfg.URL, Genesis: cfg.Genesis, Policy: cfg.Policy}
	m := ledgertest.Must(mirror.New(mirror.Config{
		Profile: profile, Store: store.NewMemory(), Memory: client.File(filepath.Join(o.TempDir(), "seen")), Evidence: o.TempDir(),
		Clock: o.host.Clock, Logger: slog.New(slog.DiscardHandler),
	}))(o.T)
	if err := m.Sync(o.Context()); err != nil {
		o.Fatal(err)
	}
	server := httptest.NewServer(m.Handler())
	o.Cleanup(server.Close)
	profile.Ledger = server.URL
	if err := os.WriteFile(o.profile, ledgertest.Must(json.Marshal(profile))(o.T), 0o600); err != nil {
		o.Fatal(err)
	}
}

// harm takes entries out of the store, and a hash.
func (o *original) harm(indexes ...uint64) {
	rows := ledgertest.Must(store.Open(store.Config{Dir: o.dir}))(o.T)
	gone := map[string][]byte{"h\x00\x00\x00\x00\x00\x00\x00\x01": nil, "m": []byte("damage")}
	for _, index := range indexes {
		gone[string(binary.BigEndian.AppendUint64([]byte("e"), index))] = nil
	}
	if err := errors.Join(rows.Commit(gone), rows.Close()); err != nil {
		o.Fatal(err)
	}
}

func (o *original) verifies() {
	o.Helper()
	report, err := verifyStore(o.Context(), o.dir, o.register, func(uint64) {})
	if err != nil || report.Size != uint64(len(o.host.Entries)) {
		o.Errorf("%+v, %v", report, err)
	}
}

// A store is repaired in place from a mirror that runs; without one, nothing is written.
func TestLedgerRepairFromMirror(t *testing.T) {
	o := newOriginal(t)
	o.harm(0, 3)
	run := func(from string) (ledger.Repaired, error) {
		return repair(context.Background(), o.dir, o.register, from, func(uint64) {})
	}
	var unrepairable *ledger.Unrepairable
	if _, err := run(""); !errors.As(err, &unrepairable) || !strings.Contains(err.Error(), "bulla ledger rebuild") {
		t.Fatalf("without a mirror: %v", err)
	}
	done, err := run(o.profile)
	if err != nil || len(done.Entries) != 2 || done.Fixed["e"] != 2 || done.Fixed["h"] != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	o.verifies()
	if done, err = run(o.profile); err != nil || len(done.Fixed) != 0 {
		t.Errorf("again: %+v, %v", done, err)
	}
}

// A store whose files cannot be read is made anew from the mirror's entries.
func TestLedgerRebuildFromMirror(t *testing.T) {
	o := newOriginal(t)
	o.harm(0, 3)
	if _, _, err := rebuild(t.Context(), o.dir, o.register, "", func(uint64) {}); err == nil {
		t.Fatal("rebuilt without its entries")
	}
	if _, _, err := rebuild(t.Context(), o.dir, o.register, o.profile, func(uint64) {}); err != nil {
		t.Fatal(err)
	}
	o.verifies()
	for _, name := range ledgertest.Must(filepath.Glob(filepath.Join(o.dir, "MANIFEST-*")))(t) {
		if err := os.WriteFile(name, []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repair(t.Context(), o.dir, o.register, o.profile, func(uint64) {}); err == nil || !strings.Contains(err.Error(), "bulla ledger rebuild") {
		t.Fatalf("repaired without a manifest: %v", err)
	}
	if _, _, err := rebuild(t.Context(), o.dir, o.register, o.profile, func(uint64) {}); err != nil {
		t.Fatal(err)
	}
	o.verifies()
}
