package explore

import (
	"encoding/binary"
	"errors"
)

// MaxList is how much one call lists at most.
const MaxList = 100

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
