package store

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/bulla-id/bulla/verifier"
)

// Memory is a [verifier.Store] that lasts as long as the process: for tests and demonstrations.
type Memory struct {
	mu   sync.Mutex
	rows map[string][]byte
}

// NewMemory is an empty store.
func NewMemory() *Memory { return &Memory{rows: make(map[string][]byte)} }

// Get implements [verifier.Store].
func (m *Memory) Get(key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(key)
}

func (m *Memory) get(key string) ([]byte, error) {
	value, ok := m.rows[key]
	if !ok {
		return nil, verifier.ErrAbsent
	}
	return bytes.Clone(value), nil
}

// Commit implements [verifier.Store].
func (m *Memory) Commit(b verifier.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := conditions(b, m.get); err != nil {
		return err
	}
	for _, key := range b.Delete {
		delete(m.rows, key)
	}
	for key, value := range b.Set {
		m.rows[key] = append([]byte{}, value...)
	}
	return nil
}

// Each implements [verifier.Store]: it visits what was there when it was called.
func (m *Memory) Each(prefix string, visit func(key string, value []byte) error) error {
	return m.EachFrom(prefix, "", visit)
}

// EachFrom implements [verifier.Store]: it visits what was there when it was called.
func (m *Memory) EachFrom(prefix, from string, visit func(key string, value []byte) error) error {
	m.mu.Lock()
	rows := maps.Clone(m.rows) // values are never changed in place
	m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		if !strings.HasPrefix(key, prefix) || key < from {
			continue
		}
		if err := visit(key, bytes.Clone(rows[key])); err != nil {
			return err
		}
	}
	return nil
}
