package explore

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"unicode"

	"github.com/bulla-id/bulla/credential"
)

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

// split parts a key at its first zero byte.
func split(key string) (before, behind string) {
	before, behind, _ = strings.Cut(key, "\x00")
	return before, behind
}
