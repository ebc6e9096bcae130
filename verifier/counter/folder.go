package counter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bulla-id/bulla/internal/openid"
)

// Folder is a [Memory] of two folders of small files: requests by nonce, and nonces that were used up. It holds nothing that
// was answered. Several programs may share it.
type Folder struct {
	path string
}

// keep is how long files stay after they were written: longer than any request lives, on a clock that may be wrong.
const keep = 24 * time.Hour

// OpenFolder opens or makes the memory in a folder.
func OpenFolder(path string) (*Folder, error) {
	f := &Folder{path}
	for _, sub := range []string{f.asked(), f.spent()} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return nil, fmt.Errorf("memory of a counter: %w", err)
		}
	}
	return f, nil
}

func (f *Folder) asked() string { return filepath.Join(f.path, "asked") }
func (f *Folder) spent() string { return filepath.Join(f.path, "spent") }

// Put keeps a request, and forgets those of yesterday.
func (f *Folder) Put(nonce, link string) error {
	if err := f.forget(time.Now().Add(-keep)); err != nil {
		return err
	}
	return create(f.asked(), nonce, []byte(link))
}

// Get finds a request.
func (f *Folder) Get(nonce string) (string, error) {
	file, err := os.Open(filepath.Join(f.asked(), filepath.Base(nonce)))
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrAbsent
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	link := make([]byte, openid.MaxCounterLink+1)
	n, err := file.Read(link)
	return string(link[:n]), err
}

// Spend uses a nonce up: the file that says so can be made once.
func (f *Folder) Spend(nonce string) error {
	err := create(f.spent(), nonce, nil)
	if errors.Is(err, fs.ErrExist) {
		return ErrSpent
	}
	return err
}

// create makes a file that is not there, durably.
func create(folder, name string, data []byte) error {
	file, err := os.OpenFile(filepath.Join(folder, filepath.Base(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// forget removes old requests first: a nonce whose request is gone is refused without its second file.
func (f *Folder) forget(before time.Time) error {
	for _, folder := range []string{f.asked(), f.spent()} {
		files, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, file := range files {
			info, err := file.Info()
			if err != nil || !info.ModTime().Before(before) {
				continue
			}
			if err := os.Remove(filepath.Join(folder, file.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
