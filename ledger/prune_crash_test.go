package ledger_test

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/store"
)

// pruneInSteps drops everything before the last seal, a seal at a time.
func pruneInSteps(fs vfs.FS, seals []sealedTree) (rows map[string][]byte, err error) {
	p, err := store.Open(store.Config{Dir: "/store", FS: fs, Logger: quiet})
	if err != nil {
		return nil, err
	}
	for height, s := range seals {
		if _, err := ledger.Prune(p, uint64(height), s.seal.Time); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	rows = make(map[string][]byte)
	err = p.Each(nil, func(key, value []byte) error {
		rows[string(key)] = bytes.Clone(value)
		return nil
	})
	return rows, errors.Join(err, p.Close())
}

// inspect checks every kept seal of what a power cut left, and gives the first of them.
func (k *keeper) inspect(t *testing.T, fs vfs.FS) (from uint64) {
	p, err := store.Open(store.Config{Dir: "/store", FS: fs, Logger: quiet})
	if err != nil {
		k.r.Fatal(err)
	}
	defer p.Close()
	k.store = p
	k.check()
	if from, err = ledger.KeptFrom(p); err != nil {
		t.Fatal(err)
	}
	return from
}

// The power goes off at every write of a prune: then all kept seals are whole, nothing is there of the others, and a later
// prune ends where one that was not interrupted does.
func TestPowerCutWhilePruning(t *testing.T) {
	if testing.Short() {
		t.Skip("opens Pebble dozens of times")
	}
	halfway := 0
	check(t, 2, 60, func(r *rapid.T) {
		c := newChain(t)
		memory := store.NewMemory()
		m, err := ledger.NewMachine(memory)
		if err != nil {
			r.Fatal(err)
		}
		apply(t, m, c.opening()...)
		k := &keeper{c: c, r: r, store: memory, m: m}
		for range rapid.IntRange(4, 8).Draw(r, "seals") {
			k.issue(rapid.SampledFrom([]int{1, 3, 90}).Draw(r, "n"))
			for range 3 {
				k.change(rapid.SampledFrom([]string{"suspend", "reinstate", "revoke"}).Draw(r, "change"))
			}
			k.seal()
		}
		k.commit()
		before := vfs.NewCrashableMem()
		p, err := store.Open(store.Config{Dir: "/store", FS: before, Logger: quiet})
		if err == nil {
			err = errors.Join(p.Commit(allRows(t, memory)), p.Close())
		}
		if err != nil {
			r.Fatal(err)
		}
		disk := func() *vfs.MemFS { return before.CrashClone(vfs.CrashCloneCfg{}) }
		whole := &cutter{mem: disk(), at: -1}
		want, err := pruneInSteps(errorfs.Wrap(whole.mem, whole), k.seals)
		if err != nil {
			r.Fatal(err)
		}
		rng, writes := rand.New(rand.NewPCG(31, 32)), whole.writes.Load()
		for at := int64(1); at <= writes; at += max(1, writes/int64(sample(12, int(writes)))) {
			for _, percent := range []int{0, 100, rng.IntN(101)}[:sample(1+int(at%2), 3)] {
				cut := &cutter{mem: disk(), at: at, percent: percent, rng: rng}
				if _, err := pruneInSteps(errorfs.Wrap(cut.mem, cut), k.seals); err != nil && cut.alive() {
					r.Fatalf("write %d: %v", at, err)
				}
				left := cut.left()
				if from := k.inspect(t, left); from > 0 && from < uint64(len(k.seals)-1) {
					halfway++
				}
				got, err := pruneInSteps(left, k.seals)
				if err != nil || !maps.EqualFunc(got, want, bytes.Equal) {
					r.Fatalf("write %d, the prune after it: %v, or it left other rows", at, err)
				}
				k.inspect(t, left)
			}
		}
	})
	if halfway == 0 {
		t.Error("no power cut came in the middle")
	}
}
