package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/office"
)

// passphraseVariable names the environment variable that opens key stores and wallets without asking.
const passphraseVariable = "BULLA_PASSPHRASE"

func serveCommand() *cobra.Command {
	var data, role, config string
	var port int
	var dev, verbose bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run one office of a production chain, or every role on loopback",
		Long: `With --role, serves one office of a production chain: ledger, issuer or verifier, or the wallet's page, as its configuration says (strict
JSON; paths in it are relative to it). The key store's passphrase is in ` + passphraseVariable + `, or asked for. Interrupted, it lets
running requests finish. doc/operations.md starts a whole chain.

With --dev, starts ledger, a replaying cosigner, three agencies and two relying parties in one process on 127.0.0.1, on a dev chain
with development keys, and says what to try. Everything is kept in the data folder and found again at the next start.

The key store is encrypted under the passphrase in ` + passphraseVariable + `. Without it a random one is made and kept in the data
folder beside it: good enough to develop, and for nothing else.`,
		Example: `  bulla serve --dev
  bulla serve --dev --data /tmp/bulla --port 9000
  bulla serve --role ledger --config ledger/ledger.json
  bulla serve --role issuer --config land/issuer.json
  bulla serve --role verifier --config city/verifier.json
  bulla serve --role wallet --config wallet/wallet.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role != "" {
				return serveRole(cmd, office.Role(role), config, verbose)
			}
			if !dev {
				return errors.New("say what to serve: --dev, or an office of a production chain with --role and --config (doc/operations.md)")
			}
			passphrase, err := devPassphrase(data)
			if err != nil {
				return err
			}
			network, err := demo.Start(cmd.Context(), demo.Config{
				Dir: data, Passphrase: passphrase, Port: port, Progress: keyProgress(cmd.ErrOrStderr()), Logger: newLogger(cmd.ErrOrStderr(), verbose),
			})
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cmd, network, data)
		},
	}
	cmd.Flags().BoolVar(&dev, "dev", false, "a dev chain with development keys, all roles in one process")
	cmd.Flags().StringVar(&role, "role", "", "an office of a production chain: ledger, issuer or verifier; or wallet")
	cmd.Flags().StringVar(&config, "config", "", "configuration of that office, a JSON file")
	cmd.Flags().StringVar(&data, "data", "data", "data folder")
	cmd.Flags().IntVar(&port, "port", 8700, "first of nine consecutive ports")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log what happens to standard error")
	cmd.MarkFlagsMutuallyExclusive("dev", "role")
	cmd.MarkFlagsMutuallyExclusive("dev", "config")
	cmd.MarkFlagsMutuallyExclusive("role", "data")
	cmd.MarkFlagsMutuallyExclusive("role", "port")
	return cmd
}

// serve prints what to try and waits for the end.
func serve(ctx context.Context, cmd *cobra.Command, network *demo.Network, data string) error {
	invitation, err := network.Invite(ctx)
	if err == nil {
		err = printInvitation(cmd, network, invitation, data)
	}
	if err != nil {
		return errors.Join(err, network.Close())
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(cmd.ErrOrStderr(), "\nstopping")
	case err = <-network.Failed():
	}
	return errors.Join(err, network.Close())
}

// devPassphrase is the passphrase of a dev folder's key store: from the environment, or made once and kept in the
// folder.
func devPassphrase(data string) (string, error) {
	passphrase, err := knownPassphrase(data)
	if !errors.Is(err, fs.ErrNotExist) {
		return passphrase, err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", err
	}
	var secret [24]byte
	rand.Read(secret[:])
	passphrase = base64.RawURLEncoding.EncodeToString(secret[:])
	return passphrase, keystore.WriteFile(filepath.Join(data, passphraseFile), []byte(passphrase+"\n"))
}

const passphraseFile = "dev-passphrase"

// knownPassphrase is the passphrase of a dev folder's key store that is there already.
func knownPassphrase(data string) (string, error) {
	if passphrase := os.Getenv(passphraseVariable); passphrase != "" {
		return passphrase, nil
	}
	text, err := os.ReadFile(filepath.Join(data, passphraseFile))
	if err != nil {
		return "", fmt.Errorf("passphrase of the key store, which %s may give: %w", passphraseVariable, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// keyProgress shows how far the development keys are.
func keyProgress(out io.Writer) func(string, int, int) {
	var bar *progressbar.ProgressBar
	return func(stage string, done, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(24), progressbar.OptionClearOnFinish())
		}
		bar.Describe(stage)
		_ = bar.Set(done)
	}
}

func newLogger(out io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
}
