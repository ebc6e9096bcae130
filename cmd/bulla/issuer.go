package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/issuer/adapter/dcc"
)

func issuerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issuer",
		Short: "What an agency does",
		Long: `Makes the folder of an agency (init), and uses an agency's admin API: offers credentials, suspends, reinstates and revokes them. By
default the agency is one of the dev network in the data folder, whose key store makes the access token.`,
		Example: `  bulla issuer offer --parcel 91216000AB0026 --person somebody
  bulla issuer list --agency land
  bulla issuer check-dcc issuer/adapter/dcc/testdata/*/*.json`,
	}
	cmd.AddCommand(issuerInitCommand())
	cmd.AddCommand(issuerAdminCommands()...)
	cmd.AddCommand(checkDCCCommand())
	return cmd
}

// maxDCCFile bounds a file of test data, in bytes.
const maxDCCFile = 4 << 20

func checkDCCCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check-dcc FILE…",
		Short: "Check EU Digital COVID Certificates in files laid out like dgc-testdata",
		Long: `Checks prefix, base45, zlib, CBOR, COSE signature, key usage, validity and schema of each file's certificate, at the
file's own clock and with the file's own signer, and prints one line a file. A refused certificate is an answer, not a
failure; the command fails if a file is not of that layout.`,
		Example: `  bulla issuer check-dcc --json issuer/adapter/dcc/testdata/*/*.json`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var failed error
			for _, file := range files {
				if err := checkDCC(cmd, file); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", file, err)
					failed = errors.New("some files could not be checked")
				}
			}
			return failed
		},
	}
}

func checkDCC(cmd *cobra.Command, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDCCFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxDCCFile {
		return fmt.Errorf("more than %d bytes", maxDCCFile)
	}
	line, err := dcc.Line(file, data)
	if err != nil {
		return err
	}
	if asJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(line)
	}
	if line.Accepted {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: accepted\n", file)
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: refused at %s: %s\n", file, line.Step, line.Reason)
	}
	return err
}
