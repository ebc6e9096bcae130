package explore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/rows"
)

// Counts are those of a stretch of time, by the names of counts.
type Counts struct {
	From time.Time
	By   map[string]uint64
	Live uint64 // of one issuer: its credentials that are neither suspended nor revoked, at the end
}

// countLive is, in the counts of an issuer's hour, no count of what happened: it is what was live at the hour's last seal.
const countLive = "live"

// IssuedOf and the id of a schema are the name of the count of credentials that an issuer issued under it.
const IssuedOf = CountIssued + "/"

const secondsOfHour = uint64(time.Hour / time.Second)

func hourOf(t credential.UnixTime) uint64 { return uint64(t) / secondsOfHour }

// stretch is whole hours in a row, from the one of a time on up to the newest seal; at most limit, the newest.
func (x *Index) stretch(from time.Time, limit int) (list []Counts, begin, end uint64) {
	h := x.Head()
	if h.Seals == 0 || limit < 1 {
		return nil, 0, 0
	}
	end = hourOf(h.LastSeal.Time)
	begin = max(uint64(max(from.Unix(), 0))/secondsOfHour, end-min(end, uint64(limit)-1))
	for at := begin; at <= end; at++ {
		list = append(list, Counts{From: time.Unix(int64(at*secondsOfHour), 0).UTC(), By: map[string]uint64{}})
	}
	return list, begin, end
}

// Hours are the counts of whole hours, ascending, from the one of a time on, with none left out, up to the newest seal; at most limit,
// the newest.
func (x *Index) Hours(from time.Time, limit int) ([]Counts, error) {
	list, begin, end := x.stretch(from, limit)
	if list == nil {
		return nil, nil
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

// HoursOf are as [Index.Hours], of what one issuer did: credentials issued, also by schema ([IssuedOf]), suspended, reinstated and revoked,
// and how many were live at the end of each hour.
func (x *Index) HoursOf(did string, from time.Time, limit int) ([]Counts, error) {
	list, begin, end := x.stretch(from, limit)
	if list == nil {
		return nil, nil
	}
	prefix := hoursOf(did)
	filled := len(list) // from here on Live is known
	// The newest come first: each says what was live until the next, and the one before the stretch what was live when it began.
	err := x.rows.Each([]byte(prefix), []byte(numbered(prefix, ^end)), func(key, value []byte) error {
		if len(key) != len(prefix)+8 {
			return errors.New("a row of an issuer's hours: the index is damaged")
		}
		at, counts := ^binary.BigEndian.Uint64(key[len(prefix):]), map[string]uint64{}
		if err := json.Unmarshal(value, &counts); err != nil {
			return fmt.Errorf("counts of an issuer's hour: %w", err)
		}
		live, first := counts[countLive], 0
		if at >= begin {
			first = int(at - begin)
			delete(counts, countLive)
			list[first].By = counts
		}
		for ; filled > first; filled-- {
			list[filled-1].Live = live
		}
		if at < begin {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return list, err
}

// hoursOf is the beginning of keys of an issuer's hours.
func hoursOf(did string) string { return prefixIssuerHour + did + "\x00" }

// countOf counts what an issuer did, for the chain and for itself.
func (b *batch) countOf(did, name string, n int) {
	b.count(name, n)
	b.ownCount(did, name, n)
}

// ownCount counts what an issuer did for itself only.
func (b *batch) ownCount(did, name string, n int) {
	if b.state.Waiting[did] == nil {
		b.state.Waiting[did] = make(map[string]uint64)
	}
	b.state.Waiting[did][name] += uint64(n)
}

// giveHour adds what came since the last seal to the counts of an hour.
func (b *batch) giveHour(hour uint64) error {
	s := &b.state
	if err := b.addCounts(numbered(prefixHour, hour), s.Unsealed); err != nil {
		return err
	}
	for did, own := range s.Waiting {
		party, err := b.party(did)
		if err != nil {
			return err
		}
		if err := b.addCounts(numbered(hoursOf(did), ^hour), own, func(counts map[string]uint64) { counts[countLive] = party.Live }); err != nil {
			return err
		}
	}
	clear(s.Unsealed)
	clear(s.Waiting)
	return nil
}

// addCounts adds to the counts of a row.
func (b *batch) addCounts(key string, more map[string]uint64, then ...func(map[string]uint64)) error {
	counts := make(map[string]uint64)
	text, err := b.get([]byte(key))
	if err == nil {
		err = json.Unmarshal(text, &counts)
	}
	if err != nil && !errors.Is(err, rows.ErrAbsent) {
		return fmt.Errorf("counts of an hour: %w", err)
	}
	for name, n := range more {
		counts[name] += n
	}
	for _, change := range then {
		change(counts)
	}
	b.rows[key], err = credential.Canonical(counts)
	return err
}
