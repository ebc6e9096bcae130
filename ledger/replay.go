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
// not have been accepted. It keeps all rows in memory: [Rebuild] does not. progress, if not nil, is called now and then
// with the number of entries done.
func Replay(ctx context.Context, source Source, progress func(done uint64)) (Report, error) {
	return Rebuild(ctx, source, newHeap(), progress)
}

// Rebuild is [Replay] into an empty store, with the memory of some hundred entries. What comes out is the store that a
// ledger would have that was given these entries, whatever the format of the store that they are from: it is the repair of
// a damaged store, and the migration of an old one. A ledger opens it beside the register of the old one.
func Rebuild(ctx context.Context, source Source, into Store, progress func(done uint64)) (Report, error) {
	m, err := replay(ctx, source, into, progress, func(*Machine) error { return nil })
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

// commitEvery is how many entries a replay commits at once. Rows of a batch are in memory.
const commitEvery = 256

// replay runs all entries through a machine whose rows go into an empty store. after is called for each entry.
func replay(ctx context.Context, source Source, into Store, progress func(uint64), after func(*Machine) error) (*Machine, error) {
	m, err := NewMachine(into)
	if err != nil {
		return nil, err
	}
	if m.Size() > 0 {
		return nil, errors.New("replay into a store that is not empty")
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
		if index%commitEvery == commitEvery-1 {
			if err := flush(m, into); err != nil {
				return nil, err
			}
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
	return m, flush(m, into)
}

// flush commits what the machine holds.
func flush(m *Machine, into Store) error {
	rows, err := m.Changes()
	if err != nil || len(rows) == 0 {
		return err
	}
	if err := into.Commit(rows); err != nil {
		return fmt.Errorf("commit what was replayed: %w", err)
	}
	m.Committed()
	return nil
}

// VerifyStore is the offline checker behind `bulla ledger verify`: it replays the entries of a store and compares every
// row with what follows from them, both ways, then the published checkpoint and, if register is not nil, the
// last-signed register. The error names the first difference. It needs memory for all rows: [VerifyStoreOn] does not.
func VerifyStore(ctx context.Context, store Store, register Register, progress func(done uint64)) (Report, error) {
	return VerifyStoreOn(ctx, store, register, newHeap(), progress)
}

// VerifyStoreOn is [VerifyStore] with an empty store to replay into, which will hold as much as the one that is verified.
func VerifyStoreOn(ctx context.Context, store Store, register Register, scratch Store, progress func(done uint64)) (Report, error) {
	if _, err := checkVersion(store); err != nil {
		return Report{}, err
	}
	m, err := replay(ctx, Entries{store}, scratch, progress, func(m *Machine) error { return compareHashes(m, store) })
	if err != nil {
		return Report{}, err
	}
	report, err := m.report()
	if err != nil {
		return Report{}, err
	}
	if err := pruneLike(m, scratch, store); err != nil {
		return Report{}, err
	}
	if report.Rows, err = compareRows(ctx, scratch, store); err != nil {
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

// compareRows compares all rows of a store with those that follow from its entries, both ways.
func compareRows(ctx context.Context, want, store Store) (rows int, err error) {
	err = store.Each(nil, func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if string(key) == rowCheckpoint || string(key) == rowMark || strings.HasPrefix(string(key), prefixOwner) {
			return nil
		}
		expected, err := want.Get(key)
		switch {
		case isAbsent(err):
			return fmt.Errorf("row %q does not follow from the entries: %w", key, errDamaged)
		case err != nil:
			return err
		case !bytes.Equal(value, expected):
			return fmt.Errorf("row %q is not what follows from the entries: %w", key, errDamaged)
		}
		rows++
		return nil
	})
	if err != nil {
		return 0, err
	}
	expected := 0
	return rows, want.Each(nil, func(key, _ []byte) error {
		if expected++; expected <= rows { // as many as the store has: all of them, if none is missing
			return ctx.Err()
		}
		return missing(want, store)
	})
}

// missing names the first row that the store lacks.
func missing(want, store Store) error {
	return want.Each(nil, func(key, _ []byte) error {
		_, err := store.Get(key)
		if isAbsent(err) {
			return fmt.Errorf("row %q is missing: %w", key, errDamaged)
		}
		return err
	})
}

// pruneLike drops from the replayed rows what the store has dropped.
func pruneLike(m *Machine, scratch, store Store) error {
	keptFrom, err := KeptFrom(store)
	if err != nil || keptFrom == 0 {
		return err
	}
	if keptFrom >= m.state.Seals {
		return fmt.Errorf("the store keeps versions from seal %d on, and has %d: %w", keptFrom, m.state.Seals, errDamaged)
	}
	for more := true; more; {
		if more, err = Prune(scratch, keptFrom, m.state.Sealed.Time+1); err != nil {
			return err
		}
	}
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

// CheckRegister compares a store with the last-signed register and with the checkpoint that it published, if any: it must
// reach both, with the same roots. It looks at hashes, not at entries.
func CheckRegister(store Store, register Register) error {
	m, err := NewMachine(store)
	if err != nil {
		return err
	}
	if m.Size() == 0 {
		return errors.New("there are no entries")
	}
	return compareCheckpoints(m, store, register)
}
