package explore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

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
