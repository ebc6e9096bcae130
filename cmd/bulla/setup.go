package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/ceremony"
	"github.com/bulla-id/bulla/credential"
)

func setupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Make proving and verifying keys with many contributors",
		Long: `A ceremony: several people each draw a secret, multiply it into the keys and forget it. Proofs can be forged only if all
of them conspire. Everything is in one folder that is handed from one to the next, and all of it is public.

The order:
  1. init         one person begins, and says in public which beacons will close the two phases
  2. contribute   each contributor in turn, in a process or on a machine of their own; keep the printed digest
  3. next         after the last contribution is published and the first beacon is drawn
  4. contribute   each contributor again, for phase 2
  5. finish       after the last contribution is published and the second beacon is drawn: writes the keys
  6. verify       anybody: recomputes all of it; contributors compare their digests with the transcript

A bad contribution is refused by the next contributor, and named; drop removes it. verify works at any time.`,
		Example: `  bulla setup init --dir ceremony --title "Keys of 2026"
  bulla setup contribute --dir ceremony --name "Land registry"
  bulla setup next --dir ceremony --beacon 9d1f… --source "drand quicknet, round 12345678"
  bulla setup contribute --dir ceremony --name "Land registry"
  bulla setup finish --dir ceremony --beacon 03c4… --source "drand quicknet, round 12445678"
  bulla setup verify ceremony`,
	}
	cmd.AddCommand(setupInitCommand(), setupContributeCommand(), setupNextCommand(), setupFinishCommand(), setupVerifyCommand(), setupDropCommand())
	return cmd
}

// ceremonyFolder adds the flag that every step but verify has.
func ceremonyFolder(cmd *cobra.Command, dir *string) *cobra.Command {
	cmd.Flags().StringVar(dir, "dir", "ceremony", "folder of the ceremony")
	return cmd
}

// ceremonyProgress prints what is being done to standard error.
func ceremonyProgress(cmd *cobra.Command) ceremony.Progress {
	return func(stage string) { fmt.Fprintln(cmd.ErrOrStderr(), stage) }
}

// untilInterrupted runs a step and does not wait for its end when it is interrupted: the arithmetic of one step takes
// minutes and looks at no context, and every file is written whole or not at all, so the process may just end.
func untilInterrupted(ctx context.Context, step func() error) error {
	done := make(chan error, 1)
	go func() { done <- step() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// printSetup prints a result for people or as JSON.
func printSetup(cmd *cobra.Command, result any, format string, args ...any) error {
	if asJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(result)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format, args...)
	return err
}

func setupInitCommand() *cobra.Command {
	var dir, title string
	var names []string
	cmd := &cobra.Command{
		Use:     "init",
		Short:   "Begin a ceremony in an empty folder",
		Example: `  bulla setup init --dir ceremony --title "Keys of 2026"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := ceremony.Init(dir, title, names, ceremonyProgress(cmd))
			if err != nil {
				return err
			}
			plan := c.Transcript().Plan
			return printSetup(cmd, plan, "The ceremony %q is in %s: %d circuits, %d powers of tau.\n", plan.Title, dir, len(plan.Circuits), plan.Powers)
		},
	}
	cmd.Flags().StringVar(&title, "title", "Keys of Bulla", "what readers of the transcript see")
	cmd.Flags().StringArrayVar(&names, "circuit", []string{circuits.Presentation, circuits.PresentationSmall, circuits.Enrolment}, "circuit that gets keys; may be repeated")
	return ceremonyFolder(cmd, &dir)
}

func setupContributeCommand() *cobra.Command {
	var dir, name string
	cmd := &cobra.Command{
		Use:   "contribute",
		Short: "Add a contribution to the open phase",
		Long: `Checks the last contribution, multiplies fresh randomness of this machine into the state and forgets it. Keep the printed
digest: the published transcript must show it beside your name.`,
		Example: `  bulla setup contribute --dir ceremony --name "Land registry"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := ceremony.Open(dir, ceremonyProgress(cmd))
			if err != nil {
				return err
			}
			var line ceremony.Contribution
			err = untilInterrupted(cmd.Context(), func() (err error) { line, err = c.Contribute(cmd.Context(), name); return err })
			if err != nil {
				return err
			}
			phase := len(c.Transcript().Phases)
			return printSetup(cmd, struct {
				Phase int `json:"phase"`
				ceremony.Contribution
			}{phase, line}, "Contribution %d to phase %d, by %s:\n  %s\n", line.Number, phase, line.Name, line.Digest)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "whose contribution this is")
	_ = cmd.MarkFlagRequired("name")
	return ceremonyFolder(cmd, &dir)
}

// beaconFlags adds the flags of the two steps that close a phase.
func beaconFlags(cmd *cobra.Command, b *ceremony.Beacon) {
	cmd.Flags().StringVar(&b.Value, "beacon", "", "random value, 32 to 64 bytes in hexadecimal, unknown when the last contribution was published")
	cmd.Flags().StringVar(&b.Source, "source", "", "where everybody can look the beacon up")
	_ = cmd.MarkFlagRequired("beacon")
	_ = cmd.MarkFlagRequired("source")
}

func setupNextCommand() *cobra.Command {
	var dir string
	var beacon ceremony.Beacon
	cmd := &cobra.Command{
		Use:     "next",
		Short:   "Close phase 1 with a beacon and begin phase 2",
		Example: `  bulla setup next --dir ceremony --beacon 9d1f… --source "drand quicknet, round 12345678"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := ceremony.Open(dir, ceremonyProgress(cmd))
			if err != nil {
				return err
			}
			if err := untilInterrupted(cmd.Context(), func() error { return c.Next(cmd.Context(), beacon) }); err != nil {
				return err
			}
			start := c.Transcript().Phases[1].Start
			return printSetup(cmd, map[string]any{"phase": 2, "start": start}, "Phase 1 is closed. Phase 2 starts from\n  %s\n", start)
		},
	}
	beaconFlags(cmd, &beacon)
	return ceremonyFolder(cmd, &dir)
}

func setupFinishCommand() *cobra.Command {
	var dir string
	var beacon ceremony.Beacon
	cmd := &cobra.Command{
		Use:     "finish",
		Short:   "Check everything, close phase 2 with a beacon and write the keys",
		Example: `  bulla setup finish --dir ceremony --beacon 03c4… --source "drand quicknet, round 12445678"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := ceremony.Open(dir, ceremonyProgress(cmd))
			if err != nil {
				return err
			}
			var digest credential.Digest
			err = untilInterrupted(cmd.Context(), func() (err error) { digest, err = c.Finish(cmd.Context(), beacon); return err })
			if err != nil {
				return err
			}
			return printCeremony(cmd, c, digest, "The ceremony is finished.")
		},
	}
	beaconFlags(cmd, &beacon)
	return ceremonyFolder(cmd, &dir)
}

// verifiedCeremony is what verify prints with --json. Fault is null if everything fits.
type verifiedCeremony struct {
	Verified bool              `json:"verified"`
	Finished bool              `json:"finished"`
	Digest   credential.Digest `json:"transcript"`
	KeyFiles int               `json:"key_files_compared"`
	Keys     []ceremony.Key    `json:"keys"`
	Fault    *ceremonyFault    `json:"fault"`
}

// ceremonyFault is the first thing that is wrong.
type ceremonyFault struct {
	Phase  int    `json:"phase"`  // 0 for the keys
	Number int    `json:"number"` // 0 for the start of a phase
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

func setupVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify TRANSCRIPT|DIR",
		Short: "Recompute a ceremony and name the first thing that is wrong",
		Long: `Needs the transcript and the state files beside it; key files are compared if they are there. Checks each contribution
against the one before it, applies the beacons, derives the keys again and compares their digests. That the beacons are
the ones announced, you look up yourself.`,
		Example: `  bulla setup verify ceremony
  bulla setup verify ceremony/transcript.json --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, report, err := verifyCeremony(cmd, args[0])
			if err != nil {
				return errors.Join(printFault(cmd, err), err)
			}
			if asJSON(cmd) {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(verifiedCeremony{
					Verified: true, Finished: report.Finished, Digest: report.Transcript, KeyFiles: report.KeyFiles,
					Keys: c.Transcript().Keys,
				})
			}
			return printCeremony(cmd, c, report.Transcript, "Everything fits.")
		},
	}
}

func verifyCeremony(cmd *cobra.Command, path string) (*ceremony.Ceremony, ceremony.Report, error) {
	c, err := ceremony.Open(path, ceremonyProgress(cmd))
	if err != nil {
		return nil, ceremony.Report{}, err
	}
	var report ceremony.Report
	err = untilInterrupted(cmd.Context(), func() (err error) { report, err = c.Verify(cmd.Context()); return err })
	return c, report, err
}

// printFault prints a fault as JSON, if that is wanted and there is one.
func printFault(cmd *cobra.Command, err error) error {
	var fault *ceremony.Fault
	if !asJSON(cmd) || !errors.As(err, &fault) {
		return nil
	}
	return json.NewEncoder(cmd.OutOrStdout()).Encode(verifiedCeremony{
		Keys:  []ceremony.Key{},
		Fault: &ceremonyFault{fault.Phase, fault.Number, fault.Name, fault.Reason.Error()},
	})
}

// printCeremony prints a transcript for people, or its digest and keys as JSON.
func printCeremony(cmd *cobra.Command, c *ceremony.Ceremony, digest credential.Digest, headline string) error {
	t := c.Transcript()
	if asJSON(cmd) {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"transcript": digest, "keys": t.Keys})
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s\n  ceremony    %s\n  transcript  %s\n", headline, t.Plan.Title, digest)
	for i, phase := range t.Phases {
		fmt.Fprintf(out, "  phase %d\n", i+1)
		for _, line := range phase.Contributions {
			fmt.Fprintf(out, "    %3d  %s  %s\n", line.Number, line.Digest, line.Name)
		}
		if phase.Beacon != nil {
			fmt.Fprintf(out, "    beacon %s\n           from %s\n", phase.Beacon.Value, phase.Beacon.Source)
		}
	}
	for _, key := range t.Keys {
		fmt.Fprintf(out, "  %s\n    verifying key  %s\n    proving key    %s\n", key.Circuit, key.VerifyingKey, key.ProvingKey)
	}
	if !t.Finished() {
		fmt.Fprintln(out, "It is not finished yet: there are no keys.")
	}
	return nil
}

func setupDropCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "drop",
		Short:   "Remove the first bad contribution of the open phase and all that build on it",
		Long:    `Good contributions cannot be dropped. The files stay, with .refused after their names.`,
		Example: `  bulla setup drop --dir ceremony`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := ceremony.Open(dir, ceremonyProgress(cmd))
			if err != nil {
				return err
			}
			var fault *ceremony.Fault
			err = untilInterrupted(cmd.Context(), func() (err error) { fault, err = c.Drop(cmd.Context()); return err })
			if err != nil {
				return err
			}
			return printSetup(cmd, ceremonyFault{fault.Phase, fault.Number, fault.Name, fault.Reason.Error()}, "Dropped: %v\n", fault)
		},
	}
	return ceremonyFolder(cmd, &dir)
}
