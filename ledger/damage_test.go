package ledger_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/store"
)

// smallDisk has room for so many bytes more.
type smallDisk struct {
	vfs.FS
	room *atomic.Int64
}

func (d smallDisk) Unwrap() vfs.FS { return d.FS }

func (d smallDisk) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return smallFile{f, d.room}, nil
}

func (d smallDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(d.FS.Create(name, c))
}

func (d smallDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.file(d.FS.OpenReadWrite(name, c, o...))
}

func (d smallDisk) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(d.FS.ReuseForWrite(old, name, c))
}

type smallFile struct {
	vfs.File
	room *atomic.Int64
}

// Write writes what fits, as a full disk does.
func (f smallFile) Write(p []byte) (int, error) {
	left := f.room.Add(-int64(len(p))) + int64(len(p))
	if left >= int64(len(p)) {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:max(0, left)])
	return n, errors.Join(err, syscall.ENOSPC)
}

// A full disk, at whichever byte: the log stops and says so, stays stopped when there is room again, and after a restart
// everything acknowledged is there.
func TestFullDisk(t *testing.T) {
	var used atomic.Int64
	used.Store(1 << 40)
	if err := newWorld(t, t).run(smallDisk{vfs.NewCrashableMem(), &used}, always); err != nil {
		t.Fatal(err)
	}
	total := 1<<40 - used.Load()
	rng := rand.New(rand.NewPCG(7, 8))
	for range sample(10, 500) {
		w, mem, room := newWorld(t, t), vfs.NewCrashableMem(), new(atomic.Int64)
		room.Store(rng.Int64N(total))
		err := w.run(smallDisk{mem, room}, always)
		if err == nil || !strings.Contains(err.Error(), "no space left on device") {
			t.Fatalf("at %d entries the disk was full: %v", w.acked, err)
		}
		w.inspect(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})) // the lock is gone with the process
	}
}

// disk is a ledger's disk as after SIGKILL in the middle of its work: with tables, a live log, a manifest, a register.
func (w *world) disk(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	script := w.script
	for _, part := range []int{len(script) / 3, 2 * len(script) / 3} { // each opening flushes what the last life wrote
		w.script = script[:part]
		if err := w.run(mem, always); err != nil {
			t.Fatal(err)
		}
	}
	w.script = script
	var killed *vfs.MemFS
	if err := w.run(mem, func() bool {
		if w.acked == len(script)-1 {
			killed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		}
		return killed == nil
	}); err != nil {
		t.Fatal(err)
	}
	return killed
}

// files are the paths of a ledger's files whose names have a part in them.
func files(t *testing.T, fs vfs.FS, part string) (paths []string) {
	t.Helper()
	for _, dir := range []string{"/ledger/store", "/register"} {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if path := fs.PathJoin(dir, name); strings.Contains(path, part) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// flip flips one bit of a file that has any.
func flip(t *testing.T, fs vfs.FS, path string, rng *rand.Rand) bool {
	t.Helper()
	file, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	if len(data) == 0 {
		return false
	}
	data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
	out, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = out.Write(data)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		t.Fatal(err)
	}
	return true
}

// What became of a damaged disk. There is no other outcome: above all not a log that goes on without something that was
// acknowledged.
const (
	intact  = "goes on with everything"       // the bit was in what nobody needs
	refused = "refuses to start"              // and says how to repair
	found   = "stops when it meets the place" // and nothing wrong was given out or signed
)

// outcome opens a damaged disk and tells what became of it.
func (w *world) outcome(t *testing.T, fs vfs.FS) string {
	t.Helper()
	cfg, p, err := w.live(fs, always)
	if err != nil {
		return w.refusedWith(t, err)
	}
	defer p.Close()
	l, err := ledger.Open(cfg)
	if err != nil {
		return w.refusedWith(t, err)
	}
	defer l.Close()
	for i, raw := range w.script[:w.acked] {
		receipt, err := l.Submit(t.Context(), raw)
		switch {
		case errors.Is(err, ledger.ErrAlreadyLogged) && receipt.Level != "":
			w.verify(receipt, raw)
		case errors.Is(err, ledger.ErrStopped), errors.Is(err, store.ErrBroken):
			return found
		default:
			t.Fatalf("it opened and entry %d, which was acknowledged, is not there: %v", i, err)
		}
	}
	if _, err := l.Submit(t.Context(), w.script[w.acked]); err != nil {
		return found
	}
	l.Close()
	if _, err := ledger.VerifyStore(t.Context(), cfg.Store, cfg.Register, nil); err != nil {
		return found
	}
	return intact
}

// refusedWith checks that an error says what to do.
func (w *world) refusedWith(t *testing.T, err error) string {
	t.Helper()
	for _, advice := range []string{"bulla ledger rebuild", "Put it back", "the program that wrote it"} {
		if strings.Contains(err.Error(), advice) {
			return refused
		}
	}
	t.Errorf("it refuses and does not say what to do: %v", err)
	return refused
}

// One flipped bit in each kind of file.
func TestFlippedBits(t *testing.T) {
	tests := []struct {
		kind, part string
		allowed    []string
		harmed     int // of 20 flips, at least so many must not be intact
	}{
		{"table", ".sst", []string{refused, found, intact}, 1}, // some three in ten: the others are in tables that are no longer read
		{"log", ".log", []string{refused, intact}, 8},
		{"manifest", "MANIFEST", []string{refused, intact}, 1},
		{"options", "OPTIONS", []string{refused, intact}, 0},
		{"register", "/register/signed", []string{refused}, 20},
	}
	for _, test := range tests {
		t.Run(test.kind, func(t *testing.T) {
			w := newWorld(t, t)
			disk, n := w.disk(t), sample(30, 2000)
			rng := rand.New(rand.NewPCG(9, 10))
			if soak {
				rng = rand.New(rand.NewPCG(rand.Uint64(), 0))
			}
			outcomes := make(map[string]int)
			for range n {
				clone := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
				paths := files(t, clone, test.part)
				for !flip(t, clone, paths[rng.IntN(len(paths))], rng) {
				}
				fork := *w // what a damaged life signs must fit as well
				outcomes[fork.outcome(t, clone)]++
				w.history.check()
			}
			t.Logf("%s: %v", test.kind, outcomes)
			if outcomes[intact] > n-n*test.harmed/20 {
				t.Errorf("%d of %d flips did no harm: were they in the file?", outcomes[intact], n)
			}
			for outcome := range outcomes {
				if !strings.Contains(strings.Join(test.allowed, "|"), outcome) {
					t.Errorf("it %s", outcome)
				}
			}
		})
	}
}
