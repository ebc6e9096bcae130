package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/office"
)

func ledgerInitCommand() *cobra.Command {
	var config, out string
	var signed []string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Found a chain with a genesis that governance has signed",
		Long: `Puts the members' signatures under the genesis together, checks that they suffice and that it names the log and operator
keys in this ledger's key store, and founds the chain in a store and register that are not there yet. It writes the whole
genesis to a file: its SHA-256 is the chain's identity, and every member keeps a copy.`,
		Example: `  bulla ledger init --config ledger/ledger.json --genesis genesis.ministry.jws --genesis genesis.court.jws --out genesis.jws`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := office.ReadLedgerConfig(config)
			if err != nil {
				return err
			}
			genesis, err := office.ReadSigned(signed...)
			if err != nil {
				return err
			}
			if err := absent(out); err != nil {
				return err
			}
			secret, err := passphrase(cmd)
			if err != nil {
				return err
			}
			if err := office.Found(cfg, genesis, office.Options{Passphrase: secret, Logger: newLogger(cmd.ErrOrStderr(), false)}); err != nil {
				return err
			}
			if err := office.WriteEntry(out, genesis); err != nil {
				return err
			}
			return printed(cmd, map[string]any{"genesis": genesis.Digest(), "file": out, "signatures": len(genesis.Signatures)}, func(w io.Writer) {
				fmt.Fprintf(w, "The chain is founded: %s\n%s is its genesis, for everybody to keep.\n", genesis.Digest(), out)
			})
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the ledger's configuration")
	cmd.Flags().StringArrayVar(&signed, "genesis", nil, "the genesis as a member signed it; once for each member")
	cmd.Flags().StringVar(&out, "out", "genesis.jws", "file for the genesis with all its signatures")
	return required(cmd, "config", "genesis")
}

func ledgerProfileCommand() *cobra.Command {
	var genesis, url, out string
	var cosigners []string
	var threshold int
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Write the profile by which a chain is made known",
		Long: `A profile says which chain it is, where to read it and whose signatures to believe: the log's, and those of threshold of the
cosigners. Wallets, agencies and relying parties start from it, so publish it where people already trust what they read,
with the genesis hash that is printed: whoever can change somebody's profile can make them believe another chain.`,
		Example: `  bulla ledger profile --genesis genesis.jws --url https://ledger.example --cosigner court/public.json --threshold 1 --out chain.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := office.ReadEntry(genesis)
			if err != nil {
				return err
			}
			var list []office.Public
			for _, path := range cosigners {
				c, err := office.ReadPublic(path, office.Cosigner)
				if err != nil {
					return err
				}
				list = append(list, c)
			}
			p, err := office.NewProfile(e, url, list, threshold)
			if err != nil {
				return err
			}
			if err := absent(out); err != nil {
				return err
			}
			if err := office.WriteProfile(out, p); err != nil {
				return err
			}
			return printed(cmd, p, func(w io.Writer) {
				fmt.Fprintf(w, "%s is the profile of the chain %s,\nread at %s, believed with %d of %d cosignatures.\n", out, p.Genesis, p.Ledger, threshold, len(list))
			})
		},
	}
	cmd.Flags().StringVar(&genesis, "genesis", "genesis.jws", "the chain's genesis")
	cmd.Flags().StringVar(&url, "url", "", "where the ledger or a mirror is read")
	cmd.Flags().StringArrayVar(&cosigners, "cosigner", nil, "public part of a cosigner that is independent of the ledger; may be repeated")
	cmd.Flags().IntVar(&threshold, "threshold", 1, "how many of the cosigners must have signed")
	cmd.Flags().StringVar(&out, "out", "chain.json", "file for the profile")
	return required(cmd, "url")
}

func ledgerCosignCommand() *cobra.Command {
	var config string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "cosign",
		Short: "Replay a chain and cosign its checkpoints",
		Long: `Serves an independent cosigner: before it signs a checkpoint it runs every entry through the state machine and recomputes
every seal. The ledger asks it by C2SP tlog-witness. What it signed last is in a register apart from its store.`,
		Example: `  bulla ledger cosign --config court/cosigner.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveRole(cmd, office.Cosigner, config, verbose)
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the cosigner's configuration, a JSON file")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log what happens to standard error")
	return required(cmd, "config")
}
