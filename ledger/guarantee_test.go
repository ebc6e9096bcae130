package ledger_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// What the tests of the guarantees share: a chain's history with every signature that was ever made under its key, and
// lives: one process on one disk, which ends well or not. `doc/spec/ledger.md` has the table of what may come out.

// soak says that there are hours: `make soak`. Else each of these tests takes a seeded part of its cases, in seconds.
var soak = os.Getenv("BULLA_SOAK") != ""

// sample is n cases in soak, few otherwise, and fewer still with -short.
func sample(few, n int) int {
	switch {
	case soak:
		return n
	case testing.Short():
		return (few + 3) / 4
	}
	return few
}

// check runs a property a few times with a fixed seed, in soak many times with a random one.
func check(t *testing.T, few, many int, property func(*rapid.T)) {
	t.Helper()
	checks, seed := sample(few, many), uint64(1)
	if soak {
		seed = 0
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(checks), "rapid.seed": strconv.FormatUint(seed, 10)} {
		old := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		defer flag.Set(name, old)
	}
	rapid.Check(t, property)
}

// failer is what reports a broken guarantee: a test, or a run of a property.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// history knows every signature made with the log key, in whichever life, kept or lost in a crash. It holds the rule: never
// two trees of one size, nor a smaller after a larger.
type history struct {
	f       failer
	mu      sync.Mutex
	roots   map[uint64]string
	largest uint64
	broken  string
}

func newHistory(f failer) *history { return &history{f: f, roots: make(map[uint64]string)} }

// record takes a signed text. It is called by the log's goroutine, so it keeps what is wrong for check.
func (h *history) record(text string) {
	var tree log.Checkpoint
	_, err := tree.Unmarshal([]byte(text))
	h.mu.Lock()
	defer h.mu.Unlock()
	old, again := h.roots[tree.Size]
	switch {
	case err != nil:
		h.broken = fmt.Sprintf("signed what is no checkpoint: %v", err)
	case again && old != string(tree.Hash):
		h.broken = fmt.Sprintf("signed two trees of %d entries", tree.Size)
	case tree.Size < h.largest:
		h.broken = fmt.Sprintf("signed %d entries after %d", tree.Size, h.largest)
	}
	h.roots[tree.Size], h.largest = string(tree.Hash), max(h.largest, tree.Size)
}

func (h *history) check() {
	h.f.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != "" {
		h.f.Fatalf("the log %s", h.broken)
	}
}

// life is one process: it signs until it is dead.
type life struct {
	note.Signer
	history *history
	alive   func() bool
}

// Sign implements [note.Signer].
func (l *life) Sign(text []byte) ([]byte, error) {
	if !l.alive() {
		return nil, errors.New("this process is dead")
	}
	l.history.record(string(text))
	return l.Signer.Sign(text)
}

// hands are a clock that goes when it is told to.
type hands struct{ seconds atomic.Int64 }

func (h *hands) now() time.Time {
	return genesisTime.Time().Add(time.Duration(h.seconds.Load()) * time.Second)
}

// world is a chain with its script of entries, its history and its clock, while disks come and go.
type world struct {
	*chain
	f       failer
	history *history
	script  [][]byte
	clock   *atomic.Int64 // Unix seconds
	acked   int           // entries of the script that were acknowledged
}

// newWorld has a script of everything an issuer does, some 30 entries.
func newWorld(t testing.TB, f failer) *world {
	t.Helper()
	w := &world{chain: newChain(t), f: f, history: newHistory(f), clock: new(atomic.Int64)}
	w.clock.Store(int64(genesisTime))
	w.script = w.opening()[1:]
	for i := range uint64(8) {
		w.script = append(w.script, w.issue(landDID, 1+int(i)))
		if i%2 == 1 {
			w.script = append(w.script, w.signed(landDID, entry.CredentialsSuspended{Leaves: []uint64{i, i + 1}}),
				w.signed(landDID, entry.CredentialsReinstated{Leaves: []uint64{i}}), w.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{i, i + 1}}))
		}
	}
	return w
}

// live is a process on a disk.
func (w *world) live(fs vfs.FS, alive func() bool) (ledger.Config, *store.Pebble, error) {
	cfg := w.config()
	cfg.LogSigner = &life{w.logSigner, w.history, alive}
	cfg.Now = func() time.Time { return time.Unix(w.clock.Load(), 0) }
	p, err := store.Open(store.Config{Dir: "/ledger/store", FS: fs, Logger: quiet})
	if err != nil {
		return cfg, nil, err
	}
	cfg.Store = p
	cfg.Register, err = store.NewFileRegister("/register/signed", fs)
	if err != nil {
		return cfg, p, errors.Join(err, p.Close())
	}
	return cfg, p, nil
}

// run takes up the chain on a disk and hands in the script from where it was, until the end, or the process is dead or
// stopped. Time goes on; every few entries a seal is due.
func (w *world) run(fs vfs.FS, alive func() bool) error {
	cfg, p, err := w.live(fs, alive)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := ledger.Found(cfg, w.first); err != nil {
		return err
	}
	log, err := ledger.Open(cfg)
	if err != nil {
		return err
	}
	defer log.Close()
	for w.acked < len(w.script) && alive() {
		w.clock.Add(4)
		_, err := log.Submit(w.t.Context(), w.script[w.acked])
		if !alive() {
			break
		}
		if err != nil && !errors.Is(err, ledger.ErrAlreadyLogged) {
			return err
		}
		w.acked++
	}
	return log.Close()
}

func always() bool { return true }

// inspect opens what is on a disk and holds the guarantee: everything acknowledged is there with a receipt that verifies,
// every row fits, and the log goes on.
func (w *world) inspect(fs vfs.FS) {
	w.f.Helper()
	acked := w.acked
	if err := w.run(fs, always); err != nil {
		w.f.Fatalf("after %d entries were acknowledged, it does not go on: %v", acked, err)
	}
	cfg, p, err := w.live(fs, always)
	if err != nil {
		w.f.Fatalf("open the store again: %v", err)
	}
	defer p.Close()
	w.holds(cfg)
}

// holds checks that the whole script is in the log of an open store.
func (w *world) holds(cfg ledger.Config) {
	w.f.Helper()
	l, err := ledger.Open(cfg)
	if err != nil {
		w.f.Fatalf("open: %v", err)
	}
	defer l.Close()
	for i, raw := range w.script[:w.acked] {
		receipt, err := l.Submit(w.t.Context(), raw)
		if !errors.Is(err, ledger.ErrAlreadyLogged) {
			w.f.Fatalf("entry %d of the script was acknowledged and is gone: %v", i, err)
		}
		w.verify(receipt, raw)
	}
	if err := l.Close(); err != nil {
		w.f.Fatalf("close: %v", err)
	}
	if _, err := ledger.VerifyStore(w.t.Context(), cfg.Store, cfg.Register, nil); err != nil {
		w.f.Fatalf("verify: %v", err)
	}
	w.history.check()
}

// cutter is the injector of a disk whose power goes off before the n-th write: what it holds then is in after.
type cutter struct {
	mem     *vfs.MemFS
	at      int64
	percent int // of unsynced data that survives
	rng     *rand.Rand
	writes  atomic.Int64
	cut     atomic.Bool
	mu      sync.Mutex
	after   *vfs.MemFS
}

// MaybeError implements [errorfs.Injector]. It injects nothing: what is done after the cut is done to a disk that nobody
// will see again.
func (c *cutter) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.writes.Add(1) == c.at {
		c.off()
	}
	return nil
}

// off cuts the power now.
func (c *cutter) off() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cut.Swap(true) {
		c.after = c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: c.rng})
	}
}

// String implements [errorfs.Injector].
func (c *cutter) String() string { return "power cut" }

func (c *cutter) alive() bool { return !c.cut.Load() }

// left is the disk after the cut, or as it is if there was none.
func (c *cutter) left() *vfs.MemFS {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.after == nil {
		return c.mem
	}
	return c.after
}
