package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/webapi"
)

func demoCommand() *cobra.Command {
	var keep, verbose bool
	var keySource string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Tell the whole story in a terminal, in under a minute",
		Long: `Starts every role in a fresh temporary data folder, over HTTP on loopback. Agencies issue credentials from real public
data; a citizen proves residency, land ownership and vaccination; a relying party verifies. Then everything that must be
refused is tried. The exit code is 0 only if every step came out as it must.`,
		Example: `  bulla demo
  bulla demo --json | jq .refusals
  bulla demo --keys ceremony            (holds a ceremony first, some five minutes)
  bulla demo --keys path/to/ceremony    (the folder of a finished one)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			dir, err := os.MkdirTemp("", "bulla-demo-")
			if err != nil {
				return err
			}
			if keep {
				fmt.Fprintln(cmd.ErrOrStderr(), "data folder:", dir)
			} else {
				defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			}
			report, err := runDemo(cmd, dir, keySource, verbose)
			if err != nil {
				return fmt.Errorf("the story did not come out as it must: %w", err)
			}
			if asJSON(cmd) {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&keySource, "keys", keysDevelopment, "development, ceremony, or the folder of a finished ceremony")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the data folder and say where it is")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log what happens to standard error")
	return cmd
}

// runDemo starts a network, tells the story and stops it again.
func runDemo(cmd *cobra.Command, dir, keySource string, verbose bool) (report demo.Report, err error) {
	out := cmd.OutOrStdout()
	if asJSON(cmd) {
		out = io.Discard
	}
	ceremony, err := keysFolder(cmd, dir, keySource)
	if err != nil {
		return report, err
	}
	began := time.Now()
	fmt.Fprintln(out, "Preparing keys and starting ledger, cosigner, three agencies and two relying parties.")
	// The folder and its passphrase live as long as this command.
	network, err := demo.Start(cmd.Context(), demo.Config{
		Dir: dir, Passphrase: webapi.RandomID(), WorkFactor: 10, Ceremony: ceremony, Progress: keyProgress(cmd.ErrOrStderr()), Logger: newLogger(cmd.ErrOrStderr(), verbose),
	})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	report, err = demo.Tell(cmd.Context(), network, filepath.Clean(dir), out)
	if err == nil {
		fmt.Fprintf(out, "It took %.0f seconds.\n", time.Since(began).Seconds())
	}
	return report, err
}

// What --keys may say beside a folder.
const (
	keysDevelopment = "development"
	keysCeremony    = "ceremony"
)

// keysFolder is the folder of the ceremony that the keys come from; empty for development keys.
func keysFolder(cmd *cobra.Command, dir, keySource string) (string, error) {
	switch keySource {
	case keysDevelopment:
		return "", nil
	case keysCeremony:
		folder := filepath.Join(dir, "ceremony")
		err := demo.HoldCeremony(cmd.Context(), folder, func(stage string) { fmt.Fprintln(cmd.ErrOrStderr(), "ceremony:", stage) })
		return folder, err
	}
	return keySource, nil
}
