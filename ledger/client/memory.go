package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/bulla-id/bulla/credential"
)

// Memory keeps a few hundred bytes for a client: the last checkpoint it saw. Whoever can change it can make the client
// forget, and so believe an older or another history once; not more.
type Memory interface {
	// Load returns what was saved last, or nil if nothing was.
	Load() ([]byte, error)
	// Save replaces it, whole or not at all. It is durable when Save returns nil.
	Save(state []byte) error
}

// memoryState is what a Memory keeps, as canonical JSON.
type memoryState struct {
	Genesis    credential.Digest `json:"genesis"`
	Checkpoint string            `json:"checkpoint"` // signed note; empty before the first update
	Conflict   string            `json:"conflict"`   // the note that proves a fork with it; empty while all is well
}

// maxState bounds a saved state: two checkpoints, escaped.
const maxState = 4 * MaxCheckpoint

func loadState(m Memory, genesis credential.Digest) (memoryState, error) {
	s := memoryState{Genesis: genesis}
	data, err := m.Load()
	if err != nil || data == nil {
		return s, err
	}
	if len(data) > maxState {
		return s, fmt.Errorf("saved state has %d bytes, at most %d", len(data), maxState)
	}
	var saved memoryState
	if err := credential.ParseCanonical(data, &saved); err != nil {
		return s, fmt.Errorf("saved state: %w", err)
	}
	if saved.Genesis != genesis {
		return s, fmt.Errorf("saved state is of the chain %s, not of %s: use another memory for each chain", saved.Genesis, genesis)
	}
	return saved, nil
}

func (s memoryState) save(m Memory) error {
	data, err := credential.Canonical(s)
	if err != nil {
		return err
	}
	return m.Save(data)
}

// Forgetful is a [Memory] that lasts as long as the process: for tests and one-shot tools.
type Forgetful struct {
	mu    sync.Mutex
	state []byte
}

// Load returns the saved state.
func (f *Forgetful) Load() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state, nil
}

// Save replaces the saved state.
func (f *Forgetful) Save(state []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = state
	return nil
}

// File is a [Memory] in one file, replaced atomically and fsynced.
type File string

// Load reads the file.
func (f File) Load() ([]byte, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Save writes a new file, makes it durable, and puts it in place of the old one.
func (f File) Save(state []byte) (err error) {
	folder := filepath.Dir(string(f))
	temporary, err := os.CreateTemp(folder, filepath.Base(string(f))+".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}()
	_, err = temporary.Write(state)
	if err == nil {
		err = temporary.Sync()
	}
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), string(f))
	}
	if err != nil {
		return err
	}
	return syncFolder(folder)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
