package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/wallet"
)

// exists refuses a path that has no file.
func exists(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s", path)
	}
	return err
}

// absent refuses a path that has a file already.
func absent(path string) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("there is a file %s already, and it is not overwritten", path)
}

// made says where a wallet or backup is.
type made struct {
	File        string `json:"file"`
	Genesis     string `json:"genesis"`
	Credentials int    `json:"credentials"`
}

func walletInitCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make a wallet",
		Long: `Makes a wallet for one chain, with a fresh master secret, in a file encrypted under a passphrase that is asked for twice.
An existing wallet is never overwritten.`,
		Example: `  bulla wallet init
  bulla wallet init --chain city.json --wallet ~/wallet.bulla`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := wordsIn(f.language)
			if err != nil {
				return err
			}
			profile, err := f.profile()
			if err != nil {
				return err
			}
			file := f.walletFile()
			if err := absent(file); err != nil {
				return err
			}
			passphrase, err := newSecret(cmd, w, w.newPassphrase, walletVariable)
			if err != nil {
				return err
			}
			storage, err := wallet.NewFile(file)
			if err != nil {
				return err
			}
			vault, err := wallet.CreateVault(wallet.VaultConfig{Storage: storage, Passphrase: passphrase, WorkFactor: f.workFactor, Genesis: profile.Genesis})
			if err != nil {
				return err
			}
			return printed(cmd, made{File: file, Genesis: vault.Genesis().String()}, func(out io.Writer) {
				fmt.Fprintf(out, w.created+"\n%s\n", file, w.afterCreation)
			})
		},
	}
}

func walletBackupCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a copy of the wallet under another passphrase",
		Long: `Writes all of the wallet to a new file, under a passphrase of the backup, which is asked for or taken from
` + backupVariable + `. The two files share no key.`,
		Example: `  bulla wallet backup /media/stick/wallet-backup.bulla`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := absent(args[0]); err != nil {
				return err
			}
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			passphrase, err := newSecret(cmd, o.words, o.words.backupPassphrase, backupVariable)
			if err != nil {
				return err
			}
			backup, err := o.vault.Backup(passphrase)
			if err != nil {
				return err
			}
			if err := keystore.WriteFile(args[0], backup); err != nil {
				return err
			}
			return o.print(made{args[0], o.vault.Genesis().String(), len(o.Credentials())}, func(out io.Writer) {
				fmt.Fprintf(out, o.words.backedUp+"\n", args[0])
			})
		},
	}
}

func walletRestoreCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a wallet of a backup",
		Long: `Opens a backup with its passphrase (or ` + backupVariable + `) and makes a wallet of it under a passphrase of its own.
An existing wallet is never overwritten: name another file with --wallet.`,
		Example: `  bulla wallet restore /media/stick/wallet-backup.bulla --wallet restored.bulla`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := wordsIn(f.language)
			if err != nil {
				return err
			}
			profile, err := f.profile()
			if err != nil {
				return err
			}
			backup, err := readBounded(cmd, args[0], wallet.MaxVault)
			if err != nil {
				return err
			}
			if err := absent(f.walletFile()); err != nil {
				return err
			}
			old, err := secret(cmd, w.backupPassphrase, backupVariable)
			if err != nil {
				return err
			}
			passphrase, err := newSecret(cmd, w, w.newPassphrase, walletVariable)
			if err != nil {
				return err
			}
			storage, err := wallet.NewFile(f.walletFile())
			if err != nil {
				return err
			}
			cfg := wallet.VaultConfig{Storage: storage, Passphrase: passphrase, WorkFactor: f.workFactor, Genesis: profile.Genesis}
			vault, err := wallet.RestoreVault(cfg, backup, old)
			if err != nil {
				return f.toCitizen(err)
			}
			secrets, err := vault.Secrets()
			if err != nil {
				return err
			}
			m := made{f.walletFile(), vault.Genesis().String(), len(secrets.Credentials)}
			return printed(cmd, m, func(out io.Writer) { fmt.Fprintf(out, w.restored+"\n", m.Credentials, m.File) })
		},
	}
}

func walletPassphraseCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "passphrase",
		Short: "Change the wallet's passphrase",
		Long: `Encrypts the wallet anew under another passphrase, which is asked for twice or taken from
` + newWalletVariable + `. Copies of the old file still open with the old passphrase.`,
		Example: `  bulla wallet passphrase`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := wordsIn(f.language)
			if err != nil {
				return err
			}
			if err := exists(f.walletFile()); err != nil {
				return err
			}
			old, err := secret(cmd, w.passphrase, walletVariable)
			if err != nil {
				return err
			}
			storage, err := wallet.NewFile(f.walletFile())
			if err != nil {
				return err
			}
			vault, err := wallet.OpenVault(wallet.VaultConfig{Storage: storage, Passphrase: old, WorkFactor: f.workFactor})
			if err != nil {
				return f.toCitizen(err)
			}
			passphrase, err := newSecret(cmd, w, w.newPassphrase, newWalletVariable)
			if err != nil {
				return err
			}
			if err := vault.ChangePassphrase(old, passphrase); err != nil {
				return err
			}
			return printed(cmd, map[string]any{"file": f.walletFile(), "changed": true}, func(out io.Writer) {
				fmt.Fprintln(out, w.passphraseChanged)
			})
		},
	}
}

// readBounded reads a file whole, or standard input if it is called "-".
func readBounded(cmd *cobra.Command, file string, limit int) ([]byte, error) {
	in := cmd.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return data, nil
}
