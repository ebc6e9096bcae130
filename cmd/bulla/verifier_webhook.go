package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/verifier"
)

func verifierWebhookCommand(f *verifierFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Say where the ends of your sessions are announced",
		Long: `A webhook is an address that the verifier posts to when a session of yours has ended: Standard Webhooks 1.0, signed under a secret that
is shown when it is made. Messages name the session, its policy and its state, and nobody. The token needs the scope
` + verifier.ScopeWebhooks + `. More can be done over the API: doc/spec/verifier.md.`,
		Example: `  bulla verifier webhook add https://app.city.example/bulla
  bulla verifier webhook list`,
	}
	cmd.AddCommand(webhookAddCommand(f), webhookListCommand(f), webhookSecretCommand(f), webhookLogCommand(f), webhookRemoveCommand(f))
	return cmd
}

func webhookAddCommand(f *verifierFlags) *cobra.Command {
	var types []string
	cmd := &cobra.Command{
		Use:     "add URL",
		Short:   "Announce the ends of sessions at an address",
		Long:    `Prints the webhook's id and its secret, which is not shown again. The types of events: ` + strings.Join(verifier.EventTypes(), ", ") + `.`,
		Example: `  bulla verifier webhook add https://app.city.example/bulla --type session.verified --type session.ended`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			made, err := c.AddWebhook(cmd.Context(), args[0], types)
			if err != nil {
				return advised(err)
			}
			return printed(cmd, made, func(out io.Writer) { fmt.Fprintf(out, "webhook  %s\nsecret   %s\n", made.ID, made.Secret) })
		},
	}
	cmd.Flags().StringSliceVar(&types, "type", nil, "a type of events that are sent there; may be given several times (default: all)")
	return cmd
}

func webhookListCommand(f *verifierFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List your webhooks",
		Long:    "Prints id, address, types of events and whether it is disabled, a line each.",
		Example: `  bulla verifier webhook list`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			list, err := c.Webhooks(cmd.Context())
			if err != nil {
				return advised(err)
			}
			return printed(cmd, list, func(out io.Writer) {
				for _, hook := range list.Webhooks {
					printWebhook(out, hook)
				}
			})
		},
	}
}

func printWebhook(out io.Writer, hook outbox.Webhook) {
	types, disabled := "all", ""
	if len(hook.Types) > 0 {
		types = strings.Join(hook.Types, ",")
	}
	if hook.Disabled {
		disabled = "  disabled"
	}
	fmt.Fprintf(out, "%s  %s  %s%s\n", hook.ID, hook.URL, types, disabled)
}

func webhookSecretCommand(f *verifierFlags) *cobra.Command {
	var retire bool
	cmd := &cobra.Command{
		Use:   "secret ID",
		Short: "Exchange the secret of a webhook",
		Long: `Makes another secret and prints it. Messages are signed under both until --retire ends that for the old one: give the new one to the
receiver first. Asked again before that, it replaces the new secret and keeps the old one.`,
		Example: `  bulla verifier webhook secret ID
  bulla verifier webhook secret ID --retire`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			if retire {
				return advised(c.RetireWebhookSecret(cmd.Context(), args[0]))
			}
			made, err := c.RotateWebhookSecret(cmd.Context(), args[0])
			if err != nil {
				return advised(err)
			}
			return printed(cmd, made, func(out io.Writer) { fmt.Fprintln(out, made.Secret) })
		},
	}
	cmd.Flags().BoolVar(&retire, "retire", false, "sign no longer under the old secret")
	return cmd
}

func webhookLogCommand(f *verifierFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "log ID",
		Short:   "Say what was tried at a webhook, and what was given up",
		Long:    "Prints the last attempts, the newest first, then messages that were given up. What they said is not kept.",
		Example: `  bulla verifier webhook log ID`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			list, err := c.WebhookLog(cmd.Context(), args[0])
			if err != nil {
				return advised(err)
			}
			return printed(cmd, list, func(out io.Writer) {
				for _, a := range list.Attempts {
					fmt.Fprintf(out, "%s  %s  %s  attempt %d  %s %d\n", utc(a.Time), a.ID, a.Type, a.Attempt, a.Code, a.Status)
				}
				for _, d := range list.Dead {
					fmt.Fprintf(out, "%s  %s  %s  given up after %d\n", utc(d.Died), d.ID, d.Type, d.Attempts)
				}
			})
		},
	}
}

func webhookRemoveCommand(f *verifierFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID",
		Short:   "Announce nothing at an address any more, and forget what waits",
		Long:    "Ends a webhook with all that waits for it.",
		Example: `  bulla verifier webhook remove ID`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.counter(cmd.Context())
			if err != nil {
				return err
			}
			return advised(c.RemoveWebhook(cmd.Context(), args[0]))
		},
	}
}

func utc(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
