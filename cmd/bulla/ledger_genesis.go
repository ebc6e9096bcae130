package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/ledger/entry"
)

// parseEnd reads the last day of a verifying key; it ends with that day, in UTC.
func parseEnd(text string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("--last-day %q is not a day such as 2027-12-31", text)
	}
	return day.AddDate(0, 0, 1), nil
}

// genesisFlags are what a genesis is drafted from.
type genesisFlags struct {
	draft                           office.GenesisDraft
	ledger, ceremony, keys, lastDay string
	members                         []string
	out                             string
}

func proposeGenesisCommand() *cobra.Command {
	f := new(genesisFlags)
	cmd := &cobra.Command{
		Use:   string(entry.KindGenesis),
		Short: "Draft the first entry of a new chain",
		Long: `Drafts a genesis from the public parts of the ledger and of the members of governance, and from the folder of a finished
ceremony, which is recomputed first (a few minutes). Without a ceremony only a dev chain can be drafted.`,
		Example: `  bulla ledger govern propose genesis --network example --ledger ledger/public.json \
    --member ministry/public.json --member court/public.json --member university/public.json --threshold 2 \
    --ceremony ceremony --last-day 2027-12-31 --out genesis.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := absent(f.out); err != nil {
				return err
			}
			p, err := f.propose(cmd)
			if err != nil {
				return err
			}
			return writeProposal(cmd, p, f.out)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.draft.Network, "network", "", "the chain's name")
	flags.StringVar(&f.ledger, "ledger", "", "public part of the ledger's keys")
	flags.StringArrayVar(&f.members, "member", nil, "public part of a member's key; once for each member")
	flags.IntVar(&f.draft.Threshold, "threshold", 0, "how many members sign what governance decides")
	flags.StringVar(&f.ceremony, "ceremony", "", "folder of the finished ceremony that the keys are from")
	flags.StringVar(&f.lastDay, "last-day", "", "last day of the keys, as in 2027-12-31")
	flags.DurationVar(&f.draft.Interval, "seal-interval", 0, "at most one seal in it (default 10s)")
	flags.DurationVar(&f.draft.Maximum, "seal-maximum", 0, "at least one seal in it (default 10m)")
	flags.DurationVar(&f.draft.Grid, "grid", 0, "wallets prove against the last seal before each full one (default 10m)")
	flags.BoolVar(&f.draft.Dev, "dev", false, "a dev chain: its keys are development keys, and everybody says so")
	flags.StringVar(&f.keys, "keys", "", "folder of development keys, for a dev chain")
	flags.StringVar(&f.out, "out", "", "file for the proposal")
	cmd.MarkFlagsMutuallyExclusive("ceremony", "keys")
	cmd.MarkFlagsOneRequired("ceremony", "keys")
	return required(cmd, "network", "ledger", "member", "threshold", "last-day", "out")
}

func (f *genesisFlags) propose(cmd *cobra.Command) (p office.Proposal, err error) {
	d := f.draft
	d.Now = time.Now()
	end, err := parseEnd(f.lastDay)
	if err != nil {
		return p, err
	}
	if !end.After(d.Now) {
		return p, fmt.Errorf("--last-day %s is past", f.lastDay)
	}
	if d.Ledger, err = office.ReadPublic(f.ledger, office.Ledger); err != nil {
		return p, err
	}
	for _, path := range f.members {
		m, err := office.ReadPublic(path, office.Member)
		if err != nil {
			return p, err
		}
		d.Members = append(d.Members, m)
	}
	switch {
	case f.keys != "" && !d.Dev:
		return p, errors.New("--keys are development keys, which only a dev chain may have: hold a ceremony (bulla setup) and give its folder with --ceremony")
	case f.keys != "":
		d.Keys, err = office.DevelopmentKeys(f.keys, end)
	default:
		d.Keys, err = ceremonyKeys(cmd, f.ceremony, end)
	}
	if err != nil {
		return p, err
	}
	return office.Genesis(d)
}

// recomputeCeremony recomputes a ceremony, in minutes. It is a variable for the sake of one test, which has no minutes.
var recomputeCeremony = office.VerifyCeremony

// ceremonyKeys are the keys of a finished ceremony, once it was recomputed.
func ceremonyKeys(cmd *cobra.Command, dir string, end time.Time) (keys []entry.VerifyingKey, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("ceremony: %w", err)
	}
	var transcript credential.Digest
	err = untilInterrupted(cmd.Context(), func() (err error) {
		transcript, err = recomputeCeremony(cmd.Context(), dir, ceremonyProgress(cmd))
		return err
	})
	if err != nil {
		return nil, err
	}
	return office.CeremonyKeys(dir, transcript, end)
}
