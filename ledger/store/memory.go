package store

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"github.com/bulla-id/bulla/ledger"
)

// Memory is a store that lasts as long as the process: for cosigners and auditors that replay, and for tests.
type Memory struct {
	mu   sync.RWMutex
	rows map[string][]byte
}

// NewMemory is an empty store.
func NewMemory() *Memory { return &Memory{rows: make(map[string][]byte)} }

// Get implements [ledger.Reader].
func (m *Memory) Get(key []byte) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	value, ok := m.rows[string(key)]
	if !ok {
		return nil, ledger.ErrAbsent
	}
	return bytes.Clone(value), nil
}

// Commit implements [ledger.Store]; nil removes a row.
func (m *Memory) Commit(rows map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, value := range rows {
		if value == nil {
			delete(m.rows, key)
			continue
		}
		m.rows[key] = bytes.Clone(value)
	}
	return nil
}

// Each implements [ledger.Store].
func (m *Memory) Each(prefix []byte, visit func(key, value []byte) error) error {
	m.mu.RLock()
	keys := slices.Sorted(maps.Keys(m.rows))
	m.mu.RUnlock()
	for _, key := range keys {
		if !bytes.HasPrefix([]byte(key), prefix) {
			continue
		}
		value, err := m.Get([]byte(key))
		if err != nil {
			return err
		}
		if err := visit([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }
