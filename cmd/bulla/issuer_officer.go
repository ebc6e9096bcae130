package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/issuer"
)

func officerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "officer",
		Short: "Let officers into an agency's console",
		Long: `Makes links for people who work at an agency's console, with the agency's key store and while the agency runs: an invitation for
somebody new, or a link that signs an officer in once. Further officers are invited in the console, by an administrator.

Whoever has the key store and its passphrase can be any officer. The roles: ` + strings.Join(slices.Sorted(maps.Keys(issuer.Roles)), ", ") + `.`,
		Example: `  bulla issuer officer invite --config land/issuer.json --id wang --name "Wang Fang" --role administrator
  bulla issuer officer link --config land/issuer.json --id wang`,
	}
	cmd.AddCommand(officerInviteCommand(), officerLinkCommand())
	return cmd
}

// officerFlags say whom a link is for, and where the key is that makes it.
type officerFlags struct {
	data, agency, config string
	whom                 officers.Officer
}

func (f *officerFlags) register(cmd *cobra.Command, needed ...string) *cobra.Command {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "config", "", "the agency's configuration, as bulla serve has it")
	flags.StringVar(&f.data, "data", "data", "folder of a dev network, if there is no --config")
	flags.StringVar(&f.agency, "agency", "", "which one of a dev network: civil, land or health, or a DID")
	flags.StringVar(&f.whom.ID, "id", "", "the officer's id: small letters, digits and ._-; it stays with them in the audit log")
	flags.StringVar(&f.whom.Name, "name", "", "the officer's name")
	flags.StringSliceVar(&f.whom.Roles, "role", nil, "what the officer may do; may be given several times")
	return required(cmd, needed...)
}

func (f *officerFlags) links(cmd *cobra.Command) (links officers.Links, err error) {
	if (f.config == "") == (f.agency == "") {
		return links, errors.New("give either --config of an agency, or --agency of a dev network")
	}
	if f.config != "" {
		cfg, err := office.ReadIssuerConfig(f.config)
		if err != nil {
			return links, err
		}
		secret, err := passphrase(cmd)
		if err != nil {
			return links, err
		}
		return office.OfficerLinks(cfg, secret)
	}
	did, err := demo.AgencyNamed(f.agency)
	if err != nil {
		return links, err
	}
	if err := exists(filepath.Join(f.data, demo.ProfileFile)); err != nil {
		return links, fmt.Errorf("%w: give the folder of a dev network with --data", err)
	}
	secret, err := knownPassphrase(f.data)
	if err != nil {
		return links, err
	}
	links, err = demo.OfficerLinks(cmd.Context(), f.data, secret, did)
	return links, advised(err)
}

// madeLink is a link with how long it is good for.
type madeLink struct {
	Link      string `json:"link"`
	Officer   string `json:"officer"`
	ExpiresIn int    `json:"expires_in"` // seconds
}

func (f *officerFlags) print(cmd *cobra.Command, make func(officers.Links) (string, error), lifetime time.Duration) error {
	links, err := f.links(cmd)
	if err != nil {
		return err
	}
	link, err := make(links)
	if err != nil {
		return err
	}
	made := madeLink{link, f.whom.ID, int(lifetime / time.Second)}
	return printed(cmd, made, func(out io.Writer) { fmt.Fprintln(out, made.Link) })
}

func officerInviteCommand() *cobra.Command {
	f := new(officerFlags)
	return f.register(&cobra.Command{
		Use:   "invite",
		Short: "Print a link with which somebody joins a console",
		Long: `Prints a link that is good for a day, once: who opens it makes a passkey and is an officer from then on, with the name and roles
given here. What the console's own page of officers says of them already counts more.`,
		Example: `  bulla issuer officer invite --config land/issuer.json --id wang --name "Wang Fang" --role administrator`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.whom.Validate(issuer.Roles); err != nil {
				return err
			}
			return f.print(cmd, func(l officers.Links) (string, error) { return l.Invitation(f.whom) }, officers.InvitationLifetime)
		},
	}, "id", "name", "role")
}

func officerLinkCommand() *cobra.Command {
	f := new(officerFlags)
	return f.register(&cobra.Command{
		Use:   "link",
		Short: "Print a link that signs an officer in, once",
		Long: `Prints a link that is good for ten minutes, once, and needs no passkey: for an officer who lost theirs, or on a dev network. Who is
not known to the console yet joins by it, if --name and --role are given.`,
		Example: `  bulla issuer officer link --config land/issuer.json --id wang
  bulla issuer officer link --agency land --id chen --name "Chen Jie" --role clerk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := officers.ValidateID(f.whom.ID)
			if f.whom.Name != "" || len(f.whom.Roles) > 0 {
				err = f.whom.Validate(issuer.Roles)
			}
			if err != nil {
				return err
			}
			return f.print(cmd, func(l officers.Links) (string, error) { return l.SignIn(f.whom) }, officers.LinkLifetime)
		},
	}, "id")
}
