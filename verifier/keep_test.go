package verifier_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/store"
)

var subsidy = credential.VerifierScope(bank, "subsidy")

// scope is one of the list.
func (w *world) scope(id credential.Element) verifier.CountedScope {
	w.t.Helper()
	list, err := w.verifier.Scopes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(s verifier.CountedScope) bool { return s.ID == id })
	if i < 0 {
		w.t.Fatalf("scope %s is not in %+v", id, list)
	}
	return list[i]
}

func (w *world) close(id credential.Element) {
	w.t.Helper()
	if s, err := w.verifier.CloseScope(w.t.Context(), id); err != nil || s.Open || s.Closed == nil {
		w.t.Fatalf("%+v, %v", s, err)
	}
}

func (w *world) purge() {
	w.t.Helper()
	if _, err := w.verifier.Purge(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// startCode is the code that a session is refused with.
func (w *world) startCode(policy string) string {
	w.t.Helper()
	_, err := w.verifier.Start(w.t.Context(), "app", policy, 0)
	var notReady *verifier.NotReadyError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &notReady):
		return notReady.Code
	}
	return err.Error()
}

func TestScopes(t *testing.T) {
	w := newWorld(t)
	me, owner := w.resident(w.person()), w.owner(w.person(), "91216-A-17")
	w.seal()
	for policy, who := range map[string]*held{"subsidy": me, "pledge": owner, "reader": me} {
		_, request, id := w.begin(policy)
		if err := w.respond(id, request, w.answer(request, who)); err != nil {
			t.Fatal(policy, err)
		}
	}
	list, err := w.verifier.Scopes(t.Context())
	if err != nil || len(list) != 2 || list[0].Service != "pledge" || list[1].Service != "subsidy" {
		t.Fatalf("%+v, %v", list, err)
	}
	if s := list[1]; s.ID != subsidy || !slices.Equal(s.Policies, []string{"couple", "subsidy"}) || !s.Open || s.Tags != 1 || s.Closed != nil {
		t.Errorf("%+v", s)
	}
	// Who looks at the store without the policies knows the scopes by what they were asked under.
	bare := &verifier.Keeper{Store: w.store, DID: bank, Genesis: w.ledger.hash}
	if list, err = bare.Scopes(); err != nil || len(list) != 2 || list[1].Service != "subsidy" || !slices.Equal(list[1].Policies, []string{"subsidy"}) || list[1].Tags != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestClosedScope(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		me, other := w.resident(w.person()), w.resident(w.person())
		w.seal()
		_, request, id := w.begin("subsidy")
		if err := w.respond(id, request, w.answer(request, me)); err != nil {
			t.Fatal(err)
		}
		_, request2, id2 := w.begin("subsidy")
		started, request, id := w.begin("subsidy")
		w.close(subsidy)
		w.close(subsidy) // nothing happens
		if got := codeOf(w.respond(id2, request2, w.answer(request2, me))); got != check.ScopeClosed {
			t.Errorf("a second use: %s", got)
		}
		if got := codeOf(w.respond(id, request, w.answer(request, other))); got != check.ScopeClosed {
			t.Errorf("an open session: %s", got)
		}
		if status := w.status(started.ID); status.State != verifier.Rejected || !status.Final || status.Reason.Code != check.ScopeClosed {
			t.Errorf("%+v", status)
		}
		if w.startCode("subsidy") != verifier.ScopeClosed || w.startCode("couple") != verifier.ScopeClosed || w.startCode("reader") != "ok" || w.startCode("pledge") != "ok" {
			t.Error("other policies than those of the scope are refused, or not all of these")
		}
		if err := w.verifier.Ready(t.Context()); err != nil {
			t.Errorf("the other policies have nobody to ask: %v", err)
		}
		if s := w.scope(subsidy); s.Open || s.Tags != 1 || s.Closed.Why != verifier.ByOperator {
			t.Errorf("%+v", s)
		}
		w.purge()
		w.clock.advance(900 * day)
		w.purge()
		w.ledger.registry.VerifyingKeys[0].NotAfter += 1 << 30
		w.seal()
		w.start()
		if s := w.scope(subsidy); s.Open || s.Tags != 0 {
			t.Errorf("after years: %+v", s)
		}
		if w.startCode("subsidy") != verifier.ScopeClosed {
			t.Error("a closed scope opened again")
		}
		if _, err := w.verifier.CloseScope(t.Context(), credential.VerifierScope(bank, "no-such")); !errors.Is(err, verifier.ErrScopeUnknown) {
			t.Errorf("closing what is not there: %v", err)
		}
	})
}

// recorder notes in which order rows were written that exclude each other, and the largest deletion.
type recorder struct {
	verifier.Store
	mu      sync.Mutex
	order   []string
	deleted int
}

func (r *recorder) Commit(b verifier.Batch) error {
	r.mu.Lock() // the order that is noted is the one that is
	defer r.mu.Unlock()
	err := r.Store.Commit(b)
	if err != nil {
		return err
	}
	r.deleted = max(r.deleted, len(b.Delete))
	for key := range b.Set {
		if verifier.Kept(key) {
			kind, _, _ := strings.Cut(key, "/")
			r.order = append(r.order, kind)
		}
	}
	return nil
}

// Of responses and the closing of their scope, at once, each response wins or loses: none is taken after it.
func TestRaceWithClosing(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		const n = 24
		people := w.residents(n)
		r := &recorder{Store: w.store}
		w.store = r
		w.start()
		var ids [n]string
		var requests [n]*openid.RequestObject
		var tokens [n]openid.VPToken
		for i := range n {
			_, requests[i], ids[i] = w.begin("subsidy")
			tokens[i] = w.answer(requests[i], people[i])
		}
		codes := together(n+1, func(i int) error {
			if i == n {
				_, err := w.verifier.CloseScope(t.Context(), subsidy)
				return err
			}
			return w.respond(ids[i], requests[i], tokens[i])
		})
		taken := codes["ok"] - 1
		if codes[check.ScopeClosed]+taken != n {
			t.Errorf("%v", codes)
		}
		if end := slices.Index(r.order, "closed"); end != taken || len(r.order) != taken+1 {
			t.Errorf("%d taken, in this order: %v", taken, r.order)
		}
		if s := w.scope(subsidy); s.Tags != taken {
			t.Errorf("%d tags, %d taken", s.Tags, taken)
		}
	})
}

// The closing comes between check and commit: the response is refused and leaves no tag.
func TestClosedBeforeCommit(t *testing.T) {
	w := newWorld(t)
	w.store = &before{Store: w.store, meant: isResult, run: func() { w.close(subsidy) }}
	w.start()
	me := w.resident(w.person())
	w.seal()
	_, request, id := w.begin("subsidy")
	if got := codeOf(w.respond(id, request, w.answer(request, me))); got != check.ScopeClosed {
		t.Error(got)
	}
	if s := w.scope(subsidy); s.Tags != 0 {
		t.Errorf("%+v", s)
	}
}

// Tags are dropped some at a time, those of closed scopes only.
func TestPurgeOfTags(t *testing.T) {
	w := newWorld(t)
	r := &recorder{Store: w.store}
	w.store = r
	w.start()
	pledge := credential.VerifierScope(bank, "pledge")
	b := verifier.Batch{Set: make(map[string][]byte)}
	for i := range 2500 {
		b.Set[fmt.Sprintf("tag/pseudonym/%s/%d", subsidy, i)] = []byte("{}")
		b.Set[fmt.Sprintf("tag/subject/%s/%d", subsidy, i)] = []byte("{}")
		b.Set[fmt.Sprintf("tag/subject/%s/%d", pledge, i)] = []byte("{}")
	}
	if err := w.store.Commit(b); err != nil {
		t.Fatal(err)
	}
	w.purge()
	if n := w.scope(subsidy).Tags; n != 5000 {
		t.Errorf("%d tags of an open scope are left", n)
	}
	w.close(subsidy)
	w.purge()
	if w.scope(subsidy).Tags != 0 || w.scope(pledge).Tags != 2500 {
		t.Errorf("%d and %d tags are left", w.scope(subsidy).Tags, w.scope(pledge).Tags)
	}
	if r.deleted == 0 || r.deleted > 1000 {
		t.Errorf("%d rows were dropped at once", r.deleted)
	}
}

// guarded is a store on a disk with a register on another.
type guarded struct {
	*world
	dir      string
	register store.FileRegister
	rows     *store.Pebble
}

func newGuarded(t *testing.T) *guarded {
	dir := t.TempDir()
	g := &guarded{world: newWorld(t), dir: filepath.Join(dir, "store"), register: store.FileRegister(filepath.Join(dir, "register"))}
	if err := g.open(g.register); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *guarded) open(r store.Register) (err error) {
	if g.rows, err = store.Open(store.Config{Dir: g.dir, Register: r}); err != nil {
		return err
	}
	rows := g.rows
	g.t.Cleanup(func() { rows.Close() })
	g.store = rows
	g.start()
	return nil
}

// put closes the store and puts a copy in its place.
func (g *guarded) put(dir string) {
	g.t.Helper()
	if err := errors.Join(g.rows.Close(), os.RemoveAll(g.dir), os.CopyFS(g.dir, os.DirFS(dir))); err != nil {
		g.t.Fatal(err)
	}
}

// A store that is put back refuses to open. Restored, it closes what it may have forgotten: who was here since the copy
// was made is refused, and what does not count goes on.
func TestStorePutBack(t *testing.T) {
	g := newGuarded(t)
	first, second := g.resident(g.person()), g.resident(g.person())
	g.seal()
	ask := func(c *held) check.Code {
		_, request, id := g.begin("subsidy")
		return codeOf(g.respond(id, request, g.answer(request, c)))
	}
	if got := ask(first); got != "ok" {
		t.Fatal(got)
	}
	copied := filepath.Join(t.TempDir(), "backup")
	if err := g.rows.Backup(copied); err != nil {
		t.Fatal(err)
	}
	if got := ask(second); got != "ok" {
		t.Fatal(got)
	}
	g.put(copied)
	if err := g.open(g.register); !errors.Is(err, store.ErrPutBack) {
		t.Fatalf("an older store opens: %v", err)
	}
	if err := g.open(nil); err != nil { // as before there was a register
		t.Fatal(err)
	}
	if got := ask(second); got != "ok" {
		t.Fatalf("the copy has forgotten nothing, so this tests nothing: %s", got)
	}
	g.put(copied)
	if err := g.open(nil); err != nil {
		t.Fatal(err)
	}
	keeper := &verifier.Keeper{Store: g.rows, DID: bank, Genesis: g.ledger.hash, Policies: policies(), Clock: g.clock.Now}
	closed, err := keeper.Restored("gone")
	if err != nil || len(closed) != 3 {
		t.Fatalf("%+v, %v", closed, err)
	}
	if again, err := keeper.Restored("gone"); err != nil || len(again) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	if err := errors.Join(g.rows.Renew(g.register), g.rows.Close(), g.open(g.register)); err != nil {
		t.Fatal(err)
	}
	for policy, want := range map[string]string{"subsidy": verifier.ScopeClosed, "couple": verifier.ScopeClosed, "pledge": verifier.ScopeClosed, "residence": "ok", "reader": "ok"} {
		if got := g.startCode(policy); got != want {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
	}
	if s := g.scope(subsidy); s.Open || s.Closed.Why != verifier.ByRestoring {
		t.Errorf("%+v", s)
	}
	if s := g.scope(credential.VerifierScope(bank, "gone")); s.Open {
		t.Errorf("a scope that was named: %+v", s)
	}
	page, err := g.verifier.Log(verifier.LogQuery{All: true})
	if err != nil || !slices.ContainsFunc(page.Entries, func(e verifier.LogEntry) bool { return e.Kind == verifier.StoreWasRestored && e.Scopes == 3 }) {
		t.Errorf("log: %+v, %v", page, err)
	}
	g.put(copied) // the same copy again is another store
	if err := g.open(g.register); !errors.Is(err, store.ErrPutBack) {
		t.Errorf("the copy opens after the restore: %v", err)
	}
}

// memoryRegister is a register of which each write is durable.
type memoryRegister struct {
	mu      sync.Mutex
	content []byte
}

func (r *memoryRegister) Read() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.content == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(r.content), nil
}

func (r *memoryRegister) Write(content []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.content = bytes.Clone(content)
	return nil
}

// The power goes while people answer and their scope is closed: the store opens with its register, who was told that they
// were taken are, and if anybody was told that the scope is closed it is, and takes nobody.
func TestPowerCutWhileClosing(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 17))
	closings := 0
	for life := range 12 {
		w := newWorld(t)
		disk, register := vfs.NewCrashableMem(), new(memoryRegister)
		open := func() {
			s, err := store.Open(store.Config{Dir: "db", FS: disk, Register: register})
			if err != nil {
				t.Fatalf("life %d: %v", life, err)
			}
			t.Cleanup(func() { s.Close() })
			w.store = s
			w.start()
		}
		open()
		people := w.residents(16)
		list := make([]*verifier.Started, len(people))
		var requests []*openid.RequestObject
		var ids []string
		for i := range people {
			started, request, id := w.begin("subsidy")
			list[i], requests, ids = started, append(requests, request), append(ids, id)
		}
		tokens := make([]openid.VPToken, len(people))
		for i := range tokens {
			tokens[i] = w.answer(requests[i], people[i])
		}
		var mu sync.Mutex
		off, closed, taken := false, false, make(map[string]bool)
		learn := func(f func()) {
			mu.Lock()
			defer mu.Unlock()
			if !off {
				f()
			}
		}
		v := w.verifier
		var wg sync.WaitGroup
		for i := range people {
			wg.Go(func() {
				switch codeOf(v.Respond(t.Context(), ids[i], verifier.Response{State: requests[i].State, Token: encode(t, tokens[i])})) {
				case "ok":
					learn(func() { taken[list[i].ID] = true })
				case check.ScopeClosed:
					learn(func() { closed = true })
				}
			})
		}
		wg.Go(func() {
			time.Sleep(time.Duration(rng.IntN(8)) * time.Millisecond)
			if _, err := v.CloseScope(t.Context(), subsidy); err == nil {
				learn(func() { closed = true })
			}
		})
		time.Sleep(time.Duration(2+life) * time.Millisecond)
		mu.Lock()
		register.mu.Lock() // both at one moment
		disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(life), 1))})
		left := &memoryRegister{content: bytes.Clone(register.content)}
		register.mu.Unlock()
		off = true
		mu.Unlock()
		wg.Wait()
		register = left
		open()
		for id := range taken {
			if w.status(id).State != verifier.Verified {
				t.Errorf("life %d: a session that was verified is %s", life, w.status(id).State)
			}
		}
		if s := w.scope(subsidy); closed && s.Open || s.Tags < len(taken) {
			t.Errorf("life %d: told that it is closed %v, %d taken: %+v", life, closed, len(taken), s)
		}
		if closed {
			closings++
			if w.startCode("subsidy") != verifier.ScopeClosed {
				t.Errorf("life %d: the scope takes people again", life)
			}
		}
	}
	if closings == 0 {
		t.Error("no scope was closed before the power went: nothing was tested")
	}
}

// before runs something once, before the first commit that it is meant for.
type before struct {
	verifier.Store
	meant func(verifier.Batch) bool
	once  sync.Once
	run   func()
}

func (b *before) Commit(batch verifier.Batch) error {
	if b.meant(batch) {
		b.once.Do(b.run)
	}
	return b.Store.Commit(batch)
}

// Two verifiers on one store that close a scope, or drop a session, at once: it is done once, and in the log once.
func TestTwoThatKeepOneStore(t *testing.T) {
	w := newWorld(t)
	other := w.verifier
	w.store = &before{Store: w.store, meant: func(b verifier.Batch) bool { return len(b.Absent) == 1 && strings.HasPrefix(b.Absent[0], "closed/") }, run: func() {
		w.clock.advance(time.Second)
		if _, err := other.CloseScope(t.Context(), subsidy); err != nil {
			t.Error(err)
		}
	}}
	w.start()
	begun := credential.UnixTimeOf(w.clock.Now())
	if s, err := w.verifier.CloseScope(t.Context(), subsidy); err != nil || s.Open || s.Closed.At != begun+1 {
		t.Errorf("%+v, %v", s, err)
	}
	w.begin("residence")
	w.store = &before{Store: w.store, meant: func(b verifier.Batch) bool { return len(b.Delete) > 1 }, run: func() {
		if _, err := other.Purge(t.Context()); err != nil {
			t.Error(err)
		}
	}}
	w.start()
	w.clock.advance(2 * time.Hour)
	w.purge()
	kinds := make(map[verifier.EntryKind]int)
	for _, e := range w.log(verifier.LogQuery{}) {
		kinds[e.Kind]++
	}
	if kinds[verifier.ScopeWasClosed] != 1 || kinds[verifier.SessionEnded] != 1 {
		t.Errorf("%v", kinds)
	}
}
