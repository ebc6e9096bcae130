package records

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/bulla-id/bulla/issuer"
)

// Memory is a store that forgets when the process ends. The zero value is empty and ready.
type Memory struct {
	mu   sync.Mutex
	rows map[string][]byte
}

// Get implements [issuer.Store].
func (m *Memory) Get(key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.rows[key]
	if !ok {
		return nil, issuer.ErrAbsent
	}
	return slices.Clone(value), nil
}

// Commit implements [issuer.Store].
func (m *Memory) Commit(rows map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = make(map[string][]byte)
	}
	for key, value := range rows {
		if value == nil {
			delete(m.rows, key)
		} else {
			m.rows[key] = slices.Clone(value)
		}
	}
	return nil
}

// Scan implements [issuer.Store].
func (m *Memory) Scan(prefix, after string, visit func(key string, value []byte) bool) error {
	m.mu.Lock()
	rows := maps.Clone(m.rows)
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if strings.HasPrefix(key, prefix) && key > after && !visit(key, slices.Clone(rows[key])) {
			return nil
		}
	}
	return nil
}

// Forget implements [issuer.Store]: nothing is kept.
func (m *Memory) Forget() error { return nil }
