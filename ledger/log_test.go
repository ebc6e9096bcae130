package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// memoryRegister is a register for tests.
type memoryRegister struct {
	mu      sync.Mutex
	content []byte
}

func (r *memoryRegister) Read() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.content == nil {
		return nil, ledger.ErrAbsent
	}
	return bytes.Clone(r.content), nil
}

func (r *memoryRegister) Swap(old, content []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !bytes.Equal(r.content, old) {
		return errors.New("another content")
	}
	r.content = bytes.Clone(content)
	return nil
}

var quiet = slog.New(slog.DiscardHandler)

// config is for a log of the chain, in memory. Its clock begins at the chain's genesis and goes as the bubble's does.
func (c *chain) config() ledger.Config {
	ahead := time.Until(genesisTime.Time())
	return ledger.Config{
		Store: store.NewMemory(), Register: &memoryRegister{}, LogSigner: c.logSigner, Operator: c.keys[entry.Operator], Logger: quiet,
		Now: func() time.Time { return time.Now().Add(ahead) },
	}
}

// open founds the chain if need be, opens its log, and submits the opening.
func (c *chain) open(cfg ledger.Config) *ledger.Log {
	c.t.Helper()
	if err := ledger.Found(cfg, c.first); err != nil {
		c.t.Fatal(err)
	}
	l, err := ledger.Open(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.land.IsZero() {
		for _, raw := range c.opening()[1:] {
			c.submit(l, raw)
		}
	}
	return l
}

func (c *chain) submit(l *ledger.Log, raw []byte) entry.Receipt {
	c.t.Helper()
	receipt, err := l.Submit(c.t.Context(), raw)
	if err != nil {
		c.t.Fatal(err)
	}
	return receipt
}

// verify checks a receipt with x/mod and, as a second opinion, with transparency-dev/merkle.
func (c *chain) verify(r entry.Receipt, raw []byte) log.Checkpoint {
	c.t.Helper()
	if err := r.Validate(); err != nil {
		c.t.Fatal(err)
	}
	verifier, err := note.NewVerifier(c.logKey)
	if err != nil {
		c.t.Fatal(err)
	}
	n, err := note.Open([]byte(r.Checkpoint), note.VerifierList(verifier))
	if err != nil {
		c.t.Fatal(err)
	}
	var head log.Checkpoint
	if _, err := head.Unmarshal([]byte(n.Text)); err != nil {
		c.t.Fatal(err)
	}
	var hashes tlog.RecordProof
	for _, h := range r.Proof {
		hashes = append(hashes, tlog.Hash(h))
	}
	if err := tlog.CheckRecord(hashes, int64(head.Size), tlog.Hash(head.Hash), int64(r.Index), tlog.RecordHash(raw)); err != nil {
		c.t.Fatalf("entry %d of %d: %v", r.Index, head.Size, err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, r.Index, head.Size, rfc6962.DefaultHasher.HashLeaf(raw), r.Proof, head.Hash); err != nil {
		c.t.Fatal(err)
	}
	return head
}

func TestReceiptsRiseThroughTheLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		l := c.open(c.config())
		defer l.Close()
		if _, err := l.Published(); !errors.Is(err, ledger.ErrAbsent) {
			t.Fatalf("published before the first seal: %v", err)
		}
		raw := c.issue(landDID, 3)
		receipt := c.submit(l, raw)
		if receipt.Level != entry.LevelLogged || receipt.Index != 5 || receipt.Leaves != 3 {
			t.Fatalf("receipt %+v", receipt)
		}
		c.verify(receipt, raw)

		short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		waited, err := l.Receipt(short, 5, entry.LevelSealed)
		if err != nil || waited.Level != entry.LevelLogged {
			t.Fatalf("after 3 s: %s, %v", waited.Level, err)
		}
		sealed, err := l.Receipt(t.Context(), 5, entry.LevelSealed)
		if err != nil || sealed.Level != entry.LevelSealed {
			t.Fatalf("%s, %v", sealed.Level, err)
		}
		if head := c.verify(sealed, raw); head.Size != 7 {
			t.Errorf("sealed checkpoint of %d entries, want 7: the seal is the last", head.Size)
		}
		published, err := l.Published()
		if err != nil || string(published) != sealed.Checkpoint {
			t.Errorf("published %q, %v", published, err)
		}
		again, err := l.Submit(t.Context(), raw)
		if !errors.Is(err, ledger.ErrAlreadyLogged) || again.Index != 5 || again.Level != entry.LevelSealed {
			t.Errorf("again: %+v, %v", again, err)
		}
		if _, err := l.Receipt(t.Context(), 99, entry.LevelAccepted); !errors.Is(err, ledger.ErrAbsent) {
			t.Errorf("receipt of an entry that is not there: %v", err)
		}
	})
}

// Seals come at most once an interval, at least once in the longest pause even if empty, and never ahead of the clock.
func TestSealTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		cfg := c.config()
		l := c.open(cfg)
		for range 40 {
			c.submit(l, c.issue(landDID, 1))
			time.Sleep(time.Second)
		}
		time.Sleep(2000 * time.Second)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		report, err := ledger.VerifyStore(t.Context(), cfg.Store, cfg.Register, nil)
		if err != nil {
			t.Fatal(err)
		}
		var times []int64
		for i := uint64(0); i < report.Size; i++ {
			raw, err := ledger.Entries{Reader: cfg.Store}.Entry(i)
			if err != nil {
				t.Fatal(err)
			}
			e, err := entry.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			if e.Header().Kind != entry.KindSeal {
				continue
			}
			p, err := e.ParsePayload()
			if err != nil {
				t.Fatal(err)
			}
			times = append(times, int64(p.(entry.Seal).Time-genesisTime))
		}
		want := []int64{10, 20, 30, 40, 630, 1220, 1810}
		if fmt.Sprint(times) != fmt.Sprint(want) {
			t.Errorf("seals at %v, want %v", times, want)
		}
	})
}

func TestManyAtOnceShareCommits(t *testing.T) {
	c := newChain(t)
	l := c.open(c.config())
	defer l.Close()
	const n = 64
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = c.issue(landDID, 1)
	}
	// Out of order, all but the next are refused, and the refusal names the next: so each is retried until it fits.
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := worker; i < n; i += 8 {
				for {
					_, err := l.Submit(t.Context(), entries[i])
					if err == nil || errors.Is(err, ledger.ErrAlreadyLogged) {
						break
					}
					if !errors.Is(err, ledger.ErrSequence) && !errors.Is(err, ledger.ErrBusy) {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wait.Wait()
	if next, err := l.NextSequence(landDID); err != nil || next != n {
		t.Errorf("next number %d, %v", next, err)
	}
}

func TestBusy(t *testing.T) {
	c := newChain(t)
	cfg := c.config()
	slow := &slowStore{Store: cfg.Store, release: make(chan struct{})}
	cfg.Store, cfg.MaxPending, cfg.MaxBatch = slow, 1, 1
	if err := ledger.Found(cfg, c.first); err != nil {
		t.Fatal(err)
	}
	slow.hold.Store(true)
	l, err := ledger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	entries := c.opening()[1:]
	results := make(chan error, len(entries))
	for i, raw := range entries {
		go func() {
			_, err := l.Submit(t.Context(), raw)
			results <- err
		}()
		if i == 0 {
			slow.entered()
		}
	}
	const taken = 3 // at most: one is being written, one is applied, one waits
	if len(entries) <= taken {
		t.Fatal("too few entries")
	}
	for range len(entries) - taken {
		if err := <-results; !errors.Is(err, ledger.ErrBusy) {
			t.Error(err)
		}
	}
	slow.hold.Store(false)
	close(slow.release)
	for range taken {
		<-results
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Submit(t.Context(), entries[0]); !errors.Is(err, ledger.ErrStopped) {
		t.Errorf("after Close: %v", err)
	}
}

// cosigner is a C2SP tlog-witness for tests: it checks consistency and signs. It does not replay.
type cosigner struct {
	t      testing.TB
	log    note.Verifier
	signer note.Signer
	key    string
	mu     sync.Mutex
	size   uint64
	root   []byte
	asked  []uint64 // the old sizes it was asked for
	down   bool
}

func newCosigner(t testing.TB, c *chain, name string, seed byte) *cosigner {
	t.Helper()
	skey, vkey, err := note.GenerateKey(&seedReader{seed}, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := fnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(c.logKey)
	if err != nil {
		t.Fatal(err)
	}
	return &cosigner{t: t, log: verifier, signer: signer, key: key}
}

// ServeHTTP implements POST /add-checkpoint.
func (w *cosigner) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	head, checkpoint, found := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	var old uint64
	if _, scan := fmt.Sscanf(lines[0], "old %d", &old); err != nil || !found || scan != nil || r.URL.Path != "/add-checkpoint" || w.down {
		http.Error(out, "no", http.StatusInternalServerError)
		return
	}
	w.asked = append(w.asked, old)
	n, err := note.Open([]byte(checkpoint), note.VerifierList(w.log))
	if err != nil {
		http.Error(out, "unknown log", http.StatusForbidden)
		return
	}
	var tree log.Checkpoint
	if _, err := tree.Unmarshal([]byte(n.Text)); err != nil {
		w.t.Error(err)
	}
	if old != w.size {
		out.Header().Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintln(out, w.size)
		return
	}
	var hashes [][]byte
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			w.t.Error(err)
		}
		hashes = append(hashes, h[:])
	}
	if old > 0 {
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, old, tree.Size, hashes, w.root, tree.Hash); err != nil {
			w.t.Error(err)
			http.Error(out, "inconsistent", http.StatusUnprocessableEntity)
			return
		}
	}
	signed, err := note.Sign(&note.Note{Text: n.Text}, w.signer)
	if err != nil {
		w.t.Error(err)
	}
	w.size, w.root = tree.Size, tree.Hash
	_, signature, _ := strings.Cut(string(signed), "\n\n")
	io.WriteString(out, signature)
}

func TestPublishedCheckpointsAreCosigned(t *testing.T) {
	c := newChain(t)
	cfg := c.config()
	cfg.RetryAfter = 20 * time.Millisecond
	var clock sync.Mutex
	now := genesisTime.Time()
	cfg.Now = func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		return now
	}
	pass := func(d time.Duration) {
		clock.Lock()
		defer clock.Unlock()
		now = now.Add(d)
	}
	var witnesses []*cosigner
	for i, name := range []string{"university.example", "press.example", "down.example"} {
		w := newCosigner(t, c, name, byte(i+1))
		server := httptest.NewServer(w)
		defer server.Close()
		witnesses = append(witnesses, w)
		cfg.Cosigners = append(cfg.Cosigners, ledger.TrustedCosigner{Key: w.key, Cosigner: ledger.NewHTTPCosigner(server.URL, server.Client())})
	}
	cfg.Threshold = 2
	witnesses[2].down = true
	l := c.open(cfg)
	index := uint64(4)
	for round := range 3 {
		raw := c.issue(landDID, 2)
		index = c.submit(l, raw).Index
		pass(10 * time.Second)
		c.submit(l, c.issue(landDID, 1)) // a batch, so that the clock is looked at
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		receipt, err := l.Receipt(ctx, index, entry.LevelSealed)
		cancel()
		if err != nil || receipt.Level != entry.LevelSealed {
			t.Fatalf("round %d: %s, %v", round, receipt.Level, err)
		}
		c.verify(receipt, raw)
		for i, w := range witnesses {
			v, err := fnote.NewVerifierForCosignatureV1(w.key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := note.Open([]byte(receipt.Checkpoint), note.VerifierList(v)); (err == nil) != (i < 2) {
				t.Errorf("round %d, cosigner %d: %v", round, i, err)
			}
		}
		if round == 1 { // a restart forgets what the cosigners know: they tell
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			for i := range cfg.Cosigners {
				server := httptest.NewServer(witnesses[i])
				defer server.Close()
				cfg.Cosigners[i].Cosigner = ledger.NewHTTPCosigner(server.URL, server.Client())
			}
			before, err := l.Published()
			if err != nil {
				t.Fatal(err)
			}
			l = c.open(cfg)
			if after, err := l.Published(); err != nil || !bytes.Equal(after, before) {
				t.Errorf("after the restart %q is published, %v", after, err)
			}
		}
	}
	witnesses[0].down = true
	index = c.submit(l, c.issue(landDID, 1)).Index
	pass(10 * time.Second)
	c.submit(l, c.issue(landDID, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if receipt, err := l.Receipt(ctx, index, entry.LevelSealed); err != nil || receipt.Level != entry.LevelLogged {
		t.Errorf("one cosigner of two: %s, %v", receipt.Level, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := ledger.VerifyStore(t.Context(), cfg.Store, cfg.Register, nil); err != nil {
		t.Error(err)
	}
}

// A cosigner that answers with rubbish does not count.
type rubbish struct{}

func (rubbish) Cosign(context.Context, ledger.CosignRequest) ([]byte, error) {
	return []byte("— university.example AAAAAAAA\n"), nil
}

func (rubbish) SignedSize(context.Context, ledger.CosignRequest) (uint64, error) { return 0, nil }

func TestRubbishIsNoCosignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		cfg := c.config()
		cfg.Cosigners = []ledger.TrustedCosigner{{Key: newCosigner(t, c, "university.example", 1).key, Cosigner: rubbish{}}}
		cfg.Threshold = 1
		l := c.open(cfg)
		defer l.Close()
		time.Sleep(30 * time.Second)
		if _, err := l.Published(); !errors.Is(err, ledger.ErrAbsent) {
			t.Errorf("published: %v", err)
		}
	})
}

// What must not be opened, with the words that tell why.
func TestOpenRefuses(t *testing.T) {
	grow := func(t *testing.T, c *chain, cfg ledger.Config) {
		l := c.open(cfg)
		for range 3 {
			c.submit(l, c.issue(landDID, 1))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		harm func(t *testing.T, c *chain, cfg *ledger.Config)
		want string
	}{
		{"a store put back to yesterday", func(t *testing.T, c *chain, cfg *ledger.Config) {
			old := store.NewMemory()
			if err := old.Commit(allRows(t, cfg.Store)); err != nil {
				t.Fatal(err)
			}
			grow(t, c, *cfg)
			cfg.Store = old
		}, "entries are lost"},
		{"an empty store", func(t *testing.T, c *chain, cfg *ledger.Config) { cfg.Store = store.NewMemory() }, "the register holds a signed checkpoint"},
		{"no register", func(t *testing.T, c *chain, cfg *ledger.Config) { cfg.Register = &memoryRegister{} }, "register of the last signed checkpoint is missing"},
		{"a register that is no checkpoint", func(t *testing.T, c *chain, cfg *ledger.Config) {
			cfg.Register = &memoryRegister{content: []byte("x")}
		}, "the register does not hold a checkpoint"},
		{"another history of the same length", func(t *testing.T, c *chain, cfg *ledger.Config) {
			other := newChain(t)
			fork := other.config()
			other.open(fork).Close()
			other.issued = 1000
			grow(t, other, fork)
			cfg.Store = fork.Store
		}, "are not those that were signed"},
		{"an entry changed", func(t *testing.T, c *chain, cfg *ledger.Config) {
			key := append([]byte("e"), 0, 0, 0, 0, 0, 0, 0, 6)
			raw, err := cfg.Store.Get(key)
			if err != nil {
				t.Fatal(err)
			}
			spoil(raw, `"signature":"`)
			if err := cfg.Store.Commit(map[string][]byte{string(key): raw}); err != nil {
				t.Fatal(err)
			}
		}, "entry 6"},
		{"another log key", func(t *testing.T, c *chain, cfg *ledger.Config) {
			skey, _, err := note.GenerateKey(&seedReader{9}, origin)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.LogSigner, err = note.NewSigner(skey); err != nil {
				t.Fatal(err)
			}
		}, "log key is not the one"},
		{"another operator key", func(t *testing.T, c *chain, cfg *ledger.Config) { cfg.Operator = c.keys[landDID] }, "operator key is not the one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newChain(t)
			cfg := c.config()
			grow(t, c, cfg)
			test.harm(t, c, &cfg)
			l, err := ledger.Open(cfg)
			if err == nil {
				l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestFoundTwice(t *testing.T) {
	c := newChain(t)
	cfg := c.config()
	c.open(cfg).Close()
	if err := ledger.Found(cfg, c.first); err != nil {
		t.Errorf("the same genesis again: %v", err)
	}
	g := c.founding
	g.Network = "other"
	e, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: g}, c.governance[:2]...)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Found(cfg, e.Bytes()); err == nil {
		t.Error("another genesis was taken")
	}
	cfg.Store = store.NewMemory()
	if err := ledger.Found(cfg, c.first); err == nil {
		t.Error("a new store was founded beside a register with a checkpoint")
	}
}

func TestOnlyDevChainsRunWithoutCosigners(t *testing.T) {
	c := newChain(t)
	c.founding.Dev, c.founding.GridSeconds = false, 600
	e, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: c.founding}, c.governance[:2]...)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Found(c.config(), e.Bytes()); err == nil || !strings.Contains(err.Error(), "cosigners") {
		t.Errorf("got %v", err)
	}
}

func TestVerifyStoreNamesTheDifference(t *testing.T) {
	c := newChain(t)
	cfg := c.config()
	l := c.open(cfg)
	for range 5 {
		c.submit(l, c.issue(landDID, 3))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	good := allRows(t, cfg.Store)
	kinds := make(map[byte]bool)
	for key, value := range good {
		if kinds[key[0]] || len(value) == 0 {
			continue
		}
		kinds[key[0]] = true
		for name, harmed := range map[string][]byte{"changed": append(bytes.Clone(value[:len(value)-1]), value[len(value)-1]^1), "longer": append(bytes.Clone(value), 1)} {
			s := store.NewMemory()
			if err := errors.Join(s.Commit(good), s.Commit(map[string][]byte{key: harmed})); err != nil {
				t.Fatal(err)
			}
			if _, err := ledger.VerifyStore(t.Context(), s, cfg.Register, nil); err == nil {
				t.Errorf("row %q %s: not noticed", key, name)
			}
		}
	}
	extra := store.NewMemory()
	if err := errors.Join(extra.Commit(good), extra.Commit(map[string][]byte{"tx": {1}})); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.VerifyStore(t.Context(), extra, cfg.Register, nil); err == nil {
		t.Error("a row that follows from nothing was not noticed")
	}
	report, err := ledger.Replay(t.Context(), ledger.Entries{Reader: cfg.Store}, nil)
	if err != nil || report.Size != 10 || report.Leaves != 15 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		cfg := c.config()
		l := c.open(cfg)
		defer l.Close()
		handler := l.Handler()
		do := func(method, path string, body []byte) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w
		}
		var problem struct {
			Code     string
			Expected *uint64
		}
		refused := func(w *httptest.ResponseRecorder, status int, code string) {
			t.Helper()
			problem.Expected = nil
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != status || problem.Code != code ||
				w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, status, code)
			}
		}
		refused(do("GET", "/checkpoint", nil), 404, "not-published")
		raw := c.issue(landDID, 2)
		w := do("POST", "/v1/entries", raw)
		var receipt entry.Receipt
		if err := json.Unmarshal(w.Body.Bytes(), &receipt); err != nil || w.Code != http.StatusAccepted {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		c.verify(receipt, raw)
		if w := do("POST", "/v1/entries", raw); w.Code != http.StatusOK {
			t.Errorf("again: %d", w.Code)
		}
		refused(do("POST", "/v1/entries", []byte("{}")), 400, "malformed")
		refused(do("POST", "/v1/entries", make([]byte, entry.MaxSize+1)), 413, "too-large")
		refused(do("POST", "/v1/entries", c.issue(healthDID, 1)), 403, "permission")
		refused(do("POST", "/v1/entries", c.numbered(landDID, 7, entry.CredentialsRevoked{Leaves: []uint64{0}})), 409, "sequence")
		if problem.Expected == nil || *problem.Expected != 1 {
			t.Error("the problem does not name the next number")
		}
		w = do("GET", "/v1/receipts/5?level=sealed&wait_seconds=30", nil)
		if err := json.Unmarshal(w.Body.Bytes(), &receipt); err != nil || receipt.Level != entry.LevelSealed {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		c.verify(receipt, raw)
		if w := do("GET", "/checkpoint", nil); w.Body.String() != receipt.Checkpoint || w.Code != 200 {
			t.Errorf("checkpoint %d %s", w.Code, w.Body)
		}
		if w := do("GET", "/genesis", nil); !bytes.Equal(w.Body.Bytes(), c.first) {
			t.Error("genesis is not the first entry")
		}
		if w := do("GET", "/v1/signers/did:web:land.example", nil); w.Body.String() != `{"next_seq":1,"signer":"did:web:land.example"}` {
			t.Errorf("signer: %s", w.Body)
		}
		if w := do("GET", "/v1/signers/did:web:x.example%253A80%2Fy", nil); w.Body.String() != `{"next_seq":0,"signer":"did:web:x.example%3A80/y"}` {
			t.Errorf("signer with an escape: %s", w.Body)
		}
		bundle := do("GET", "/tile/entries/000.p/7", nil).Body.Bytes()
		for i := range 7 {
			n := int(bundle[0])<<8 | int(bundle[1])
			if i == 5 && !bytes.Equal(bundle[2:2+n], raw) {
				t.Error("entry 5 of the bundle is another")
			}
			bundle = bundle[2+n:]
		}
		hashes := do("GET", "/tile/0/000.p/7", nil).Body.Bytes()
		if leaf := tlog.RecordHash(raw); len(bundle) != 0 || len(hashes) != 7*32 || !bytes.Equal(hashes[5*32:6*32], leaf[:]) {
			t.Error("hash tile does not fit the entries")
		}
		e, err := entry.Parse(mustEntry(t, cfg.Store, 6))
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.ParsePayload()
		if err != nil {
			t.Fatal(err)
		}
		seal := p.(entry.Seal)
		for _, path := range []string{"/registry/" + seal.Registry.String(), "/census/" + seal.Census.String(), "/active/4/" + seal.ActiveRoot.String()} {
			if w := do("GET", path, nil); w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		for _, path := range []string{
			"/tile/0/000.p/8", "/tile/0/000", "/tile/0/001.p/1", "/tile/1/000.p/1", "/tile/0/0", "/tile/data/000.p/7", "/tile/entries/000.p/0",
			"/tile/8/0/000.p/7", "/tile/63/000.p/1", "/tile//000.p/7", "/tile/0/x999/x999/x999/x999/x999/x999/999", "/active/5/" + seal.ActiveRoot.String(),
			"/registry/x", "/census/" + c.genesis.String(), "/v1/receipts/99", "/nothing",
		} {
			refused(do("GET", path, nil), 404, "not-found")
		}
		refused(do("GET", "/v1/receipts/5?level=done", nil), 400, "query")
		if w := do("GET", "/readyz", nil); w.Code != 200 {
			t.Errorf("readyz: %d", w.Code)
		}
		l.Close()
		refused(do("GET", "/readyz", nil), 503, "stopped")
		refused(do("POST", "/v1/entries", c.issue(landDID, 1)), 503, "stopped")
	})
}

func mustEntry(t testing.TB, r ledger.Reader, index uint64) []byte {
	t.Helper()
	raw, err := ledger.Entries{Reader: r}.Entry(index)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
