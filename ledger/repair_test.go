package ledger_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// copied is a copy of a chain in memory. lie, if any, changes the entries that it gives.
type copied struct {
	rows ledger.Store
	size uint64
	lie  func(raw []byte) []byte
	gave []uint64
}

func copyOf(t *testing.T, rows map[string][]byte, size uint64) *copied {
	t.Helper()
	return &copied{rows: harmed(t, rows, "absent", nil), size: size}
}

func (c *copied) Size() uint64 { return c.size }

func (c *copied) Entry(index uint64) ([]byte, error) {
	c.gave = append(c.gave, index)
	return c.read(index)
}

func (c *copied) read(index uint64) ([]byte, error) {
	if index >= c.size {
		return nil, ledger.ErrAbsent
	}
	raw, err := ledger.Entries{Reader: c.rows}.Entry(index)
	if err == nil && c.lie != nil {
		raw = c.lie(raw)
	}
	return raw, err
}

func (c *copied) RecordHash(index uint64) (tlog.Hash, error) {
	raw, err := c.read(index)
	return tlog.RecordHash(raw), err
}

// spoilt is a value with one bit flipped, or none at all.
func spoilt(rng *rand.Rand, value []byte) []byte {
	if len(value) == 0 || rng.IntN(4) == 0 {
		return nil
	}
	value = bytes.Clone(value)
	value[rng.IntN(len(value))] ^= 1 << rng.IntN(8)
	return value
}

// wantRows checks that a store has those rows again. The published checkpoint may be gone: it is published again.
func wantRows(t *testing.T, what string, s ledger.Store, want map[string][]byte) {
	t.Helper()
	got := allRows(t, s)
	if _, ok := got["c"]; !ok {
		got["c"] = want["c"]
	}
	if !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%s: it has other rows", what)
	}
}

// Rows of every kind, flipped or gone, one or many at a time, come back, and nothing is fetched that is not damaged.
func TestRepair(t *testing.T) {
	_, cfg, report := grown(t)
	good := allRows(t, cfg.Store)
	kinds := make(map[string][]string)
	for _, key := range slices.Sorted(maps.Keys(good)) {
		kinds[key[:1]] = append(kinds[key[:1]], key)
	}
	delete(kinds, "v") // of another format, for all anybody knows
	rng := rand.New(rand.NewPCG(21, 22))
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		keys := kinds[kind]
		for _, n := range []int{1, 1, min(len(keys), 20)}[:sample(3, 3)] {
			s := harmed(t, good, "m", []byte("damage"))
			for range n {
				key := keys[rng.IntN(len(keys))]
				value := spoilt(rng, good[key])
				if kind == "c" && value == nil {
					value = []byte("x") // without it the newest seal is published again: no damage
				}
				commit(t, s, key, value)
			}
			peer := copyOf(t, good, report.Size)
			done, err := ledger.Repair(t.Context(), ledger.RepairConfig{Store: s, Register: cfg.Register, Copy: peer, LogKey: logKeyOf(t, cfg)})
			if err != nil {
				t.Errorf("%d rows of %q: %v", n, kind, err)
				continue
			}
			wantRows(t, kind, s, good)
			if (kind == "e") != (len(peer.gave) > 0) || len(done.Entries) > n || done.Fixed[kind] == 0 || len(done.Fixed) != 1 {
				t.Errorf("%d rows of %q: took %v, fixed %v", n, kind, done.Entries, done.Fixed)
			}
			if _, err := ledger.VerifyStore(t.Context(), s, cfg.Register, nil); err != nil {
				t.Errorf("%d rows of %q: %v", n, kind, err)
			}
		}
	}
}

func numberedRow(prefix string, n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(prefix), n))
}

func logKeyOf(t *testing.T, cfg ledger.Config) string {
	t.Helper()
	m, err := ledger.NewMachine(cfg.Store)
	if err != nil {
		t.Fatal(err)
	}
	genesis, _ := m.Genesis()
	return genesis.LogKey
}

// After a repair of many rows at once, the log goes on.
func TestLogAfterRepair(t *testing.T) {
	c, cfg, report := grown(t)
	good := allRows(t, cfg.Store)
	s, rng := harmed(t, good, "m", []byte("damage")), rand.New(rand.NewPCG(23, 24))
	for _, key := range slices.Sorted(maps.Keys(good)) {
		if rng.IntN(10) == 0 && key != "v" && key != "s" {
			commit(t, s, key, spoilt(rng, good[key]))
		}
	}
	if _, err := ledger.Open(withStore(cfg, s)); err == nil {
		t.Fatal("it opens")
	}
	done, err := ledger.Repair(t.Context(), ledger.RepairConfig{
		Store: s, Register: cfg.Register, Scratch: store.NewMemory(), Copy: copyOf(t, good, report.Size), LogKey: logKeyOf(t, cfg),
	})
	if err != nil || len(done.Entries) == 0 {
		t.Fatalf("%v, %v", done.Entries, err)
	}
	l := c.open(withStore(cfg, s))
	raw := c.issue(landDID, 3)
	c.verify(c.submit(l, raw), raw)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.VerifyStore(t.Context(), s, cfg.Register, nil); err != nil {
		t.Error(err)
	}
}

func withStore(cfg ledger.Config, s ledger.Store) ledger.Config {
	cfg.Store, cfg.ScrubEvery = s, -1
	return cfg
}

// What cannot be repaired row by row is left as it is, with the way out: damaged entries without a copy, with one that does
// not have them, with one that lies, and a store of which nobody knows the format or the end.
func TestRepairRefuses(t *testing.T) {
	c, cfg, report := grown(t)
	good := allRows(t, cfg.Store)
	lastEntry := numberedRow("e", report.Size-1)
	issue := entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(1)}
	other := c.numbered(landDID, 3, issue) // signed, and another
	shorter := &memoryRegister{}
	for name, test := range map[string]struct {
		harm     map[string][]byte
		copy     *copied
		register ledger.Register
	}{
		"no copy":         {harm: map[string][]byte{numberedRow("e", 9): nil}},
		"a shorter copy":  {harm: map[string][]byte{lastEntry: nil}, copy: copyOf(t, good, report.Size-1)},
		"a flipped entry": {harm: map[string][]byte{numberedRow("e", 9): []byte("x")}},
		"a lie":           {harm: map[string][]byte{numberedRow("e", 9): nil}, copy: &copied{lie: func([]byte) []byte { return other }}},
		"rubbish":         {harm: map[string][]byte{numberedRow("e", 9): nil}, copy: &copied{lie: func(raw []byte) []byte { return raw[1:] }}},
		"another tree":    {harm: map[string][]byte{numberedRow("e", 9): other, numberedRow("h", 0): nil}, copy: &copied{lie: func([]byte) []byte { return other }}},
		"the format":      {harm: map[string][]byte{"v": nil}},
		"another format":  {harm: map[string][]byte{"v": {0, 0, 0, 1}}},
		"what is kept":    {harm: map[string][]byte{"w": {1, 0, 0, 0, 0, 0, 0, 0}}},
		"the register":    {register: shorter},
		"the genesis":     {harm: map[string][]byte{numberedRow("e", 0): nil}},
		"a hole behind":   {harm: map[string][]byte{numberedRow("e", report.Size): nil, numberedRow("a", report.Size): make([]byte, 12)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := harmed(t, good, "absent", nil)
			for key, value := range test.harm {
				commit(t, s, key, value)
			}
			before := allRows(t, s)
			repair := ledger.RepairConfig{Store: s, Register: cfg.Register, LogKey: logKeyOf(t, cfg)}
			if test.register != nil {
				repair.Register = test.register
			}
			if test.copy != nil {
				if test.copy.rows == nil {
					test.copy.rows, test.copy.size = harmed(t, good, "absent", nil), report.Size
				}
				repair.Copy = test.copy
			}
			if name == "the genesis" {
				repair.LogKey = ""
			}
			_, err := ledger.Repair(t.Context(), repair)
			var unrepairable *ledger.Unrepairable
			if err == nil || test.register == nil && (!errors.As(err, &unrepairable) || !strings.Contains(err.Error(), "bulla ledger rebuild")) {
				t.Errorf("%v", err)
			}
			if !maps.EqualFunc(allRows(t, s), before, bytes.Equal) {
				t.Error("something was written")
			}
		})
	}
}

// Only hashes are damaged, and there is no copy: nothing is missing.
func TestRepairWithoutCopy(t *testing.T) {
	_, cfg, _ := grown(t)
	good := allRows(t, cfg.Store)
	s := store.NewMemory()
	for key, value := range good {
		if strings.HasPrefix(key, "e") || key == "v" {
			commit(t, s, key, value)
		}
	}
	done, err := ledger.Repair(t.Context(), ledger.RepairConfig{Store: s, Register: cfg.Register})
	if err != nil || len(done.Entries) > 0 {
		t.Fatalf("%v, %v", done.Entries, err)
	}
	wantRows(t, "from the entries alone", s, good)
}
