package ledger_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// seal drafts, signs and applies the next seal.
func (c *chain) seal(m *ledger.Machine, seconds int) entry.Seal {
	c.t.Helper()
	seal, err := m.DraftSeal(c.time(seconds))
	if err != nil {
		c.t.Fatal(err)
	}
	apply(c.t, m, c.signed(entry.Operator, seal))
	return seal
}

func TestSealFollowsFromEntries(t *testing.T) {
	c, m := begun(t, 3)
	seal := c.seal(m, 10)
	last, seals := m.Sealed()
	if seals != 1 || last.ActiveRoot != seal.ActiveRoot || m.Unsealed() != 0 || seal.PreviousAt != 0 || seal.Previous != c.genesis {
		t.Errorf("%d seals, %+v, %d unsealed", seals, last, m.Unsealed())
	}
	second := c.seal(m, 20)
	if second.Height != 1 || second.PreviousAt != last.Index || second.Previous != last.Digest || second.ActiveRoot != seal.ActiveRoot {
		t.Errorf("second seal %+v does not follow %+v", second, last)
	}
	for name, change := range map[string]func(*entry.Seal){
		"height":   func(s *entry.Seal) { s.Height++ },
		"previous": func(s *entry.Seal) { s.Previous[0] ^= 1 },
		"index":    func(s *entry.Seal) { s.PreviousAt++ },
		"root":     func(s *entry.Seal) { s.ActiveRoot = credential.ElementFromUint64(5) },
		"leaves":   func(s *entry.Seal) { s.Leaves++ },
		"registry": func(s *entry.Seal) { s.Registry[0] ^= 1 },
		"census":   func(s *entry.Seal) { s.Census[0] ^= 1 },
		"time":     func(s *entry.Seal) { s.Time = c.time(29) },
	} {
		wrong, err := m.DraftSeal(c.time(30))
		if err != nil {
			t.Fatal(err)
		}
		change(&wrong)
		if _, err := m.Apply(c.numbered(entry.Operator, 2, wrong)); !errors.Is(err, ledger.ErrSeal) {
			t.Errorf("a seal with another %s: %v", name, err)
		}
	}
}

// The tiles that a seal stages give the path of every leaf.
func TestSealStagesTheActiveTree(t *testing.T) {
	c, m := begun(t, 300)
	apply(t, m, c.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{7}}))
	seal := c.seal(m, 10)
	read := func(_ int, name credential.Element) ([]byte, error) {
		b := name.Bytes()
		return m.Get(append([]byte("t"), b[:]...))
	}
	for _, index := range []uint64{0, 7, 255, 256, 299, 300} {
		path, leaf, err := tree.ActivePath(read, seal.ActiveRoot, index)
		if err != nil {
			t.Fatal(err)
		}
		if live := index != 7 && index < 300; leaf.IsZero() == live || path.Root(leaf) != seal.ActiveRoot {
			t.Errorf("leaf %d is %s", index, leaf)
		}
	}
}

// story is a fixed sequence of entries with seals, for goldens.
func story(t *testing.T) [][]byte {
	t.Helper()
	c := newChain(t)
	m, err := ledger.NewMachine(store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	add := func(entries ...[]byte) {
		apply(t, m, entries...)
		out = append(out, entries...)
	}
	add(c.opening()...)
	for i := range 12 {
		add(c.issue(landDID, 1+i*7))
		if i%3 == 2 {
			add(c.signed(landDID, entry.CredentialsSuspended{Leaves: []uint64{uint64(i)}}))
			add(c.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{uint64(i), uint64(i + 20)}}))
			seal, err := m.DraftSeal(c.time(10 * (i + 1)))
			if err != nil {
				t.Fatal(err)
			}
			add(c.signed(entry.Operator, seal))
		}
	}
	add(c.signed(verifierDID, c.policy(nil)), c.issue(landDID, 2))
	return out
}

// The golden root fixes every format that a leaf of the log or a seal depends on.
const goldenRoot = "OxfDSK+1GRl0hoCLIT/DGY4SPirnLbQRb6hrGEuvrSU="

// The same entries give the same rows, however they are batched and whenever the process was restarted.
func TestBatchesDoNotMatter(t *testing.T) {
	entries := story(t)
	var want map[string][]byte
	for _, batch := range []int{len(entries), 1, 3, 7} {
		s := store.NewMemory()
		for rest := entries; len(rest) > 0; rest = rest[min(batch, len(rest)):] {
			m, err := ledger.NewMachine(s) // as after a restart
			if err != nil {
				t.Fatal(err)
			}
			apply(t, m, rest[:min(batch, len(rest))]...)
			rows, err := m.Changes()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(rows); err != nil {
				t.Fatal(err)
			}
		}
		got := allRows(t, s)
		if want == nil {
			want = got
		}
		if !maps.EqualFunc(got, want, slices.Equal[[]byte]) {
			t.Errorf("batches of %d give other rows", batch)
		}
	}
	m, err := ledger.NewMachine(store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, entries...)
	root, err := m.Root()
	if err != nil {
		t.Fatal(err)
	}
	if root.String() != goldenRoot {
		t.Errorf("root %s, want %s: a format changed", root, goldenRoot)
	}
}

func allRows(t testing.TB, s ledger.Store) map[string][]byte {
	t.Helper()
	rows := make(map[string][]byte)
	err := s.Each(nil, func(key, value []byte) error {
		rows[string(key)] = value
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestUnknownFormatVersionIsRefused(t *testing.T) {
	s := store.NewMemory()
	if err := s.Commit(map[string][]byte{"v": {0, 0, 0, 99}}); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.NewMachine(s); err == nil {
		t.Error("a store of format version 99 was opened")
	}
}

// Random operations of one issuer against a model: a list of statuses.
func TestMachineAgainstModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c, m := begun(t, 0)
		var model []byte // 'a'ctive, 's'uspended, 'r'evoked
		next := uint64(0)
		send := func(p entry.Payload, want bool) {
			_, err := m.Apply(c.numbered(landDID, next, p))
			if (err == nil) != want {
				r.Fatalf("%T %+v on %s: %v", p, p, model, err)
			}
			if err == nil {
				next++
			}
		}
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			kind := rapid.SampledFrom([]string{"issue", "suspend", "reinstate", "revoke"}).Draw(r, "kind")
			if kind == "issue" {
				n := rapid.IntRange(1, 3).Draw(r, "n")
				send(entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(n)}, true)
				model = append(model, slices.Repeat([]byte("a"), n)...)
				continue
			}
			leaves := rapid.SliceOfNDistinct(rapid.Uint64Range(0, 9), 1, 3, rapid.ID).Draw(r, "leaves")
			slices.Sort(leaves)
			allowed, to := map[string]string{"suspend": "a", "reinstate": "s", "revoke": "as"}[kind], map[string]byte{"suspend": 's', "reinstate": 'a', "revoke": 'r'}[kind]
			good := !slices.ContainsFunc(leaves, func(i uint64) bool {
				return i >= uint64(len(model)) || !slices.Contains([]byte(allowed), model[i])
			})
			send(map[string]entry.Payload{
				"suspend": entry.CredentialsSuspended{Leaves: leaves}, "reinstate": entry.CredentialsReinstated{Leaves: leaves},
				"revoke": entry.CredentialsRevoked{Leaves: leaves},
			}[kind], good)
			if good {
				for _, i := range leaves {
					model[i] = to
				}
			}
		}
		live := uint64(0)
		for _, s := range model {
			if s == 'a' {
				live++
			}
		}
		if got := m.Census().Live(c.land, []string{landDID}); got != live {
			r.Fatalf("%d live, model %d", got, live)
		}
	})
}

func TestRootIsRFC6962(t *testing.T) {
	entries := story(t)
	m, err := ledger.NewMachine(store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	for i, raw := range entries {
		apply(t, m, raw)
		root, err := m.Root()
		if err != nil {
			t.Fatal(err)
		}
		if want := merkleRoot(entries[:i+1]); root != want {
			t.Fatalf("root of %d entries %v, want %v", i+1, root, want)
		}
	}
}

// merkleRoot is the definition of RFC 6962 section 2.1.
func merkleRoot(entries [][]byte) tlog.Hash {
	if len(entries) == 1 {
		return tlog.RecordHash(entries[0])
	}
	k := 1
	for 2*k < len(entries) {
		k *= 2
	}
	return tlog.NodeHash(merkleRoot(entries[:k]), merkleRoot(entries[k:]))
}
