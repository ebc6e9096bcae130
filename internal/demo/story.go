package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/cadastre"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/wallet/adversary"
)

// Tell tells the whole story over a running network: three agencies issue to citizens, the citizens prove three facts,
// and everything that must be refused is tried. It returns an error as soon as something does not come out as it must.
// dir takes the wallets; out is for people and may be io.Discard.
func Tell(ctx context.Context, network *Network, dir string, out io.Writer) (Report, error) {
	circuit, err := circuits.Named(circuits.Presentation)
	if err != nil {
		return Report{}, err
	}
	s := &story{
		network: network, dir: dir, out: out, provers: &provers{keys: network.Keys, made: make(map[string]*proving.Prover)},
		report: Report{Constraints: circuit.Constraints},
	}
	for _, part := range []func(context.Context) error{s.open, s.issue, s.prove, s.refuse, s.close} {
		if err := part(ctx); err != nil {
			return s.report, err
		}
	}
	return s.report, nil
}

// story is the state of a telling.
type story struct {
	network *Network
	dir     string
	out     io.Writer
	provers *provers
	report  Report

	lin, zhao, sun *citizen // invented people
	cheat          *adversary.Adversary
	city, clinic   *Counter
	clerks         map[string]*Clerk
	parcels        []cadastre.Parcel
	early          client.SealAt // a seal from before most of the story
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *story) open(context.Context) (err error) {
	s.clerks = make(map[string]*Clerk)
	for _, a := range agencies {
		if s.clerks[a.did], err = s.network.clerk(a.did); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		who  **citizen
		name string
	}{{&s.lin, "lin"}, {&s.zhao, "zhao"}, {&s.sun, "sun"}} {
		if *c.who, err = s.newCitizen(c.name); err != nil {
			return err
		}
	}
	if s.cheat, err = s.newAdversary(); err != nil {
		return err
	}
	if s.city, err = s.network.counter(CityDID); err != nil {
		return err
	}
	if s.clinic, err = s.network.counter(ClinicDID); err != nil {
		return err
	}
	s.parcels, err = largeParcels()
	return err
}

// issue has the agencies issue from real data. Wallets that ask together share a seal.
func (s *story) issue(ctx context.Context) error {
	s.say("\nThree agencies issue credentials. The chain gets commitments, nothing else.")
	samples, err := dcc.Samples()
	if err != nil {
		return err
	}
	linHome, err := Residence("lin", "110108", "2019-03-01")
	if err != nil {
		return err
	}
	zhaoHome, err := Residence("zhao", "110105", "2020-06-15")
	if err != nil {
		return err
	}
	linHealth, err := sampled("lin", samples[0])
	if err != nil {
		return err
	}
	zhaoHealth, err := sampled("zhao", samples[1])
	if err != nil {
		return err
	}
	expired := Title("zhao", s.parcels[1])
	expired.ValidFrom, expired.ValidUntil = time.Now().UTC().AddDate(-1, 0, 0).Format(time.DateOnly), time.Now().UTC().Format(time.DateOnly)
	undated := Title("sun", s.parcels[2])
	delete(undated.Claims, "registered_since")

	group, ctx := errgroup.WithContext(ctx)
	for _, i := range []struct {
		did         string
		who         *citizen
		application issuer.Application
	}{
		{CivilDID, s.lin, linHome}, {LandDID, s.lin, Title("lin", s.parcels[0])}, {HealthDID, s.lin, linHealth},
		{CivilDID, s.zhao, zhaoHome}, {LandDID, s.zhao, expired}, {HealthDID, s.zhao, zhaoHealth},
		{LandDID, s.sun, undated},
	} {
		group.Go(func() error { return s.give(ctx, i.did, i.who, i.application) })
	}
	return group.Wait()
}

// give has an agency offer a credential and a citizen receive it.
func (s *story) give(ctx context.Context, did string, who *citizen, application issuer.Application) error {
	offer, err := s.clerks[did].Offer(ctx, application)
	if err != nil {
		return err
	}
	summary, err := who.wallet.Receive(ctx, offer.Link, "")
	if err != nil {
		return fmt.Errorf("%s receives from %s: %w", who.name, did, err)
	}
	s.say("  %-5s %-22s leaf %d, sealed and cosigned", who.name, summary.Title.English, summary.Leaf)
	return nil
}

// prove has Lin prove each fact, and two of them at once.
func (s *story) prove(ctx context.Context) error {
	view, err := s.network.Chain.Update(ctx)
	if err != nil {
		return err
	}
	s.early = view.At()
	s.say("\nLin proves three facts. The relying party sees a proof of 128 bytes and that the fact holds.")
	for _, f := range []struct{ fact, policy string }{{"residency", PolicyResidency}, {"land", PolicyLand}, {"vaccination", PolicyVaccination}} {
		result, err := s.accepted(ctx, s.lin, s.city, f.policy)
		if err != nil {
			return fmt.Errorf("prove %s: %w", f.fact, err)
		}
		proof, took, err := s.provers.verify()
		if err != nil {
			return fmt.Errorf("prove %s: %w", f.fact, err)
		}
		s.report.Facts = append(s.report.Facts, Fact{f.fact, true, milliseconds(proof.took), milliseconds(took), len(proof.proof)})
		s.say("  %s (proven in %.0f ms, verified in %.1f ms; a revocation takes at most %d s to work here)",
			f.fact, milliseconds(proof.took), milliseconds(took), result.Facts[0].RevocationDelaySeconds)
		for _, line := range result.Facts[0].Holds["en"] {
			s.say("      %s", line)
		}
	}
	result, err := s.accepted(ctx, s.lin, s.city, PolicyResidencyLand)
	if err != nil {
		return fmt.Errorf("prove residency and land together: %w", err)
	}
	if len(result.Facts) != 2 || !result.OnePerson {
		return errors.New("residency and land were not shown to be one person's")
	}
	s.say("  residency and land, of the same person, in one answer")
	return nil
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/10) / 100 }

// accepted has an honest wallet answer and the application check the signed result.
func (s *story) accepted(ctx context.Context, who *citizen, c *Counter, policyID string) (*check.Result, error) {
	started, err := c.Ask(ctx, policyID)
	if err != nil {
		return nil, err
	}
	if _, err := s.answer(ctx, who, started.RequestLink); err != nil {
		return nil, err
	}
	status, err := c.Status(ctx, started.ID)
	if err != nil {
		return nil, err
	}
	if status.State != verifier.Verified {
		return nil, fmt.Errorf("the session is %s", status.State)
	}
	return c.Result(ctx, started.ID, status.Result)
}

// answer is what a person does with an honest wallet: read, look at the explanation, agree.
func (s *story) answer(ctx context.Context, who *citizen, link string) (*wallet.Answer, error) {
	request, err := who.wallet.Read(ctx, link)
	if err != nil {
		return nil, err
	}
	candidates, err := who.wallet.Candidates(ctx, request)
	if err != nil {
		return nil, err
	}
	choice, err := request.DefaultChoice(candidates)
	if err != nil {
		return nil, err
	}
	if _, err := who.wallet.Explain(request, candidates, choice, "en"); err != nil {
		return nil, err
	}
	return who.wallet.Answer(ctx, request.Consent(choice))
}

// close looks at the chain once more.
func (s *story) close(ctx context.Context) error {
	view, err := s.network.Chain.Update(ctx)
	if err != nil {
		return err
	}
	s.report.Issued, s.report.Checkpoint = view.Seal.Leaves, string(view.Checkpoint.Text)
	s.say("\n%d facts accepted, %d attempts refused, %d commitments on a chain of %d entries.",
		len(s.report.Facts), len(s.report.Refusals), view.Seal.Leaves, view.Checkpoint.Size)
	if s.network.Genesis.Dev {
		s.say("This is a dev chain: whoever made its keys could forge proofs.")
	} else {
		s.say("The keys are of the ceremony with transcript %s.", transcriptOf(s.network.Keys))
	}
	return nil
}
