package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/bench"
)

func benchCommand() *cobra.Command {
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure proving, verifying, keys, ledger and trees on this machine",
		Long: `Measures on this machine, with development keys and a ledger in a temporary folder, and prints one line a figure:
median, least and greatest of its runs. Takes about three minutes on two cores. Cold proofs are made by a process of
their own each, from its start: load the proving key, compile the circuit, prove.

Figures of large chains are left out unless --only begins with scale_: making a chain of a million leaves takes a
minute or two, and a gigabyte in the temporary folder.`,
		Example: `  bulla bench
  bulla bench --json --only presentation_ -n 3
  bulla bench --only scale_ --millions 10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.ErrOrStderr(), bench.Machine())
			cfg.Progress = func(name string) { fmt.Fprintf(cmd.ErrOrStderr(), "measuring %s\n", name) }
			cfg.Report = func(f bench.Figure) { printFigure(cmd, f) }
			cfg.Cold, cfg.Open = proveInNewProcess, openInNewProcess
			return bench.Run(cmd.Context(), cfg)
		},
	}
	cmd.Flags().IntVarP(&cfg.Runs, "runs", "n", 5, "runs of each slow figure; quick ones are repeated more often")
	cmd.Flags().StringVar(&cfg.Only, "only", "", "measure only figures whose names begin so")
	cmd.Flags().IntVar(&cfg.Millions, "millions", 1, "millions of leaves in the large chain of the figures scale_")
	cmd.AddCommand(benchProveCommand(), benchOpenCommand())
	return cmd
}

// printFigure prints a line, for people or as JSON.
func printFigure(cmd *cobra.Command, f bench.Figure) {
	if asJSON(cmd) {
		_ = json.NewEncoder(cmd.OutOrStdout()).Encode(f)
		return
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%-32s %12s %-14s %12s … %-12s n=%d\n", f.Name, number(f.Median), f.Unit, number(f.Min), number(f.Max), f.N)
}

// number is a figure without needless digits.
func number(v float64) string {
	if v == float64(int64(v)) {
		return fmt.Sprintf("%d", int64(v))
	}
	return fmt.Sprintf("%.2f", v)
}

// proveInNewProcess runs this program as [benchProveCommand].
func proveInNewProcess(ctx context.Context, file string) (proven bench.ColdProof, err error) {
	return proven, inNewProcess(ctx, "prove", file, &proven)
}

// openInNewProcess runs this program as [benchOpenCommand].
func openInNewProcess(ctx context.Context, file string) (opened bench.ColdOpen, err error) {
	return opened, inNewProcess(ctx, "open", file, &opened)
}

// inNewProcess runs this program's bench with a subcommand on a file and decodes its output.
func inNewProcess(ctx context.Context, what, file string, result any) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "bench", what, file)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s in a new process: %w: %s", what, err, stderr.Bytes())
	}
	return json.Unmarshal(out, result)
}

// benchProveCommand is the other end of proveInNewProcess.
func benchProveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "prove FILE", Short: "Make one proof and say what that took, on standard output", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			proven, err := bench.ProveCold(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(proven)
		},
	}
}

// benchOpenCommand is the other end of openInNewProcess.
func benchOpenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "open FILE", Short: "Open a ledger and say what that took, on standard output", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opened, err := bench.OpenCold(args[0])
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(opened)
		},
	}
}
