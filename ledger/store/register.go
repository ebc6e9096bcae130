package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/bulla-id/bulla/ledger"
)

// FileRegister is a [ledger.Register]: one small file, on another path than the store, so that a restored store does
// not bring an old register along. Whoever can change it together with the store can roll the ledger back unnoticed by
// itself; cosigners notice.
type FileRegister struct {
	fs   vfs.FS
	path string
}

const (
	maxRegister = 64 << 10
	category    = vfs.WriteCategoryUnspecified
)

// NewFileRegister is the register in that file, which need not exist; its folder is made. fs is the system's if nil.
func NewFileRegister(path string, fs vfs.FS) (*FileRegister, error) {
	if fs == nil {
		fs = vfs.Default
	}
	if err := makeDir(fs, fs.PathDir(path)); err != nil {
		return nil, fmt.Errorf("register %s: %w", path, err)
	}
	return &FileRegister{fs, path}, nil
}

// makeDir makes a folder and those above it, so that they survive a power cut.
func makeDir(system vfs.FS, dir string) error {
	if _, err := system.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := system.PathDir(dir)
	if above != dir {
		if err := makeDir(system, above); err != nil {
			return err
		}
	}
	if err := system.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(system, above)
}

func syncDir(fs vfs.FS, dir string) error {
	folder, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Read implements [ledger.Register].
func (r *FileRegister) Read() ([]byte, error) {
	file, err := r.fs.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("register %s: %w", r.path, ledger.ErrAbsent)
	}
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxRegister))
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return content, nil
}

// Swap implements [ledger.Register]: temporary file, sync, rename, sync of the folder. A crash leaves the old content
// or the new.
func (r *FileRegister) Swap(old, content []byte) error {
	now, err := r.Read()
	switch {
	case errors.Is(err, ledger.ErrAbsent):
		if old != nil {
			return fmt.Errorf("register %s is gone", r.path)
		}
	case err != nil:
		return err
	case old == nil || !bytes.Equal(now, old):
		return fmt.Errorf("register %s holds another checkpoint than this process signed last: is there a second ledger on these keys?", r.path)
	}
	if err := r.write(r.path+".new", content); err != nil {
		return fmt.Errorf("register %s: %w", r.path, err)
	}
	if err := r.fs.Rename(r.path+".new", r.path); err != nil {
		return fmt.Errorf("register %s: %w", r.path, err)
	}
	if err := syncDir(r.fs, r.fs.PathDir(r.path)); err != nil {
		return fmt.Errorf("register %s: %w", r.path, err)
	}
	return nil
}

func (r *FileRegister) write(path string, content []byte) error {
	file, err := r.fs.Create(path, category)
	if err != nil {
		return err
	}
	if _, err := file.Write(bytes.Clone(content)); err != nil { // Pebble's file systems may scribble on what they wrote
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Sync(), file.Close())
}
