package verifier_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bulla-id/bulla/verifier/store"
)

// posting is a response, ready to be posted.
type posting struct{ session, path, form string }

// postings makes sessions with a response for each, by persons who differ.
func (w *world) postings(policy string, n int) []posting {
	w.t.Helper()
	list := make([]posting, n)
	for i, person := range w.residents(n) {
		list[i] = w.posting(policy, person)
	}
	return list
}

func (w *world) posting(policy string, person *held) posting {
	w.t.Helper()
	started, request, id := w.begin(policy)
	form := url.Values{"vp_token": {string(encode(w.t, w.answer(request, person)))}, "state": {request.State}}
	return posting{started.ID, "/oid4vp/responses/" + id, form.Encode()}
}

// BenchmarkRespond posts responses with forged proofs over HTTP, from 64 clients in the same process: what the check of a
// presentation takes from its first byte to its answer, with synced commits, and with a register that is written after each.
func BenchmarkRespond(b *testing.B) {
	b.Run("store", func(b *testing.B) { benchmarkRespond(b, nil) })
	b.Run("register", func(b *testing.B) { benchmarkRespond(b, store.FileRegister(filepath.Join(b.TempDir(), "register"))) })
}

func benchmarkRespond(b *testing.B, register store.Register) {
	w := newWorld(b)
	s, err := store.Open(store.Config{Dir: b.TempDir(), Register: register})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	w.store = s
	w.start()
	list := w.postings("subsidy", b.N)
	server := httptest.NewServer(w.handler)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	before := processorTime(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				r, err := client.Post(server.URL+list[i].path, formType, strings.NewReader(list[i].form))
				if err != nil {
					b.Error(err)
					return
				}
				r.Body.Close()
				if r.StatusCode != http.StatusOK {
					b.Errorf("status %d", r.StatusCode)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/response")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "responses/s")
}

// processorTime is that of the process, of clients and server.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
