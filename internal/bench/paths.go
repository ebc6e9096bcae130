package bench

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// othersIssue is how many credentials others are issued between two paths of one wallet.
const othersIssue = 10_000

// downloads are the bytes that a wallet reads from the network for fresh paths of one leaf.
type downloads struct{ first, again int64 }

// paths are the figures of what a wallet downloads: with nothing kept, and again, with what it kept, after others were issued
// theirs. Everything that comes over the connection counts, headers too; the handler and the client are the real ones.
func (l *large) paths() []measure {
	var once sync.Once
	var got downloads
	var failed error
	figure := func(name string, value func() int64) measure {
		return measure{name, "bytes", 1, false, func(ctx context.Context) (float64, error) {
			if err := l.load(ctx); err != nil {
				return 0, err
			}
			once.Do(func() { got, failed = l.download(ctx) })
			return float64(value()), failed
		}}
	}
	return []measure{
		figure(scalePrefix+"path_first", func() int64 { return got.first }),
		figure(scalePrefix+"path_again", func() int64 { return got.again }),
	}
}

// download opens the chain for it, and leaves it longer, and closed.
func (l *large) download(ctx context.Context) (got downloads, err error) {
	c := l.chain
	if err := c.reopen(); err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	h, err := c.serve()
	if err != nil {
		return got, err
	}
	defer h.close()
	counter := new(counter)
	transport := counter.transport()
	defer transport.CloseIdleConnections()
	wallet, err := c.client(h, transport)
	if err != nil {
		return got, err
	}
	if err := c.awaitPublished(ctx, 0); err != nil {
		return got, err
	}
	if err := path(ctx, wallet, ownIndex); err != nil {
		return got, err
	}
	got.first = counter.read.Swap(0)
	last, err := c.others(ctx)
	if err != nil {
		return got, err
	}
	if err := c.awaitPublished(ctx, last); err != nil {
		return got, err
	}
	err = path(ctx, wallet, ownIndex)
	got.again = counter.read.Load()
	return got, err
}

// path does what a wallet does before it presents: it takes up the newest checkpoint, finds the newest seal of the grid
// in the last hour, and fetches the group of its leaf.
func path(ctx context.Context, wallet *client.Client, leaf uint64) error {
	view, err := wallet.Update(ctx)
	if err != nil {
		return err
	}
	seals, err := wallet.GridSeals(ctx, view, time.Hour, 0)
	if err != nil {
		return err
	}
	if len(seals) == 0 {
		return errors.New("there is no seal of the last hour")
	}
	group, err := wallet.Group(ctx, seals[len(seals)-1].Seal.ActiveRoot, leaf)
	if err != nil {
		return err
	}
	_, value, err := group.Path(leaf)
	if err == nil && value.IsZero() {
		err = errors.New("the leaf is not active")
	}
	return err
}

// others are issued credentials. It returns the last entry's index.
func (c *chain) others(ctx context.Context) (last uint64, err error) {
	lists, err := c.issues(othersIssue/entry.MaxBatch, entry.MaxBatch)
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		for _, e := range list {
			receipt, err := c.log.Submit(ctx, e.Bytes())
			if err != nil {
				return 0, err
			}
			last = max(last, receipt.Index)
		}
	}
	return last, nil
}

// awaitPublished waits until the entry at an index is sealed, and the seal served.
func (c *chain) awaitPublished(ctx context.Context, index uint64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	receipt, err := c.log.Receipt(ctx, index, entry.LevelSealed)
	if err == nil && receipt.Level != entry.LevelSealed {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	_, err = c.log.Published()
	return err
}

// counter counts what its connections read.
type counter struct{ read atomic.Int64 }

func (n *counter) transport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 8, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return counted{conn, n}, nil
	}}
}

type counted struct {
	net.Conn
	counter *counter
}

// Read counts.
func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.counter.read.Add(int64(n))
	return n, err
}
