package ledger_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// BenchmarkSubmit measures the whole way of an entry to a signed checkpoint, on a real disk, with 64 agencies at once.
func BenchmarkSubmit(b *testing.B) {
	for name, perEntry := range map[string]int{"1 commitment": 1, "1000 commitments": 1000} {
		b.Run(name, func(b *testing.B) {
			const agencies = 64
			c := newChain(b)
			cfg := c.config()
			dir := b.TempDir()
			p, err := store.Open(store.Config{Dir: dir + "/store", Logger: quiet})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			cfg.Store = p
			if cfg.Register, err = store.NewFileRegister(dir+"/register/signed", nil); err != nil {
				b.Fatal(err)
			}
			l := c.open(cfg)
			defer l.Close()
			dids := c.agencies(l, agencies)
			entries := make([][]byte, b.N)
			for i := range entries {
				entries[i] = c.issue(dids[i%agencies], perEntry)
			}
			b.ResetTimer()
			var wait sync.WaitGroup
			var failed atomic.Value
			for a := range agencies {
				wait.Go(func() {
					for i := a; i < len(entries); i += agencies {
						if _, err := l.Submit(b.Context(), entries[i]); err != nil {
							failed.Store(err)
							return
						}
					}
				})
			}
			wait.Wait()
			if err := failed.Load(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(b.N*perEntry)/b.Elapsed().Seconds(), "commitments/s")
		})
	}
}

// agencies registers n more issuers for the land schema.
func (c *chain) agencies(l *ledger.Log, n int) []string {
	c.t.Helper()
	dids := []string{landDID}
	for i := range n {
		did := "did:web:agency-" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".example"
		d := credential.DigestOf([]byte(did))
		key, err := jose.FromSeed(d[:])
		if err != nil {
			c.t.Fatal(err)
		}
		c.keys[did] = key
		c.submit(l, c.signed(entry.Governance, c.issuer(did, 1<<40)))
		dids = append([]string{did}, dids...)
	}
	all := append([]string(nil), dids[:n]...)
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 { // ascending
		all[i], all[j] = all[j], all[i]
	}
	c.submit(l, c.signed(entry.Governance, entry.SchemaPublished{Schema: c.schema(), Issuers: all}))
	return all
}

// BenchmarkSeal measures a seal over 10,000 new leaves.
func BenchmarkSeal(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c := newChain(b)
		m, err := ledger.NewMachine(store.NewMemory())
		if err != nil {
			b.Fatal(err)
		}
		for _, raw := range c.opening() {
			if _, err := m.Apply(raw); err != nil {
				b.Fatal(err)
			}
		}
		for range 10 {
			if _, err := m.Apply(c.issue(landDID, 1000)); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if _, err := m.DraftSeal(c.time(10)); err != nil {
			b.Fatal(err)
		}
	}
}
