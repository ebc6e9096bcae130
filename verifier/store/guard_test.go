package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/store"
	"github.com/bulla-id/bulla/verifier/store/storetest"
)

// register is one in memory, of which each write is durable.
type register struct {
	mu      sync.Mutex
	content []byte
	writes  int
	err     error // of the next writes
}

func (r *register) Read() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.content == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(r.content), nil
}

func (r *register) Write(content []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	r.content, r.writes = bytes.Clone(content), r.writes+1
	return nil
}

// guardedDisk is a disk with a register, both of which a power cut leaves as they were at one moment.
type guardedDisk struct {
	disk
	register *register
}

func (d *guardedDisk) Open(t *testing.T) verifier.Store {
	s, err := store.Open(store.Config{Dir: "db", FS: d.fs, Register: d.register})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func (d *guardedDisk) Cut(t *testing.T) {
	d.register.mu.Lock()
	defer d.register.mu.Unlock()
	d.disk.Cut(t)
	d.register = &register{content: bytes.Clone(d.register.content)}
}

// With a register a store keeps to the same, and no power cut makes it one that the register refuses.
func TestGuarded(t *testing.T) {
	storetest.Run(t, func(t *testing.T) verifier.Store {
		d := &guardedDisk{disk{fs: vfs.NewMem()}, new(register)}
		return d.Open(t)
	})
	storetest.RunDurable(t, func(*testing.T) storetest.Disk {
		return &guardedDisk{disk{fs: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(7, 8))}, new(register)}
	})
}

// kept is a store in a folder with its register in another.
type kept struct {
	t        *testing.T
	dir      string
	register store.FileRegister
	*store.Pebble
}

func newKept(t *testing.T) *kept {
	dir := t.TempDir()
	k := &kept{t: t, dir: filepath.Join(dir, "store"), register: store.FileRegister(filepath.Join(dir, "apart", "register"))}
	k.open()
	return k
}

func (k *kept) open() {
	k.t.Helper()
	var err error
	if k.Pebble, err = store.Open(store.Config{Dir: k.dir, Register: k.register}); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { k.Pebble.Close() })
}

func (k *kept) use(tag string) {
	k.t.Helper()
	if err := k.Commit(verifier.Batch{Absent: []string{"tag/" + tag}, Set: map[string][]byte{"tag/" + tag: {}}}); err != nil {
		k.t.Fatal(err)
	}
}

// backup is a copy of the store as of now.
func (k *kept) backup() string {
	k.t.Helper()
	to := filepath.Join(k.t.TempDir(), "backup")
	if err := k.Backup(to); err != nil {
		k.t.Fatal(err)
	}
	return to
}

func (k *kept) content() []byte {
	k.t.Helper()
	content, err := k.register.Read()
	if err != nil {
		k.t.Fatal(err)
	}
	return content
}

// put closes the store and puts a copy in its place; empty: nothing.
func (k *kept) put(dir string) {
	k.t.Helper()
	if err := errors.Join(k.Close(), os.RemoveAll(k.dir)); err != nil {
		k.t.Fatal(err)
	}
	if dir == "" {
		return
	}
	if err := os.CopyFS(k.dir, os.DirFS(dir)); err != nil {
		k.t.Fatal(err)
	}
}

// refused wants the store to be refused in these words.
func (k *kept) refused(words string) {
	k.t.Helper()
	s, err := store.Open(store.Config{Dir: k.dir, Register: k.register})
	if err == nil {
		s.Close()
		k.t.Errorf("it opens; want %q", words)
		return
	}
	if !errors.Is(err, store.ErrPutBack) || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "bulla verifier restored") {
		k.t.Errorf("%v; want %q", err, words)
	}
}

// One tag is enough to tell a copy from the store it was made of; sessions do not matter.
func TestOlderStoreIsRefused(t *testing.T) {
	k := newKept(t)
	k.use("1")
	copied := k.backup()
	if err := k.Commit(verifier.Batch{Set: map[string][]byte{"session/1": {}}}); err != nil {
		t.Fatal(err)
	}
	k.put(copied)
	k.open() // nothing that counts is lost
	k.use("2")
	k.put(copied)
	k.refused("lacks the last 1 commits")
	k.put("")
	k.refused("empty or older")
}

func TestRegisterAndStoreOfEachOther(t *testing.T) {
	k := newKept(t)
	k.use("1")
	yesterday := k.content()
	k.use("2")
	k.use("3")
	today := k.content()
	copied := k.backup()
	incarnation := bytes.Index(today, []byte(`"incarnation":"`)) + len(`"incarnation":"`)
	foreign := bytes.Clone(today)
	copy(foreign[incarnation:], strings.Repeat("0", 32))
	for words, content := range map[string][]byte{
		"the register is older":            yesterday,
		"register of the store is damaged": []byte("{}"),
		"is damaged":                       nil,
		"not of each other":                foreign,
	} {
		k.put(copied)
		if err := os.WriteFile(string(k.register), content, 0o600); err != nil {
			t.Fatal(err)
		}
		k.refused(words)
	}
	if err := os.Remove(string(k.register)); err != nil {
		t.Fatal(err)
	}
	k.refused("the register of the store is not there")
	if err := os.WriteFile(string(k.register), today, 0o600); err != nil {
		t.Fatal(err)
	}
	k.open()
	if info, err := os.Stat(string(k.register)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("register: %v, %v", info.Mode(), err)
	}
}

// A store of before there were registers is taken on, and from then on no copy of before.
func TestStoreWithoutRegister(t *testing.T) {
	k := newKept(t)
	if err := errors.Join(k.Close(), os.RemoveAll(k.dir), os.Remove(string(k.register))); err != nil {
		t.Fatal(err)
	}
	old, err := store.Open(store.Config{Dir: k.dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Commit(verifier.Batch{Set: map[string][]byte{"tag/1": {}}}); err != nil {
		t.Fatal(err)
	}
	k.Pebble = old
	before := k.backup()
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	k.open()
	k.put(before)
	k.refused("empty or older")
}

// Renewed, a copy is the store, and neither what it was made of nor another copy is.
func TestRenew(t *testing.T) {
	k := newKept(t)
	k.use("1")
	copied := k.backup()
	k.use("2")
	if err := k.Renew(k.register); err == nil {
		t.Error("a store that was not put back is renewed")
	}
	newest := k.backup()
	k.put(copied)
	k.refused("lacks")
	s, err := store.Open(store.Config{Dir: k.dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Renew(k.register), s.Close()); err != nil {
		t.Fatal(err)
	}
	k.open()
	k.use("3")
	for _, other := range []string{copied, newest} {
		k.put(other)
		k.refused("not of each other")
	}
}

// When the register cannot be written nobody is told of a tag, and the store refuses everything until it is opened again.
func TestRegisterFails(t *testing.T) {
	mem, r := vfs.NewCrashableMem(), new(register)
	open := func(fs vfs.FS) *store.Pebble {
		s, err := store.Open(store.Config{Dir: "db", FS: fs, Register: r})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := open(mem)
	writes := r.writes
	if err := s.Commit(verifier.Batch{Set: map[string][]byte{"session/1": {}}}); err != nil || r.writes != writes {
		t.Errorf("%d writes of the register for a session: %v", r.writes-writes, err)
	}
	r.err = errors.New("disk is full")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := fmt.Sprintf("tag/%d", i%4)
			if err := s.Commit(verifier.Batch{Absent: []string{key}, Set: map[string][]byte{key: {}}}); !errors.Is(err, store.ErrBroken) {
				t.Errorf("commit: %v", err)
			}
			if _, err := s.Get(key); !errors.Is(err, store.ErrBroken) {
				t.Errorf("read: %v", err)
			}
		})
	}
	wg.Wait()
	if err := s.Each("tag/", func(string, []byte) error { return nil }); !errors.Is(err, store.ErrBroken) {
		t.Errorf("visit: %v", err)
	}
	r.err = nil
	again := open(mem.CrashClone(vfs.CrashCloneCfg{}))
	if err := again.Commit(verifier.Batch{Set: map[string][]byte{"tag/9": {}}}); err != nil {
		t.Error(err)
	}
	if content := string(r.content); !strings.Contains(content, `"count":2`) && !strings.Contains(content, `"count":1`) {
		t.Errorf("register: %s", content)
	}
}

// A second verifier on the same register is noticed by the first.
func TestRegisterOfTwo(t *testing.T) {
	k := newKept(t)
	k.use("1")
	other := newKept(t)
	other.use("1")
	if err := os.WriteFile(string(k.register), other.content(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Commit(verifier.Batch{Set: map[string][]byte{"tag/2": {}}}); !errors.Is(err, store.ErrBroken) {
		t.Errorf("commit: %v", err)
	}
}

// A copy that is made while others write has what was acknowledged before, and no batch by halves.
func TestBackupUnderLoad(t *testing.T) {
	k := newKept(t)
	var wg sync.WaitGroup
	var acknowledged [4]atomic.Int64
	stop := make(chan struct{})
	for client := range acknowledged {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				a, b := fmt.Sprintf("tag/%d-%d", client, i), fmt.Sprintf("session/%d-%d", client, i)
				if err := k.Commit(verifier.Batch{Absent: []string{a}, Set: map[string][]byte{a: {}, b: {}}}); err != nil {
					t.Error(err)
					return
				}
				acknowledged[client].Store(int64(i + 1))
			}
		})
	}
	for acknowledged[0].Load() < 20 {
		time.Sleep(time.Millisecond)
	}
	var before [4]int64
	for client := range before {
		before[client] = acknowledged[client].Load()
	}
	copied := k.backup()
	close(stop)
	wg.Wait()
	if err := k.Commit(verifier.Batch{Absent: []string{"tag/later"}, Set: map[string][]byte{"tag/later": {}}}); err != nil { // which the copy lacks
		t.Fatal(err)
	}
	s, err := store.Open(store.Config{Dir: copied})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for client, n := range before {
		for i := range n {
			if _, err := s.Get(fmt.Sprintf("tag/%d-%d", client, i)); err != nil {
				t.Fatalf("tag %d-%d of %d: %v", client, i, n, err)
			}
		}
	}
	if err := s.Each("tag/", func(key string, _ []byte) error {
		_, err := s.Get("session/" + strings.TrimPrefix(key, "tag/"))
		return err
	}); err != nil {
		t.Error(err)
	}
	k.put(copied)
	k.refused("lacks")
}
