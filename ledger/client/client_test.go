package client_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

func TestUpdate(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 3)
	seal := h.Seal(ledgertest.Start + 10)
	c := h.Client(nil)
	v := ledgertest.Must(c.Update(t.Context()))(t)
	if v.Seal != seal || v.SealIndex != uint64(len(h.Entries)-1) || v.Checkpoint.Size != uint64(len(h.Entries)) {
		t.Errorf("view of seal %+v at %d", v.Seal, v.SealIndex)
	}
	if issuer, ok := v.Registry.Issuer(ledgertest.LandDID); !ok || issuer.Suspended {
		t.Error("the registry lacks the issuer")
	}
	if live := v.Census.Live(h.Schema, []string{ledgertest.LandDID}); live != 3 {
		t.Errorf("%d live leaves, want 3", live)
	}
	if !slices.Equal(v.Checkpoint.Cosigners, []string{"cosigner.example"}) {
		t.Errorf("cosigners are %q", v.Checkpoint.Cosigners)
	}
	if again := ledgertest.Must(c.Update(t.Context()))(t); again != v {
		t.Error("nothing happened, but the view is another")
	}
	h.Issue("", 1)
	h.Seal(ledgertest.Start + 20)
	if newer := ledgertest.Must(c.Update(t.Context()))(t); newer.Seal.Height != 1 || c.Latest() != newer {
		t.Errorf("second view is of seal %d", newer.Seal.Height)
	}
}

// TestManyEntries crosses tile borders, with entries after the last seal.
func TestManyEntries(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	c := h.Client(nil)
	at := ledgertest.Start
	for range 5 {
		for range 120 {
			h.Issue("", 1)
		}
		at += 10
		h.Seal(at)
		v := ledgertest.Must(c.Update(t.Context()))(t)
		if v.Seal.Time != at {
			t.Fatalf("last seal is of %s, want %s", v.Seal.Time, at)
		}
	}
	h.Issue("", 1)
	h.Issue("", 1)
	h.Publish(h.Cosigner)
	v := ledgertest.Must(c.Update(t.Context()))(t)
	if v.SealIndex != uint64(len(h.Entries)-3) {
		t.Errorf("last seal is entry %d of %d", v.SealIndex, len(h.Entries))
	}
	seals := ledgertest.Must(c.Seals(t.Context(), v, ledgertest.Start.Time()))(t)
	if len(seals) != 5 || seals[0].Seal != v.Seal || seals[4].Seal.Height != 0 {
		t.Errorf("%d seals, want 5, newest first", len(seals))
	}
}

func flip(body []byte) []byte {
	if len(body) == 0 {
		return []byte{1}
	}
	changed := bytes.Clone(body)
	changed[len(changed)/2] ^= 1
	return changed
}

func TestTampering(t *testing.T) {
	tests := []struct {
		name, prefix string
		change       func([]byte) []byte
		want         error
	}{
		{"log tile", "/tile/0/", flip, client.ErrTampered},
		{"log tile cut short", "/tile/0/", func(b []byte) []byte { return b[:len(b)-1] }, nil},
		{"entry bundle", "/tile/entries/", flip, client.ErrTampered},
		{"entry bundle cut short", "/tile/entries/", func(b []byte) []byte { return b[:len(b)-1] }, client.ErrTampered},
		{"entry bundle with more", "/tile/entries/", func(b []byte) []byte { return append(bytes.Clone(b), 0, 0) }, client.ErrTampered},
		{"registry", "/registry/", flip, client.ErrTampered},
		{"census", "/census/", flip, client.ErrTampered},
		{"genesis", "/genesis", flip, client.ErrTampered},
		{"checkpoint", "/checkpoint", func(b []byte) []byte { return bytes.Replace(b, []byte("\n5\n"), []byte("\n6\n"), 1) }, client.ErrPolicy},
		{"checkpoint is not a note", "/checkpoint", func([]byte) []byte { return []byte("hello") }, client.ErrPolicy},
		{"endless answer", "/checkpoint", func([]byte) []byte { return make([]byte, client.MaxCheckpoint+1) }, client.ErrTampered},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := ledgertest.NewHost(t, nil)
			h.Issue("", 1)
			h.Seal(ledgertest.Start + 10)
			if !bytes.Contains(h.Checkpoint, []byte("\n5\n")) {
				t.Fatal("the test expects five entries")
			}
			c := h.Client(nil)
			h.Tamper = func(path string, body []byte) []byte {
				if strings.HasPrefix(path, test.prefix) {
					return test.change(body)
				}
				return ledgertest.OldHost(path, body)
			}
			v, err := c.Update(t.Context())
			if err == nil || v != nil {
				t.Fatal("accepted")
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			h.Tamper = nil
			if _, err := c.Update(t.Context()); err != nil {
				t.Errorf("refused the truth afterwards: %v", err)
			}
		})
	}
}

func TestCosignatures(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Seal(ledgertest.Start + 10)
	stranger, strangerKey := ledgertest.CosignerKey(t, 9, "stranger.example")
	impostor, _ := ledgertest.CosignerKey(t, 10, "cosigner.example")
	tests := []struct {
		name    string
		signers []note.Signer
		policy  client.Policy
		want    error
	}{
		{"as demanded", []note.Signer{h.Cosigner}, h.Config().Policy, nil},
		{"missing", nil, h.Config().Policy, client.ErrPolicy},
		{"by an unknown key", []note.Signer{stranger}, h.Config().Policy, client.ErrPolicy},
		{"by an unknown key of a known name", []note.Signer{impostor}, h.Config().Policy, client.ErrPolicy},
		{"one more than known", []note.Signer{stranger, h.Cosigner}, h.Config().Policy, nil},
		{"one of two", []note.Signer{h.Cosigner}, client.Policy{LogKey: h.Founding.LogKey, Cosigners: []string{h.Cosigners[0], strangerKey}, Threshold: 2}, client.ErrPolicy},
		{"two of two", []note.Signer{h.Cosigner, stranger}, client.Policy{LogKey: h.Founding.LogKey, Cosigners: []string{h.Cosigners[0], strangerKey}, Threshold: 2}, nil},
		{"twice the same", []note.Signer{h.Cosigner, h.Cosigner}, client.Policy{LogKey: h.Founding.LogKey, Cosigners: []string{h.Cosigners[0], strangerKey}, Threshold: 2}, client.ErrPolicy},
		{"none demanded, though the chain is no dev chain", []note.Signer{h.Cosigner}, client.Policy{LogKey: h.Founding.LogKey}, client.ErrPolicy},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h.Publish(test.signers...)
			c := h.Client(func(cfg *client.Config) { cfg.Policy = test.policy })
			if _, err := c.Update(t.Context()); !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
		})
	}
}

func TestDevChainNeedsNoCosigner(t *testing.T) {
	h := ledgertest.NewHost(t, func(g *entry.Genesis) { g.Dev, g.GridSeconds = true, 0 })
	h.Seal(ledgertest.Start + 10)
	h.Publish()
	c := h.Client(func(cfg *client.Config) { cfg.Policy = client.Policy{LogKey: h.Founding.LogKey} })
	if _, err := c.Update(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPolicyRefused(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	_, logNamed := ledgertest.CosignerKey(t, 9, ledgertest.Origin)
	plain := strings.Replace(h.Founding.LogKey, ledgertest.Origin, "other.example", 1)
	good := h.Cosigners[0]
	for name, p := range map[string]client.Policy{
		"no log key":             {Cosigners: h.Cosigners, Threshold: 1},
		"threshold too high":     {LogKey: h.Founding.LogKey, Cosigners: h.Cosigners, Threshold: 2},
		"threshold negative":     {LogKey: h.Founding.LogKey, Cosigners: h.Cosigners, Threshold: -1},
		"cosigner twice":         {LogKey: h.Founding.LogKey, Cosigners: []string{good, good}, Threshold: 1},
		"cosigner named as log":  {LogKey: h.Founding.LogKey, Cosigners: []string{logNamed}, Threshold: 1},
		"plain key as cosigner":  {LogKey: h.Founding.LogKey, Cosigners: []string{plain}, Threshold: 1},
		"cosigner's hash is off": {LogKey: h.Founding.LogKey, Cosigners: []string{strings.Replace(good, "+", "+0", 1)}, Threshold: 1},
	} {
		cfg := h.Config()
		cfg.Policy = p
		if _, err := client.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// sibling is a chain with the same genesis, so that its checkpoints fork the other's.
func sibling(t *testing.T, entries int) *ledgertest.Host {
	h := ledgertest.NewHost(t, nil)
	for range entries {
		h.Issue("other", 1)
	}
	h.Seal(ledgertest.Start + 10)
	return h
}

func TestFork(t *testing.T) {
	for name, entries := range map[string]int{"same size": 2, "longer": 9, "shorter": 1} {
		t.Run(name, func(t *testing.T) {
			h := ledgertest.NewHost(t, nil)
			h.Issue("", 1)
			h.Issue("", 1)
			h.Seal(ledgertest.Start + 10)
			other := sibling(t, entries)
			memory := new(client.Forgetful)
			c := h.Client(func(cfg *client.Config) { cfg.Memory = memory })
			seen := ledgertest.Must(c.Update(t.Context()))(t)
			honest := h.Checkpoint
			h.Tamper = func(path string, body []byte) []byte {
				if entries < 2 && path != "/checkpoint" {
					return nil // a smaller tree is checked against the one seen
				}
				answer, _ := other.Answer(path)
				return answer
			}
			_, err := c.Update(t.Context())
			var fork *client.ForkError
			if !errors.Is(err, client.ErrFork) || !errors.As(err, &fork) {
				t.Fatalf("error is %v, want a fork", err)
			}
			if !bytes.Equal(fork.Seen, seen.Checkpoint.Text) || !bytes.Equal(fork.Served, other.Checkpoint) {
				t.Error("the evidence is not the two notes")
			}
			h.Tamper = nil
			if _, err := c.Update(t.Context()); !errors.Is(err, client.ErrFork) {
				t.Errorf("went on after a fork: %v", err)
			}
			again := h.Client(func(cfg *client.Config) { cfg.Memory = memory })
			if _, err := again.Update(t.Context()); !errors.Is(err, client.ErrFork) {
				t.Errorf("went on after a fork and a restart: %v", err)
			}
			if !bytes.Equal(honest, h.Checkpoint) {
				t.Error("the test changed the host")
			}
		})
	}
}

func TestRollback(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Seal(ledgertest.Start + 10)
	old := h.Checkpoint
	h.Seal(ledgertest.Start + 20)
	memory := client.File(t.TempDir() + "/seen")
	c := h.Client(func(cfg *client.Config) { cfg.Memory = memory })
	ledgertest.Must(c.Update(t.Context()))(t)
	newest := h.Checkpoint
	for _, reader := range []*client.Client{c, h.Client(func(cfg *client.Config) { cfg.Memory = memory })} {
		h.Checkpoint = old
		_, err := reader.Update(t.Context())
		var evidence *client.ForkError
		if !errors.Is(err, client.ErrRollback) || errors.Is(err, client.ErrFork) || !errors.As(err, &evidence) {
			t.Fatalf("error is %v, want a rollback", err)
		}
		h.Checkpoint = newest
		if _, err := reader.Update(t.Context()); err != nil {
			t.Errorf("refused the newest afterwards: %v", err)
		}
	}
}

func TestMemoryOfAnotherChain(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Seal(ledgertest.Start + 10)
	memory := client.File(t.TempDir() + "/seen")
	ledgertest.Must(h.Client(func(cfg *client.Config) { cfg.Memory = memory }).Update(t.Context()))(t)
	cfg := h.Config()
	cfg.Memory, cfg.Genesis = memory, credential.DigestOf([]byte("another"))
	if _, err := client.New(cfg); err == nil {
		t.Error("took the memory of another chain")
	}
	if err := memory.Save([]byte(`{"genesis":""}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.New(h.Config()); err != nil {
		t.Fatal(err)
	}
	cfg.Genesis = h.Genesis
	if _, err := client.New(cfg); err == nil {
		t.Error("took a broken memory")
	}
}

func TestGridSeals(t *testing.T) {
	// ledgertest.Start is a multiple of the grid, 100 s.
	h := ledgertest.NewHost(t, nil)
	for _, at := range []int{10, 90, 130, 200, 240, 290, 410, 450} {
		h.Seal(ledgertest.Start + credential.UnixTime(at))
	}
	c := h.Client(nil)
	v := ledgertest.Must(c.Update(t.Context()))(t)
	tests := []struct {
		now               int
		freshness, margin int
		want              []int
	}{
		{450, 1000, 0, []int{90, 200, 290}},
		{450, 450 - 90, 0, []int{90, 200, 290}},
		{450, 450 - 90, 1, []int{200, 290}},
		{499, 250, 0, []int{290}},
		{499, 100, 0, nil},
	}
	for _, test := range tests {
		h.Now = ledgertest.Start + credential.UnixTime(test.now)
		got := ledgertest.Must(c.GridSeals(t.Context(), v, time.Duration(test.freshness)*time.Second, time.Duration(test.margin)*time.Second))(t)
		var times []int
		for _, s := range got {
			times = append(times, int(s.Seal.Time-ledgertest.Start))
		}
		if !slices.Equal(times, test.want) {
			t.Errorf("at %d with freshness %d: grid seals at %v, want %v", test.now, test.freshness, times, test.want)
		}
	}
	h.Seal(ledgertest.Start + 500)
	h.Now = ledgertest.Start + 500
	v = ledgertest.Must(c.Update(t.Context()))(t)
	got := ledgertest.Must(c.GridSeals(t.Context(), v, 100*time.Second, 0))(t)
	if len(got) != 1 || got[0].Seal.Time != ledgertest.Start+500 {
		t.Errorf("%d grid seals, want the one that stands on the grid time: none can follow before it", len(got))
	}
}

func TestFindRoot(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 1)
	first := h.Seal(ledgertest.Start + 10)
	second := h.Seal(ledgertest.Start + 20) // empty: the same root
	h.Issue("", 1)
	third := h.Seal(ledgertest.Start + 30)
	c := h.Client(nil)
	find := func(root credential.Element, freshness int) (client.SealAt, error) {
		return c.FindRoot(t.Context(), root, time.Duration(freshness)*time.Second)
	}
	if s, err := find(first.ActiveRoot, 60); err != nil || s.Seal != second {
		t.Errorf("found seal %d (%v), want the newest with that root", s.Seal.Height, err)
	}
	h.Now = ledgertest.Start + 90
	var tooOld *client.RootTooOldError
	if _, err := find(first.ActiveRoot, 60); !errors.As(err, &tooOld) || tooOld.Age != 70*time.Second {
		t.Errorf("error is %v, want too old by 70 s", err)
	}
	if _, err := find(third.ActiveRoot, 60); err != nil {
		t.Errorf("a root as old as allowed: %v", err)
	}
	if _, err := find(credential.ElementFromUint64(1), 60); !errors.Is(err, client.ErrRootUnknown) {
		t.Errorf("error is %v, want unknown", err)
	}
	h.Issue("", 1)
	fourth := h.Seal(ledgertest.Start + 100)
	h.Now = ledgertest.Start + 94
	if _, err := find(fourth.ActiveRoot, 60); !errors.Is(err, client.ErrSealAhead) {
		t.Errorf("error is %v, want ahead of our clock", err)
	}
	h.Server.Close()
	h.Now = ledgertest.Start + 102
	if _, err := find(fourth.ActiveRoot, 60); err != nil {
		t.Errorf("the ledger is silent, but the root is known and fresh: %v", err)
	}
	if _, err := find(credential.ElementFromUint64(1), 60); err == nil || errors.Is(err, client.ErrRootUnknown) {
		t.Errorf("error is %v: who could not look does not know", err)
	}
}

func TestSealsAreBounded(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	for i := range 30 {
		h.Seal(ledgertest.Start + credential.UnixTime(i+1))
	}
	c := h.Client(func(cfg *client.Config) { cfg.Limits.Seals = 10 })
	v := ledgertest.Must(c.Update(t.Context()))(t)
	if _, err := c.Seals(t.Context(), v, ledgertest.Start.Time()); !errors.Is(err, client.ErrTooManySeals) {
		t.Errorf("error is %v, want too many", err)
	}
	if got, err := c.Seals(t.Context(), v, (ledgertest.Start + 25).Time()); err != nil || len(got) != 6 {
		t.Errorf("%d seals, want 6 (%v)", len(got), err)
	}
}

func TestNoSeal(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Publish(h.Cosigner)
	if _, err := h.Client(nil).Update(t.Context()); !errors.Is(err, client.ErrNoSeal) {
		t.Errorf("error is %v, want no seal", err)
	}
}

func TestGroup(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 700)
	h.Apply(ledgertest.LandDID, h.Land, entry.CredentialsRevoked{Leaves: []uint64{5, 600}})
	seal := h.Seal(ledgertest.Start + 10)
	c := h.Client(nil)
	ledgertest.Must(c.Update(t.Context()))(t)
	h.Asked()
	g := ledgertest.Must(c.Group(t.Context(), seal.ActiveRoot, 300))(t)
	asked := h.Asked()
	if g.Live() != 698 || g.First != 0 {
		t.Errorf("%d live leaves from %d, want 698 from 0", g.Live(), g.First)
	}
	if bottom := slices.DeleteFunc(asked, func(p string) bool { return !strings.HasPrefix(p, "/active/0/") }); len(bottom) != 3 {
		t.Errorf("asked for %d bottom tiles, want all 3 that are not empty, whichever leaf is meant", len(bottom))
	}
	for index, live := range map[uint64]bool{0: true, 300: true, 699: true, 5: false, 600: false, 700: false, 4095: false} {
		path, leaf, err := g.Path(index)
		if err != nil || leaf.IsZero() == live || path.Root(leaf) != seal.ActiveRoot {
			t.Errorf("leaf %d: live %v, %v", index, !leaf.IsZero(), err)
		}
	}
	if _, _, err := g.Path(4096); err == nil {
		t.Error("gave a path outside the group")
	}
	if _, err := c.Group(t.Context(), seal.ActiveRoot, tree.Capacity); err == nil {
		t.Error("took an index beyond the tree")
	}
	empty := ledgertest.Must(c.Group(t.Context(), tree.EmptyRoots[credential.ActiveDepth], 0))(t)
	if empty.Live() != 0 {
		t.Error("the empty tree has live leaves")
	}
	if _, err := c.Group(t.Context(), seal.ActiveRoot, 300); err != nil || len(h.Asked()) != 0 {
		t.Errorf("fetched again what is in the cache: %v", err)
	}
}

func TestGroupTampered(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	h.Issue("", 10)
	seal := h.Seal(ledgertest.Start + 10)
	for row := range tree.TileRows {
		h.Tamper = func(path string, body []byte) []byte {
			if strings.HasPrefix(path, "/active/"+string(rune('0'+row))) {
				return flip(body)
			}
			return nil
		}
		c := h.Client(nil)
		if _, err := c.Group(t.Context(), seal.ActiveRoot, 3); !errors.Is(err, client.ErrTampered) {
			t.Errorf("row %d: error is %v, want tampered", row, err)
		}
	}
}
