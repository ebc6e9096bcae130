package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/adapter/dcc"
	"github.com/bulla-id/bulla/issuer/adapter/divisions"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/wallet/adversary"
)

// refuse tries everything that must be refused. Where an honest wallet refuses by itself, a cheat's wallet tries all the
// same, and the next layer refuses.
func (s *story) refuse(ctx context.Context) error {
	s.say("\nWhat must be refused, and who refuses it:")
	for _, part := range []func(context.Context) error{
		s.refuseLies, s.refuseMixtures, s.refuseReuse, s.refuseStatus, s.refuseTransfer, s.refuseSecondSecret,
		s.refuseBytes, s.refuseOldRoot, s.refuseLedger, s.refuseUnlistedKey,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// refuseLies: credentials that do not say what is asked.
func (s *story) refuseLies(ctx context.Context) error {
	for _, c := range []struct {
		name   string
		who    *citizen
		policy string
		want   wallet.Code
	}{
		{"expired", s.zhao, PolicyLand, wallet.CodeExpired},
		{"wrong issuer", s.lin, PolicyCivilVaccine, wallet.CodeWrongIssuer},
		{"claim out of range", s.lin, PolicyEstate, wallet.CodeClauseFalse},
		{"claim absent", s.sun, PolicyOldTitle, wallet.CodeClauseFalse},
	} {
		if err := s.byWallet(ctx, c.name, c.who, c.policy, c.want); err != nil {
			return err
		}
		if err := s.byCircuit(ctx, c.name, c.who, c.policy, nil); err != nil {
			return err
		}
	}
	return nil
}

// refuseMixtures: an answer put together from what does not belong together.
func (s *story) refuseMixtures(ctx context.Context) error {
	const mixed, twice = "two people's credentials in one response", "one credential shown as two"
	if err := s.byVerifier(ctx, mixed, PolicyResidencyLand, check.LinkMismatch, func(r *adversary.Request) (map[string]openid.Presentation, error) {
		return s.presentAll(ctx, r, s.zhao, s.lin)
	}); err != nil {
		return err
	}
	master, _, err := s.zhao.credentialOf(divisions.ResidenceType)
	if err != nil {
		return err
	}
	// Under one secret the other person's credential does not open.
	if err := s.byCircuit(ctx, mixed, s.lin, PolicyLand, func(t *adversary.Attempt) { t.Master = master }); err != nil {
		return err
	}
	if err := s.byWallet(ctx, twice, s.lin, PolicyTwoTitles, wallet.CodeSameCredential); err != nil {
		return err
	}
	return s.byVerifier(ctx, twice, PolicyTwoTitles, check.ItemRepeated, func(r *adversary.Request) (map[string]openid.Presentation, error) {
		return s.presentAll(ctx, r, s.lin, s.lin)
	})
}

// refuseReuse: answers given before, and to others.
func (s *story) refuseReuse(ctx context.Context) error {
	request, err := s.fetch(ctx, s.city, PolicyVaccination)
	if err != nil {
		return err
	}
	captured, err := s.presentAll(ctx, request, s.lin)
	if err != nil {
		return err
	}
	send := func(r *adversary.Request) (*adversary.Reply, error) { return s.cheat.Answer(ctx, r, captured) }
	if err := s.byVerifierAt(ctx, s.clinic, "another verifier's request", PolicyVaccination, check.ProofInvalid, send); err != nil {
		return err
	}
	if err := s.byVerifierAt(ctx, s.city, "a replayed presentation, to a new request", PolicyVaccination, check.ProofInvalid, send); err != nil {
		return err
	}
	reply, err := send(request)
	if err != nil || !reply.Accepted() {
		return fmt.Errorf("the captured answer should have been good once: %v", err)
	}
	for query, p := range captured { // in other bytes: the very same would hear the first answer again, and change nothing
		if captured[query], err = adversary.Rerandomise(p); err != nil {
			return err
		}
	}
	if reply, err = send(request); err != nil || reply.Accepted() {
		return mustRefuse("a replayed presentation", check.SessionAnswered, err)
	}
	s.refused("a replayed presentation", ByVerifier, errorText(reply))

	if _, err := s.accepted(ctx, s.lin, s.city, PolicySubsidy); err != nil {
		return fmt.Errorf("the first rent subsidy: %w", err)
	}
	return s.byVerifier(ctx, "second use of a pseudonym, once per person", PolicySubsidy, check.PseudonymUsed, func(r *adversary.Request) (map[string]openid.Presentation, error) {
		return s.presentAll(ctx, r, s.lin)
	})
}

// refuseStatus: what the agencies took back.
func (s *story) refuseStatus(ctx context.Context) error {
	if err := s.changeBoth(ctx, "suspend", "revoke"); err != nil {
		return err
	}
	for _, c := range []struct{ name, policy string }{{"suspended", PolicyResidency}, {"revoked", PolicyVaccination}} {
		if err := s.byWallet(ctx, c.name, s.zhao, c.policy, wallet.CodeRevokedOrSuspended); err != nil {
			return err
		}
		if err := s.byCircuit(ctx, c.name, s.zhao, c.policy, nil); err != nil {
			return err
		}
	}
	if err := s.byVerifier(ctx, "revoked, under a made-up root", PolicyVaccination, check.RootUnknown, func(r *adversary.Request) (map[string]openid.Presentation, error) {
		attempt, err := attemptBy(r, 0, s.zhao)
		if err != nil {
			return nil, err
		}
		root, path, err := adversary.MadeUpPath(attempt.Credential)
		if err != nil {
			return nil, err
		}
		attempt.Root, attempt.Path = &root, &path
		p, err := s.cheat.Prove(ctx, attempt)
		return map[string]openid.Presentation{attempt.Statement.Query: p}, err
	}); err != nil {
		return err
	}
	if err := s.changeBoth(ctx, "reinstate", ""); err != nil {
		return err
	}
	if _, err := s.accepted(ctx, s.zhao, s.city, PolicyResidency); err != nil {
		return fmt.Errorf("a reinstated credential: %w", err)
	}
	s.say("  (reinstated: accepted again)")
	return nil
}

// changeBoth changes Zhao's residency and, unless empty, vaccination at the same time, so that they share a seal.
func (s *story) changeBoth(ctx context.Context, residency, vaccination string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range []struct{ did, action string }{{CivilDID, residency}, {HealthDID, vaccination}} {
		if c.action == "" {
			continue
		}
		group.Go(func() error {
			id, err := s.clerks[c.did].newestOf(ctx, s.zhao.name)
			if err != nil {
				return err
			}
			_, err = s.clerks[c.did].Change(ctx, id, c.action, issuer.Reason{Code: issuer.ReasonOther, Note: "demo"})
			return err
		})
	}
	return group.Wait()
}

// refuseTransfer: the parcel is sold, and the grant was paid for it already.
func (s *story) refuseTransfer(ctx context.Context) error {
	if _, err := s.accepted(ctx, s.lin, s.city, PolicyGrant); err != nil {
		return fmt.Errorf("the first renovation grant: %w", err)
	}
	id, err := s.clerks[LandDID].newestOf(ctx, s.lin.name)
	if err != nil {
		return err
	}
	if _, err := s.clerks[LandDID].Change(ctx, id, "revoke", issuer.Reason{Code: issuer.ReasonTransferred}); err != nil {
		return err
	}
	if err := s.give(ctx, LandDID, s.zhao, Title(s.zhao.name, s.parcels[0])); err != nil {
		return err
	}
	return s.byVerifier(ctx, "second use of a subject tag, after a sale", PolicyGrant, check.SubjectTagUsed, func(r *adversary.Request) (map[string]openid.Presentation, error) {
		return s.presentAll(ctx, r, s.zhao)
	})
}

// refuseSecondSecret: a person enrols again with another wallet, to be two.
func (s *story) refuseSecondSecret(ctx context.Context) error {
	const name = "second enrolment with another master secret"
	second, err := s.newCitizen("lin-again")
	if err != nil {
		return err
	}
	samples, err := dcc.Samples()
	if err != nil {
		return err
	}
	again, err := sampled(s.lin.name, samples[2])
	if err != nil {
		return err
	}
	offer, err := s.clerks[HealthDID].Offer(ctx, again)
	if err != nil {
		return err
	}
	_, err = second.wallet.Receive(ctx, offer.Link, "")
	if wallet.CodeOf(err) != wallet.CodeRemote {
		return mustRefuse(name, wallet.CodeRemote, err)
	}
	var refusal *wallet.Refusal
	errors.As(err, &refusal)
	s.refused(name, ByVerifier, "the agency's enrolment register holds another secret of that person ("+refusal.Remote+")")
	return nil
}

// refuseBytes: a proof or a public value that was touched.
func (s *story) refuseBytes(ctx context.Context) error {
	present := func(r *adversary.Request) (map[string]openid.Presentation, error) {
		return s.presentAll(ctx, r, s.zhao)
	}
	if err := s.byVerifier(ctx, "a tampered proof", PolicyResidency, check.ProofInvalid, func(r *adversary.Request) (map[string]openid.Presentation, error) {
		all, err := present(r)
		if err != nil {
			return nil, err
		}
		for query, p := range all {
			if all[query], err = adversary.TamperProof(p); err != nil {
				return nil, err
			}
		}
		return all, nil
	}); err != nil {
		return err
	}
	return s.byVerifierAt(ctx, s.city, "a public input plus the field's modulus", PolicyResidency, check.NotCanonical, func(r *adversary.Request) (*adversary.Reply, error) {
		all, err := present(r)
		if err != nil {
			return nil, err
		}
		query := r.Object.Query.Credentials[0].ID
		text, err := adversary.WithMember(query, all[query], "link", adversary.PlusModulus(all[query].Link))
		if err != nil {
			return nil, err
		}
		form, err := r.Form(text)
		if err != nil {
			return nil, err
		}
		return s.cheat.Post(ctx, r.Object.ResponseURI, form)
	})
}

// refuseOldRoot: a proof under a root from before.
func (s *story) refuseOldRoot(ctx context.Context) error {
	for wait := time.Until(s.early.Time.Add((freshSeconds + 1) * time.Second)); wait > 0; wait = 0 {
		time.Sleep(wait) // the story was quick
	}
	return s.byVerifier(ctx, "a root older than the freshness", PolicyFresh, check.RootTooOld, func(r *adversary.Request) (map[string]openid.Presentation, error) {
		attempt, err := attemptBy(r, 0, s.lin)
		if err != nil {
			return nil, err
		}
		attempt.Seal = s.early
		p, err := s.cheat.Prove(ctx, attempt)
		return map[string]openid.Presentation{attempt.Statement.Query: p}, err
	})
}
