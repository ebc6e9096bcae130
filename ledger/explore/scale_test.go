package explore_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// TestScale measures the index of a long chain: BULLA_EXPLORE_ENTRIES says how long.
func TestScale(t *testing.T) {
	entries, err := strconv.Atoi(os.Getenv("BULLA_EXPLORE_ENTRIES"))
	if err != nil {
		t.Skip("BULLA_EXPLORE_ENTRIES is not set: nothing is measured")
	}
	host := ledgertest.NewHost(t, nil)
	at := start
	for len(host.Entries) < entries {
		for n := range 50 {
			host.Issue(fmt.Sprint(n), 10)
		}
		at += 600
		host.Apply(entry.Operator, host.Operator, host.Draft(at))
	}
	host.Seal(at + 10)
	cfg := host.Config()
	dir := t.TempDir()
	x := ledgertest.Must(explore.Open(explore.Config{
		Profile: client.Profile{Ledger: cfg.URL, Genesis: cfg.Genesis, Policy: cfg.Policy}, Dir: dir, Clock: host.Clock, Memory: new(client.Forgetful),
	}))(t)
	defer x.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	if err := x.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	h := x.Head()
	t.Logf("%d entries, %d credentials: %s, %.0f entries a second; heap %d MiB more", h.Size, h.Leaves, took.Round(time.Millisecond),
		float64(h.Size)/took.Seconds(), (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>20)
	var entriesSize, onDisk int64
	for _, raw := range host.Entries {
		entriesSize += int64(len(raw))
	}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			onDisk += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB of entries, %d MiB on disk", entriesSize>>20, onDisk>>20)
	probe := func(name string, do func(i uint64) error) {
		began := time.Now()
		const rounds = 500
		for i := range uint64(rounds) {
			if err := do(i); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		t.Logf("%s: %s each", name, time.Since(began)/rounds)
	}
	probe("entry", func(i uint64) error { _, err := x.Entry(i * 7919 % h.Size); return err })
	probe("page of an issuer", func(i uint64) error {
		_, _, err := x.List(explore.About(ledgertest.LandDID), h.Size-i*20, 25)
		return err
	})
	probe("sixty days of an issuer by the hour", func(uint64) error {
		_, err := x.HoursOf(ledgertest.LandDID, time.Time{}, 60*24)
		return err
	})
	probe("commitment", func(i uint64) error {
		e, err := x.Entry(3 + i)
		if err != nil {
			return err
		}
		issued, ok := e.Payload.(entry.CredentialsIssued)
		if !ok {
			return nil
		}
		text, _ := issued.Commitments[0].MarshalText()
		found, err := x.Find(string(text))
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("found %d", len(found))
		}
		return err
	})
	probe("inclusion proof", func(i uint64) error { _, err := x.Inclusion(i, h.Size); return err })
	probe("consistency proof", func(i uint64) error { _, err := x.Consistency(i+1, h.Size); return err })
}
