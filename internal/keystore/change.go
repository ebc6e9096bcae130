package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
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

// ChangePassphrase seals the store's identity under another passphrase, durably. Secrets stay as they are, so whoever has
// a copy of the old folder and the old passphrase still opens that.
func (s *Store) ChangePassphrase(passphrase string, workFactor int) error {
	if passphrase == "" {
		return errors.New("change passphrase: the new one is empty")
	}
	if workFactor < 0 || workFactor > maxWorkFactor {
		return fmt.Errorf("change passphrase: work factor %d, want 1 to %d", workFactor, maxWorkFactor)
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	if workFactor != 0 {
		recipient.SetWorkFactor(workFactor)
	}
	return s.write(identityFile, []byte(s.identity.String()), recipient)
}
