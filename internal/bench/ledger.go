package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Load on the ledger of a plain run: so many agencies submit at once, each waiting for its receipt before its next entry.
const (
	submitters   = 64
	smallEntries = 2048 // a run's entries with one commitment
	largeEntries = 64   // a run's entries with entry.MaxBatch commitments
)

// ledgerMeasures: entries are signed (Ed25519) before the clock starts, as that is the agencies' work, and count when they
// are in a signed checkpoint. Seals come once a second. The chain is begun when it is first needed, and closed by close.
func ledgerMeasures(runs int, dir string) (list []measure, close func()) {
	var begun *chain
	begin := sync.OnceValues(func() (_ *chain, err error) {
		if begun, err = newChain(chainConfig{dir: dir, agencies: submitters, interval: 1}); err != nil {
			return nil, err
		}
		return begun, begun.open()
	})
	rate := func(name, unit string, entries, commitments int) measure {
		return measure{name, unit, runs, true, func(ctx context.Context) (float64, error) {
			c, err := begin()
			if err != nil {
				return 0, err
			}
			return c.checked(ctx, entries, commitments)
		}}
	}
	list = []measure{
		rate("ledger_entries", "entries/s", smallEntries, 1),
		rate("ledger_commitments", "commitments/s", largeEntries, entry.MaxBatch),
	}
	return list, func() {
		if begun != nil {
			begun.close()
		}
	}
}

// checked submits n entries, all agencies at once, and returns the commitments a second that were logged.
func (c *chain) checked(ctx context.Context, n, commitments int) (float64, error) {
	lists, err := c.issues(n, commitments)
	if err != nil {
		return 0, err
	}
	return each(ctx, lists, commitments, func(ctx context.Context, e *entry.Entry) error {
		return logged(c.log.Submit(ctx, e.Bytes()))
	})
}

// prepared is [chain.checked] for entries whose signatures and leaves are ready when the clock starts.
func (c *chain) prepared(ctx context.Context, n, commitments int) (float64, error) {
	lists, err := c.issues(n, commitments)
	if err != nil {
		return 0, err
	}
	ready := make([][]*ledger.Prepared, len(lists))
	group := errgroup.Group{}
	for i, list := range lists {
		group.Go(func() error {
			for _, e := range list {
				p, err := c.log.Prepare(e.Bytes())
				if err != nil {
					return err
				}
				ready[i] = append(ready[i], p)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return each(ctx, ready, commitments, func(ctx context.Context, p *ledger.Prepared) error {
		return logged(c.log.SubmitPrepared(ctx, p))
	})
}

// logged checks that a submission came as far as it counts.
func logged(receipt entry.Receipt, err error) error {
	if err == nil && receipt.Level.Rank() < entry.LevelLogged.Rank() {
		return fmt.Errorf("entry %d is %s only", receipt.Index, receipt.Level)
	}
	return err
}

// each hands in all lists at once, each in its order, and returns how many a second, each item counting as so many.
func each[T any](ctx context.Context, lists [][]T, weight int, submit func(context.Context, T) error) (float64, error) {
	group, ctx := errgroup.WithContext(ctx)
	counted := 0
	start := time.Now()
	for _, list := range lists {
		counted += len(list) * weight
		group.Go(func() error {
			for _, item := range list {
				if err := submit(ctx, item); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return math.Round(float64(counted) / time.Since(start).Seconds()), err
}

// host serves an open chain on loopback.
type host struct {
	url    string
	server *http.Server
	done   chan struct{}
}

func (c *chain) serve() (*host, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &host{"http://" + listener.Addr().String(), &http.Server{Handler: c.log.Handler(), ReadHeaderTimeout: 10 * time.Second}, make(chan struct{})}
	go func() {
		defer close(h.done)
		_ = h.server.Serve(listener) // until close
	}()
	return h, nil
}

func (h *host) close() {
	_ = h.server.Close()
	<-h.done
}

// client reads the chain from a host over transport.
func (c *chain) client(h *host, transport http.RoundTripper) (*client.Client, error) {
	return client.New(client.Config{
		URL: h.url, Genesis: c.genesis, Policy: client.Policy{LogKey: c.logKey}, HTTPClient: &http.Client{Transport: transport},
	})
}

// latencies are those of requests, in milliseconds.
type latencies struct {
	mu     sync.Mutex
	values []float64
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, milliseconds(d))
}

// at is the latency that a share of the requests does not exceed.
func (l *latencies) at(share float64) float64 {
	sorted := slices.Sorted(slices.Values(l.values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// overHTTP submits n entries with one commitment from so many submitters, over connections that stay open, until accepted.
func (c *chain) overHTTP(ctx context.Context, n, submitters int) (rate float64, all *latencies, err error) {
	if submitters > len(c.agencies) {
		return 0, nil, errors.New("fewer agencies than submitters")
	}
	h, err := c.serve()
	if err != nil {
		return 0, nil, err
	}
	defer h.close()
	transport := &http.Transport{MaxIdleConnsPerHost: submitters}
	defer transport.CloseIdleConnections()
	submitter, err := c.client(h, transport)
	if err != nil {
		return 0, nil, err
	}
	lists, err := c.issues(n, 1)
	if err != nil {
		return 0, nil, err
	}
	joined := make([][]*entry.Entry, submitters)
	for i, list := range lists {
		joined[i%submitters] = append(joined[i%submitters], list...)
	}
	all = new(latencies)
	rate, err = each(ctx, joined, 1, func(ctx context.Context, e *entry.Entry) error {
		start := time.Now()
		_, err := submitter.Submit(ctx, e)
		all.add(time.Since(start))
		return err
	})
	return rate, all, err
}
