package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/ledger/client"
)

// maxFindings bounds a list of evidence, as a cosigner gives it.
const maxFindings = 64

func ledgerCheckEvidenceCommand() *cobra.Command {
	var chain, key string
	cmd := &cobra.Command{
		Use:   "check-evidence FILE",
		Short: "Check offline what a file proves against a log",
		Long: `Reads what a mirror or cosigner keeps against a log, one finding or the list at a cosigner's /evidence, and checks it against
the log's key, from the chain's profile or given by hand. A fork is two signed checkpoints with the proof that both cannot be of
one log. An entry that breaks the rules comes with the proof that the log signed it; whether it breaks them, bulla ledger verify
says of the log. Nothing is fetched, and nobody is believed.`,
		Example: `  bulla ledger check-evidence mirror/evidence/fork-PmW3Sr.json --chain chain.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				profile, err := client.ReadProfile(chain)
				if err != nil {
					return err
				}
				key = profile.Policy.LogKey
			}
			data, err := readBounded(cmd, args[0], maxFindings*client.MaxEvidence)
			if err != nil {
				return err
			}
			list, err := findings(data)
			for _, finding := range list {
				err = errors.Join(err, checkFinding(cmd, finding, key))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&chain, "chain", "data/chain.json", "profile of the chain")
	cmd.Flags().StringVar(&key, "log-key", "", "the log's verifier key, instead of a profile")
	return cmd
}

// findings are the one or many in a file.
func findings(data []byte) (list []json.RawMessage, err error) {
	if !bytes.HasPrefix(data, []byte("[")) {
		return []json.RawMessage{data}, nil
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("list of evidence: %w", err)
	}
	if len(list) == 0 || len(list) > maxFindings {
		return nil, fmt.Errorf("a list of %d findings: %w", len(list), client.ErrNoEvidence)
	}
	return list, nil
}

func checkFinding(cmd *cobra.Command, data []byte, key string) error {
	fork, err := client.CheckEvidence(data, key)
	if err == nil {
		return printFork(cmd, fork, key)
	}
	broken, notSigned := client.CheckBroken(data, key)
	if notSigned == nil {
		return printBroken(cmd, broken)
	}
	if bytes.Contains(data, []byte(`"entry":`)) {
		return notSigned
	}
	return err
}

func printFork(cmd *cobra.Command, fork [2]client.Checkpoint, key string) error {
	report := map[string]any{
		"fork": true, "log_key": key, "older": map[string]any{"size": fork[0].Size, "root": fork[0].Root},
		"newer": map[string]any{"size": fork[1].Size, "root": fork[1].Root},
	}
	return printed(cmd, report, func(out io.Writer) {
		fmt.Fprintf(out, "This proves a fork: the key\n  %s\nsigned trees that cannot be of one log\n  %d entries, root %s\n  %d entries, root %s\n",
			key, fork[0].Size, fork[0].Root, fork[1].Size, fork[1].Root)
	})
}

func printBroken(cmd *cobra.Command, b client.Broken) error {
	report := map[string]any{"fork": false, "log_key": b.LogKey, "signed_entry": b.Index, "reason": b.Reason}
	return printed(cmd, report, func(out io.Writer) {
		fmt.Fprintf(out, "This proves that the key\n  %s\nsigned entry %d. It is said to break the rules: %q\nA replay says whether it does: bulla ledger verify --chain\n",
			b.LogKey, b.Index, b.Reason)
	})
}
