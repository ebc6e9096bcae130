package client_test

import (
	"testing"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// BenchmarkGroup fetches and checks a full group of 4,096 leaves with nothing cached, as a wallet does.
func BenchmarkGroup(b *testing.B) {
	h := ledgertest.NewHost(b, nil)
	for range 5 {
		h.Issue("", 1000)
	}
	seal := h.Seal(ledgertest.Start + 10)
	for b.Loop() {
		c := h.Client(func(cfg *client.Config) { cfg.Cache = client.NewLRU(0) })
		g := ledgertest.Must(c.Group(b.Context(), seal.ActiveRoot, 1234))(b)
		if g.Live() != 4096 {
			b.Fatal("the group is not full")
		}
	}
}

// BenchmarkUpdate takes up a chain of 1,000 entries from nothing, as a wallet's first start does.
func BenchmarkUpdate(b *testing.B) {
	h := ledgertest.NewHost(b, nil)
	for range 1000 {
		h.Issue("", 1)
	}
	h.Seal(ledgertest.Start + 10)
	for b.Loop() {
		ledgertest.Must(h.Client(nil).Update(b.Context()))(b)
	}
}
