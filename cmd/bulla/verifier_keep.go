package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier"
)

// keeping is what a command looks at: a verifier that does not run, by its configuration, or one that does, by its API, which
// may be that of a dev network.
type keeping struct {
	*verifierFlags
	config string
}

func (f *keeping) flag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&f.config, "config", "", "configuration of a verifier that is not running, instead of one that is asked")
	return cmd
}

// stopped opens what a verifier keeps that does not run, for as long as use takes.
func (f *keeping) stopped(use func(*office.Kept) error) error {
	if f.api.url != "" {
		return errors.New("give --config for a verifier that is not running, or --url for one that is")
	}
	cfg, err := office.ReadVerifierConfig(f.config)
	if err != nil {
		return err
	}
	k, err := office.OpenKept(cfg)
	if err != nil {
		return err
	}
	return errors.Join(use(k), k.Close())
}

// call asks a verifier that runs.
func (f *keeping) call(ctx context.Context, method, path string, body, answer any) error {
	access, err := f.access(ctx)
	if err != nil {
		return err
	}
	return advised(webapi.Call(ctx, method, access.URL+path, access.Token, body, answer))
}

func (f *keeping) access(ctx context.Context) (demo.Access, error) {
	if access, ok, err := f.api.direct(); ok || err != nil {
		return access, err
	}
	did, err := f.did()
	if err != nil {
		return demo.Access{}, err
	}
	return f.api.development(ctx, did, demo.Grant{Client: commandClient, Lifetime: counterLifetime, Scopes: verifier.KeeperScopes}, demo.CounterAccess)
}

func (f *keeping) scopes(ctx context.Context) (list []verifier.CountedScope, err error) {
	if f.config != "" {
		err = f.stopped(func(k *office.Kept) error { list, err = k.Scopes(); return err })
		return list, err
	}
	var answer struct {
		Scopes []verifier.CountedScope `json:"scopes"`
	}
	err = f.call(ctx, http.MethodGet, "/v1/scopes", nil, &answer)
	return answer.Scopes, err
}

func verifierScopesCommand(v *verifierFlags) *cobra.Command {
	f := &keeping{verifierFlags: v}
	return f.flag(&cobra.Command{
		Use:   "scopes",
		Short: "List the scopes that a verifier counts under",
		Long: `Lists each scope that policies count under, once per person or thing: by its name in policies, whether it is open, and how many tags
are kept under it. With --url the token in ` + tokenVariable + ` needs the scope ` + verifier.ScopeScopes + `.`,
		Example: `  bulla verifier scopes --config city/verifier.json
  bulla verifier scopes --url https://verify.example --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := f.scopes(cmd.Context())
			if err != nil {
				return err
			}
			return printed(cmd, list, func(out io.Writer) { printScopes(out, list) })
		},
	})
}

// scopeTitle is what people call a scope.
func scopeTitle(s *verifier.CountedScope) string {
	switch {
	case s.Service != "":
		return s.Service
	case s.Shared != nil:
		return strconv.FormatInt(*s.Shared, 10)
	}
	return s.ID.String()
}

func printScopes(out io.Writer, list []verifier.CountedScope) {
	for _, s := range list {
		state := "open"
		if s.Closed != nil {
			state = fmt.Sprintf("closed %s (%s)", s.Closed.At.Time().Local().Format(time.DateTime), s.Closed.Why)
		}
		fmt.Fprintf(out, "%s  %s, %d tags\n    policies: %s\n    %s\n", scopeTitle(&s), state, s.Tags, strings.Join(s.Policies, ", "), s.ID)
	}
	if len(list) == 0 {
		fmt.Fprintln(out, "Nothing is counted here.")
	}
}

// chosen is the one scope that a name means: a service, the entry of a shared scope, or an id.
func chosen(list []verifier.CountedScope, name string) (*verifier.CountedScope, error) {
	var found []verifier.CountedScope
	for _, s := range list {
		if name == s.ID.String() || name == s.Service || s.Shared != nil && name == strconv.FormatInt(*s.Shared, 10) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("nothing counts under a scope %.100q: bulla verifier scopes lists what does", name)
	case 1:
		return &found[0], nil
	}
	return nil, fmt.Errorf("%d scopes are called %.100q: give the id that bulla verifier scopes prints", len(found), name)
}

func verifierCloseScopeCommand(v *verifierFlags) *cobra.Command {
	f := &keeping{verifierFlags: v}
	var yes bool
	cmd := f.flag(&cobra.Command{
		Use:   "close-scope SCOPE",
		Short: "Close a scope for good, and drop its tags",
		Long: `Closes a scope that policies count under, named as bulla verifier scopes prints it. There is no way back: nobody is asked and nothing is
taken under it any more, by any policy, and who was there is forgotten. Whoever wants to count again takes another name, and
everybody is new there. With --url the token in ` + tokenVariable + ` needs the scopes ` + verifier.ScopeScopes + ` and ` + verifier.ScopeClose + `.`,
		Example: `  bulla verifier close-scope subsidy-2026 --config city/verifier.json
  bulla verifier close-scope subsidy-2026 --url https://verify.example`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := f.scopes(cmd.Context())
			if err != nil {
				return err
			}
			scope, err := chosen(list, args[0])
			if err != nil {
				return err
			}
			question := fmt.Sprintf("Close %s (policies: %s; %d tags) for good? Type yes: ", scopeTitle(scope), strings.Join(scope.Policies, ", "), scope.Tags)
			if err := agreed(cmd, question, yes); err != nil {
				return err
			}
			closed, err := f.close(cmd.Context(), scope)
			if err != nil {
				return err
			}
			return printed(cmd, closed, func(out io.Writer) {
				fmt.Fprintf(out, "%s is closed. Its tags are dropped in time.\n", scopeTitle(closed))
			})
		},
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "close it without being asked")
	return cmd
}

func (f *keeping) close(ctx context.Context, s *verifier.CountedScope) (closed *verifier.CountedScope, err error) {
	if f.config != "" {
		err = f.stopped(func(k *office.Kept) error { closed, err = k.CloseScope(s.ID); return err })
		return closed, err
	}
	closed = new(verifier.CountedScope)
	return closed, f.call(ctx, http.MethodPost, "/v1/scopes/close", map[string]any{"scope": s.ID}, closed)
}

// agreed asks before what cannot be undone, unless --yes said so.
func agreed(cmd *cobra.Command, question string, yes bool) error {
	if yes {
		return nil
	}
	yes, err := typedYes(cmd, wordsOf["en"], question)
	if errors.Is(err, errNoTerminal) {
		return fmt.Errorf("%w: give --yes to go on", err)
	}
	if err == nil && !yes {
		err = errors.New("nothing was done")
	}
	return err
}

func verifierBackupCommand(v *verifierFlags) *cobra.Command {
	f := &keeping{verifierFlags: v}
	return f.flag(&cobra.Command{
		Use:   "backup [DIR]",
		Short: "Copy a verifier's store, while it runs or not",
		Long: `Copies the store of a verifier that is not running to the folder DIR, which must not exist. One that runs (--url) makes the copy
itself, in the folder "backups" of its configuration; the token in ` + tokenVariable + ` needs the scope ` + verifier.ScopeBackups + `.

Move copies to another disk, never together with the register. A copy has results, and who was there, as the store has them.
Put back, it has forgotten the tags used since: the verifier then refuses to start, and bulla verifier restored says what it takes
to go on.`,
		Example: `  bulla verifier backup /mnt/backup/city-2026-11-27 --config city/verifier.json
  bulla verifier backup --url https://verify.example`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (f.config != "") != (len(args) == 1) {
				return errors.New("give DIR with --config, and none for a verifier that runs, which has a folder for its copies")
			}
			made := verifier.Copied{}
			if f.config == "" {
				if err := f.call(cmd.Context(), http.MethodPost, "/v1/backups", nil, &made); err != nil {
					return err
				}
			} else {
				if err := absent(args[0]); err != nil {
					return err
				}
				dir, err := filepath.Abs(args[0])
				if err != nil {
					return err
				}
				if err := f.stopped(func(k *office.Kept) error { return k.Backup(dir) }); err != nil {
					return err
				}
				made.Name = args[0]
			}
			return printed(cmd, made, func(out io.Writer) { fmt.Fprintf(out, "Wrote a copy of the store: %s\n", made.Name) })
		},
	})
}

func verifierRestoredCommand() *cobra.Command {
	var config string
	var services []string
	var yes bool
	cmd := &cobra.Command{
		Use:   "restored",
		Short: "Go on with an older copy of a verifier's store, with its scopes closed",
		Long: `For a verifier that refuses to start as its store is older than its register, or one of the two is lost, and the newest is not to be
found. A scope whose used tags may be forgotten could be used twice: so every scope of the configured policies and of the store is closed for
good, and the store gets a new register. Policies that count nothing go on. Name with --service what policies that are neither
configured nor known to the copy counted under: bulla verifier scopes listed it.`,
		Example: `  bulla verifier restored --config city/verifier.json
  bulla verifier restored --config city/verifier.json --service subsidy-2025`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := office.ReadVerifierConfig(config)
			if err != nil {
				return err
			}
			if err := agreed(cmd, "Close every scope that the verifier counts under, for good? Type yes: ", yes); err != nil {
				return err
			}
			closed, err := office.GoOn(cfg, services...)
			if err != nil {
				return err
			}
			return printed(cmd, closed, func(out io.Writer) {
				for i := range closed {
					fmt.Fprintf(out, "%s is closed.\n", scopeTitle(&closed[i]))
				}
				fmt.Fprintf(out, "The verifier can start. %d scopes were closed; register policies under services of other names to count again.\n", len(closed))
			})
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "configuration of the verifier, which is not running")
	cmd.Flags().StringSliceVar(&services, "service", nil, "another service to close; may be given several times")
	cmd.Flags().BoolVar(&yes, "yes", false, "close them without being asked")
	return required(cmd, "config")
}

// logOutput is what bulla verifier log prints as JSON.
type logOutput struct {
	Entries []verifier.LogEntry `json:"entries"`
	Counts  []verifier.LogCount `json:"counts"`
}

// maxLogOutput bounds the entries that one call of the command reads.
const maxLogOutput = 1_000_000

func verifierLogCommand(v *verifierFlags) *cobra.Command {
	f := &keeping{verifierFlags: v}
	var since string
	var entries bool
	cmd := f.flag(&cobra.Command{
		Use:   "log",
		Short: "Read the log of sessions, which has no personal data",
		Long: `Counts the sessions that ended, by day, policy, state and the check that refused; --entries prints each entry, --json both. The log
says nothing of persons. With --url the token in ` + tokenVariable + ` needs the scope ` + verifier.ScopeLog + `, and sees the sessions of its own
client; with ` + verifier.ScopeLogAll + ` besides it sees everything, purges and closed scopes too.`,
		Example: `  bulla verifier log --config city/verifier.json --since 2026-11-01
  bulla verifier log --url https://verify.example --json | jq .counts`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := verifier.LogQuery{All: true, Limit: verifier.MaxLogPage}
			if since != "" {
				day, err := time.Parse(time.DateOnly, since)
				if err != nil || day.Unix() < 0 {
					return fmt.Errorf("--since %.50q is not a day such as 2026-11-27", since)
				}
				q.Since = credential.UnixTimeOf(day)
			}
			list, err := f.log(cmd.Context(), q)
			if err != nil {
				return err
			}
			o := logOutput{Entries: list, Counts: verifier.CountLog(list)}
			return printed(cmd, o, func(out io.Writer) { printLog(out, o, entries) })
		},
	})
	cmd.Flags().StringVar(&since, "since", "", "first day, in UTC (default: all that is kept)")
	cmd.Flags().BoolVar(&entries, "entries", false, "print each entry")
	return cmd
}

// log reads all pages.
func (f *keeping) log(ctx context.Context, q verifier.LogQuery) (list []verifier.LogEntry, err error) {
	list = []verifier.LogEntry{}
	if f.config != "" {
		err = f.stopped(func(k *office.Kept) error {
			list, err = pages(q, k.Log)
			return err
		})
		return list, err
	}
	return pages(q, func(q verifier.LogQuery) (*verifier.LogPage, error) {
		parameters := url.Values{"since": {strconv.FormatUint(uint64(q.Since), 10)}, "limit": {strconv.Itoa(q.Limit)}}
		if q.After != "" {
			parameters.Set("after", q.After)
		}
		page := new(verifier.LogPage)
		return page, f.call(ctx, http.MethodGet, "/v1/log?"+parameters.Encode(), nil, page)
	})
}

func pages(q verifier.LogQuery, read func(verifier.LogQuery) (*verifier.LogPage, error)) (list []verifier.LogEntry, err error) {
	list = []verifier.LogEntry{}
	for {
		page, err := read(q)
		if err != nil {
			return nil, err
		}
		list = append(list, page.Entries...)
		if len(list) > maxLogOutput {
			return nil, fmt.Errorf("more than %d entries: give a later day with --since", maxLogOutput)
		}
		if page.Next == "" || page.Next == q.After {
			return list, nil
		}
		q.After = page.Next
	}
}

func printLog(out io.Writer, o logOutput, entries bool) {
	for _, c := range o.Counts {
		fmt.Fprintf(out, "%s  %s  %s %s  %d\n", c.Day, c.Policy, c.State, c.Code, c.Sessions)
	}
	if !entries {
		return
	}
	for _, e := range o.Entries {
		at := e.At.Time().UTC().Format(time.RFC3339)
		switch e.Kind {
		case verifier.SessionEnded:
			fmt.Fprintf(out, "%s  session  %s  %s  %s %s, %d refused\n", at, e.Client, e.Policy, e.State, e.Code, e.Attempts)
		case verifier.RowsWerePurged:
			fmt.Fprintf(out, "%s  purge  %d sessions, %d tags, %d entries of this log\n", at, e.Sessions, e.Tags, e.Entries)
		case verifier.ScopeWasClosed:
			fmt.Fprintf(out, "%s  scope closed (%s)  %s  %s\n", at, e.Why, e.Service, e.Scope)
		case verifier.StoreWasRestored:
			fmt.Fprintf(out, "%s  restored, %d scopes closed\n", at, e.Scopes)
		}
	}
}
