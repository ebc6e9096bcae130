package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/mirror"
	"github.com/bulla-id/bulla/ledger/store"
)

func ledgerMirrorCommand() *cobra.Command {
	var chain, data, listen, export string
	var every, stall time.Duration
	var once, verbose, explorer bool
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "Keep a checked copy of a chain, serve it, and raise the alarm",
		Long: `Fetches every entry, runs it through the state machine, and serves the same static paths as the ledger from a folder of its
own. The alarm is raised if the log signs two histories, logs an entry that breaks the rules, or stops sealing: in the log, at
/readyz and /status, and by a file below evidence that bulla ledger check-evidence accepts offline. After a fork the mirror goes
on serving what it had. With --once it looks once, and an alarm is an error.`,
		Example: `  bulla ledger mirror --chain chain.json --data mirror --listen 127.0.0.1:8800
  bulla ledger mirror --chain chain.json --data mirror --export /srv/www/ledger --once`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			profile, err := client.ReadProfile(chain)
			if err != nil {
				return err
			}
			logger := newLogger(cmd.ErrOrStderr(), verbose)
			rows, err := store.Open(store.Config{Dir: filepath.Join(data, "store"), Logger: logger})
			if err != nil {
				return err
			}
			m, err := mirror.New(mirror.Config{
				Profile: profile, Store: rows, Memory: client.File(filepath.Join(data, "last-seen")), Evidence: filepath.Join(data, "evidence"),
				Export: export, Every: every, StallAfter: stall, Logger: logger,
			})
			switch {
			case err != nil:
			case once:
				err = mirrorOnce(cmd, m)
			default:
				err = mirrorOn(cmd, m, mirrorAt{listen, profile, explorerFolder(explorer, data), logger})
			}
			return errors.Join(err, rows.Close())
		},
	}
	cmd.Flags().StringVar(&chain, "chain", "data/chain.json", "profile of the chain")
	cmd.Flags().StringVar(&data, "data", "mirror", "folder of the mirror")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8800", "address to serve at; a proxy in front of it adds TLS")
	cmd.Flags().StringVar(&export, "export", "", "folder that gets the static part as files")
	cmd.Flags().DurationVar(&every, "every", 5*time.Second, "time between two looks")
	cmd.Flags().DurationVar(&stall, "stall", 0, "age of the newest seal that is an alarm (default: by the chain's longest pause)")
	cmd.Flags().BoolVar(&explorer, "explorer", false, "serve pages at /explore that show the chain to everybody")
	cmd.Flags().BoolVar(&once, "once", false, "look once and end")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log what happens to standard error")
	return cmd
}

// mirrorOnce looks once. An alarm is an error.
func mirrorOnce(cmd *cobra.Command, m *mirror.Mirror) error {
	err := m.Sync(cmd.Context())
	status := m.Status()
	if printErr := printed(cmd, status, func(out io.Writer) {
		fmt.Fprintf(out, "%d entries, last seal %s\n", status.Entries, status.LastSeal)
	}); printErr != nil {
		return printErr
	}
	if status.Alarm != mirror.Fine {
		err = errors.Join(fmt.Errorf("alarm: %s: %s; evidence: %s", status.Alarm, status.Detail, orNone(status.Evidence)), err)
	}
	return err
}

func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

func explorerFolder(wanted bool, data string) string {
	if !wanted {
		return ""
	}
	return filepath.Join(data, "explorer")
}

// mirrorAt says where a mirror serves, and what beside the copy.
type mirrorAt struct {
	address  string
	profile  client.Profile
	explorer string // folder of its index; empty: none
	logger   *slog.Logger
}

// mirrorOn follows and serves until it is interrupted.
func mirrorOn(cmd *cobra.Command, m *mirror.Mirror, at mirrorAt) (err error) {
	handler, explore := m.Handler(), func(context.Context) error { return nil }
	if at.explorer != "" {
		explorer, openErr := office.ExplorerParts{Dir: at.explorer, Profile: at.profile, From: handler, Logger: at.logger}.Open()
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, explorer.Close()) }()
		handler, explore = explorer.Beside(handler), explorer.Run
	}
	listener, err := webapi.Listen(at.address)
	if err != nil {
		return err
	}
	if err := printed(cmd, map[string]string{"url": "http://" + listener.Addr().String()}, func(out io.Writer) {
		fmt.Fprintf(out, "the mirror serves at http://%s\n", listener.Addr())
	}); err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	running.Go(func() { _ = explore(ctx) }) // it logs what goes wrong
	err = webapi.Serve(ctx, listener, handler)
	stop()
	running.Wait()
	return err
}
