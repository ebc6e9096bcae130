package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Each seal leaves tiles and documents behind that no later one needs. They are kept as long as a wallet may prove
// against an older seal, and then dropped.
//
// The machine keeps the books, as rows that follow from the entries: for each tile and document the height of the seal
// that put it there ("u"), and for each seal what it left behind ("o"). One that went and came back, as a tile does
// when a suspended leaf is reinstated, was put there after it was left behind, and stays. A tile has one place in the
// tree, as no leaf is in it twice: there is nothing to count.
//
// "w" is the height of the first seal that is kept whole. Everything that is dropped goes in one batch with the new
// "w", so that a crash leaves no seal half there.

// nameSize is the length of the keys of tiles and documents.
const nameSize = 1 + credential.ElementSize

// maxPrune is how many rows one step drops, about: the sequencer waits for it.
const maxPrune = 2000

func droppedKey(height uint64) string { return numbered(prefixDropped, height) }

// leave is the row that says what a seal left behind.
func leave(at credential.UnixTime, keys []string) []byte {
	row := u64(uint64(at))
	for _, key := range keys {
		row = append(row, key...)
	}
	return row
}

// readDropped reads the time of the seal of a height and the keys that it left behind.
func readDropped(r Reader, height uint64) (at credential.UnixTime, keys []string, err error) {
	row, err := r.Get([]byte(droppedKey(height)))
	if err != nil {
		return 0, nil, fmt.Errorf("read what seal %d left behind: %w", height, err)
	}
	if len(row) < 8 || (len(row)-8)%nameSize != 0 {
		return 0, nil, fmt.Errorf("what seal %d left behind has %d bytes: %w", height, len(row), errDamaged)
	}
	at = credential.UnixTime(binary.BigEndian.Uint64(row))
	for row = row[8:]; len(row) > 0; row = row[nameSize:] {
		keys = append(keys, string(row[:nameSize]))
	}
	return at, keys, nil
}

// KeptFrom is the height of the first seal whose tiles and documents are all there.
func KeptFrom(r Reader) (height uint64, err error) {
	height, _, err = getU64(r, rowKeptFrom)
	return height, err
}

// Prune drops, in one atomic batch, tiles and documents that only seals before a time need, but never anything that the
// seal of height newest or a later one needs. It drops some 2,000 rows at most, or those of one seal; more says that
// there are others. It must not run while a machine's changes are being committed to the store.
func Prune(s Store, newest uint64, before credential.UnixTime) (more bool, err error) {
	from, err := KeptFrom(s)
	if err != nil {
		return false, fmt.Errorf("prune: %w", err)
	}
	rows, height := make(map[string][]byte), from
	for height < newest && len(rows) < maxPrune {
		at, _, err := readDropped(s, height)
		if err != nil {
			return false, fmt.Errorf("prune: %w", err)
		}
		if at >= before {
			break
		}
		if err := dropBefore(s, height+1, rows); err != nil {
			return false, fmt.Errorf("prune: %w", err)
		}
		height++
	}
	if height == from {
		return false, nil
	}
	rows[rowKeptFrom] = u64(height)
	if err := s.Commit(rows); err != nil {
		return false, fmt.Errorf("prune seals %d to %d: %w", from, height-1, err)
	}
	return len(rows) >= maxPrune, nil
}

// dropBefore marks, with a nil row, what goes when the seal of that height becomes the first one kept.
func dropBefore(r Reader, height uint64, rows map[string][]byte) error {
	_, keys, err := readDropped(r, height)
	if err != nil {
		return err
	}
	for _, key := range keys {
		put, found, err := getU64(r, prefixPut+key)
		if err != nil {
			return err
		}
		if found && put < height { // else it came back
			rows[key], rows[prefixPut+key] = nil, nil
		}
	}
	rows[droppedKey(height-1)] = nil
	return nil
}

// versions is what the sequencer remembers of pruning.
type versions struct {
	seal uint64 // index of the published seal that was looked at last
	more bool
}

// prune drops the versions that are too old, as seen from the last published seal: nothing is dropped while nothing is
// published. It runs between batches, so that no commit is under way.
func (l *Log) prune() error {
	l.mu.Lock()
	published := l.published
	l.mu.Unlock()
	if l.cfg.KeepVersions < 0 || !published.sealed || published.seal == l.versions.seal && !l.versions.more {
		return nil
	}
	seal, err := readSeal(l.cfg.Store, published.seal)
	if err != nil {
		return err
	}
	before := seal.Time - credential.UnixTime(l.cfg.KeepVersions/time.Second)
	more, err := Prune(l.cfg.Store, seal.Height, before)
	if err != nil {
		return err
	}
	l.versions = versions{published.seal, more}
	return nil
}

// readSeal reads the seal at an index.
func readSeal(r Reader, index uint64) (entry.Seal, error) {
	raw, err := readEntry(r, index)
	if err != nil {
		return entry.Seal{}, err
	}
	_, payload, err := parse(raw)
	if err != nil {
		return entry.Seal{}, fmt.Errorf("entry %d in the store: %w", index, err)
	}
	seal, ok := payload.(entry.Seal)
	if !ok {
		return entry.Seal{}, fmt.Errorf("entry %d is no seal: %w", index, errDamaged)
	}
	return seal, nil
}

// absentVersion says of a tile or document that is not there that it may have been dropped.
func absentVersion(r Reader, what string) error {
	height, err := KeptFrom(r)
	if err != nil || height == 0 {
		return errors.Join(err, ErrAbsent)
	}
	at, _, err := readDropped(r, height)
	if err != nil { // perhaps it moved on between the two reads
		return err
	}
	return &notKept{fmt.Sprintf("there is no %s by that name in the versions kept here, which begin with seal %d of %s: it was dropped, or never was",
		what, height, at)}
}

// notKept is an [ErrAbsent] of what may have been there.
type notKept struct{ detail string }

// Error is for people who asked for it.
func (n *notKept) Error() string { return n.detail }

// Unwrap gives [ErrAbsent].
func (n *notKept) Unwrap() error { return ErrAbsent }
