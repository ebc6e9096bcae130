package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/ledger"
)

func ledgerExportCommand() *cobra.Command {
	var from stopped
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write what readers need as plain files",
		Long: `Writes checkpoint, tiles, entry bundles, active tiles and documents of a ledger or mirror that is not running to a folder
that any web server can serve. Done again, it adds what is new and removes what is old; the checkpoint comes last, so that
readers always see a whole state. Readers check everything themselves: the web server need not be trusted.

A ledger that runs exports by itself, to the folder "export" of its configuration, and so does a mirror, with --export.`,
		Example: `  bulla ledger export /srv/www/ledger --config ledger/ledger.json
  bulla ledger export /srv/www/ledger --data mirror`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rows, err := from.open()
			if err != nil {
				return err
			}
			report, err := ledger.ExportStore(cmd.Context(), rows, args[0], time.Now())
			if err := errors.Join(err, rows.Close()); err != nil {
				return err
			}
			return printed(cmd, report, func(out io.Writer) {
				fmt.Fprintf(out, "%d entries are in %s: %d files written, %d removed.\n", report.Size, args[0], report.Written, report.Removed)
			})
		},
	}
	from.flags(cmd, "folder of a dev network's ledger, or of a mirror, that is not running")
	cmd.MarkFlagsOneRequired("config", "data")
	return cmd
}
