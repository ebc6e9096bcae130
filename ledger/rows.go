package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
)

// The key space. Numbers are big endian. Rows marked once are written once and never change. Nothing is ever deleted but
// what [Prune] drops: tiles and documents that no kept seal needs, with their "u" and "o".
// All but "c", "m", "w" and "x" follow from the entries: [VerifyStore] recomputes every one.
//
//	key                    value                                    whoever can change it can make us …
//	v                      format version (u32)                     refuse to start
//	s                      state: sizes, last seal (JSON)           refuse to start, or sign a wrong seal, which no replaying cosigner signs
//	g                      registry in the making (JSON)            accept entries of signers that governance never admitted; cosigners refuse them
//	e ‖ u64      once      entry at an index                        serve entries that do not fit the signed root; noticed by every reader
//	a ‖ u64      once      first leaf (u64), leaves (u32)           give out wrong receipts of leaf indices; noticed by the issuer
//	h ‖ u64      once      stored hash (x/mod tlog order)           refuse to start, or serve tiles that fit no checkpoint
//	n ‖ signer             the signer's next number (u64)           accept a replay or refuse the next entry; cosigners notice
//	q ‖ signer ‖ 0 ‖ u64   once   index of the entry with that number   answer a replay with a wrong receipt
//	k ‖ kid      once      whose the key is                         let one key sign for two parties; cosigners notice
//	l ‖ u64                leaf, pair (u32), status (u8)            take a leaf out of the active tree or put it back; cosigners notice
//	d ‖ leaf     once      index of the leaf (u64)                  accept a leaf twice; cosigners notice
//	p ‖ u32                pair of schema and issuer with counts    exceed a quota, seal a wrong census; cosigners notice
//	t ‖ name     once      tile of the active tree                  serve bytes that do not hash to their name; noticed by every reader
//	r ‖ digest   once      registry or census named by a seal       likewise
//	u ‖ t‖… r‖…            height of the seal that put it there     drop what wallets still need, or keep it for ever
//	o ‖ u64      once      time of the seal of that height (u64),   likewise
//	                       keys t‖… and r‖… that it left behind
//	w                      height of the first seal kept (u64)      likewise
//	y ‖ issuer             audit records anchored (u64)             let an agency anchor a shorter audit log; cosigners notice
//	f ‖ digest   once      set that policies name (JSON)            serve bytes that do not hash to their name; noticed by every reader
//	i ‖ signer             parts of a set that it registers (JSON)  take or refuse its next part; cosigners notice
//	j ‖ u64      once      digest of the set with that number       leave one out of an export
//	b ‖ u64      once      log index of the seal of that height     serve another seal, which fits no digest; noticed by every reader
//	m                      mark of damage that the scrub found      refuse to start, or forget it until the next pass
//	c                      published checkpoint (signed note)       serve an older one; readers refuse to go back
//	x ‖ …                  rows of who owns the machine             whatever that owner says: see Follower and ledger/cosign
const (
	rowVersion    = "v"
	rowState      = "s"
	rowRegistry   = "g"
	rowCheckpoint = "c"
	rowKeptFrom   = "w"
	rowMark       = "m"

	prefixEntry    = "e"
	prefixResult   = "a"
	prefixHash     = "h"
	prefixNext     = "n"
	prefixSigned   = "q"
	prefixKey      = "k"
	prefixLeaf     = "l"
	prefixLeafOf   = "d"
	prefixPair     = "p"
	prefixTile     = "t"
	prefixDocument = "r"
	prefixPut      = "u"
	prefixDropped  = "o"
	prefixSeal     = "b"
	prefixAudit    = "y"
	prefixSet      = "f"
	prefixSetParts = "i"
	prefixSetOf    = "j"
	prefixOwner    = "x"
)

// Reader reads committed rows.
type Reader interface {
	// Get returns a copy of the value of a key. It returns an error that is [ErrAbsent] if there is none; any other
	// error means that the store could not say.
	Get(key []byte) (value []byte, err error)
}

func numbered(prefix string, n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(prefix), n))
}

func pairKey(id uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte(prefixPair), id))
}

func signedKey(signer string, sequence uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(prefixSigned+signer+"\x00"), sequence))
}

func elementKey(prefix string, e credential.Element) string {
	b := e.Bytes()
	return prefix + string(b[:])
}

func documentKey(d credential.Digest) string { return prefixDocument + string(d[:]) }

func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseU64(key string, value []byte) (uint64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("row %q has %d bytes, want 8: the store is damaged", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// getU64 reads a number; absent is false.
func getU64(r Reader, key string) (n uint64, found bool, err error) {
	value, err := r.Get([]byte(key))
	if errors.Is(err, ErrAbsent) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	n, err = parseU64(key, value)
	return n, err == nil, err
}

// Result is what an entry became.
type Result struct {
	Index     uint64
	Digest    credential.Digest
	FirstLeaf uint64 // index in the active tree of its first leaf; 0 without leaves
	Leaves    int    // how many leaves it added
}

func (r Result) row() []byte {
	return binary.BigEndian.AppendUint32(u64(r.FirstLeaf), uint32(r.Leaves))
}

// readResult is the result of the entry at an index.
func readResult(r Reader, index uint64) (Result, error) {
	raw, err := readEntry(r, index)
	if err != nil {
		return Result{}, err
	}
	row, err := r.Get([]byte(numbered(prefixResult, index)))
	if err != nil {
		return Result{}, fmt.Errorf("read the result of entry %d: %w", index, err)
	}
	if len(row) != 12 {
		return Result{}, fmt.Errorf("the result of entry %d has %d bytes, want 12: the store is damaged", index, len(row))
	}
	return Result{index, credential.DigestOf(raw), binary.BigEndian.Uint64(row), int(binary.BigEndian.Uint32(row[8:]))}, nil
}

func readEntry(r Reader, index uint64) ([]byte, error) {
	raw, err := r.Get([]byte(numbered(prefixEntry, index)))
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", index, err)
	}
	return raw, nil
}
