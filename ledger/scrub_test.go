package ledger_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// grown is a closed log in memory with seals, suspended and revoked leaves, more than one tile, and a seal at its end.
func grown(t *testing.T) (*chain, ledger.Config, ledger.Report) {
	t.Helper()
	c := newChain(t)
	cfg := c.config()
	var clock hands
	cfg.Now = clock.now
	l := c.open(cfg)
	set, parts := c.set("issuers", 40)
	for _, part := range parts {
		c.submit(l, c.signed(verifierDID, part))
	}
	c.submit(l, c.signed(verifierDID, c.policy(func(p *policy.Policy) { p.Queries[0].Issuers, p.Queries[0].IssuerSet = nil, set })))
	for i := range uint64(12) {
		c.submit(l, c.issue(landDID, 22))
		c.submit(l, c.signed(landDID, entry.CredentialsSuspended{Leaves: []uint64{2 * i, 2*i + 1}}))
		if i%4 == 3 {
			clock.seconds.Add(10)
			c.submit(l, c.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{2 * i}}))
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := ledger.VerifyStore(t.Context(), cfg.Store, cfg.Register, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Sealed.Index != report.Size-1 {
		t.Fatal("the last entry is no seal")
	}
	return c, cfg, report
}

// harmed is the store with one row changed, or gone if value is nil.
func harmed(t *testing.T, rows map[string][]byte, key string, value []byte) ledger.Store {
	t.Helper()
	s := store.NewMemory()
	if err := errors.Join(s.Commit(rows), s.Commit(map[string][]byte{key: value})); err != nil {
		t.Fatal(err)
	}
	return s
}

// One bit flipped in a row of each kind, and one row of each kind gone, although the files are sound: what the log notices
// when it opens, what the scrub notices, and that `bulla ledger verify` notices all.
func TestDamagedRows(t *testing.T) {
	type notice struct{ open, scrub bool } // for every row of the kind; else it is for some rows, or none
	table := map[string]notice{
		"v": {true, false},                       // format version
		"s": {false, false},                      // state: open notices all but the registry's length
		"g": {true, false},                       // registry in the making
		"e": {true, true},                        // entries: open looks at the newest 1,024
		"a": {true, true},                        // results: likewise, a million
		"h": {false, true},                       // hashes of the log tree
		"n": {true, true},                        // next numbers
		"q": {false, true},                       // index of numbers
		"k": {false, false},                      // owners of keys: open looks at those that may sign now
		"l": {false, true},                       // leaves
		"d": {false, true},                       // index of leaves
		"p": {true, false},                       // pairs with counts
		"t": {false, false},                      // tiles of the active tree: the scrub looks at those of the last seal
		"r": {false, false},                      // documents: likewise
		"c": {true, false},                       // published checkpoint
		"f": {false, true},                       // sets
		"i": {false, false}, "j": {false, false}, // how far their registration has come, and their list
		"u": {false, false}, "o": {false, false}, "b": {false, false}, // books of what may be dropped
	}
	_, cfg, report := grown(t)
	good := allRows(t, cfg.Store)
	kinds := make(map[string][]string)
	for key := range good {
		kinds[key[:1]] = append(kinds[key[:1]], key)
	}
	rng := rand.New(rand.NewPCG(11, 12))
	for kind, keys := range kinds {
		want, ok := table[kind]
		if !ok {
			t.Errorf("rows of kind %s are in no table", kind)
		}
		for range sample(3, 300) {
			key := keys[rng.IntN(len(keys))]
			value := bytes.Clone(good[key])
			if len(value) > 0 && rng.IntN(4) > 0 {
				value[rng.IntN(len(value))] ^= 1 << rng.IntN(8)
			} else if kind == "c" {
				continue // without it the newest seal is published again: no damage
			} else {
				value = nil
			}
			s := harmed(t, good, key, value)
			opened := cfg
			opened.Store, opened.ScrubEvery = s, -1
			l, err := ledger.Open(opened)
			if err == nil {
				l.Close()
			} else if !strings.Contains(err.Error(), "bulla ledger rebuild") && !strings.Contains(err.Error(), "program that wrote it") {
				t.Errorf("%q: the error does not say what to do: %v", key, err)
			}
			scrub := ledger.Scrub(t.Context(), s, report.Size, report.Root, nil, nil)
			var damage *ledger.Damage
			if scrub != nil && !errors.As(scrub, &damage) {
				t.Errorf("%q: the scrub could not read: %v", key, scrub)
			}
			_, verify := ledger.VerifyStore(t.Context(), harmed(t, good, key, value), cfg.Register, nil)
			if verify == nil || want.open && err == nil || want.scrub && scrub == nil {
				t.Errorf("row %q as %q: open says %v, scrub %v, verify %v", key, value, err, scrub, verify)
			}
		}
	}
}

// What the scrub finds stops the log, is told, is remembered, and keeps the log from opening until it is repaired.
func TestScrubStopsTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg, _ := grown(t)
		key := string(append([]byte("l"), 0, 0, 0, 0, 0, 0, 0, 9))
		good, err := cfg.Store.Get([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[len(bad)-1] = 1 // suspended leaf 9 is active again
		commit(t, cfg.Store, key, bad)
		l, err := ledger.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		status := l.Status()
		if err := l.Ready(); !errors.Is(err, ledger.ErrStopped) || status.Ready || !strings.Contains(status.Problem, "bulla ledger rebuild") ||
			!strings.Contains(status.Scrub.NeedsRepair, "leaf 9") {
			t.Errorf("ready: %v, status %+v", err, status)
		}
		l.Close()
		if _, err := ledger.Open(cfg); err == nil || !strings.Contains(err.Error(), "It is still there") {
			t.Errorf("opened again: %v", err)
		}
		commit(t, cfg.Store, key, good)
		if l, err = ledger.Open(cfg); err != nil {
			t.Fatalf("after the repair: %v", err)
		}
		time.Sleep(time.Minute)
		if status := l.Status(); !status.Ready || status.Scrub.NeedsRepair != "" || status.Scrub.LastPass == "" || status.Scrub.Entries != status.Covered {
			t.Errorf("after the repair: %+v", status)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := ledger.VerifyStore(t.Context(), cfg.Store, cfg.Register, nil); err != nil {
			t.Errorf("the mark is still there: %v", err)
		}
	})
}

func commit(t *testing.T, s ledger.Store, key string, value []byte) {
	t.Helper()
	if err := s.Commit(map[string][]byte{key: value}); err != nil {
		t.Fatal(err)
	}
}

// The scrub runs beside the sequencer, at its pace, and takes no change for damage.
func TestScrubBesideTheSequencer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cfg, _ := grown(t)
		cfg.ScrubEvery, cfg.ScrubRate = 30*time.Second, 16<<10
		ahead := 100*time.Second + time.Until(genesisTime.Time())
		cfg.Now = func() time.Time { return time.Now().Add(ahead) }
		l, err := ledger.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(60) {
			c.submit(l, c.issue(landDID, 1))
			c.submit(l, c.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{100 + i}}))
			time.Sleep(5 * time.Second)
		}
		status := l.Status()
		if err := l.Close(); err != nil || status.Scrub.LastPass == "" {
			t.Errorf("%v, %+v", err, status)
		}
	})
}

// unreadable is a store that fails to read.
type unreadable struct{ ledger.Store }

func (unreadable) Get([]byte) ([]byte, error) { return nil, errors.New("input/output error") }

func TestScrubTellsDamageFromFailure(t *testing.T) {
	var damage *ledger.Damage
	if err := ledger.Scrub(t.Context(), unreadable{}, 1, tlog.Hash{}, nil, nil); err == nil || errors.As(err, &damage) {
		t.Errorf("a store that cannot be read: %v", err)
	}
}

// logged collects what a logger was told.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), part)
}

// A clock that goes backwards stops the seals. That is logged, the ledger is not ready and says by how much, entries are
// still taken, and all goes on once the clock is right, without anybody's touch.
func TestClockGoesBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		cfg := c.config()
		var words logged
		cfg.Logger = slog.New(slog.NewTextHandler(&words, nil))
		var mu sync.Mutex
		wrong, right := time.Duration(0), cfg.Now
		cfg.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return right().Add(wrong)
		}
		set := func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			wrong = d
		}
		l := c.open(cfg)
		defer l.Close()
		time.Sleep(31 * time.Second)
		before := l.Status()
		if !before.Ready || before.ClockBehindSeconds != 0 || words.has("behind") {
			t.Fatalf("%+v", before)
		}
		set(-4 * time.Second) // within the skew of 5 s
		if err := l.Ready(); err != nil {
			t.Errorf("the skew is not allowed for: %v", err)
		}
		set(-24 * time.Hour)
		time.Sleep(6 * time.Second)
		status := l.Status()
		if err := l.Ready(); !errors.Is(err, ledger.ErrClock) || status.Ready || status.ClockBehindSeconds < 86300 ||
			!strings.Contains(status.Problem, "clock") || !words.has("the clock is behind the last seal") {
			t.Errorf("%v, %+v", err, status)
		}
		for path, want := range map[string]string{"/readyz": `"code":"clock"`, "/v1/status": `"clock_behind_seconds":863`} {
			w := httptest.NewRecorder()
			l.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
			if (w.Code == 503) != (path == "/readyz") || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		raw := c.issue(landDID, 1)
		receipt := c.submit(l, raw)
		time.Sleep(time.Minute)
		if now, err := l.Receipt(t.Context(), receipt.Index, entry.LevelAccepted); err != nil || now.Level != entry.LevelLogged {
			t.Errorf("sealed with a wrong clock: %s, %v", now.Level, err)
		}
		set(0)
		time.Sleep(20 * time.Second)
		if now, err := l.Receipt(t.Context(), receipt.Index, entry.LevelAccepted); err != nil || now.Level != entry.LevelSealed {
			t.Errorf("not sealed although the clock is right again: %s, %v", now.Level, err)
		}
		if err := l.Ready(); err != nil || !words.has("has caught up") {
			t.Errorf("%v", err)
		}
	})
}
