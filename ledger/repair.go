package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger/entry"
)

// A store that lost rows is repaired in place: [Repair] takes what entries are damaged from another copy of the chain,
// only those, recomputes all that follows from entries, and writes the rows that differ. [Rebuild] makes a whole new store
// instead, and needs no readable old one.

// Copy is another copy of the chain, whose answers were checked against a checkpoint that the log signed. Whoever answers
// for it can keep us from repairing, no more: what comes out must be the tree that the register has.
type Copy interface {
	Source
	Size() uint64                               // entries that it has
	RecordHash(index uint64) (tlog.Hash, error) // leaf hash of an entry in the log tree
}

// RepairConfig is what a repair needs.
type RepairConfig struct {
	Store    Store // of a ledger that does not run
	Register Register
	Scratch  Store                // empty; will hold as much as the store. Nil: in memory
	Copy     Copy                 // nil: only what follows from the store's own entries is repaired
	LogKey   string               // verifier key of the log; empty: as the store's genesis entry has it
	Progress func(entries uint64) // called now and then; may be nil
}

// Repaired says what was done.
type Repaired struct {
	Report
	Entries []uint64       // that were taken from the copy
	Fixed   map[string]int // how many rows of each kind were written or removed; the kinds are in rows.go
}

// Unrepairable is returned for damage that [Repair] leaves as it is. Nothing was written.
type Unrepairable struct{ Cause error }

// Error says what to do instead.
func (u *Unrepairable) Error() string {
	return fmt.Sprintf("%v. This is not repaired row by row: use `bulla ledger rebuild`, with --from if entries are damaged, or restore a backup that is newer", u.Cause)
}

// Unwrap gives the cause.
func (u *Unrepairable) Unwrap() error { return u.Cause }

// maxRepair bounds the one batch that a repair writes, in bytes.
const maxRepair = 64 << 20

// Repair makes a damaged store whole: every row that does not follow from the entries is replaced, in one atomic batch,
// and the store is scrubbed. Entries that are not those of the tree that the register has come from the copy, and are
// accepted only if all of them together are that tree. Entries behind the register were signed by nobody: they are the
// store's own, or the repair is refused.
func Repair(ctx context.Context, cfg RepairConfig) (Repaired, error) {
	if cfg.Scratch == nil {
		cfg.Scratch = newHeap()
	}
	if _, err := checkVersion(cfg.Store); err != nil {
		return Repaired{}, &Unrepairable{err}
	}
	head, err := cfg.signed()
	if err != nil {
		return Repaired{}, fmt.Errorf("repair: %w", err)
	}
	source := &mended{own: cfg.Store, copy: cfg.Copy, head: head, first: -1}
	m, err := replay(ctx, source, cfg.Scratch, cfg.Progress, func(*Machine) error { return nil })
	if err != nil {
		return Repaired{}, source.explain(err)
	}
	if err := source.fits(m); err != nil {
		return Repaired{}, err
	}
	done := Repaired{Entries: source.taken}
	if done.Report, err = m.report(); err != nil {
		return Repaired{}, err
	}
	if err := pruneLike(m, cfg.Scratch, cfg.Store); err != nil {
		return Repaired{}, &Unrepairable{err}
	}
	if done.Fixed, err = cfg.write(ctx, m); err != nil {
		return Repaired{}, err
	}
	if done.Rows, err = compareRows(ctx, cfg.Scratch, cfg.Store); err != nil {
		return done, fmt.Errorf("after the repair: %w", err)
	}
	if err := Scrub(ctx, cfg.Store, head.size, head.root, nil, nil); err != nil {
		return done, fmt.Errorf("after the repair: %w", err)
	}
	return done, cfg.Store.Commit(map[string][]byte{rowMark: nil})
}

// signed is what the register has.
func (cfg *RepairConfig) signed() (checkpoint, error) {
	key := cfg.LogKey
	if key == "" {
		var err error
		if key, err = logKey(cfg.Store); err != nil {
			return checkpoint{}, &Unrepairable{fmt.Errorf("the store's genesis entry is damaged, and the log's key was not given: %w", err)}
		}
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return checkpoint{}, fmt.Errorf("log key: %w", err)
	}
	text, err := cfg.Register.Read()
	if err != nil {
		return checkpoint{}, registerError{fmt.Errorf("register: %w", err)}
	}
	head, err := parseCheckpoint(text, verifier.Name(), verifier)
	if err != nil {
		return checkpoint{}, registerError{fmt.Errorf("register: %w", err)}
	}
	return head, nil
}

// logKey is the key that the genesis entry of a store names.
func logKey(r Reader) (string, error) {
	raw, err := readEntry(r, 0)
	if err != nil {
		return "", err
	}
	_, payload, err := parse(raw)
	if err != nil {
		return "", err
	}
	genesis, ok := payload.(entry.Genesis)
	if !ok {
		return "", errDamaged
	}
	return genesis.LogKey, nil
}

// write replaces the rows that do not follow from the entries, all of them or none.
func (cfg *RepairConfig) write(ctx context.Context, m *Machine) (map[string]int, error) {
	rows, err := differences(ctx, cfg.Scratch, cfg.Store)
	if err != nil {
		return nil, err
	}
	if err := compareCheckpoints(m, cfg.Store, nil); err != nil {
		rows[rowCheckpoint] = nil // the newest seal is published again
	}
	fixed := make(map[string]int)
	for key := range rows {
		fixed[key[:1]]++
	}
	if len(rows) == 0 {
		return fixed, nil
	}
	if err := cfg.Store.Commit(rows); err != nil {
		return nil, fmt.Errorf("write the repaired rows: %w", err)
	}
	return fixed, nil
}

// differences are the rows to write so that a store has those that are wanted; nil for one to remove.
func differences(ctx context.Context, want, store Store) (map[string][]byte, error) {
	rows, size := make(map[string][]byte), 0
	add := func(key, value []byte) error {
		rows[string(key)] = value
		if size += len(key) + len(value); size > maxRepair {
			return &Unrepairable{fmt.Errorf("more than %d MiB of rows are damaged", maxRepair>>20)}
		}
		return ctx.Err()
	}
	err := store.Each(nil, func(key, _ []byte) error {
		if !follows(string(key)) {
			return nil
		}
		_, err := want.Get(key)
		if !isAbsent(err) {
			return err
		}
		if k := string(key[:1]); k == prefixEntry || k == prefixResult {
			return &Unrepairable{fmt.Errorf("row %q is of an entry behind a hole: entries are lost that were not signed yet", key)}
		}
		return add(bytes.Clone(key), nil)
	})
	if err != nil {
		return nil, unreadable(err)
	}
	return rows, want.Each(nil, func(key, value []byte) error {
		got, err := store.Get(key)
		switch {
		case err != nil && !isAbsent(err):
			return unreadable(err)
		case err == nil && bytes.Equal(got, value):
			return ctx.Err()
		}
		return add(key, bytes.Clone(value))
	})
}

// unreadable is what the files under the rows are when they cannot be read.
func unreadable(err error) error {
	var known *Unrepairable
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Unrepairable{fmt.Errorf("the store cannot be read: %w", err)}
}

// follows tells whether a row follows from the entries.
func follows(key string) bool {
	return key != rowCheckpoint && key != rowMark && !strings.HasPrefix(key, prefixOwner)
}
