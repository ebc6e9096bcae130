package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// Source has the entries of a chain: a store, a mirror, a folder.
type Source interface {
	// Entry returns the bytes of the entry at an index, or an error that is [ErrAbsent] behind the last one.
	Entry(index uint64) ([]byte, error)
}

// Entries is the source of the entries in a store.
type Entries struct{ Reader Reader }

// Entry implements [Source].
func (e Entries) Entry(index uint64) ([]byte, error) { return readEntry(e.Reader, index) }

// Report says what a replay found.
type Report struct {
	Genesis credential.Digest
	Size    uint64 // entries
	Root    tlog.Hash
	Leaves  uint64
	Seals   uint64
	Sealed  Sealed // the last seal
	Rows    int    // of the store, compared; 0 for other sources
}

// Replay runs every entry through a fresh machine and returns what follows from them, or the first entry that should
// not have been accepted. progress, if not nil, is called now and then with the number of entries done.
func Replay(ctx context.Context, source Source, progress func(done uint64)) (Report, error) {
	m, err := replay(ctx, source, progress, func(*Machine) error { return nil })
	if err != nil {
		return Report{}, err
	}
	return m.report()
}

func (m *Machine) report() (Report, error) {
	root, err := m.Root()
	if err != nil {
		return Report{}, err
	}
	return Report{
		Genesis: m.state.Genesis, Size: m.state.Size, Root: root, Leaves: m.state.Leaves, Seals: m.state.Seals, Sealed: m.state.Sealed,
	}, nil
}

// nothing is a reader without rows: a machine over it keeps everything in memory.
type nothing struct{}

func (nothing) Get([]byte) ([]byte, error) { return nil, ErrAbsent }

func replay(ctx context.Context, source Source, progress func(uint64), after func(*Machine) error) (*Machine, error) {
	m, err := NewMachine(nothing{})
	if err != nil {
		return nil, err
	}
	for index := uint64(0); ; index++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		raw, err := source.Entry(index)
		if errors.Is(err, ErrAbsent) {
			break
		}
		if err != nil {
			return nil, err
		}
		if _, err := m.Apply(raw); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
		if err := after(m); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
		if progress != nil && index%64 == 0 {
			progress(index + 1)
		}
	}
	if m.Size() == 0 {
		return nil, errors.New("there are no entries")
	}
	if progress != nil {
		progress(m.Size())
	}
	return m, nil
}

// VerifyStore is the offline checker behind `bulla ledger verify`: it replays the entries of a store and compares every
// row with what follows from them, both ways, then the published checkpoint and, if register is not nil, the
// last-signed register. The error names the first difference. It needs memory for all rows.
func VerifyStore(ctx context.Context, store Store, register Register, progress func(done uint64)) (Report, error) {
	if _, err := checkVersion(store); err != nil {
		return Report{}, err
	}
	m, err := replay(ctx, Entries{store}, progress, func(m *Machine) error { return compareHashes(m, store) })
	if err != nil {
		return Report{}, err
	}
	report, err := m.report()
	if err != nil {
		return Report{}, err
	}
	if report.Rows, err = compareRows(ctx, m, store); err != nil {
		return Report{}, err
	}
	return report, compareCheckpoints(m, store, register)
}

// compareHashes compares the stored hashes of the last entry, so that the first difference is named.
func compareHashes(m *Machine, store Reader) error {
	index := int64(m.Size() - 1)
	for i := tlog.StoredHashIndex(0, index); i < tlog.StoredHashCount(index+1); i++ {
		key := []byte(numbered(prefixHash, uint64(i)))
		want, err := m.Get(key)
		if err != nil {
			return err
		}
		got, err := store.Get(key)
		if err != nil {
			return fmt.Errorf("stored hash %d: %w", i, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("stored hash %d is not that of the entries: %w", i, errDamaged)
		}
	}
	return nil
}

// compareRows compares all rows, both ways.
func compareRows(ctx context.Context, m *Machine, store Store) (int, error) {
	want, err := m.Changes()
	if err != nil {
		return 0, err
	}
	if err := expectPruned(m, store, want); err != nil {
		return 0, err
	}
	rows := len(want)
	err = store.Each(nil, func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if string(key) == rowCheckpoint || strings.HasPrefix(string(key), prefixOwner) {
			return nil
		}
		expected, ok := want[string(key)]
		switch {
		case !ok:
			return fmt.Errorf("row %q does not follow from the entries: %w", key, errDamaged)
		case !bytes.Equal(value, expected):
			return fmt.Errorf("row %q is not what follows from the entries: %w", key, errDamaged)
		}
		delete(want, string(key))
		return nil
	})
	if err != nil {
		return 0, err
	}
	for key := range want {
		return 0, fmt.Errorf("row %q is missing: %w", key, errDamaged)
	}
	return rows, nil
}

// expectPruned takes the rows that the store has dropped out of those that follow from the entries.
func expectPruned(m *Machine, store Reader, want map[string][]byte) error {
	keptFrom, err := KeptFrom(store)
	if err != nil || keptFrom == 0 {
		return err
	}
	if keptFrom >= m.state.Seals {
		return fmt.Errorf("the store keeps versions from seal %d on, and has %d: %w", keptFrom, m.state.Seals, errDamaged)
	}
	gone, err := dropped(m, keptFrom)
	if err != nil {
		return err
	}
	for key := range gone {
		delete(want, key)
	}
	want[rowKeptFrom] = u64(keptFrom)
	return nil
}

// compareCheckpoints checks that the checkpoints we gave out are of this tree.
func compareCheckpoints(m *Machine, store Store, register Register) error {
	verifier, err := note.NewVerifier(m.genesis.LogKey)
	if err != nil {
		return fmt.Errorf("log key of the chain: %w", err)
	}
	check := func(what string, text []byte, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		c, err := parseCheckpoint(text, m.genesis.Origin, verifier)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if c.size > m.Size() {
			return fmt.Errorf("%s has %d entries, the store %d: entries are lost", what, c.size, m.Size())
		}
		root, err := RootAt(m, c.size)
		if err != nil {
			return err
		}
		if root != c.root {
			return fmt.Errorf("%s: its root is not that of the first %d entries", what, c.size)
		}
		return nil
	}
	if text, err := store.Get([]byte(rowCheckpoint)); !isAbsent(err) {
		if err := check("published checkpoint", text, err); err != nil {
			return err
		}
	}
	if register == nil {
		return nil
	}
	text, err := register.Read()
	return check("register", text, err)
}
