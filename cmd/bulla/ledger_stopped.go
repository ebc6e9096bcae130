package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/store"
)

// stopped says where the files of a ledger that is not running are.
type stopped struct{ config, data string }

const devLedger = "folder of a dev network's ledger that is not running"

// flags adds --config and --data, of which data says what it is for.
func (s *stopped) flags(cmd *cobra.Command, data string) {
	cmd.Flags().StringVar(&s.config, "config", "", "configuration of a ledger that is not running")
	cmd.Flags().StringVar(&s.data, "data", "", data)
	cmd.MarkFlagsMutuallyExclusive("config", "data")
}

// named says whether either is given.
func (s *stopped) named() bool { return s.config != "" || s.data != "" }

// paths are the store's folder and the register's file.
func (s *stopped) paths() (folder, register string, err error) {
	if s.config != "" {
		cfg, err := office.ReadLedgerConfig(s.config)
		return cfg.Store, cfg.Register, err
	}
	return filepath.Join(s.data, "store"), filepath.Join(filepath.Dir(filepath.Clean(s.data)), "last-signed"), nil
}

// open opens the store, which must be there.
func (s *stopped) open() (*store.Pebble, error) {
	folder, _, err := s.paths()
	if err != nil {
		return nil, err
	}
	return openStore(folder)
}

// withStopped opens the store in a folder and its register, which must be there, and closes them after use.
func withStopped(dir, registerFile string, use func(rows ledger.Store, register ledger.Register) error) (err error) {
	rows, err := openStore(dir)
	if err != nil {
		return err // which says what to do
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	register, err := store.NewFileRegister(registerFile, nil)
	if err != nil {
		return err
	}
	return use(rows, register)
}

func openStore(folder string) (*store.Pebble, error) {
	if err := exists(folder); err != nil { // opening would make it
		return nil, err
	}
	return store.Open(store.Config{Dir: folder})
}
