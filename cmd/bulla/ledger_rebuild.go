package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/store"
)

func ledgerRebuildCommand() *cobra.Command {
	var from stopped
	var chain string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make a new store of a ledger's entries: the repair of a damaged one, the migration of an older one",
		Long: `Replays the entries of a ledger that is not running into a new store, checks it against the register of the last signed
checkpoint, and puts it in the place of the old store, which is kept beside it. Everything but the entries follows from them.
With --from, entries come from a running chain or a mirror as far as it has them, for when those of the store are damaged.`,
		Example: `  bulla ledger rebuild --config ledger/ledger.json
  bulla ledger rebuild --config ledger/ledger.json --from mirror.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, register, err := from.paths()
			if err != nil {
				return err
			}
			old, report, err := rebuild(cmd.Context(), dir, register, chain, replayProgress(cmd))
			if err != nil {
				return err
			}
			if err := printReport(cmd, report); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is new. The old store is %s: remove it when the ledger runs.\n", dir, old)
			return nil
		},
	}
	from.flags(cmd, devLedger)
	cmd.Flags().StringVar(&chain, "from", "", "profile of a running chain or mirror to take entries from")
	cmd.MarkFlagsOneRequired("config", "data")
	return cmd
}

// rebuild replays the entries of the store in a folder into a new one and swaps the two.
func rebuild(ctx context.Context, dir, registerFile, chain string, progress func(uint64)) (old string, report ledger.Report, err error) {
	if err := exists(dir); err != nil {
		return "", report, err
	}
	made := filepath.Clean(dir) + ".new"
	if _, err := os.Stat(made); !errors.Is(err, os.ErrNotExist) {
		return "", report, fmt.Errorf("%s is there, perhaps from a rebuild that was interrupted: remove it first", made)
	}
	register, err := store.NewFileRegister(registerFile, nil)
	if err != nil {
		return "", report, err
	}
	if report, err = rebuildInto(ctx, made, dir, chain, register, progress); err != nil {
		return "", report, errors.Join(err, os.RemoveAll(made))
	}
	old = fmt.Sprintf("%s.old-%s", filepath.Clean(dir), time.Now().UTC().Format("20060102T150405.000000"))
	if err := errors.Join(os.Rename(dir, old), os.Rename(made, dir)); err != nil {
		return "", report, fmt.Errorf("put the new store in place: %w", err)
	}
	return old, report, nil
}

// rebuildInto writes the new store and checks it. The old one is locked meanwhile, so that no ledger runs on it.
func rebuildInto(ctx context.Context, made, dir, chain string, register ledger.Register, progress func(uint64)) (report ledger.Report, err error) {
	before, err := store.Open(store.Config{Dir: dir})
	if err != nil && chain == "" {
		return report, err
	}
	source := patched{}
	if err == nil {
		defer func() { err = errors.Join(err, before.Close()) }()
		source.own = ledger.Entries{Reader: before}
	}
	if chain != "" {
		if source.other, err = openChain(ctx, chain); err != nil {
			return report, err
		}
	}
	after, err := store.Open(store.Config{Dir: made})
	if err != nil {
		return report, err
	}
	report, err = ledger.Rebuild(ctx, source, after, progress)
	if err == nil {
		err = ledger.CheckRegister(after, register)
	}
	if err == nil {
		err = after.Flush()
	}
	return report, errors.Join(err, after.Close())
}

// patched has the entries of another source as far as that goes, and then its own.
type patched struct{ own, other ledger.Source }

// Entry implements [ledger.Source].
func (p patched) Entry(index uint64) ([]byte, error) {
	if p.other != nil {
		raw, err := p.other.Entry(index)
		if !errors.Is(err, ledger.ErrAbsent) {
			return raw, err
		}
	}
	if p.own == nil {
		return nil, ledger.ErrAbsent
	}
	return p.own.Entry(index)
}

// openChain is a running chain as a source, under the checkpoint that it publishes now.
func openChain(ctx context.Context, path string) (ledger.Copy, error) {
	profile, err := client.ReadProfile(path)
	if err != nil {
		return nil, err
	}
	chain, err := client.New(profile.Config())
	if err != nil {
		return nil, err
	}
	view, err := chain.Update(ctx)
	if err != nil {
		return nil, err
	}
	log, err := client.NewLog(profile.Ledger, nil, nil, client.Limits{})
	if err != nil {
		return nil, err
	}
	return served{ctx, log, view}, nil
}

// withScratch runs f with a store that is removed afterwards, so that a replay needs disk and not memory.
func withScratch(parent string, f func(scratch ledger.Store) error) (err error) {
	dir, err := os.MkdirTemp(parent, "bulla-replay-")
	if err != nil {
		return fmt.Errorf("a place for what is replayed: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	scratch, err := store.Open(store.Config{Dir: dir})
	if err != nil {
		return err
	}
	return errors.Join(f(scratch), scratch.Close())
}
