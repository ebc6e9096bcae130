package ledger_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/store"
)

// disk is a ledger's folder: the store, and the register beside it.
func (c *chain) disk(fs vfs.FS) (ledger.Config, *store.Pebble, error) {
	cfg := c.config()
	cfg.Now = time.Now // seals once a real interval passed since genesis: at once, then every ten seconds
	p, err := store.Open(store.Config{Dir: "/ledger/store", FS: fs, Logger: quiet})
	if err != nil {
		return cfg, nil, err
	}
	cfg.Store = p
	cfg.Register, err = store.NewFileRegister("/ledger/register/signed", fs)
	return cfg, p, err
}

// reopen opens what is on a disk and checks that everything acknowledged is there.
func (c *chain) reopen(fs vfs.FS, acknowledged [][]byte) {
	c.t.Helper()
	cfg, p, err := c.disk(fs)
	if err != nil {
		c.t.Fatal(err)
	}
	defer p.Close()
	l, err := ledger.Open(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	defer l.Close()
	for i, raw := range acknowledged {
		if i%10 != 0 && i < len(acknowledged)-5 {
			continue // the last are those in danger
		}
		receipt, err := l.Submit(c.t.Context(), raw)
		if !errors.Is(err, ledger.ErrAlreadyLogged) {
			c.t.Fatalf("an acknowledged entry: %v", err)
		}
		c.verify(receipt, raw)
	}
	if err := l.Close(); err != nil {
		c.t.Fatal(err)
	}
	if _, err := ledger.VerifyStore(c.t.Context(), cfg.Store, cfg.Register, nil); err != nil {
		c.t.Fatal(err)
	}
}

func TestPowerCut(t *testing.T) {
	c := newChain(t)
	mem := vfs.NewCrashableMem()
	cfg, p, err := c.disk(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := c.open(cfg)
	entries := make([][]byte, 100)
	for i := range entries {
		entries[i] = c.issue(landDID, 1+i%3)
	}
	var acknowledged atomic.Int64
	var wait sync.WaitGroup
	wait.Go(func() {
		for _, raw := range entries {
			if _, err := l.Submit(t.Context(), raw); err != nil {
				t.Error(err)
				return
			}
			acknowledged.Add(1)
		}
	})
	rng := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		time.Sleep(time.Duration(rng.IntN(4000)) * time.Microsecond)
		n := acknowledged.Load()
		clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		c.reopen(clone, entries[:n])
	}
	wait.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c.reopen(mem.CrashClone(vfs.CrashCloneCfg{}), entries)
}

// The power goes off before each write in turn, from the founding of the chain on; what was not synced survives or not.
// In soak it also goes off again while the ledger opens.
func TestPowerCutAtEveryWrite(t *testing.T) {
	whole := &cutter{mem: vfs.NewCrashableMem()}
	if err := newWorld(t, t).run(errorfs.Wrap(whole.mem, whole), whole.alive); err != nil {
		t.Fatal(err)
	}
	writes := int(whole.writes.Load())
	rng := rand.New(rand.NewPCG(5, 6))
	step := max(1, writes/sample(8, writes))
	for at := 1; at <= writes; at += step {
		for _, percent := range []int{0, 100, rng.IntN(101)}[:sample(1+at%2, 3)] {
			w := newWorld(t, t)
			first := &cutter{mem: vfs.NewCrashableMem(), at: int64(at), percent: percent, rng: rng}
			if err := w.run(errorfs.Wrap(first.mem, first), first.alive); err != nil && first.alive() {
				t.Fatalf("write %d: %v", at, err)
			}
			disk := first.left()
			for range sample(at%2, 3) {
				again := &cutter{mem: disk, at: 1 + rng.Int64N(60), percent: rng.IntN(101), rng: rng}
				if err := w.run(errorfs.Wrap(again.mem, again), again.alive); err != nil && again.alive() {
					t.Fatalf("write %d, then %d: %v", at, again.at, err)
				}
				disk = again.left()
			}
			w.inspect(disk)
		}
	}
	t.Logf("%d writes", writes)
}

// Whichever write, sync or rename fails, once or from then on: the log stops or never needed it, and after a restart all
// that was acknowledged is there.
func TestFailingDisk(t *testing.T) {
	const writes = 240 // about
	stopped, cases := 0, sample(8, writes)
	for n := 0; n < writes; n += writes / cases {
		for _, forever := range []bool{false, true} {
			w := newWorld(t, t)
			mem := vfs.NewCrashableMem()
			var done atomic.Int64
			failing := errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
					return nil
				}
				if at := done.Add(1) - 1; at == int64(n) || forever && at > int64(n) {
					return errorfs.ErrInjected
				}
				return nil
			})
			if err := w.run(errorfs.Wrap(mem, failing), always); err != nil {
				stopped++
			}
			w.inspect(mem.CrashClone(vfs.CrashCloneCfg{}))
		}
	}
	if stopped < cases {
		t.Errorf("only %d failures were met", stopped)
	}
}

// One flipped bit in Pebble's live log loses rows without a word from Pebble. The ledger must refuse to start, unless
// nothing is lost.
func TestFlippedBitInLiveLog(t *testing.T) {
	c := newChain(t)
	mem := vfs.NewCrashableMem()
	cfg, p, err := c.disk(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := c.open(cfg)
	var last []byte
	for range 20 {
		last = c.issue(landDID, 1)
		c.submit(l, last)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 25 {
		clone := mem.CrashClone(vfs.CrashCloneCfg{})
		flipLog(t, clone, rng)
		harmed, p, err := c.disk(clone)
		if err != nil {
			refused++
			continue
		}
		l, err := ledger.Open(harmed)
		if err != nil {
			if !strings.Contains(err.Error(), "bulla ledger rebuild") && !strings.Contains(err.Error(), "the store is") {
				t.Errorf("the error does not say what to do: %v", err)
			}
			refused++
			p.Close()
			continue
		}
		if _, err := l.Submit(t.Context(), last); !errors.Is(err, ledger.ErrAlreadyLogged) {
			t.Fatalf("it opened without an acknowledged entry: %v", err)
		}
		l.Close()
		p.Close()
	}
	if refused < 10 {
		t.Errorf("%d of 25 were refused: were the flips in the log?", refused)
	}
}

// flipLog flips one bit in the part of the write-ahead log that is in use.
func flipLog(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) {
	t.Helper()
	names, err := fs.List("/ledger/store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		path := fs.PathJoin("/ledger/store", name)
		file, err := fs.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
		if len(data) == 0 {
			continue
		}
		data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		out, err := fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(out.Sync(), out.Close()); err != nil {
			t.Fatal(err)
		}
	}
}
