package explore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
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
