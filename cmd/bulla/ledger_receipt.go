package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// maxReceiptFile bounds a receipt, in bytes.
const maxReceiptFile = 256 << 10

func ledgerCheckReceiptCommand() *cobra.Command {
	var chain, evidence string
	cmd := &cobra.Command{
		Use:   "check-receipt RECEIPT",
		Short: "Check that the log keeps what a receipt promises, or prove that it does not",
		Long: `Checks the signature in a receipt, that the log as it is served now continues the one that was signed, and that the entry is
where the receipt says. If the log dropped or changed what it had signed, the two checkpoints that cannot both be are written as
evidence, which bulla ledger check-evidence accepts offline. A receipt of level accepted carries no signature and promises nothing:
the ledger gives one of level logged or sealed for it. "-" reads the receipt from standard input.`,
		Example: `  bulla ledger check-receipt receipt.json --chain chain.json --evidence omission.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := readBounded(cmd, args[0], maxReceiptFile)
			if err != nil {
				return err
			}
			var receipt entry.Receipt
			if err := credential.ParseStrict(data, &receipt); err != nil {
				return fmt.Errorf("receipt: %w", err)
			}
			profile, err := client.ReadProfile(chain)
			if err != nil {
				return err
			}
			reader, err := client.New(profile.Config())
			if err != nil {
				return err
			}
			raw, err := reader.CheckReceipt(cmd.Context(), receipt)
			if err != nil {
				return errors.Join(err, keepOmission(cmd, err, evidence))
			}
			return printed(cmd, map[string]any{"kept": true, "index": receipt.Index, "entry": string(raw)}, func(out io.Writer) {
				fmt.Fprintf(out, "The log keeps its promise: entry %d, %d bytes, is %s.\n", receipt.Index, len(raw), receipt.Digest)
			})
		},
	}
	cmd.Flags().StringVar(&chain, "chain", "data/chain.json", "profile of the chain")
	cmd.Flags().StringVar(&evidence, "evidence", "omission.json", "file for the evidence, if there is any")
	return cmd
}

// keepOmission writes what proves a broken promise.
func keepOmission(cmd *cobra.Command, err error, path string) error {
	var omission *client.OmissionError
	if !errors.As(err, &omission) || omission.Evidence == nil {
		return nil
	}
	data, err := omission.Evidence.Bytes()
	if err == nil {
		err = client.File(path).Save(data)
	}
	if err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "The evidence is in %s.\n", path)
	}
	return err
}
