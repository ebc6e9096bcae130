package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/wallet"
)

// Environment variables that answer for a person at the wallet's commands.
const (
	walletVariable    = "BULLA_WALLET_PASSPHRASE"
	newWalletVariable = "BULLA_WALLET_NEW_PASSPHRASE"
	backupVariable    = "BULLA_BACKUP_PASSPHRASE"
)

// walletFlags say where a wallet and its chain are.
type walletFlags struct {
	data, chain, keys, wallet, language string
	workFactor                          int // of new passphrases; 0: the wallet's default
}

func walletCommand() *cobra.Command {
	f := new(walletFlags)
	cmd := &cobra.Command{
		Use:   "wallet",
		Short: "What a citizen does",
		Long: `Keeps credentials in a file that is encrypted under a passphrase, receives them from agencies, says in words what a
verifier asks, and proves it after consent. Nothing is sent to a verifier before you agree.

The passphrase is asked for, or taken from ` + walletVariable + `.`,
		Example: `  bulla wallet init
  bulla wallet receive 'openid-credential-offer://…'
  bulla wallet explain 'openid4vp://…'
  bulla wallet present 'openid4vp://…'
  bulla wallet list --lang zh-CN`,
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.data, "data", "data", "folder of a dev network, where the three below are looked for")
	flags.StringVar(&f.chain, "chain", "", "profile of the chain (default: chain.json in the data folder)")
	flags.StringVar(&f.keys, "keys", "", "folder of the proving keys (default: keys in the data folder)")
	flags.StringVar(&f.wallet, "wallet", "", "the wallet's file (default: wallet.bulla in the data folder)")
	flags.StringVar(&f.language, "lang", defaultLanguage(), "language for people: zh-CN or en")
	flags.IntVar(&f.workFactor, "work-factor", 0, "base-2 logarithm of the cost of trying a passphrase, where one is set (default 18, about a second)")
	cmd.AddCommand(
		walletInitCommand(f), walletReceiveCommand(f), walletListCommand(f), walletSyncCommand(f), walletShowCommand(f),
		walletExplainCommand(f), walletPresentCommand(f), walletHistoryCommand(f), walletResumeCommand(f), walletRemoveCommand(f),
		walletBackupCommand(f), walletRestoreCommand(f), walletPassphraseCommand(f),
	)
	return cmd
}

// place is a flag's path, or by default a name in the data folder.
func (f *walletFlags) place(flag, name string) string {
	if flag != "" {
		return flag
	}
	return filepath.Join(f.data, name)
}

func (f *walletFlags) walletFile() string { return f.place(f.wallet, "wallet.bulla") }

// profile is the chain that the wallet is for.
func (f *walletFlags) profile() (client.Profile, error) {
	path := f.place(f.chain, demo.ProfileFile)
	profile, err := client.ReadProfile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return profile, fmt.Errorf("there is no chain profile %s: give one with --chain, or the folder of a dev network with --data (bulla serve --dev makes one)", path)
	}
	return profile, err
}

// open opens the wallet with the person's passphrase.
func (f *walletFlags) open(cmd *cobra.Command) (*openWallet, error) {
	w, err := wordsIn(f.language)
	if err != nil {
		return nil, err
	}
	profile, err := f.profile()
	if err != nil {
		return nil, err
	}
	vault, err := f.openVault(cmd, w, wallet.VaultConfig{Genesis: profile.Genesis})
	if err != nil {
		return nil, err
	}
	cfg := profile.Config()
	cfg.Memory = vault.Memory()
	chain, err := client.New(cfg)
	if err != nil {
		return nil, err
	}
	keys := &provers{dir: f.place(f.keys, "keys")}
	opened, err := wallet.New(wallet.Config{Vault: vault, Chain: chain, Provers: keys.find})
	if err != nil {
		return nil, err
	}
	return &openWallet{opened, vault, w, f.language, cmd}, nil
}

// openVault opens the wallet's file.
func (f *walletFlags) openVault(cmd *cobra.Command, w *words, cfg wallet.VaultConfig) (*wallet.Vault, error) {
	// Before asking for a passphrase that would open nothing.
	if err := exists(f.walletFile()); err != nil {
		return nil, fmt.Errorf("%w: make a wallet with bulla wallet init, or name one with --wallet", err)
	}
	storage, err := wallet.NewFile(f.walletFile())
	if err != nil {
		return nil, err
	}
	if cfg.Passphrase, err = secret(cmd, w.passphrase, walletVariable); err != nil {
		return nil, err
	}
	cfg.Storage, cfg.WorkFactor = storage, f.workFactor
	vault, err := wallet.OpenVault(cfg)
	return vault, f.toCitizen(err)
}

// openWallet is a wallet, and whom it speaks to.
type openWallet struct {
	*wallet.Wallet
	vault    *wallet.Vault
	words    *words
	language string
	cmd      *cobra.Command
}

// progress shows how far receiving or proving is, on standard error: a bar on a terminal, else a line a stage.
func (o *openWallet) progress() wallet.Progress {
	out := o.cmd.ErrOrStderr()
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		show := keyProgress(out)
		return func(stage wallet.Stage, done, total int) { show(o.words.stages[stage], done, total) }
	}
	said := wallet.Stage("")
	return func(stage wallet.Stage, done, total int) {
		if stage != said {
			fmt.Fprintf(out, "%d/%d %s\n", done, total, o.words.stages[stage])
		}
		said = stage
	}
}

// print writes a value as JSON where --json was given, and else what people calls.
func (o *openWallet) print(value any, people func(out io.Writer)) error {
	return printed(o.cmd, value, people)
}

// printed writes a value as one line of JSON where --json was given, and else what people calls.
func printed(cmd *cobra.Command, value any, people func(out io.Writer)) error {
	if asJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(value)
	}
	people(cmd.OutOrStdout())
	return nil
}

func (f *walletFlags) toCitizen(err error) error { return toCitizen(err, f.language) }

// toCitizen says a refusal in the citizen's language, with its code and detail behind it.
func toCitizen(err error, language string) error {
	var refusal *wallet.Refusal
	switch {
	case errors.As(err, &refusal):
		return &citizenError{refusal.Text(language), err}
	case errors.Is(err, wallet.ErrPassphrase):
		return &citizenError{wordsOf[language].wrongPassphrase, err}
	}
	return err
}

// citizenError is a refusal in words.
type citizenError struct {
	text  string
	cause error
}

func (e *citizenError) Error() string { return e.text + " (" + e.cause.Error() + ")" }

func (e *citizenError) Unwrap() error { return e.cause }
