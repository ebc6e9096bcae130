package ledger

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// heap is a store in memory for replays that keep nothing. It is not safe for concurrent use, and shares its bytes.
type heap map[string][]byte

func newHeap() heap { return make(heap) }

// Get implements [Reader].
func (h heap) Get(key []byte) ([]byte, error) {
	value, ok := h[string(key)]
	if !ok {
		return nil, ErrAbsent
	}
	return bytes.Clone(value), nil
}

// Commit implements [Store].
func (h heap) Commit(rows map[string][]byte) error {
	for key, value := range rows {
		if value == nil {
			delete(h, key)
			continue
		}
		h[key] = value
	}
	return nil
}

// Each implements [Store].
func (h heap) Each(prefix []byte, visit func(key, value []byte) error) error {
	for _, key := range slices.Sorted(maps.Keys(h)) {
		if !strings.HasPrefix(key, string(prefix)) {
			continue
		}
		if err := visit([]byte(key), h[key]); err != nil {
			return err
		}
	}
	return nil
}
