package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
)

func ledgerRepairCommand() *cobra.Command {
	var from stopped
	var chain string
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Replace the damaged rows of a ledger's store, with entries from a mirror where its own are damaged",
		Long: `Replays the entries of a ledger that is not running, replaces every row that does not follow from them, in one step, and
compares the whole store again. Entries that are not those under the register's checkpoint are fetched with --from, only those,
and believed only if all together are what was signed. If files are damaged so that they cannot be read, or it is not known which
entries there were, nothing is written: bulla ledger rebuild makes a new store then.`,
		Example: `  bulla ledger repair --config ledger/ledger.json --from mirror.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, register, err := from.paths()
			if err != nil {
				return err
			}
			done, err := repair(cmd.Context(), dir, register, chain, replayProgress(cmd))
			if err != nil {
				return err
			}
			return printRepaired(cmd, done)
		},
	}
	from.flags(cmd, devLedger)
	cmd.Flags().StringVar(&chain, "from", "", "profile of a mirror to take damaged entries from")
	cmd.MarkFlagsOneRequired("config", "data")
	return cmd
}

// repair mends the store in a folder, in place. chain is the profile of a mirror, or empty.
func repair(ctx context.Context, dir, registerFile, chain string, progress func(uint64)) (done ledger.Repaired, err error) {
	err = withStopped(dir, registerFile, func(rows ledger.Store, register ledger.Register) error {
		cfg := ledger.RepairConfig{Store: rows, Register: register, Progress: progress}
		if chain != "" {
			profile, err := client.ReadProfile(chain)
			if err != nil {
				return err
			}
			cfg.LogKey = profile.Policy.LogKey
			if cfg.Copy, err = openChain(ctx, chain); err != nil {
				return err
			}
		}
		return withScratch(filepath.Dir(filepath.Clean(dir)), func(scratch ledger.Store) (err error) {
			cfg.Scratch = scratch
			done, err = ledger.Repair(ctx, cfg)
			return err
		})
	})
	return done, err
}

// kindNames are the rows of a ledger's store, for people.
var kindNames = map[string]string{
	"s": "state", "g": "registry", "e": "entries", "a": "results", "h": "hashes of the log tree", "n": "next numbers", "q": "index of numbers",
	"k": "owners of keys", "l": "leaves", "d": "index of leaves", "p": "counts", "t": "tiles of the active tree", "r": "documents",
	"u": "ages of tiles", "o": "what seals left behind", "w": "first version kept", "b": "index of seals", "c": "published checkpoint",
}

func printRepaired(cmd *cobra.Command, done ledger.Repaired) error {
	fixed := make(map[string]int)
	for kind, n := range done.Fixed {
		fixed[kindNames[kind]] += n
	}
	report := map[string]any{"rows": fixed, "entries_fetched": done.Entries, "entries": done.Size, "root": done.Root, "rows_compared": done.Rows}
	return printed(cmd, report, func(out io.Writer) {
		if len(fixed) == 0 {
			fmt.Fprintf(out, "Nothing is damaged: %d rows compared.\n", done.Rows)
			return
		}
		var lines []string
		for _, kind := range slices.Sorted(maps.Keys(fixed)) {
			lines = append(lines, fmt.Sprintf("  %d rows: %s\n", fixed[kind], kind))
		}
		fmt.Fprintf(out, "Repaired, and everything fits now: %d rows compared.\n%s  %d entries were fetched\n", done.Rows, strings.Join(lines, ""), len(done.Entries))
	})
}
