package mirror_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/ledger/mirror"
	"github.com/bulla-id/bulla/ledger/store"
)

const start = ledgertest.Start

type rig struct {
	*testing.T
	host   *ledgertest.Host
	dir    string
	store  ledger.Store
	mirror *mirror.Mirror
	server *httptest.Server
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, host: ledgertest.NewHost(t, nil), dir: t.TempDir(), store: store.NewMemory()}
	r.restart()
	return r
}

func (r *rig) restart() {
	r.Helper()
	cfg := r.host.Config()
	r.mirror = ledgertest.Must(mirror.New(mirror.Config{
		Profile: client.Profile{Ledger: cfg.URL, Genesis: cfg.Genesis, Policy: cfg.Policy}, Store: r.store,
		Memory: client.File(filepath.Join(r.dir, "seen")), Evidence: filepath.Join(r.dir, "evidence"), Export: filepath.Join(r.dir, "www"),
		Clock: r.host.Clock, Logger: slog.New(slog.DiscardHandler),
	}))(r.T)
	r.server = httptest.NewServer(r.mirror.Handler())
	r.Cleanup(r.server.Close)
}

func (r *rig) sync() {
	r.Helper()
	if err := r.mirror.Sync(r.Context()); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) ready() (int, string) {
	r.Helper()
	response := ledgertest.Must(http.Get(r.server.URL + "/readyz"))(r.T)
	defer response.Body.Close()
	return response.StatusCode, string(ledgertest.Must(io.ReadAll(response.Body))(r.T))
}

// wantAlarm checks that everybody hears of it.
func (r *rig) wantAlarm(a mirror.Alarm) mirror.Status {
	r.Helper()
	s := r.mirror.Status()
	code, body := r.ready()
	if s.Alarm != a || (a == mirror.Fine) != (code == 200) || !strings.Contains(body, string(a)) {
		r.Fatalf("%+v; readyz %d %s, want %q", s, code, body, a)
	}
	return s
}

// read reads the copy at a URL as a wallet does.
func (r *rig) read(url string) uint64 {
	r.Helper()
	cfg := r.host.Config()
	cfg.URL = url
	c := ledgertest.Must(client.New(cfg))(r.T)
	v := ledgertest.Must(c.Update(r.Context()))(r.T)
	g := ledgertest.Must(c.Group(r.Context(), v.Seal.ActiveRoot, 0))(r.T)
	if path, leaf, err := g.Path(0); err != nil || path.Root(leaf) != v.Seal.ActiveRoot {
		r.Errorf("path: %v", err)
	}
	return v.Checkpoint.Size
}

func TestMirror(t *testing.T) {
	r := newRig(t)
	r.wantAlarm(mirror.Stalled)
	files := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(r.dir, "www"))))
	defer files.Close()
	for i := range 3 {
		r.host.Issue("", 100)
		r.host.Seal(start + credential.UnixTime(10*i+10))
		r.sync()
		r.wantAlarm(mirror.Fine)
		for _, url := range []string{r.server.URL, files.URL} {
			if size := r.read(url); size != uint64(len(r.host.Entries)) {
				t.Errorf("%s has %d entries, want %d", url, size, len(r.host.Entries))
			}
		}
		if i == 1 {
			r.restart()
			r.wantAlarm(mirror.Fine)
		}
	}
	if s := r.mirror.Status(); s.Entries != uint64(len(r.host.Entries)) || s.Problem != "" || s.Synced == "" {
		t.Errorf("%+v", s)
	}
}

func TestStall(t *testing.T) {
	r := newRig(t)
	r.host.Seal(start + 10)
	r.sync()
	r.wantAlarm(mirror.Fine)
	r.host.Now = start + 10 + 2*60 + 61 // the chain seals every minute at least
	r.sync()
	r.wantAlarm(mirror.Stalled)
	r.host.Seal(r.host.Now)
	r.host.Tamper = func(string, []byte) []byte { return []byte{} }
	if r.mirror.Sync(t.Context()) == nil {
		t.Error("synced with a log that does not answer")
	}
	if s := r.wantAlarm(mirror.Stalled); s.Problem == "" {
		t.Error("the status does not say why")
	}
	r.host.Tamper = nil
	r.sync()
	r.wantAlarm(mirror.Fine)
}

// fork shows the mirror one history and then another, of some sizes.
func fork(t *testing.T, before, after int) *rig {
	r := newRig(t)
	other := ledgertest.NewHost(t, nil)
	for host, n := range map[*ledgertest.Host]int{r.host: before, other: after} {
		for i := range n {
			host.Issue(strconv.Itoa(len(r.host.Entries)*1000+i), 1)
		}
	}
	r.host.Seal(start + 10)
	r.sync()
	other.Seal(start + 20)
	r.host.Now = start + 20
	r.host.Tamper = func(path string, _ []byte) []byte {
		b, ok := other.Answer(path)
		if !ok {
			return []byte{}
		}
		return b
	}
	if err := r.mirror.Sync(t.Context()); err == nil {
		t.Fatal("followed a fork")
	}
	return r
}

func TestFork(t *testing.T) {
	for name, sizes := range map[string][2]int{"one size": {3, 3}, "longer": {3, 300}, "one more": {3, 4}} {
		t.Run(name, func(t *testing.T) {
			r := fork(t, sizes[0], sizes[1])
			status := r.wantAlarm(mirror.Fork)
			data := ledgertest.Must(os.ReadFile(status.Evidence))(t)
			key := r.host.Founding.LogKey
			if _, err := client.CheckEvidence(data, key); err != nil {
				t.Error(err)
			}
			judge(t, data, key)
			spoil(t, data, key)
			if size := r.read(r.server.URL); size != uint64(len(r.host.Entries)) {
				t.Errorf("it serves %d entries after the fork", size)
			}
			if r.mirror.Sync(t.Context()) == nil {
				t.Error("followed it after all")
			}
			r.restart()
			_ = r.mirror.Sync(t.Context())
			r.wantAlarm(mirror.Fork)
		})
	}
}

// judge checks evidence from its bytes alone, with other code.
func judge(t *testing.T, data []byte, key string) {
	t.Helper()
	var e struct {
		Older, Newer string
		Root         string
		Proof        []string
	}
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	verifier := ledgertest.Must(note.NewVerifier(key))(t)
	head := func(text string) (uint64, []byte) {
		n := ledgertest.Must(note.Open([]byte(text), note.VerifierList(verifier)))(t)
		lines := strings.Split(n.Text, "\n")
		return ledgertest.Must(strconv.ParseUint(lines[1], 10, 64))(t), ledgertest.Must(base64.StdEncoding.DecodeString(lines[2]))(t)
	}
	decode := func(s string) []byte { return ledgertest.Must(base64.RawURLEncoding.DecodeString(s))(t) }
	size, root := head(e.Older)
	newSize, newRoot := head(e.Newer)
	if size == newSize {
		if bytes.Equal(root, newRoot) {
			t.Error("one checkpoint twice")
		}
		return
	}
	var hashes [][]byte
	for _, h := range e.Proof {
		hashes = append(hashes, decode(h))
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, size, newSize, hashes, decode(e.Root), newRoot); err != nil {
		t.Error(err)
	}
	if bytes.Equal(decode(e.Root), root) {
		t.Error("the checkpoints fit")
	}
}

// spoil changes evidence, which must then convince nobody.
func spoil(t *testing.T, data []byte, key string) {
	t.Helper()
	var e client.Evidence
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*client.Evidence){
		"one checkpoint twice": func(e *client.Evidence) { e.Newer = e.Older },
		"swapped sizes": func(e *client.Evidence) {
			e.Older, e.Newer = e.Newer, e.Older
			e.Root[0] ^= 1
		},
		"another root": func(e *client.Evidence) { e.Root[0] ^= 1 },
		"more proof":   func(e *client.Evidence) { e.Proof = append(e.Proof, credential.Digest{1}) },
		"another key":  func(e *client.Evidence) { e.LogKey = "x" },
		"version":      func(e *client.Evidence) { e.Version = 2 },
		"unsigned":     func(e *client.Evidence) { e.Newer = strings.SplitAfter(e.Newer, "\n\n")[0] },
	} {
		changed := e
		changed.Proof = append([]credential.Digest{}, e.Proof...)
		change(&changed)
		text := ledgertest.Must(changed.Bytes())(t)
		if _, err := client.CheckEvidence(text, key); err == nil {
			t.Errorf("%s: convinced", name)
		}
	}
	other := ledgertest.NewHost(t, func(g *entry.Genesis) { g.Network = "another" })
	if _, err := client.CheckEvidence(data, strings.Replace(other.Founding.LogKey, "A", "B", 1)); err == nil {
		t.Error("convinced of another log")
	}
}

// An entry that breaks the rules is kept, and nothing behind it is followed.
func TestRule(t *testing.T) {
	r := newRig(t)
	r.host.Seal(start + 10)
	r.sync()
	good := uint64(len(r.host.Entries))
	bad := r.host.Draft(start + 20)
	bad.Leaves++
	r.host.Append(r.host.Sign(entry.Operator, r.host.Operator, bad))
	r.host.Publish(r.host.Cosigner)
	r.host.Now = start + 20
	if r.mirror.Sync(t.Context()) == nil {
		t.Fatal("followed")
	}
	status := r.wantAlarm(mirror.Rule)
	data := ledgertest.Must(os.ReadFile(status.Evidence))(t)
	broken, err := client.CheckBroken(data, r.host.Founding.LogKey)
	if err != nil || broken.Index != uint64(len(r.host.Entries))-1 || !bytes.Equal(broken.Entry, r.host.Entries[broken.Index]) {
		t.Errorf("evidence %s: %v", data, err)
	}
	for name, change := range map[string]func(*client.Broken){
		"another entry": func(b *client.Broken) { b.Entry = r.host.Entries[1] },
		"another index": func(b *client.Broken) { b.Index-- },
		"behind":        func(b *client.Broken) { b.Index++ },
		"another key":   func(b *client.Broken) { b.LogKey = "x" },
		"version":       func(b *client.Broken) { b.Version++ },
		"no proof":      func(b *client.Broken) { b.Proof = []credential.Digest{} },
		"unsigned":      func(b *client.Broken) { b.Checkpoint = strings.SplitAfter(b.Checkpoint, "\n\n")[0] },
	} {
		changed := broken
		change(&changed)
		if _, err := client.CheckBroken(ledgertest.Must(changed.Bytes())(t), r.host.Founding.LogKey); !errors.Is(err, client.ErrNotSigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if size := r.read(r.server.URL); size != good {
		t.Errorf("it serves %d entries, want %d", size, good)
	}
}
