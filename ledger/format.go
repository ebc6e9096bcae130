package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// formatVersion is the version of the key space. Version 2 keeps the books for [Prune] ("u", "o", "w", "b").
//
// There is one migration, from any version to this one, and it is also the repair of any row: entries are the same in
// every version and all else follows from them, so [Rebuild] replays them into a new store. The old one stays as it is.
const formatVersion = 2

// FormatError is returned for a store in another format than ours. Nothing was read or written.
type FormatError struct{ Version uint32 }

// Error says what to do.
func (e *FormatError) Error() string {
	if e.Version < formatVersion {
		return fmt.Sprintf("the store has format version %d, this program writes %d: `bulla ledger rebuild` makes a new store "+
			"of its entries and keeps the old one", e.Version, formatVersion)
	}
	return fmt.Sprintf("the store has format version %d, this program knows only those up to %d: use the program that wrote it", e.Version, formatVersion)
}

// checkVersion refuses a store written in another format. An empty store is fine.
func checkVersion(r Reader) (empty bool, err error) {
	value, err := r.Get([]byte(rowVersion))
	if errors.Is(err, ErrAbsent) {
		return checkEmpty(r)
	}
	if err != nil {
		return false, fmt.Errorf("read the store's format version: %w", err)
	}
	if len(value) != 4 {
		return false, fmt.Errorf("the store's format version has %d bytes: %w", len(value), errDamaged)
	}
	if version := binary.BigEndian.Uint32(value); version != formatVersion {
		return false, &FormatError{version}
	}
	return false, nil
}

// checkEmpty tells a store without version that is new from one that lost the row.
func checkEmpty(r Reader) (bool, error) {
	for _, key := range []string{rowState, rowRegistry, numbered(prefixEntry, 0)} {
		if _, err := r.Get([]byte(key)); !isAbsent(err) {
			return false, errors.Join(fmt.Errorf("the store has rows and no format version: %w", errDamaged), err)
		}
	}
	return true, nil
}
