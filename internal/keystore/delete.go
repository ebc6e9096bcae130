package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Delete removes a secret and returns when that is durable; one that is not there is gone already. Whoever has an older
// copy of the folder still has it.
func (s *Store) Delete(name string) error {
	if err := validateName(name); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.dir, name+".age")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete secret %q: %w", name, err)
	}
	return syncDir(s.dir)
}
