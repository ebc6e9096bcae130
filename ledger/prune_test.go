package ledger_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// keeper is a store that is pruned, beside a model: each seal with the leaves that its tree must have.
type keeper struct {
	c     *chain
	r     *rapid.T
	store ledger.Store
	m     *ledger.Machine
	now   int

	leaves    []credential.Element // as issued
	status    []byte
	seals     []sealedTree
	committed *keeper // what was not committed is forgotten by a crash
	published int
}

type sealedTree struct {
	seal   entry.Seal
	leaves []credential.Element
}

func (k *keeper) apply(p entry.Payload, signer string) {
	if _, err := k.m.Apply(k.c.numbered(signer, k.nextOf(signer), p)); err != nil {
		k.r.Fatalf("%T: %v", p, err)
	}
}

// nextOf asks the machine, as crashes take numbers back.
func (k *keeper) nextOf(signer string) uint64 {
	next, err := k.m.NextSequence(signer)
	if err != nil {
		k.r.Fatal(err)
	}
	return next
}

func (k *keeper) issue(n int) {
	commitments := k.c.commitments(n)
	k.apply(entry.CredentialsIssued{Schema: k.c.land, Commitments: commitments}, landDID)
	for _, commitment := range commitments {
		k.leaves = append(k.leaves, credential.Leaf(credential.IssuerID(landDID), k.c.land, commitment))
		k.status = append(k.status, 'a')
	}
}

// change suspends, reinstates or revokes some leaf that allows it.
func (k *keeper) change(kind string) {
	from, to := map[string]string{"suspend": "a", "reinstate": "s", "revoke": "as"}[kind], map[string]byte{"suspend": 's', "reinstate": 'a', "revoke": 'r'}[kind]
	var able []uint64
	for i, s := range k.status {
		if strings.Contains(from, string(s)) {
			able = append(able, uint64(i))
		}
	}
	if len(able) == 0 {
		return
	}
	i := rapid.SampledFrom(able).Draw(k.r, "leaf")
	k.apply(map[string]entry.Payload{
		"suspend": entry.CredentialsSuspended{Leaves: []uint64{i}}, "reinstate": entry.CredentialsReinstated{Leaves: []uint64{i}},
		"revoke": entry.CredentialsRevoked{Leaves: []uint64{i}},
	}[kind], landDID)
	k.status[i] = to
}

func (k *keeper) seal() {
	k.now += rapid.SampledFrom([]int{10, 10, 30}).Draw(k.r, "pause")
	seal, err := k.m.DraftSeal(k.c.time(k.now))
	if err != nil {
		k.r.Fatal(err)
	}
	k.apply(seal, entry.Operator)
	live := slices.Clone(k.leaves)
	for i, s := range k.status {
		if s != 'a' {
			live[i] = credential.Element{}
		}
	}
	k.seals = append(k.seals, sealedTree{seal, live})
}

func (k *keeper) commit() {
	rows, err := k.m.Changes()
	if err == nil {
		err = k.store.Commit(rows)
	}
	if err != nil {
		k.r.Fatal(err)
	}
	k.m.Committed()
	k.committed = &keeper{leaves: slices.Clone(k.leaves), status: slices.Clone(k.status), seals: slices.Clone(k.seals)}
}

func (k *keeper) crash() {
	m, err := ledger.NewMachine(k.store)
	if err != nil {
		k.r.Fatal(err)
	}
	k.m, k.leaves, k.status, k.seals = m, slices.Clone(k.committed.leaves), slices.Clone(k.committed.status), slices.Clone(k.committed.seals)
}

func (k *keeper) prune(keep int) {
	if len(k.committed.seals) == 0 {
		return
	}
	k.published = max(k.published, rapid.IntRange(max(0, len(k.committed.seals)-3), len(k.committed.seals)-1).Draw(k.r, "published"))
	newest := k.published
	before := k.committed.seals[newest].seal.Time - credential.UnixTime(keep)
	for {
		more, err := ledger.Prune(k.store, uint64(newest), before)
		if err != nil {
			k.r.Fatal(err)
		}
		if !more {
			break
		}
	}
	from, err := ledger.KeptFrom(k.store)
	if err != nil || from > uint64(newest) || k.committed.seals[newest].seal.Time >= before && int(from) < newest && k.committed.seals[from].seal.Time < before {
		k.r.Fatalf("kept from %d, published %d, %v", from, newest, err)
	}
}

// check reads every kept seal whole, and compares the tiles and documents of the store with what they need.
func (k *keeper) check() {
	from, err := ledger.KeptFrom(k.store)
	if err != nil {
		k.r.Fatal(err)
	}
	needed, tiles := make(map[string]bool), make(map[credential.Element]tree.Tile)
	var leafAt func(row int, name credential.Element, index uint64) credential.Element
	leafAt = func(row int, name credential.Element, index uint64) credential.Element {
		tile, known := tiles[name]
		if name == tree.EmptyRoots[min(tree.RowLevel(row+1), credential.ActiveDepth)] {
			return credential.Element{}
		}
		if !known {
			b := name.Bytes()
			needed["t"+string(b[:])] = true
			data, err := k.store.Get(append([]byte("t"), b[:]...))
			if err == nil {
				tile, err = tree.ParseTile(row, name, data)
			}
			if err != nil {
				k.r.Fatalf("tile of a kept seal: %v", err)
			}
			tiles[name] = tile
		}
		leaf := tile.Leaf(tree.TilePosition(index, row))
		if row == 0 {
			return leaf
		}
		return leafAt(row-1, leaf, index)
	}
	for _, s := range k.committed.seals[min(int(from), len(k.committed.seals)):] {
		for i, want := range s.leaves {
			if leaf := leafAt(tree.TileRows-1, s.seal.ActiveRoot, uint64(i)); leaf != want {
				k.r.Fatalf("leaf %d under seal %d: %s, want %s", i, s.seal.Height, leaf, want)
			}
		}
		for _, digest := range []credential.Digest{s.seal.Registry, s.seal.Census} {
			if _, err := k.store.Get(append([]byte("r"), digest[:]...)); err != nil {
				k.r.Fatalf("document of seal %d: %v", s.seal.Height, err)
			}
			needed["r"+string(digest[:])] = true
		}
	}
	for key := range allRows(k.c.t.(*testing.T), k.store) {
		if (key[0] == 't' || key[0] == 'r') && !needed[key] {
			k.r.Fatalf("row %q is of no kept seal", key)
		}
	}
	if _, err := ledger.VerifyStore(k.c.t.Context(), k.store, nil, nil); err != nil {
		k.r.Fatal(err)
	}
}

// Random issue, suspend, reinstate, revoke, seal, commit, crash, prune: every kept seal can be read whole, and nothing
// is left of the others.
func TestPruneKeepsWholeVersions(t *testing.T) {
	pruned := 0
	rapid.Check(t, func(r *rapid.T) {
		c := newChain(t)
		s := store.NewMemory()
		m, err := ledger.NewMachine(s)
		if err != nil {
			r.Fatal(err)
		}
		apply(t, m, c.opening()...)
		k := &keeper{c: c, r: r, store: s, m: m}
		k.commit()
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			switch op := rapid.SampledFrom([]string{"issue", "suspend", "reinstate", "reinstate", "revoke", "seal", "seal", "commit", "crash", "prune"}).Draw(r, "op"); op {
			case "issue":
				k.issue(rapid.SampledFrom([]int{1, 3, 3, 90}).Draw(r, "n"))
			case "seal":
				k.seal()
			case "commit":
				k.commit()
			case "crash":
				k.crash()
			case "prune":
				k.prune(rapid.SampledFrom([]int{0, 20, 60}).Draw(r, "keep"))
			default:
				k.change(op)
			}
		}
		k.commit()
		k.prune(20)
		k.check()
		if from, _ := ledger.KeptFrom(s); from > 1 {
			pruned++
		}
	})
	if pruned == 0 {
		t.Error("nothing was ever pruned")
	}
}

// A running log prunes by itself, says what is gone, and what is left verifies.
func TestLogPrunes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		cfg := c.config()
		cfg.KeepVersions, cfg.ExportDir = 30*time.Second, t.TempDir()
		l := c.open(cfg)
		var roots []credential.Element
		for range 10 {
			receipt := c.submit(l, c.issue(landDID, 2))
			if _, err := l.Receipt(t.Context(), receipt.Index, entry.LevelSealed); err != nil {
				t.Fatal(err)
			}
			for i := receipt.Index; ; i++ {
				if e, err := entry.Parse(mustEntry(t, cfg.Store, i)); err != nil || e.Header().Kind == entry.KindSeal {
					p, err := e.ParsePayload()
					if err != nil {
						t.Fatal(err)
					}
					roots = append(roots, p.(entry.Seal).ActiveRoot)
					break
				}
			}
		}
		c.submit(l, c.issue(landDID, 1)) // another batch, so that the last seal was seen as published
		synctest.Wait()
		handler := l.Handler()
		for i, root := range roots {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("GET", "/active/4/"+root.String(), nil))
			if kept := i >= len(roots)-4; kept != (w.Code == 200) {
				t.Errorf("root %d: %d", i, w.Code)
			} else if !kept && (!strings.Contains(w.Body.String(), "not-kept") || !strings.Contains(w.Body.String(), "begin with seal") || w.Header().Get("Cache-Control") != "no-store") {
				t.Errorf("root %d: %s %v", i, w.Body, w.Header())
			}
		}
		published, err := l.Published()
		if err != nil {
			t.Fatal(err)
		}
		if exported, err := os.ReadFile(filepath.Join(cfg.ExportDir, "checkpoint")); err != nil || !bytes.Equal(exported, published) {
			t.Errorf("exported checkpoint: %q, %v", exported, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.VerifyStore(t.Context(), cfg.Store, cfg.Register, nil); err != nil {
			t.Error(err)
		}
		// What a store says it keeps must be there, and nothing else.
		for name, change := range map[string]func(map[string][]byte){
			"a kept tile is gone": func(rows map[string][]byte) {
				rows[slices.Collect(keysOf(rows, "t"))[0]] = nil
			},
			"it says that it keeps less": func(rows map[string][]byte) { rows["w"][7]++ },
			"it says that it keeps more": func(rows map[string][]byte) { rows["w"][7]-- },
			"it says that it keeps none": func(rows map[string][]byte) { rows["w"][7] = 99 },
		} {
			harmed := store.NewMemory()
			rows := allRows(t, cfg.Store)
			change(rows)
			if err := harmed.Commit(rows); err != nil {
				t.Fatal(err)
			}
			if _, err := ledger.VerifyStore(t.Context(), harmed, cfg.Register, nil); err == nil {
				t.Errorf("%s: not noticed", name)
			}
		}
	})
}

func keysOf(rows map[string][]byte, prefix string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			if strings.HasPrefix(key, prefix) && !yield(key) {
				return
			}
		}
	}
}

func TestCompressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		l := c.open(c.config())
		defer l.Close()
		get := func(accept string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/tile/entries/000.p/5", nil)
			r.Header.Set("Accept-Encoding", accept)
			w := httptest.NewRecorder()
			l.Handler().ServeHTTP(w, r)
			if w.Code != 200 || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("%q: %d %v", accept, w.Code, w.Header())
			}
			return w
		}
		plain := get("identity").Body.Bytes()
		for accept, want := range map[string]bool{
			"": false, "br, gzip": true, "gzip;q=0": false, "GZIP ; q=0.5": true, "gzip;q=x": false, "x-gzip": false, "deflate": false,
		} {
			w := get(accept)
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
				t.Errorf("%q: gzip is %t", accept, got)
			}
			if want {
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(z); err != nil || !bytes.Equal(body, plain) {
					t.Errorf("%q: another body, %v", accept, err)
				}
			} else if !bytes.Equal(w.Body.Bytes(), plain) {
				t.Errorf("%q: another body", accept)
			}
		}
	})
}
