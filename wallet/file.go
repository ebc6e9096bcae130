package wallet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bulla-id/bulla/internal/keystore"
)

// File is a [Storage] in one file (mode 0600), replaced atomically and fsynced. A lock file beside it, held only while
// saving, keeps two processes from overwriting each other.
type File struct{ path string }

// NewFile is the storage at a path. Its folder is made if it is not there; the file itself need not exist.
func NewFile(path string) (*File, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("vault file: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(absolute), 0o700); err != nil {
		return nil, fmt.Errorf("vault file: %w", err)
	}
	return &File{absolute}, nil
}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Load reads the file.
func (f *File) Load() ([]byte, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read vault: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxVault+1))
	if err != nil {
		return nil, fmt.Errorf("read vault %s: %w", f.path, err)
	}
	return data, nil
}

// Save compares and replaces under the lock.
func (f *File) Save(old, data []byte) (err error) {
	unlock, err := lock(f.path + ".lock")
	if err != nil {
		return fmt.Errorf("lock vault: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	current, err := f.Load()
	if err != nil {
		return err
	}
	if !bytes.Equal(current, old) {
		return ErrConflict
	}
	return keystore.WriteFile(f.path, data)
}
