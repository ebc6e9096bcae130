package tree

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"github.com/bulla-id/bulla/credential"
)

// Sets makes sets and remembers them by their members, as those of a policy are the same in every request and hashing them is most of
// compiling it. It is safe for concurrent use; the zero value remembers nothing.
type Sets struct {
	mu          sync.Mutex
	room, taken int // members, of the newer generation
	newer       map[setKey]*Set
	older       map[setKey]*Set
}

type setKey [sha256.Size]byte

// NewSets remembers sets of up to that many members in all, and as many again that were not used since.
func NewSets(members int) *Sets { return &Sets{room: members, newer: make(map[setKey]*Set)} }

// Of is [NewSetOfDepth].
func (s *Sets) Of(depth int, members []credential.Element) (*Set, error) {
	if s == nil || len(members) > s.room {
		return NewSetOfDepth(depth, members)
	}
	key := keyOf(depth, members)
	if set := s.find(key); set != nil {
		return set, nil
	}
	set, err := NewSetOfDepth(depth, members)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.keep(key, set)
	}
	return set, err
}

func keyOf(depth int, members []credential.Element) (key setKey) {
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(depth)))
	for _, m := range members {
		b := m.Bytes()
		h.Write(b[:])
	}
	h.Sum(key[:0])
	return key
}

func (s *Sets) find(key setKey) *Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, ok := s.newer[key]; ok {
		return set
	}
	set, ok := s.older[key]
	if ok {
		s.keep(key, set)
	}
	return set
}

// keep must be called with the lock held.
func (s *Sets) keep(key setKey, set *Set) {
	if _, ok := s.newer[key]; ok {
		return
	}
	if s.taken+set.Len() > s.room {
		s.older, s.newer, s.taken = s.newer, make(map[setKey]*Set), 0
	}
	s.newer[key] = set
	s.taken += set.Len()
}
