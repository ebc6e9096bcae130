package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/verifier"
)

func verifierSessionsCommand(f *verifierFlags) *cobra.Command {
	var list verifier.List
	var state string
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the sessions that you started",
		Long: `Prints the sessions of the application that the access token is of, the newest first, as long as the verifier keeps them. Results are
not among them: bulla verifier status has one.`,
		Example: `  bulla verifier sessions
  bulla verifier sessions --state verified --policy residency --json | jq -r '.sessions[].id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			list.State = verifier.State(state)
			page, err := c.Sessions(cmd.Context(), list)
			if err != nil {
				return advised(err)
			}
			return printed(cmd, page, func(out io.Writer) {
				var t table
				for _, s := range page.Sessions {
					t.row(s.ID, s.Policy, string(s.State), s.StartedAt.Time().Local().Format(time.DateTime))
				}
				t.print(out)
				if page.Next != "" {
					fmt.Fprintf(out, "More: bulla verifier sessions --after %s%s\n", page.Next, f.again())
				}
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&state, "state", "", "only those in a state, such as created or verified")
	flags.StringVar(&list.Policy, "policy", "", "only those of a policy")
	flags.StringVar(&list.After, "after", "", "go on behind the page that said so")
	flags.IntVar(&list.Limit, "limit", 50, "how many, 1 to 200")
	return cmd
}

func verifierCancelCommand(f *verifierFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel SESSION",
		Short:   "End a session before it is answered",
		Long:    `Ends a session that you started: no wallet can answer it any more. One that has ended in another way stays as it is.`,
		Example: `  bulla verifier cancel SESSION`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			status, err := c.Cancel(cmd.Context(), args[0])
			if err != nil {
				return advised(err)
			}
			s := sessionStatus{Status: status}
			return printed(cmd, s, func(out io.Writer) { f.printStatus(out, s) })
		},
	}
}
