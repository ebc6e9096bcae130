package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// observed is a chain whose checkpoints need two of three cosigners, over days.
type observed struct {
	*testing.T
	*chain
	cfg       ledger.Config
	clock     hands
	cosigners []*cosigner
}

func newObserved(t *testing.T, dev bool) *observed {
	o := &observed{T: t, chain: newChain(t, func(g *entry.Genesis) { g.Dev, g.GridSeconds = dev, 600 })}
	o.cfg = o.config()
	o.cfg.Now, o.cfg.RetryAfter, o.cfg.Threshold = o.clock.now, 10*time.Millisecond, 2
	for i, name := range []string{"university.example", "press.example", "court.example"} {
		w := newCosigner(t, o.chain, name, byte(i+1))
		server := httptest.NewServer(w)
		t.Cleanup(server.Close)
		o.cosigners = append(o.cosigners, w)
		o.cfg.Cosigners = append(o.cfg.Cosigners, ledger.TrustedCosigner{Key: w.key, Cosigner: ledger.NewHTTPCosigner(server.URL, server.Client())})
	}
	return o
}

// up says which of the cosigners answer.
func (o *observed) up(which ...int) {
	for i, w := range o.cosigners {
		w.mu.Lock()
		w.down = true
		for _, up := range which {
			w.down = w.down && i != up
		}
		w.mu.Unlock()
	}
}

// issued submits an entry and waits until it is sealed.
func (o *observed) issued(l *ledger.Log) {
	o.Helper()
	o.clock.seconds.Add(10)
	raw := o.issue(landDID, 1)
	receipt := o.submit(l, raw)
	ctx, cancel := context.WithTimeout(o.Context(), 10*time.Second)
	defer cancel()
	receipt = ledgertest.Must(l.Receipt(ctx, receipt.Index, entry.LevelSealed))(o.T)
	if receipt.Level != entry.LevelSealed {
		o.Fatalf("an entry is %s after ten seconds", receipt.Level)
	}
}

// day is a log that opens, publishes and closes.
func (o *observed) day() {
	o.Helper()
	l := o.chain.open(o.cfg)
	o.issued(l)
	if err := l.Close(); err != nil {
		o.Fatal(err)
	}
}

// copied is store and register as of now, with a record of what is signed from here on.
func (o *observed) copied() (ledger.Config, *history) {
	o.Helper()
	cfg, h := o.cfg, newHistory(o.T)
	cfg.Store = harmed(o.T, allRows(o.T, o.cfg.Store), "", nil)
	cfg.Register = &memoryRegister{content: ledgertest.Must(o.cfg.Register.Read())(o.T)}
	cfg.LogSigner = &life{o.cfg.LogSigner, h, always}
	return cfg, h
}

func (h *history) signed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.roots)
}

// eventually waits for a condition, a few seconds at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after ten seconds: %s", what)
		}
	}
}

// Store and register put back together do not know it, but a cosigner does.
func TestCosignersRememberWhatWasSigned(t *testing.T) {
	for _, dev := range []bool{true, false} {
		o := newObserved(t, dev)
		o.day()
		yesterday, h := o.copied()
		o.day()
		o.up(2) // one is enough to tell
		if l, err := ledger.Open(yesterday); err == nil || !strings.Contains(err.Error(), "were put back together") {
			t.Errorf("dev %t: it opens: %v", dev, err)
			l.Close()
		}
		if h.signed() > 0 {
			t.Errorf("dev %t: it signed", dev)
		}
		o.up()
		l, err := ledger.Open(o.cfg) // cosigners that are away keep no ledger from opening
		if err != nil {
			t.Fatal(err)
		}
		if unheard := errors.Is(l.Ready(), ledger.ErrUnheard); unheard == dev {
			t.Errorf("dev %t: %v", dev, l.Ready())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Outside dev chains a ledger that was put back signs nothing while no cosigner answers, and stops when one does.
func TestNothingIsSignedUnheard(t *testing.T) {
	o := newObserved(t, false)
	o.day()
	yesterday, h := o.copied()
	o.day()
	o.up()
	l, err := ledger.Open(yesterday)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Published(); err != nil {
		t.Errorf("what was published is not served: %v", err)
	}
	server := httptest.NewServer(l.Handler())
	defer server.Close()
	response := ledgertest.Must(http.Get(server.URL + "/readyz"))(t)
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(l.Status().Problem, "2 more must") {
		t.Errorf("readyz %d, %+v", response.StatusCode, l.Status())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if receipt, err := l.Submit(ctx, o.numbered(landDID, o.next[landDID]-1, entry.CredentialsIssued{Schema: o.land, Commitments: o.commitments(1)})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an entry is taken: %+v, %v", receipt, err)
	}
	o.up(1)
	eventually(t, "the log stops", func() bool { return errors.Is(l.Ready(), ledger.ErrStopped) })
	if err := l.Ready(); !strings.Contains(err.Error(), "were put back together") || h.signed() > 0 {
		t.Errorf("%d signed: %v", h.signed(), err)
	}
}

// A ledger that was not put back waits for two of three, and goes on: what was durable and not signed yet is signed then.
func TestSigningWaitsForCosigners(t *testing.T) {
	o := newObserved(t, false)
	o.day()
	cfg, h := o.copied()
	m := ledgertest.Must(ledger.NewMachine(cfg.Store))(t)
	unsigned := o.issue(landDID, 1)
	index := ledgertest.Must(m.Apply(unsigned))(t).Index
	if err := cfg.Store.Commit(ledgertest.Must(m.Changes())(t)); err != nil {
		t.Fatal(err)
	}
	o.up()
	l, err := ledger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	o.up(0)
	eventually(t, "one has spoken", func() bool { return strings.Contains(l.Status().Problem, "1 more must") })
	time.Sleep(50 * time.Millisecond) // some more rounds
	if receipt := ledgertest.Must(l.Receipt(t.Context(), index, entry.LevelAccepted))(t); receipt.Level != entry.LevelAccepted || h.signed() > 0 {
		t.Errorf("%d signed, the entry is %s", h.signed(), receipt.Level)
	}
	o.up(1) // the first has spoken: it may leave
	eventually(t, "the log is ready", func() bool { return l.Ready() == nil })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if receipt := ledgertest.Must(l.Receipt(ctx, index, entry.LevelLogged))(t); receipt.Level != entry.LevelLogged {
		t.Errorf("the entry is %s", receipt.Level)
	}
	o.up(0, 1, 2)
	o.issued(l)
	h.check()
}

// A log can be closed while it waits, and opened again.
func TestCloseWhileCosignersAreAwaited(t *testing.T) {
	o := newObserved(t, false)
	o.day()
	o.up()
	for range 2 {
		l, err := ledger.Open(o.cfg)
		if err != nil {
			t.Fatal(err)
		}
		submitted := make(chan error, 1)
		go func() {
			_, err := l.Submit(t.Context(), o.first)
			submitted <- err
		}()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := <-submitted; !errors.Is(err, ledger.ErrStopped) {
			t.Errorf("a submission ends with %v", err)
		}
	}
}

// forked is a cosigner that signed another tree.
type forked struct{ rubbish }

func (forked) SignedSize(context.Context, ledger.CosignRequest) (uint64, error) {
	return 0, fmt.Errorf("asked: %w", ledger.ErrForked)
}

func TestForkedCosigner(t *testing.T) {
	o := newObserved(t, false)
	o.day()
	cfg, h := o.copied()
	cfg.Cosigners = append([]ledger.TrustedCosigner{}, cfg.Cosigners...)
	cfg.Cosigners[1].Cosigner = forked{}
	if l, err := ledger.Open(cfg); err == nil || !strings.Contains(err.Error(), "press.example signed another tree") || h.signed() > 0 {
		t.Errorf("it opens: %v", err)
		l.Close()
	}
}

// What the answers of a cosigner over HTTP say about its size.
func TestSignedSize(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		mediaType string
		body      string
		want      uint64
		err       string
	}{
		"signed again":           {200, "text/plain", "— a.example AAAAAAAA\n", 7, ""},
		"larger":                 {409, "text/x.tlog.size", "12\n", 12, ""},
		"smaller, parameters":    {409, "text/x.tlog.size; charset=utf-8", "0\n", 0, ""},
		"no size":                {409, "text/x.tlog.size", "many\n", 7, "without a size"},
		"another tree":           {409, "application/problem+json", "{}", 0, "another tree"},
		"another tree, no type":  {409, "", "", 0, "another tree"},
		"another tree, by proof": {422, "text/plain", "", 0, "another tree"},
		"another log":            {403, "", "", 7, "403"},
		"busy":                   {503, "", "", 7, "503"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		size, err := ledger.NewHTTPCosigner(server.URL, server.Client()).SignedSize(t.Context(), ledger.CosignRequest{
			Checkpoint: []byte("x"), Size: 7, Prove: func(uint64) ([]tlog.Hash, error) { return nil, nil },
		})
		server.Close()
		if size != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || errors.Is(err, ledger.ErrForked) != (c.err == "another tree") {
			t.Errorf("%s: %d, %v", name, size, err)
		}
	}
}
