package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/offline"
)

func verifierBundleCommand(f *verifierFlags) *cobra.Command {
	var request, response, chain, at string
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Put a request and its response into one file that can be checked without a network",
		Long: `Takes the signed request that a wallet fetched, the vp_token that it answered, and from the chain the seals of that time
with their registries, and prints one file for bulla verifier verify. Verifiers keep no responses: you need one that you
received yourself. It holds what you learned, so the policy's retention is for it, too.`,
		Example: `  bulla verifier bundle --request request.jwt --response vp_token.json > bundle.json
  bulla verifier bundle --request request.jwt --response vp_token.json --at 2027-03-01T09:30:00Z --chain chain.json > bundle.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			when, err := timeOf(at)
			if err != nil {
				return err
			}
			token, err := readBounded(cmd, request, jose.MaxToken)
			if err != nil {
				return err
			}
			answer, err := readBounded(cmd, response, offline.MaxBundle)
			if err != nil {
				return err
			}
			profile, err := client.ReadProfile(f.profilePath(chain))
			if err != nil {
				return err
			}
			reader, err := client.New(profile.Config())
			if err != nil {
				return err
			}
			bundle, err := verifier.NewBundle(cmd.Context(), reader, strings.TrimSpace(string(token)), bytes.TrimSpace(answer), when)
			if err != nil {
				return advised(err)
			}
			text, err := bundle.Bytes()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(append(text, '\n'))
			return err
		},
	}
	cmd.Flags().StringVar(&request, "request", "", "file of the signed request object (JWT)")
	cmd.Flags().StringVar(&response, "response", "", "file of the response (vp_token, JSON)")
	cmd.Flags().StringVar(&chain, "chain", "", "profile of the chain (default: chain.json in the data folder)")
	cmd.Flags().StringVar(&at, "at", "", "when it was answered, as 2027-03-01T09:30:00Z (default: now)")
	cobra.CheckErr(cmd.MarkFlagRequired("request"))
	cobra.CheckErr(cmd.MarkFlagRequired("response"))
	return cmd
}

func (f *verifierFlags) profilePath(chain string) string {
	if chain == "" {
		return filepath.Join(f.api.data, demo.ProfileFile)
	}
	return chain
}

// timeOf reads a time that a person gives; nothing is now.
func timeOf(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("--at %q is not a time such as 2027-03-01T09:30:00Z", text)
	}
	return t, nil
}

// bundleFlags say what is believed of a bundle.
type bundleFlags struct {
	chain, at, seen string
	keys            []string
}

func (b *bundleFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.chain, "chain", "", "for a bundle: profile of the chain that is believed (default: chain.json in the data folder)")
	cmd.Flags().StringArrayVar(&b.keys, "key", nil, "for a bundle: file of a verifying key (default: those of the data folder)")
	cmd.Flags().StringVar(&b.at, "at", "", "for a bundle: the time in question, as 2027-03-01T09:30:00Z (default: now)")
	cmd.Flags().StringVar(&b.seen, "seen", "", "for a bundle: file of a checkpoint that was believed before, which the chain must continue")
}

// verifyBundle checks a bundle, without a network.
func (f *verifierFlags) verifyBundle(cmd *cobra.Command, text []byte, b *bundleFlags) error {
	at, err := timeOf(b.at)
	if err != nil {
		return err
	}
	profile, files, err := f.believed(b.chain, b.keys)
	if err != nil {
		return err
	}
	cfg := offline.Config{Profile: checkpoint.Profile(profile), VerifyingKeys: files, Clock: func() time.Time { return at }}
	if b.seen != "" {
		if cfg.Seen, err = os.ReadFile(b.seen); err != nil {
			return err
		}
	}
	v, err := offline.New(cfg)
	if err != nil {
		return err
	}
	bundle, err := offline.ParseBundle(bytes.TrimSpace(text))
	if err != nil {
		return err
	}
	result, err := v.Verify(bundle)
	if err != nil {
		return counterWordsOf[f.language].explained(f.language, err)
	}
	return printed(cmd, result, func(out io.Writer) { f.printOffline(out, result) })
}

func (f *verifierFlags) printOffline(out io.Writer, r *offline.Result) {
	fmt.Fprintf(out, "%s of %s, asked at %s: the response holds as of %s\n", r.Policy, r.Verifier, r.AskedAt.Time().Local().Format(time.DateTime),
		r.At.Time().Local().Format(time.DateTime))
	f.printFacts(out, r.Facts, r.OnePerson)
	if r.NotConsumed {
		fmt.Fprintln(out, "  The policy counts once: whether this was used before or after is not known here.")
	}
	fmt.Fprintf(out, "  Checked without a network, under a checkpoint of %s cosigned by %s.\n", r.Network, strings.Join(append(r.Cosigners, "nobody")[:max(1, len(r.Cosigners))], ", "))
	if r.Dev {
		fmt.Fprintln(out, "  This is a dev chain: whoever made its keys could have forged this.")
	}
}
