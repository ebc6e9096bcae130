package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/demo"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/cadastre"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
)

// offerFlags say what is offered to whom: one of four kinds.
type offerFlags struct {
	agencyFlags
	district, since    string
	parcel             string
	dcc                string
	application        string
	person, validUntil string
	txCode             bool
}

func offerCommand() *cobra.Command {
	f := new(offerFlags)
	cmd := &cobra.Command{
		Use:   "offer",
		Short: "Offer a credential to a person",
		Long: `Makes an offer and prints the link that the person's wallet receives: residency of a Chinese county-level district, the
title to a parcel of Épinay-sur-Orge, a vaccination from an EU Digital COVID Certificate (in a file laid out like
dgc-testdata, checked with its own signer and clock as check-dcc does), or any application as JSON:

  {"person":"…","schema":"…","claims":{…},"subject":"…","valid_from":"2026-01-01","valid_until":"2027-01-01"}

Whoever has the link is the person: hand it on safely, or ask for a transaction code too.`,
		Example: `  bulla issuer offer --district 110108 --since 2019-03-01 --person somebody
  bulla issuer offer --parcel 91216000AB0026                    (to its holder in the registry)
  bulla issuer offer --parcel 91216000AB0026 --person somebody
  bulla issuer offer --dcc issuer/adapter/dcc/testdata/LT/1.json --person somebody
  bulla issuer offer --application application.json --agency civil --tx-code`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			application, err := f.read(cmd)
			if err != nil {
				return err
			}
			if f.name == "" {
				f.name = agencyFor[application.Schema]
			}
			c, err := f.clerk(cmd.Context(), issuer.ScopeOffers)
			if err != nil {
				return err
			}
			offer, err := c.Offer(cmd.Context(), application)
			if err != nil {
				return advised(err)
			}
			return printed(cmd, offer, func(out io.Writer) { f.print(out, offer) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.district, "district", "", "offer residency of this district, a code of six digits")
	flags.StringVar(&f.since, "since", "", "resident since this date, as in 2019-03-01")
	flags.StringVar(&f.parcel, "parcel", "", "offer the title to this parcel, as in 91216000AB0026")
	flags.StringVar(&f.dcc, "dcc", "", "offer a vaccination from this certificate file")
	flags.StringVar(&f.application, "application", "", "offer what this JSON file says; - is standard input")
	flags.StringVar(&f.person, "person", "", "names the person in the enrolment register, the same at every agency (default for a parcel: its holder)")
	flags.StringVar(&f.validUntil, "valid-until", "", "last day of validity (default: a year from today)")
	flags.BoolVar(&f.txCode, "tx-code", false, "ask the wallet for a code too, which you give to the person another way")
	cmd.MarkFlagsRequiredTogether("district", "since")
	cmd.MarkFlagsMutuallyExclusive("district", "parcel", "dcc", "application")
	cmd.MarkFlagsOneRequired("district", "parcel", "dcc", "application")
	return f.register(cmd)
}

func offerCompanionCommand() *cobra.Command {
	f := new(agencyFlags)
	var txCode bool
	cmd := &cobra.Command{
		Use:   "offer-companion ID",
		Short: "Offer an ordinary credential of the same data, for another wallet",
		Long: `Makes an offer of a companion of an active credential: a dc+sd-jwt for wallets and verifiers that know nothing of the chain, and
prints its link. Its status follows the credential's. Presentations of a companion can be linked with one another and, if a verifier
tells the agency, with the person: offer it where that is known and wanted.

Whoever has the link gets it: hand it on safely, or ask for a transaction code too. Where the credential needs other officers' approval
file an application of the kind companion instead.`,
		Example: `  bulla issuer offer-companion --agency civil ID
  bulla issuer offer-companion --agency land ID --tx-code --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.clerk(cmd.Context(), issuer.ScopeOffers)
			if err != nil {
				return err
			}
			offer, err := c.OfferCompanion(cmd.Context(), args[0], txCode)
			if err != nil {
				return advised(err)
			}
			return printed(cmd, offer, func(out io.Writer) {
				fmt.Fprintf(out, "Until %s another wallet receives it with this link:\n\n  %s\n", offer.ExpiresAt.Time().Local().Format(time.TimeOnly), offer.Link)
				if offer.TxCode != "" {
					fmt.Fprintf(out, "\nIt asks for the code %s.\n", offer.TxCode)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&txCode, "tx-code", false, "ask the wallet for a code too, which you give to the person another way")
	return f.register(cmd)
}

// agencyFor is the dev network's agency for each kind of credential.
var agencyFor = map[string]string{divisions.ResidenceType: "civil", cadastre.TitleType: "land", dcc.VaccinationType: "health"}

// maxApplication bounds an application in a file, in bytes.
const maxApplication = 64 << 10

// read makes the application that the flags ask for.
func (f *offerFlags) read(cmd *cobra.Command) (a issuer.Application, err error) {
	if a, err = f.readKind(cmd); err != nil {
		return a, err
	}
	if f.person != "" {
		a.Person = f.person
	}
	if f.validUntil != "" {
		a.ValidUntil = f.validUntil
	}
	if a.Person == "" {
		return a, errors.New("say who it is for with --person")
	}
	a.TxCode = a.TxCode || f.txCode
	return a, nil
}

func (f *offerFlags) readKind(cmd *cobra.Command) (a issuer.Application, err error) {
	switch {
	case f.district != "":
		return demo.Residence(f.person, f.district, f.since)
	case f.parcel != "":
		holding, err := demo.Parcel(f.parcel)
		return demo.Title(holding.Holder, holding.Parcel), err // --person replaces the holder
	case f.dcc != "":
		data, err := readBounded(cmd, f.dcc, maxDCCFile)
		if err != nil {
			return a, err
		}
		report, err := dcc.CheckFile(data)
		if err != nil {
			return a, fmt.Errorf("%s: %w", f.dcc, err)
		}
		return demo.Vaccination(f.person, report.Result)
	case f.application != "":
		data, err := readBounded(cmd, f.application, maxApplication)
		if err != nil {
			return a, err
		}
		if err := credential.ParseStrict(data, &a); err != nil {
			return a, fmt.Errorf("application %s: %w (bulla issuer offer --help shows the form)", f.application, err)
		}
		return a, nil
	}
	return a, errors.New("say what to offer: none of --district, --parcel, --dcc and --application may be empty")
}

func (f *offerFlags) print(out io.Writer, offer issuer.Offer) {
	fmt.Fprintf(out, "The person receives it until %s with:\n\n  bulla wallet receive", offer.ExpiresAt.Time().Local().Format(time.TimeOnly))
	if f.api.url == "" && f.api.data != "data" {
		fmt.Fprintf(out, " --data %s", f.api.data)
	}
	if offer.TxCode != "" {
		fmt.Fprintf(out, " --tx-code %s", offer.TxCode)
	}
	fmt.Fprintf(out, " '%s'\n", offer.Link)
}
