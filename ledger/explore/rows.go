package explore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/ledger/entry"
)

// The key space. Numbers are 8 bytes, big endian; ^ marks their complement, so that the newest comes first. All of it follows from the
// entries.
//
//	key                              value
//	s                                state (JSON)
//	c                                the checkpoint that the index was compared with last (signed note)
//	e ‖ index                        the entry
//	a ‖ index                        first leaf that the entry issued
//	f ‖ ^first leaf                  index of the entry that issued the leaves from there on, and how many
//	h ‖ n                            stored hash of the log tree (x/mod tlog order)
//	d ‖ digest                       index of the entry with that digest
//	g ‖ commitment ‖ index           its position in the entry
//	l ‖ scope ‖ 0 ‖ ^index           nothing: the entries of a [Scope]
//	b ‖ index                        height and time of the seal there
//	n ‖ height                       index of the seal
//	y ‖ leaf                         status (1 byte); none while it is active
//	x ‖ leaf ‖ index                 nothing: the entry changed the leaf's status
//	p ‖ DID                          [Party] (JSON)
//	i ‖ DID, v ‖ DID                 nothing: it is an issuer, a verifier
//	r ‖ name ‖ 0 ‖ DID               nothing: it has or had that name, in lower case
//	q ‖ DID ‖ 0 ‖ policy id          index of its newest registration
//	m ‖ schema                       index of its newest publication
//	k ‖ set ‖ part                   index of the entry that has this part of a set
//	t ‖ hour                         counts of that hour since 1970 (JSON)
//	u ‖ DID ‖ 0 ‖ ^hour              counts of what that issuer did in that hour, and what of it was live at the hour's last seal (JSON)
const (
	rowState      = "s"
	rowCheckpoint = "c"

	prefixEntry      = "e"
	prefixFirstLeaf  = "a"
	prefixIssued     = "f"
	prefixHash       = "h"
	prefixDigest     = "d"
	prefixCommitment = "g"
	prefixList       = "l"
	prefixSeal       = "b"
	prefixHeight     = "n"
	prefixStatus     = "y"
	prefixChange     = "x"
	prefixParty      = "p"
	prefixIssuer     = "i"
	prefixVerifier   = "v"
	prefixName       = "r"
	prefixPolicy     = "q"
	prefixSchema     = "m"
	prefixSet        = "k"
	prefixHour       = "t"
	prefixIssuerHour = "u"
)

// formatVersion is of the rows. An index of another version is made again. 2: what each issuer did by the hour.
const formatVersion = 2

// state is what the index knows of the whole chain.
type state struct {
	Version  int               `json:"version"`
	Size     uint64            `json:"size"`
	Leaves   uint64            `json:"leaves"`
	Live     uint64            `json:"live"`
	Seals    uint64            `json:"seals"`
	LastSeal SealRef           `json:"last_seal"`
	SealHash credential.Digest `json:"seal_digest"` // of the last seal's entry; of genesis before the first
	Totals   map[string]uint64 `json:"totals"`
	Unsealed map[string]uint64 `json:"unsealed"` // counts since the last seal, which have no hour yet
	// Waiting are those of each issuer: as many as signed something since the last seal.
	Waiting   map[string]map[string]uint64 `json:"waiting"`
	Issuers   uint64                       `json:"issuers"`
	Verifiers uint64                       `json:"verifiers"`
	Policies  uint64                       `json:"policies"`
}

// errOtherVersion is returned for rows that another version of this program wrote.
var errOtherVersion = errors.New("the index is of another version")

func readState(db *rows.DB) (state, error) {
	s := state{Version: formatVersion, Totals: map[string]uint64{}, Unsealed: map[string]uint64{}, Waiting: map[string]map[string]uint64{}}
	text, err := db.Get([]byte(rowState))
	if errors.Is(err, rows.ErrAbsent) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	// The version comes first: the rest of another version is not read as if it were of this one.
	var written struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return s, fmt.Errorf("state of the index: %w", err)
	}
	if written.Version != formatVersion {
		return s, fmt.Errorf("version %d, this program keeps %d: %w", written.Version, formatVersion, errOtherVersion)
	}
	if err := credential.ParseCanonical(text, &s); err != nil {
		return s, fmt.Errorf("state of the index: %w", err)
	}
	return s, nil
}

func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func numbered(prefix string, n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(prefix), n))
}

func parseU64(value []byte) (uint64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("a number of %d bytes: the index is damaged", len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

func elementKey(prefix string, e credential.Element) string {
	b := e.Bytes()
	return prefix + string(b[:])
}

func digestKey(d credential.Digest) string { return prefixDigest + string(d[:]) }

func setKey(d credential.Digest, part int) string {
	return prefixSet + string(d[:]) + string([]byte{byte(part)})
}

func policyKey(did, id string) string { return prefixPolicy + did + "\x00" + id }

// Scope is a list of entries.
type Scope string

// Work is all entries but seals.
const Work Scope = "w"

// OfKind is the entries of a kind, other than seals.
func OfKind(k entry.Kind) Scope { return Scope("k/" + string(k)) }

// About is the entries that a party signed, or that say something of it. The operator's seals are not among them.
func About(did string) Scope { return Scope("p/" + did) }

func (s Scope) prefix() string { return prefixList + string(s) + "\x00" }

// hashReader reads stored hashes, for x/mod's tlog.
type hashReader func(key []byte) ([]byte, error)

// ReadHashes implements [tlog.HashReader].
func (get hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		value, err := get([]byte(numbered(prefixHash, uint64(index))))
		if err != nil {
			return nil, fmt.Errorf("read stored hash %d: %w", index, err)
		}
		if len(value) != tlog.HashSize {
			return nil, fmt.Errorf("stored hash %d has %d bytes: the index is damaged", index, len(value))
		}
		copy(hashes[i][:], value)
	}
	return hashes, nil
}
