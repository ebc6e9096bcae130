package office

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier"
	verifierstore "github.com/bulla-id/bulla/verifier/store"
)

// logRetention is as [verifier.Config] has it.
func (c *VerifierConfig) logRetention() time.Duration {
	switch {
	case c.LogRetention == nil:
		return 0
	case *c.LogRetention == 0:
		return -1
	}
	return time.Duration(*c.LogRetention) * 24 * time.Hour
}

// backup writes copies of a store into the folder for them; nil if there is none.
func (c *VerifierConfig) backup(rows *verifierstore.Pebble) func(name string) error {
	if c.Backups == "" {
		return nil
	}
	return func(name string) error { return copyStore(rows, filepath.Join(c.Backups, name)) }
}

// copyStore writes a copy that only this user reads, and that has its name when it is whole.
func copyStore(rows *verifierstore.Pebble, to string) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("back up to %s: there is something", to))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	private, err := os.MkdirTemp(filepath.Dir(to), ".copying-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(private)
	whole := filepath.Join(private, "store")
	if err := rows.Backup(whole); err != nil {
		return err
	}
	return errors.Join(os.Chmod(whole, 0o700), os.Rename(whole, to))
}

// Kept is what a relying party keeps, while it does not run: no other process can open it meanwhile. Close it.
type Kept struct {
	*verifier.Keeper
	rows *verifierstore.Pebble
}

// OpenKept opens the store of a relying party that does not run, as serving would; it must be there.
func OpenKept(cfg VerifierConfig) (*Kept, error) {
	if _, err := os.Stat(cfg.Store); err != nil { // opening would make it
		return nil, fmt.Errorf("store of the relying party: %w", err)
	}
	return openKept(cfg, verifierstore.FileRegister(cfg.StoreRegister))
}

func openKept(cfg VerifierConfig, register verifierstore.Register) (*Kept, error) {
	profile, err := client.ReadProfile(cfg.Chain)
	if err != nil {
		return nil, err
	}
	policies, err := readPolicies(cfg.Policies)
	if err != nil {
		return nil, err
	}
	rows, err := verifierstore.Open(verifierstore.Config{Dir: cfg.Store, Register: register})
	if err != nil {
		return nil, err
	}
	return &Kept{&verifier.Keeper{Store: rows, DID: cfg.DID, Genesis: profile.Genesis, Policies: policies}, rows}, nil
}

// Backup writes a copy of the store to a folder that must not exist.
func (k *Kept) Backup(dir string) error { return copyStore(k.rows, dir) }

// Close closes the store.
func (k *Kept) Close() error { return k.rows.Close() }

// GoOn makes a store that was put back, or lost, the one that its register speaks of, and closes every scope that it may have
// forgotten tags of: those of the configured policies and of the store, and the services named besides. It returns what it closed. It
// refuses a store that was not put back. If it breaks off, call it again.
func GoOn(cfg VerifierConfig, services ...string) (closed []verifier.CountedScope, err error) {
	register := verifierstore.FileRegister(cfg.StoreRegister)
	_, err1 := os.Stat(cfg.Store)
	if _, err2 := register.Read(); err1 != nil && err2 != nil {
		return nil, fmt.Errorf("there is neither store nor register: %w", errors.Join(err1, err2))
	}
	k, err := openKept(cfg, register)
	if err == nil {
		return nil, errors.Join(errors.New("store and register are of each other: nothing was put back, and nothing is closed"), k.Close())
	}
	if !errors.Is(err, verifierstore.ErrPutBack) {
		return nil, err
	}
	if k, err = openKept(cfg, nil); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.Close()) }()
	if closed, err = k.Restored(services...); err != nil {
		return closed, err
	}
	return closed, k.rows.Renew(register)
}
