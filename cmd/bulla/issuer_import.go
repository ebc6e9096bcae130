package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/bulk"
)

// importCommand files the applications of a file.
func importCommand() *cobra.Command {
	f := new(agencyFlags)
	var schema, encoding string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "File the applications of a file, CSV or JSON Lines",
		Long: `Hands a file to the agency, which files an application for each row and says what is wrong with those that it cannot file. The format
goes by the file's ending: .csv or .jsonl. CSV begins with a line of column names: external_id, person, subject, valid_from, valid_until and the
schema's claims, by name or by title.

A row is filed once, by its external_id: when an import breaks off, hand the same file in again. --dry-run says what is wrong and files nothing.
With --json the lines of the answer are printed as they come.`,
		Example: `  bulla issuer import titles.csv --agency land --schema urn:bulla:schema:land-title:1 --dry-run
  bulla issuer import titles.csv --agency land --schema urn:bulla:schema:land-title:1 --encoding gb18030`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format := bulk.Format(strings.TrimPrefix(filepath.Ext(args[0]), "."))
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			c, err := f.clerk(cmd.Context(), issuer.ScopeFile)
			if err != nil {
				return err
			}
			answer, err := c.Import(cmd.Context(), file, schema, format, bulk.Encoding(encoding), dryRun)
			if err != nil {
				return advised(err)
			}
			defer answer.Close()
			return printImport(cmd, answer)
		},
	}
	cmd.Flags().StringVar(&schema, "schema", "", "type of the credentials that are applied for")
	cmd.Flags().StringVar(&encoding, "encoding", string(bulk.UTF8), "of CSV: utf-8 or gb18030")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what is wrong and file nothing")
	if err := cmd.MarkFlagRequired("schema"); err != nil {
		panic(err) // the flag stands above
	}
	return f.register(cmd)
}

var errImport = errors.New("the import broke off: hand the same file in again")

// printImport prints an answer as it comes: problems, how far it is, and the end.
func printImport(cmd *cobra.Command, answer io.Reader) error {
	lines := json.NewDecoder(answer)
	for {
		var line issuer.ImportLine
		if err := lines.Decode(&line); err != nil {
			return errImport
		}
		if asJSON(cmd) {
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(line); err != nil {
				return err
			}
		}
		switch out := cmd.OutOrStdout(); {
		case line.Error != nil:
			return fmt.Errorf("%s: %s", line.Error.Code, line.Error.Detail)
		case line.Progress != nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "%d rows\n", line.Progress.Rows)
		case line.Problem != nil && !asJSON(cmd):
			fmt.Fprintln(out, line.Problem.Error())
		case line.Done != nil:
			if !asJSON(cmd) {
				fmt.Fprintf(out, "%d rows: %d filed, %d filed before, %d with a problem\n", line.Done.Rows, line.Done.Filed, line.Done.Again, line.Done.Problems)
			}
			return nil
		}
	}
}
