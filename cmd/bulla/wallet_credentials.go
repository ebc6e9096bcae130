package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/wallet"
)

func walletReceiveCommand(f *walletFlags) *cobra.Command {
	var txCode string
	cmd := &cobra.Command{
		Use:   "receive LINK",
		Short: "Receive the credential that an agency offers",
		Long: `Asks the agency for the credential of an offer, checks that the chain confirms it, and keeps it. If it breaks off, call it
again with the same link, or bulla wallet resume.`,
		Example: `  bulla wallet receive 'openid-credential-offer://?credential_offer=…'
  bulla wallet receive --tx-code 123456 'openid-credential-offer://?credential_offer=…'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			summary, err := o.Receive(wallet.WithProgress(cmd.Context(), o.progress()), args[0], txCode)
			if err != nil {
				return f.toCitizen(err)
			}
			return o.print(summary, func(out io.Writer) {
				fmt.Fprintf(out, o.words.received+"\n", summary.Title.In(o.language))
				o.printCredential(out, summary)
			})
		},
	}
	cmd.Flags().StringVar(&txCode, "tx-code", "", "the code that the agency gave you beside the link, if it did")
	return cmd
}

func walletListCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the credentials, as last seen",
		Long:    "Lists the credentials in the wallet with the state in which they were last seen. It asks nobody; bulla wallet sync does.",
		Example: "  bulla wallet list\n  bulla wallet list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			return o.printList(o.Credentials())
		},
	}
}

func walletSyncCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "sync",
		Short: "Look up on the chain where the credentials stand",
		Long: `Reads the newest seal and finds out whether the credentials are live. It fetches whole groups of 4,096 leaves, so the
ledger's host learns the group and not the credential.`,
		Example: `  bulla wallet sync`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			summaries, err := o.Sync(wallet.WithProgress(cmd.Context(), o.progress()))
			if err != nil {
				return f.toCitizen(err)
			}
			return o.printList(summaries)
		},
	}
}

func walletShowCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show what is in a credential",
		Long:    "Shows the claims of one credential. They are yours: a verifier sees only what you agree to show.",
		Example: "  bulla wallet show 1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			summary, err := o.find(args[0])
			if err != nil {
				return err
			}
			return o.print(summary, func(out io.Writer) { o.printCredential(out, summary) })
		},
	}
}

func walletResumeCommand(f *walletFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "resume",
		Short:   "Take up receiving that broke off",
		Long:    "Asks again for each credential that was being received when something failed, if the agency had taken the offer's code already.",
		Example: "  bulla wallet resume",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			got, err := o.Resume(wallet.WithProgress(cmd.Context(), o.progress()))
			if got == nil {
				got = []wallet.Summary{}
			}
			printErr := o.print(got, func(out io.Writer) {
				if len(got) == 0 && err == nil {
					fmt.Fprintln(out, o.words.nothingToResume)
				}
				for i := range got {
					fmt.Fprintf(out, o.words.received+"\n", got[i].Title.In(o.language))
				}
			})
			return errors.Join(f.toCitizen(err), printErr)
		},
	}
}

func walletRemoveCommand(f *walletFlags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Forget a credential",
		Long: `Removes a credential from the wallet for good, after asking. The chain keeps its commitment; only the agency can revoke
it.`,
		Example: `  bulla wallet remove 3`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.open(cmd)
			if err != nil {
				return err
			}
			summary, err := o.find(args[0])
			if err != nil {
				return err
			}
			if !yes {
				switch agreed, err := typedYes(cmd, o.words, fmt.Sprintf(o.words.askRemove, summary.ID, summary.Title.In(o.language))); {
				case errors.Is(err, errNoTerminal):
					return fmt.Errorf("%w: give --yes to remove the credential", err)
				case err != nil:
					return err
				case !agreed:
					return errors.New("nothing was removed")
				}
			}
			if err := o.Remove(summary.ID); err != nil {
				return f.toCitizen(err)
			}
			return o.print(map[string]any{"id": summary.ID, "removed": true}, func(out io.Writer) {
				fmt.Fprintf(out, o.words.removed+"\n", summary.ID)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// find is a credential of the wallet by its id.
func (o *openWallet) find(id string) (*wallet.Summary, error) {
	list := o.Credentials()
	i := slices.IndexFunc(list, func(s wallet.Summary) bool { return s.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("the wallet has no credential %q: bulla wallet list shows them", id)
	}
	return &list[i], nil
}

func (o *openWallet) printList(list []wallet.Summary) error {
	return o.print(list, func(out io.Writer) {
		if len(list) == 0 {
			fmt.Fprintln(out, o.words.nothingHere)
			return
		}
		var t table
		for _, s := range list {
			t.row(s.ID, s.Title.In(o.language), o.words.states[s.State], fmt.Sprintf(o.words.stillValid, s.ValidUntil), o.issuerName(&s))
		}
		t.print(out)
	})
}

func (o *openWallet) printCredential(out io.Writer, s *wallet.Summary) {
	w := o.words
	fmt.Fprintf(out, "%s  %s\n", s.ID, s.Title.In(o.language))
	var t table
	for _, c := range s.Claims {
		t.row("  "+c.Title.In(o.language), c.Label.In(o.language))
	}
	t.row("  "+w.issuer, o.issuerName(s))
	t.row("  "+w.validity, s.ValidFrom+" – "+s.ValidUntil)
	t.row("  "+w.state, w.states[s.State]+" ("+fmt.Sprintf(w.checked, s.Checked.Time().Local().Format(time.DateTime))+")")
	t.row("  "+w.leaf, fmt.Sprint(s.Leaf))
	t.print(out)
}

// issuerName is what the issuer is called on the chain: as of the last look, or when the credential was received.
func (o *openWallet) issuerName(s *wallet.Summary) string {
	if name := s.IssuerName.In(o.language); name != s.Issuer {
		return name
	}
	for _, e := range o.History() {
		if e.Kind == wallet.EventReceived && e.Party == s.Issuer {
			return e.Name.In(o.language)
		}
	}
	return s.Issuer
}
