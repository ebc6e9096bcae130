package ledger_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// book is a store with a published checkpoint, and the folder that it is exported to.
type book struct {
	*chain
	m     *ledger.Machine
	rows  ledger.Store
	dir   string
	now   int
	roots []credential.Element
}

func newBook(t *testing.T) *book {
	b := &book{chain: newChain(t), rows: store.NewMemory(), dir: t.TempDir()}
	m, err := ledger.NewMachine(b.rows)
	if err != nil {
		t.Fatal(err)
	}
	b.m = m
	apply(t, m, b.opening()...)
	return b
}

// publish seals and signs what is there.
func (b *book) publish() {
	b.t.Helper()
	b.now += 10
	b.roots = append(b.roots, b.seal(b.m, b.now).ActiveRoot)
	rows, err := b.m.Changes()
	if err != nil {
		b.t.Fatal(err)
	}
	root, err := b.m.Root()
	if err != nil {
		b.t.Fatal(err)
	}
	head := log.Checkpoint{Origin: origin, Size: b.m.Size(), Hash: root[:]}
	if rows["c"], err = note.Sign(&note.Note{Text: string(head.Marshal())}, b.logSigner); err != nil {
		b.t.Fatal(err)
	}
	if err := b.rows.Commit(rows); err != nil {
		b.t.Fatal(err)
	}
	b.m.Committed()
}

func (b *book) export(rows ledger.Reader) (ledger.ExportReport, error) {
	return ledger.ExportStore(b.t.Context(), rows, b.dir, b.time(b.now).Time())
}

// read reads all that the folder's checkpoint fixes as a client does, and returns how many entries it has.
func (b *book) read(server *httptest.Server) uint64 {
	b.t.Helper()
	c, err := client.New(client.Config{
		URL: server.URL, Genesis: b.genesis, Policy: client.Policy{LogKey: b.logKey}, Clock: func() time.Time { return b.time(b.now).Time() },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	v, err := c.Update(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	l, err := client.NewLog(server.URL, nil, nil, client.Limits{})
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range v.Checkpoint.Size {
		if raw, err := l.Entry(b.t.Context(), v.Checkpoint.Tree(), i); err != nil || !bytes.Equal(raw, mustEntry(b.t, b.rows, i)) {
			b.t.Fatalf("entry %d: %v", i, err)
		}
	}
	if _, err := l.RootAt(b.t.Context(), v.Checkpoint.Tree(), v.Checkpoint.Size/2); err != nil {
		b.t.Fatal(err)
	}
	seals, err := c.Seals(b.t.Context(), v, b.time(b.now-40).Time())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range seals {
		g, err := c.Group(b.t.Context(), s.Seal.ActiveRoot, 0)
		if err != nil {
			b.t.Fatalf("group under seal %d: %v", s.Seal.Height, err)
		}
		if path, leaf, err := g.Path(1); err != nil || path.Root(leaf) != s.Seal.ActiveRoot {
			b.t.Fatalf("path under seal %d: %v", s.Seal.Height, err)
		}
		if _, err := c.RegistryAt(b.t.Context(), s.Seal); err != nil {
			b.t.Fatal(err)
		}
	}
	return v.Checkpoint.Size
}

// breaking answers n reads and then no more: the process dies.
type breaking struct {
	ledger.Reader
	left int
}

var errDied = errors.New("died")

func (b *breaking) Get(key []byte) ([]byte, error) {
	if b.left--; b.left < 0 {
		return nil, errDied
	}
	return b.Reader.Get(key)
}

// A client reads an export whole from a plain web server, also in the middle of the next one, wherever that ends.
func TestExport(t *testing.T) {
	b := newBook(t)
	server := httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	defer server.Close()
	var before uint64
	for round := range 8 {
		for i := range 45 {
			apply(t, b.m, b.issue(landDID, 1+i%3))
			if i%9 == 8 {
				apply(t, b.m, b.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{uint64(round*50 + i)}}))
			}
		}
		b.publish()
		if round > 0 {
			for reads := 5; ; reads *= 3 {
				_, err := b.export(&breaking{b.rows, reads})
				if err == nil {
					break
				}
				if !errors.Is(err, errDied) {
					t.Fatal(err)
				}
				if size := b.read(server); size != before {
					t.Fatalf("in the middle it has %d entries, before %d", size, before)
				}
			}
		} else if _, err := b.export(b.rows); err != nil {
			t.Fatal(err)
		}
		if before = b.read(server); before != b.m.Size() {
			t.Fatalf("%d entries, want %d", before, b.m.Size())
		}
	}
	again, err := b.export(b.rows)
	if err != nil || again.Written != 0 || again.Removed != 0 {
		t.Errorf("nothing new, but %+v, %v", again, err)
	}
	for _, name := range b.files() {
		if name != "checkpoint" && name != ".export.json" && !b.same(name) {
			t.Errorf("%s is not what the ledger serves", name)
		}
	}
}

// files are the names in the folder.
func (b *book) files() (names []string) {
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.ToSlash(strings.TrimPrefix(path, b.dir+string(filepath.Separator))))
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return names
}

func (b *book) same(name string) bool {
	want, err := ledger.NewStatic(b.rows, nil, b.m.Size, quiet).Object("/" + name)
	got, readErr := os.ReadFile(filepath.Join(b.dir, name))
	return err == nil && readErr == nil && bytes.Equal(got, want)
}

// What only old checkpoints and dropped versions need goes in time.
func TestExportRemovesWhatIsOld(t *testing.T) {
	b := newBook(t)
	server := httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	defer server.Close()
	apply(t, b.m, b.issue(landDID, 300))
	b.publish()
	if _, err := b.export(b.rows); err != nil {
		t.Fatal(err)
	}
	old := b.files()
	for i := range 3 {
		apply(t, b.m, b.signed(landDID, entry.CredentialsSuspended{Leaves: []uint64{uint64(i), uint64(i + 256)}}))
		b.publish()
	}
	if r, err := b.export(b.rows); err != nil || r.Removed != 0 {
		t.Fatalf("%+v, %v: readers of the last checkpoint still need it", r, err)
	}
	for _, name := range old {
		if _, err := os.Stat(filepath.Join(b.dir, name)); err != nil {
			t.Error(err)
		}
	}
	// The first leaves come back, and with them their tile; then a day passes.
	apply(t, b.m, b.signed(landDID, entry.CredentialsReinstated{Leaves: []uint64{256, 257, 258}}))
	b.publish()
	b.now += 100_000
	apply(t, b.m, b.signed(landDID, entry.CredentialsReinstated{Leaves: []uint64{0, 1, 2}}))
	b.publish()
	if _, err := ledger.Prune(b.rows, 5, b.time(b.now)); err != nil {
		t.Fatal(err)
	}
	r, err := b.export(b.rows)
	if err != nil || r.Removed == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	b.read(server)
	for _, name := range b.files() {
		if rest, ok := strings.CutPrefix(name, "active/"); ok && !b.same(name) {
			t.Errorf("tile %s is of no kept version", rest)
		}
		if strings.Contains(name, ".p/") && !b.same(name) {
			t.Errorf("%s", name)
		}
	}
	if partial := slices.DeleteFunc(b.files(), func(name string) bool { return !strings.Contains(name, ".p/") && !strings.HasPrefix(name, "seal/") }); len(partial) != 4 {
		t.Errorf("partial tiles and seals: %v", partial)
	}
}

func TestExportRefusesAnotherHistory(t *testing.T) {
	b := newBook(t)
	if _, err := b.export(b.rows); err == nil {
		t.Error("exported without a checkpoint")
	}
	b.publish()
	small := allRows(t, b.rows)
	b.publish()
	if _, err := b.export(b.rows); err != nil {
		t.Fatal(err)
	}
	older := store.NewMemory()
	if err := older.Commit(small); err != nil {
		t.Fatal(err)
	}
	if _, err := b.export(older); err == nil || !strings.Contains(err.Error(), "put back") {
		t.Errorf("an older ledger: %v", err)
	}
	small["c"] = allRows(t, b.rows)["c"]
	if err := older.Commit(small); err != nil {
		t.Fatal(err)
	}
	if _, err := b.export(older); err == nil {
		t.Error("exported a checkpoint of another tree")
	}
}
