package explore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/ledger/entry"
)

// SealRef is where a seal is.
type SealRef struct {
	Height uint64              `json:"height"`
	Index  uint64              `json:"index"` // of its entry; 0: there is none yet
	Time   credential.UnixTime `json:"time"`
}

// Entry is an entry with what the chain makes of it.
type Entry struct {
	Index     uint64
	Entry     *entry.Entry
	Payload   entry.Payload
	Seal      *SealRef // that put it into effect; nil while there is none
	FirstLeaf uint64   // of those it issued
}

// Party is a signer, or whoever entries speak of: an issuer, a verifier, both, or governance.
type Party struct {
	DID          string          `json:"did"` // or the word governance
	Name         credential.Text `json:"name"`
	Issuer       bool            `json:"issuer"`
	Verifier     bool            `json:"verifier"`
	Registered   uint64          `json:"registered"`     // index of its newest registration
	Last         uint64          `json:"last"`           // index of the newest entry by it or about it
	Entries      uint64          `json:"entries"`        // that it signed
	Keys         []string        `json:"keys,omitempty"` // ids
	URL          string          `json:"url"`            // of an issuer
	Quota        uint64          `json:"quota"`
	Stopped      bool            `json:"stopped"` // suspended by governance
	Reason       string          `json:"reason"`
	Issued       uint64          `json:"issued"`
	Live         uint64          `json:"live"`
	Suspended    uint64          `json:"suspended"`
	Revoked      uint64          `json:"revoked"`
	AuditRecords uint64          `json:"audit_records"`           // of its audit log, as anchored last
	ResponseURIs []string        `json:"response_uris,omitempty"` // of a verifier
}

func keyIDs(keys []jose.PublicKey) []string {
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = k.KeyID()
	}
	return ids
}

// MaxList is how much one call lists at most.
const MaxList = 100

var errStop = errors.New("enough")

func absent(err error) error {
	if errors.Is(err, rows.ErrAbsent) {
		return ErrAbsent
	}
	return err
}

// number reads a row that is a number, or returns [ErrAbsent].
func (x *Index) number(key string) (uint64, error) {
	value, err := x.rows.Get([]byte(key))
	if err != nil {
		return 0, absent(err)
	}
	return parseU64(value)
}

// Entry is the entry at an index, or [ErrAbsent].
func (x *Index) Entry(index uint64) (*Entry, error) {
	raw, err := x.rows.Get([]byte(numbered(prefixEntry, index)))
	if err != nil {
		return nil, absent(err)
	}
	e, err := entry.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("entry %d in the index: %w", index, err)
	}
	payload, err := e.ParsePayload()
	if err != nil {
		return nil, fmt.Errorf("entry %d in the index: %w", index, err)
	}
	out := &Entry{Index: index, Entry: e, Payload: payload}
	if out.Seal, err = x.sealAfter(index); err != nil {
		return nil, err
	}
	if _, ok := payload.(entry.CredentialsIssued); ok {
		out.FirstLeaf, err = x.number(numbered(prefixFirstLeaf, index))
	}
	return out, err
}

// sealAfter is the first seal at an index or behind it.
func (x *Index) sealAfter(index uint64) (seal *SealRef, err error) {
	err = x.rows.Each([]byte(prefixSeal), []byte(numbered(prefixSeal, index)), func(key, value []byte) error {
		if len(key) != 9 || len(value) != 16 {
			return errors.New("a seal's row: the index is damaged")
		}
		seal = &SealRef{
			Height: binary.BigEndian.Uint64(value), Index: binary.BigEndian.Uint64(key[1:]), Time: credential.UnixTime(binary.BigEndian.Uint64(value[8:])),
		}
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return seal, err
}

// issuedAt is the entry that issued a leaf, and the first leaf that it issued, or [ErrAbsent].
func (x *Index) issuedAt(leaf uint64) (first, index uint64, err error) {
	found := false
	err = x.rows.Each([]byte(prefixIssued), []byte(numbered(prefixIssued, ^leaf)), func(key, value []byte) error {
		if len(key) != 9 || len(value) != 16 {
			return errors.New("a row of leaves: the index is damaged")
		}
		first, index = ^binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(value)
		found = leaf-first < binary.BigEndian.Uint64(value[8:])
		return errStop
	})
	if err != nil && !errors.Is(err, errStop) {
		return 0, 0, err
	}
	if !found {
		return 0, 0, ErrAbsent
	}
	return first, index, nil
}

// List is up to limit entries of a scope, newest first, all below before; and whether there are more.
func (x *Index) List(s Scope, before uint64, limit int) (list []*Entry, more bool, err error) {
	if before == 0 {
		return nil, false, nil
	}
	limit = min(max(limit, 1), MaxList)
	prefix := s.prefix()
	var indexes []uint64
	err = x.rows.Each([]byte(prefix), []byte(numbered(prefix, ^(before-1))), func(key, _ []byte) error {
		if len(key) != len(prefix)+8 {
			return errors.New("a row of a list: the index is damaged")
		}
		if len(indexes) == limit {
			more = true
			return errStop
		}
		indexes = append(indexes, ^binary.BigEndian.Uint64(key[len(prefix):]))
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, false, err
	}
	for _, index := range indexes {
		e, err := x.Entry(index)
		if err != nil {
			return nil, false, err
		}
		list = append(list, e)
	}
	return list, more, nil
}

// Seals is up to limit seals, newest first, all of heights below before; and whether there are more.
func (x *Index) Seals(before uint64, limit int) (list []*Entry, more bool, err error) {
	before = min(before, x.Head().Seals)
	for n := 0; n < min(max(limit, 1), MaxList) && before > 0; n++ {
		before--
		e, err := x.Seal(before)
		if err != nil {
			return nil, false, err
		}
		list = append(list, e)
	}
	return list, before > 0, nil
}

// Seal is the seal of a height, or [ErrAbsent].
func (x *Index) Seal(height uint64) (*Entry, error) {
	index, err := x.number(numbered(prefixHeight, height))
	if err != nil {
		return nil, err
	}
	return x.Entry(index)
}

// Party is what is known of a party, or [ErrAbsent].
func (x *Index) Party(did string) (*Party, error) {
	text, err := x.rows.Get([]byte(prefixParty + did))
	if err != nil {
		return nil, absent(err)
	}
	p := new(Party)
	return p, credential.ParseCanonical(text, p)
}

// Name is a party's name, or its DID where it has none.
func (x *Index) Name(did, language string) string {
	if p, err := x.Party(did); err == nil {
		if name := p.Name.In(language); name != "" {
			return name
		}
	}
	return did
}

// Issuers is up to limit issuers, ascending by DID, all behind after; and whether there are more.
func (x *Index) Issuers(after string, limit int) ([]*Party, bool, error) {
	return x.parties(prefixIssuer, after, limit)
}

// Verifiers is as [Index.Issuers].
func (x *Index) Verifiers(after string, limit int) ([]*Party, bool, error) {
	return x.parties(prefixVerifier, after, limit)
}

func (x *Index) parties(prefix, after string, limit int) (list []*Party, more bool, err error) {
	keys, more, err := x.keys(prefix, after, limit)
	for _, did := range keys {
		p, err := x.Party(did)
		if err != nil {
			return nil, false, err
		}
		list = append(list, p)
	}
	return list, more, err
}

// keys are what follows a prefix in keys, ascending, behind after.
func (x *Index) keys(prefix, after string, limit int) (list []string, more bool, err error) {
	limit = min(max(limit, 1), MaxList)
	from := prefix
	if after != "" {
		from = prefix + after + "\x00"
	}
	err = x.rows.Each([]byte(prefix), []byte(from), func(key, _ []byte) error {
		if len(list) == limit {
			more = true
			return errStop
		}
		list = append(list, string(key[len(prefix):]))
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return list, more, err
}

// LeafStatus is what is said of a credential last.
func (x *Index) LeafStatus(leaf uint64) (Status, error) { return readStatus(x.rows.Get, leaf) }

// Leaf is where a leaf was issued, what is said of it, and the entries that changed that.
type Leaf struct {
	Leaf     uint64
	Index    uint64 // of the entry that issued it
	Position int    // in that entry
	Status   Status
	Changes  []uint64 // indexes of entries, ascending
}

// Leaf looks up a leaf, or returns [ErrAbsent].
func (x *Index) Leaf(leaf uint64) (*Leaf, error) {
	first, index, err := x.issuedAt(leaf)
	if err != nil {
		return nil, err
	}
	out := &Leaf{Leaf: leaf, Index: index, Position: int(leaf - first)}
	if out.Status, err = x.LeafStatus(leaf); err != nil {
		return nil, err
	}
	prefix := numbered(prefixChange, leaf)
	err = x.rows.Each([]byte(prefix), nil, func(key, _ []byte) error {
		if len(out.Changes) == MaxList || len(key) != len(prefix)+8 {
			return errStop
		}
		out.Changes = append(out.Changes, binary.BigEndian.Uint64(key[len(prefix):]))
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return out, err
}

// Found is one thing that a search found: exactly one of the pointers is set, or DID.
type Found struct {
	Entry *uint64
	Seal  *uint64 // height
	Leaf  *Leaf
	DID   string
}

// MaxQuery bounds what is searched for, in bytes.
const MaxQuery = 300

// Find looks for a number (of an entry, a seal, a credential), a DID, a commitment, a digest of an entry, a schema id, or the beginning of
// a party's name. It finds nothing without an error.
func (x *Index) Find(query string) ([]Found, error) {
	query = strings.TrimSpace(query)
	if query == "" || len(query) > MaxQuery || strings.ContainsFunc(query, unicode.IsControl) {
		return nil, nil
	}
	if n, err := strconv.ParseUint(query, 10, 53); err == nil {
		return x.findNumber(n)
	}
	if _, err := x.Party(query); err == nil {
		return []Found{{DID: query}}, nil
	} else if !errors.Is(err, ErrAbsent) {
		return nil, err
	}
	found, err := x.findHash(query)
	if err != nil || len(found) > 0 {
		return found, err
	}
	return x.findName(query)
}

// maxNamed is how many parties are found by a name.
const maxNamed = 25

// findName finds parties by the beginning of a name that they have or had.
func (x *Index) findName(query string) (found []Found, err error) {
	prefix := nameKey(query)
	seen := make(map[string]bool)
	err = x.rows.Each([]byte(prefix), nil, func(key, _ []byte) error {
		_, did := split(string(key[len(prefixName):]))
		if seen[did] || did == "" {
			return nil
		}
		if len(found) == maxNamed {
			return errStop
		}
		seen[did] = true
		found = append(found, Found{DID: did})
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return found, err
}

func (x *Index) findNumber(n uint64) (found []Found, err error) {
	h := x.Head()
	if n < h.Size {
		found = append(found, Found{Entry: &n})
	}
	if n < h.Seals {
		found = append(found, Found{Seal: &n})
	}
	if n < h.Leaves {
		leaf, err := x.Leaf(n)
		if err != nil {
			return nil, err
		}
		found = append(found, Found{Leaf: leaf})
	}
	return found, nil
}

func (x *Index) findHash(text string) (found []Found, err error) {
	var digest credential.Digest
	if digest.UnmarshalText([]byte(text)) == nil {
		if found, err = x.findAt(found, digestKey(digest)); err != nil {
			return nil, err
		}
	}
	var element credential.Element
	if element.UnmarshalText([]byte(text)) != nil {
		return found, nil
	}
	if found, err = x.findAt(found, elementKey(prefixSchema, element)); err != nil {
		return nil, err
	}
	leaves, err := x.commitment(element)
	return append(found, leaves...), err
}

// findAt adds the entry that a row names, if there is one.
func (x *Index) findAt(found []Found, key string) ([]Found, error) {
	index, err := x.number(key)
	if errors.Is(err, ErrAbsent) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	return append(found, Found{Entry: &index}), nil
}

// commitment finds the leaves of a commitment: one, if nobody copies others.
func (x *Index) commitment(c credential.Element) (found []Found, err error) {
	prefix := elementKey(prefixCommitment, c)
	type place struct{ index, position uint64 }
	var places []place
	err = x.rows.Each([]byte(prefix), nil, func(key, value []byte) error {
		position, err := parseU64(value)
		if err != nil || len(key) != len(prefix)+8 || len(places) == MaxList {
			return errors.Join(err, errStop)
		}
		places = append(places, place{binary.BigEndian.Uint64(key[len(prefix):]), position})
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	for _, p := range places {
		e, err := x.Entry(p.index)
		if err != nil {
			return nil, err
		}
		leaf, err := x.Leaf(e.FirstLeaf + p.position)
		if err != nil {
			return nil, err
		}
		found = append(found, Found{Leaf: leaf})
	}
	return found, nil
}

// Counts are those of a stretch of time, by the names of counts.
type Counts struct {
	From time.Time
	By   map[string]uint64
}

// Hours are the counts of whole hours, ascending, from the one of a time on, with none left out, up to the newest seal; at most limit,
// the newest.
func (x *Index) Hours(from time.Time, limit int) ([]Counts, error) {
	last := x.Head().LastSeal
	if x.Head().Seals == 0 {
		return nil, nil
	}
	const hour = uint64(time.Hour / time.Second)
	end := uint64(last.Time) / hour
	begin := max(uint64(max(from.Unix(), 0))/hour, end-min(end, uint64(limit)-1))
	var list []Counts
	for at := begin; at <= end; at++ {
		list = append(list, Counts{From: time.Unix(int64(at*hour), 0).UTC(), By: map[string]uint64{}})
	}
	err := x.rows.Each([]byte(prefixHour), []byte(numbered(prefixHour, begin)), func(key, value []byte) error {
		at := binary.BigEndian.Uint64(key[1:])
		if at > end {
			return errStop
		}
		return json.Unmarshal(value, &list[at-begin].By)
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return list, err
}

// Inclusion is the proof that an entry is in the log: hashes, leaf first (RFC 6962), under a tree of that size, at most that of the index.
func (x *Index) Inclusion(index, size uint64) ([]credential.Digest, error) {
	if size > x.Head().Size || index >= size {
		return nil, ErrAbsent
	}
	proof, err := tlog.ProveRecord(int64(size), int64(index), hashReader(x.rows.Get))
	return digests(proof), err
}

// Consistency is the proof that the log of one size begins with that of a smaller one (RFC 6962).
func (x *Index) Consistency(old, size uint64) ([]credential.Digest, error) {
	if size > x.Head().Size || old == 0 || old > size {
		return nil, ErrAbsent
	}
	proof, err := tlog.ProveTree(int64(size), int64(old), hashReader(x.rows.Get))
	return digests(proof), err
}

func digests(hashes []tlog.Hash) []credential.Digest {
	out := make([]credential.Digest, len(hashes))
	for i, h := range hashes {
		out[i] = credential.Digest(h)
	}
	return out
}

// split parts a key at its first zero byte.
func split(key string) (before, behind string) {
	before, behind, _ = strings.Cut(key, "\x00")
	return before, behind
}
