package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
)

// verifyAuditCommand checks an exported audit log.
func verifyAuditCommand() *cobra.Command {
	var anchors []string
	cmd := &cobra.Command{
		Use:   "verify-audit FILE",
		Short: "Check an exported audit log, without a network",
		Long: `Checks that the records of a log, exported by an agency's GET /admin/v1/audit/export, follow each other, and that the log has the heads
that the chain has of it. Anchors are named as RECORDS:HEAD, from the agency's entries of the kind audit-anchored; without one, whoever exported
the log could have written it anew.`,
		Example: `  bulla issuer verify-audit audit.jsonl
  bulla issuer verify-audit audit.jsonl --anchor 1200:XrY7u-Ae7tCTyyK7j1rNww5u6GzRXnCYkB8LkYdkK1M`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			heads, err := parseAnchors(anchors)
			if err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			head, err := issuer.VerifyAudit(file, heads...)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return printed(cmd, head, func(out io.Writer) {
				fmt.Fprintf(out, "%d records, head %s, %d anchors found\n", head.Records, head.Head, len(heads))
			})
		},
	}
	cmd.Flags().StringArrayVar(&anchors, "anchor", nil, "a head that the chain has, as RECORDS:HEAD; may be repeated")
	return cmd
}

func parseAnchors(texts []string) (heads []issuer.AuditHead, err error) {
	for _, text := range texts {
		records, head, _ := strings.Cut(text, ":")
		var a issuer.AuditHead
		if a.Records, err = strconv.ParseUint(records, 10, 64); err == nil {
			err = a.Head.UnmarshalText([]byte(head))
		}
		if err != nil || a.Records == 0 || a.Head == (credential.Digest{}) {
			return nil, errors.New("an anchor is RECORDS:HEAD, as in 1200:XrY7…")
		}
		heads = append(heads, a)
	}
	return heads, nil
}
