package ledger

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Readers who want seals and nothing else need not read whole entry bundles, which may have 16 MB: the newest seal comes
// with its inclusion proof, and the older ones, each named by the digest in the one after it, in bundles of seals.

// sealIndex is the log index of the seal of a height.
func sealIndex(r Reader, height uint64) (uint64, error) {
	index, found, err := getU64(r, numbered(prefixSeal, height))
	if err == nil && !found {
		err = ErrAbsent
	}
	if err != nil {
		return 0, fmt.Errorf("find seal %d: %w", height, err)
	}
	return index, nil
}

// lastEntry is the document /seal/{size}: the last entry of a tree of that size, if it is a seal, as that of every
// published checkpoint is. What it says never changes.
func (s *Static) lastEntry(text string) ([]byte, error) {
	size, err := strconv.ParseUint(text, 10, 53)
	if err != nil || strconv.FormatUint(size, 10) != text || size < 2 || size > s.size() {
		return nil, ErrAbsent
	}
	raw, err := readEntry(s.rows, size-1)
	if err != nil {
		return nil, err
	}
	if e, err := entry.Parse(raw); err != nil || e.Header().Kind != entry.KindSeal {
		return nil, ErrAbsent
	}
	proof, err := tlog.ProveRecord(int64(size), int64(size-1), hashReader{s.rows})
	if err != nil {
		return nil, fmt.Errorf("prove that seal %d is in the log: %w", size-1, err)
	}
	doc := entry.Proven{Entry: string(raw), Index: size - 1, Proof: make([]credential.Digest, len(proof))}
	for i := range proof {
		doc.Proof[i] = credential.Digest(proof[i])
	}
	return credential.Canonical(doc)
}

// sealBundle is the object /seals/{N}[.p/{W}]: seals by height, in the form of entry bundles.
func (s *Static) sealBundle(path string) ([]byte, error) {
	t, err := tlog.ParseTilePath("tile/8/data/" + path)
	if err != nil || t.N >= 1<<(53-tileHeight) {
		return nil, ErrAbsent
	}
	var out []byte
	first := uint64(t.N) << tileHeight
	for height := first; height < first+uint64(t.W); height++ {
		index, err := sealIndex(s.rows, height)
		if err != nil {
			return nil, err
		}
		if index >= s.size() {
			return nil, ErrAbsent
		}
		raw, err := readEntry(s.rows, index)
		if err != nil {
			return nil, err
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(raw)))
		out = append(out, raw...)
	}
	return out, nil
}
