package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
)

func ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "What an operator or auditor of the chain does"}
	cmd.AddCommand(ledgerVerifyCommand(), ledgerInitCommand(), ledgerProfileCommand(), ledgerCosignCommand(), ledgerGovernCommand())
	cmd.AddCommand(ledgerRepairCommand(), ledgerRebuildCommand())
	cmd.AddCommand(ledgerExportCommand(), ledgerMirrorCommand(), ledgerCheckEvidenceCommand(), ledgerCheckReceiptCommand())
	return cmd
}

func ledgerVerifyCommand() *cobra.Command {
	var from stopped
	var chain string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Replay the whole chain and compare everything with it",
		Long: `Fetches every entry, runs it through a fresh state machine (signatures, authority, sequence numbers, active tree, seals)
and compares what follows with the signed checkpoint. With --config or --data it replays the store of a ledger that is not
running and compares every row of it as well. The first difference is named.`,
		Example: `  bulla ledger verify --chain data/chain.json
  bulla ledger verify --config ledger/ledger.json
  bulla ledger verify --data data/ledger`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			progress := replayProgress(cmd)
			var report ledger.Report
			var err error
			if from.named() {
				var dir, register string
				if dir, register, err = from.paths(); err == nil {
					report, err = verifyStore(cmd.Context(), dir, register, progress)
				}
			} else {
				report, err = verifyChain(cmd.Context(), chain, progress)
			}
			if err != nil {
				return err
			}
			return printReport(cmd, report)
		},
	}
	cmd.Flags().StringVar(&chain, "chain", "data/chain.json", "profile of a running chain")
	from.flags(cmd, devLedger)
	cmd.MarkFlagsMutuallyExclusive("chain", "data", "config")
	return cmd
}

// replayProgress counts entries on a terminal's standard error.
func replayProgress(cmd *cobra.Command) func(uint64) {
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription("replaying entries"),
		progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
	return func(done uint64) { _ = bar.Set64(int64(done)) }
}

func verifyStore(ctx context.Context, dir, registerFile string, progress func(uint64)) (report ledger.Report, err error) {
	err = withStopped(dir, registerFile, func(rows ledger.Store, register ledger.Register) error {
		return withScratch(filepath.Dir(filepath.Clean(dir)), func(scratch ledger.Store) (err error) {
			report, err = ledger.VerifyStoreOn(ctx, rows, register, scratch, progress)
			return err
		})
	})
	return report, err
}

// served is the log of a running ledger under one checkpoint, as a source to replay.
type served struct {
	ctx  context.Context
	log  *client.Log
	view *client.View
}

// Entry implements [ledger.Source].
func (s served) Entry(index uint64) ([]byte, error) {
	if index >= s.view.Checkpoint.Size {
		return nil, ledger.ErrAbsent
	}
	return s.log.Entry(s.ctx, s.view.Checkpoint.Tree(), index)
}

// Size implements [ledger.Copy].
func (s served) Size() uint64 { return s.view.Checkpoint.Size }

// RecordHash implements [ledger.Copy].
func (s served) RecordHash(index uint64) (tlog.Hash, error) {
	if index >= s.view.Checkpoint.Size {
		return tlog.Hash{}, ledger.ErrAbsent
	}
	return s.log.RecordHash(s.ctx, s.view.Checkpoint.Tree(), index)
}

func verifyChain(ctx context.Context, path string, progress func(uint64)) (ledger.Report, error) {
	profile, err := client.ReadProfile(path)
	if err != nil {
		return ledger.Report{}, err
	}
	chain, err := client.New(profile.Config())
	if err != nil {
		return ledger.Report{}, err
	}
	view, err := chain.Update(ctx)
	if err != nil {
		return ledger.Report{}, err
	}
	log, err := client.NewLog(profile.Ledger, nil, nil, client.Limits{})
	if err != nil {
		return ledger.Report{}, err
	}
	var report ledger.Report
	err = withScratch("", func(scratch ledger.Store) (err error) {
		report, err = ledger.Rebuild(ctx, served{ctx, log, view}, scratch, progress)
		return err
	})
	if err != nil {
		return ledger.Report{}, err
	}
	if report.Genesis != profile.Genesis || report.Size != view.Checkpoint.Size || [32]byte(report.Root) != [32]byte(view.Checkpoint.Root) {
		return ledger.Report{}, fmt.Errorf("the entries give size %d and root %s, the checkpoint says %d and %s",
			report.Size, report.Root, view.Checkpoint.Size, view.Checkpoint.Root)
	}
	return report, nil
}

func printReport(cmd *cobra.Command, r ledger.Report) error {
	out := cmd.OutOrStdout()
	if asJSON(cmd) {
		return json.NewEncoder(out).Encode(map[string]any{
			"genesis": r.Genesis, "entries": r.Size, "root": r.Root, "leaves": r.Leaves, "seals": r.Seals,
			"active_root": r.Sealed.ActiveRoot, "rows_compared": r.Rows, "verified": true,
		})
	}
	fmt.Fprintf(out, "Everything fits.\n  chain        %s\n  entries      %d\n  log root     %s\n  leaves       %d\n  seals        %d\n  active root  %s\n",
		r.Genesis, r.Size, r.Root, r.Leaves, r.Seals, r.Sealed.ActiveRoot)
	if r.Rows > 0 {
		fmt.Fprintf(out, "  rows         %d compared\n", r.Rows)
	}
	return nil
}
