package ceremony

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeFile writes a temporary file, syncs it, and puts it in place: by rename, or by a link that fails if the name is
// taken. Everybody may read it, as all of a ceremony is public.
func writeFile(path string, data []byte, place func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after a rename there is nothing to remove
	_, err = f.Write(data)
	if err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return place(f.Name(), path)
}
