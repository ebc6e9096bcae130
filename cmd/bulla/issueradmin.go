package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/issuer"
)

// agencyFlags say which agency is meant, and how to reach its admin API.
type agencyFlags struct {
	api  apiFlags
	name string
}

// issuerAdminCommands are what a clerk does.
func issuerAdminCommands() []*cobra.Command {
	return []*cobra.Command{
		offerCommand(), offerCompanionCommand(), importCommand(), issuerListCommand(), issuerShowCommand(),
		changeCommand("suspend", "Suspend a credential until it is reinstated", `  bulla issuer suspend --agency civil ID --reason "lost"`),
		changeCommand("reinstate", "Reinstate a suspended credential", `  bulla issuer reinstate --agency civil ID --reason "found again"`),
		changeCommand("revoke", "Revoke a credential for good", `  bulla issuer revoke --agency land ID --reason "sold"`),
		verifyAuditCommand(), issuerTokenCommand(), officerCommand(),
	}
}

func (f *agencyFlags) register(cmd *cobra.Command) *cobra.Command {
	f.api.register(cmd, "agency")
	cmd.Flags().StringVar(&f.name, "agency", "", "which one of a dev network: civil, land or health, or a DID")
	return cmd
}

// did is the agency that --agency names.
func (f *agencyFlags) did() (string, error) {
	if f.name == "" {
		return "", errors.New("say which agency with --agency civil, land or health, or name an API with --url and --token")
	}
	return demo.AgencyNamed(f.name)
}

// clerkLifetime is how long a token that a command makes for itself is good for.
const clerkLifetime = 5 * time.Minute

// clerk is one at the agency who may do what the scopes say.
func (f *agencyFlags) clerk(ctx context.Context, scopes ...string) (*demo.Clerk, error) {
	if access, ok, err := f.api.direct(); ok || err != nil {
		return &demo.Clerk{Access: access}, err
	}
	did, err := f.did()
	if err != nil {
		return nil, err
	}
	access, err := f.api.development(ctx, did, demo.Grant{Client: commandClient, Scopes: scopes, Lifetime: clerkLifetime}, demo.ClerkAccess)
	return &demo.Clerk{Access: access}, err
}

func issuerListCommand() *cobra.Command {
	f := new(agencyFlags)
	var query issuer.List
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what an agency issued, oldest first",
		Long:  "Lists one page of an agency's credentials, of all persons or of one. If there are more, the last line says how to go on.",
		Example: `  bulla issuer list --agency civil
  bulla issuer list --agency land --person somebody`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.clerk(cmd.Context(), issuer.ScopeCredentials)
			if err != nil {
				return err
			}
			page, err := c.Credentials(cmd.Context(), query)
			if err != nil {
				return advised(err)
			}
			return printed(cmd, page, func(out io.Writer) { printPage(out, page) })
		},
	}
	cmd.Flags().StringVar(&query.Person, "person", "", "of this person only")
	cmd.Flags().StringVar(&query.After, "after", "", "go on after the credential with this id")
	cmd.Flags().IntVar(&query.Limit, "limit", 50, fmt.Sprintf("how many, at most %d", issuer.MaxPage))
	return f.register(cmd)
}

func printPage(out io.Writer, page demo.CredentialPage) {
	if len(page.Credentials) == 0 {
		fmt.Fprintln(out, "The agency has issued nothing of that kind.")
		return
	}
	var t table
	for _, c := range page.Credentials {
		t.row(c.ID, string(c.Status), c.Schema, c.Person, "until "+c.ValidUntil)
	}
	t.print(out)
	if page.Next != "" {
		fmt.Fprintf(out, "There are more: --after %s\n", page.Next)
	}
}

func issuerShowCommand() *cobra.Command {
	f := new(agencyFlags)
	return f.register(&cobra.Command{
		Use:     "show ID",
		Short:   "Show one credential with its history",
		Long:    "Shows what an agency knows of one of its credentials. It does not know when or where the credential was shown.",
		Example: "  bulla issuer show --agency civil ID",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.clerk(cmd.Context(), issuer.ScopeCredentials)
			if err != nil {
				return err
			}
			found, err := c.Credential(cmd.Context(), args[0])
			if err != nil {
				return advised(err)
			}
			return printed(cmd, found, func(out io.Writer) { printIssued(out, found) })
		},
	})
}

func printIssued(out io.Writer, c issuer.Credential) {
	fmt.Fprintf(out, "%s  %s\n", c.ID, c.Status)
	var t table
	t.row("  type", c.Schema)
	t.row("  person", c.Person)
	if c.Subject != "" {
		t.row("  subject", c.Subject)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
		t.row("  "+name, fmt.Sprint(c.Claims[name]))
	}
	t.row("  valid", c.ValidFrom+" – "+c.ValidUntil)
	t.row("  leaf", fmt.Sprint(c.Leaf))
	if c.Companions > 0 {
		t.row("  companions", fmt.Sprint(c.Companions))
	}
	for _, e := range c.History {
		line := fmt.Sprintf("%s, entry %d", e.At, e.Entry)
		if e.Reason != nil {
			line += ": " + strings.TrimSpace(string(e.Reason.Code)+" "+e.Reason.Note)
		}
		t.row("  "+string(e.Kind), line)
	}
	t.print(out)
}

// changeCommand suspends, reinstates or revokes.
func changeCommand(action, short, example string) *cobra.Command {
	f := new(agencyFlags)
	var reason issuer.Reason
	cmd := &cobra.Command{
		Use:   action + " ID",
		Short: short,
		Long: short + `, and wait until the chain has sealed that. From then on it takes effect at a verifier within the freshness of its
policy. The reason stays with the agency.`,
		Example: example,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.clerk(cmd.Context(), issuer.ScopeRevoke)
			if err != nil {
				return err
			}
			changed, err := c.Change(cmd.Context(), args[0], action, reason)
			if err != nil {
				return advised(err)
			}
			return printed(cmd, changed, func(out io.Writer) { fmt.Fprintf(out, "%s is %s\n", changed.ID, changed.Status) })
		},
	}
	var codes []string
	for _, code := range issuer.ReasonCodes {
		codes = append(codes, string(code))
	}
	cmd.Flags().StringVar((*string)(&reason.Code), "code", string(issuer.ReasonOther), "why: "+strings.Join(codes, ", "))
	cmd.Flags().StringVar(&reason.Note, "reason", "", "why, in words for the agency's own records")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag stands one line above
	}
	return f.register(cmd)
}

// issuedToken is an access token with what it is good for.
type issuedToken struct {
	URL       string   `json:"url"`
	Token     string   `json:"token"`
	Client    string   `json:"client"`
	Scopes    []string `json:"scopes"`
	ExpiresIn int      `json:"expires_in"` // seconds
}

// maxTokenLifetime bounds what issuer token makes: a dev network's token that outlives its purpose helps nobody.
const maxTokenLifetime = 24 * time.Hour

func issuerTokenCommand() *cobra.Command {
	f := new(agencyFlags)
	g := demo.Grant{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print an access token for an agency's admin API",
		Long: `Makes an access token (RFC 9068) for the admin API of an agency of the dev network in the data folder and prints it alone.
Whoever has it may do what its scopes say until it ends. The scopes: ` + strings.Join(issuer.Scopes, ", ") + `.`,
		Example: `  bulla issuer token --agency civil
  BULLA_TOKEN=$(bulla issuer token --agency civil --scope issuer:credentials.read) bulla issuer list --url http://127.0.0.1:8702`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.api.url != "" || f.api.token != "" {
				return errors.New("tokens are made with the key store of a dev network: give its folder with --data, not --url or --token")
			}
			if g.Lifetime <= 0 || g.Lifetime > maxTokenLifetime {
				return fmt.Errorf("--lifetime %s: want more than 0 and at most %s", g.Lifetime, maxTokenLifetime)
			}
			for _, scope := range g.Scopes {
				if !slices.Contains(issuer.Scopes, scope) {
					return fmt.Errorf("--scope %q: choose among %s", scope, strings.Join(issuer.Scopes, ", "))
				}
			}
			did, err := f.did()
			if err != nil {
				return err
			}
			access, err := f.api.development(cmd.Context(), did, g, demo.ClerkAccess)
			if err != nil {
				return err
			}
			t := issuedToken{access.URL, access.Token, access.Client, g.Scopes, int(g.Lifetime / time.Second)}
			return printed(cmd, t, func(out io.Writer) { fmt.Fprintln(out, t.Token) })
		},
	}
	cmd.Flags().StringSliceVar(&g.Scopes, "scope", issuer.Scopes, "what the token may do; may be given several times")
	cmd.Flags().DurationVar(&g.Lifetime, "lifetime", time.Hour, "how long it is good for")
	cmd.Flags().StringVar(&g.Client, "client", commandClient, "for whom it is, as the agency's log will say")
	return f.register(cmd)
}
