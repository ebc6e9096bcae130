package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

func TestCaches(t *testing.T) {
	for name, open := range map[string]func() client.Cache{
		"memory":    func() client.Cache { return client.NewLRU(1000) },
		"directory": func() client.Cache { return ledgertest.Must(client.OpenDirectory(t.TempDir(), 1000))(t) },
	} {
		t.Run(name, func(t *testing.T) {
			c := open()
			if _, ok := c.Get("active/0/x"); ok {
				t.Error("found what was never put")
			}
			c.Put("active/0/x", []byte("tile"))
			c.Put("active/0/x", []byte("tile again"))
			if data, ok := c.Get("active/0/x"); !ok || string(data) != "tile again" {
				t.Errorf("got %q", data)
			}
			for i := range 100 {
				c.Put(fmt.Sprint("tile/", i), make([]byte, 100))
			}
			kept := 0
			for i := range 100 {
				if _, ok := c.Get(fmt.Sprint("tile/", i)); ok {
					kept++
				}
			}
			if kept < 4 || kept > 10 {
				t.Errorf("kept %d objects of 100 bytes, have room for 1000 bytes", kept)
			}
		})
	}
}

// TestLyingCache gives a client a cache folder in which every file was changed.
func TestLyingCache(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	for range 300 {
		h.Issue("", 1)
	}
	seal := h.Seal(ledgertest.Start + 10)
	folder := t.TempDir()
	for range 2 {
		cache := ledgertest.Must(client.OpenDirectory(folder, 1<<20))(t)
		c := h.Client(func(cfg *client.Config) { cfg.Cache = cache })
		if _, err := c.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Group(t.Context(), seal.ActiveRoot, 1); err != nil {
			t.Fatal(err)
		}
		files := ledgertest.Must(filepath.Glob(folder + "/*.object"))(t)
		if len(files) < 5 {
			t.Fatalf("%d files in the cache", len(files))
		}
		for _, f := range files {
			data := ledgertest.Must(os.ReadFile(f))(t)
			if err := os.WriteFile(f, flip(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestFullTileForPartial asks a host that keeps no partial tiles once they are full.
func TestFullTileForPartial(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 1)
	h.Seal(ledgertest.Start + 10)
	old := h.Checkpoint
	for range 300 {
		h.Issue("", 1)
	}
	h.Seal(ledgertest.Start + 20)
	h.Checkpoint = old
	h.Server.Config.Handler = missing(h, "000.p/")
	if _, err := h.Client(nil).Update(t.Context()); err != nil {
		t.Error(err)
	}
}
