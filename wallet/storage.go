package wallet

import (
	"bytes"
	"errors"
	"sync"

	"github.com/bulla-id/bulla/credential"
)

// Storage keeps the encrypted bytes of one vault. Whoever can change them can destroy the vault or put back an older
// one, but not read or forge it.
type Storage interface {
	// Load returns what was saved last, or nil if nothing was.
	Load() ([]byte, error)
	// Save replaces the bytes, whole or not at all, if they are still old (nil: if there are none); otherwise it returns
	// [ErrConflict] and changes nothing. A nil error means that they are durable: no crash brings the old ones back.
	Save(old, data []byte) error
}

// ErrConflict is returned by a [Storage] whose bytes were changed by somebody else since they were loaded.
var ErrConflict = errors.New("vault was changed by another process")

// MaxVault bounds the encrypted bytes of a vault.
const MaxVault = credential.MaxDocument

// InMemory is a [Storage] for tests and for pages that keep the bytes themselves. The zero value is empty.
type InMemory struct {
	mu   sync.Mutex
	data []byte
}

// Load returns a copy of the bytes.
func (m *InMemory) Load() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.data), nil
}

// Save compares and replaces.
func (m *InMemory) Save(old, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.data, old) {
		return ErrConflict
	}
	m.data = bytes.Clone(data)
	return nil
}
