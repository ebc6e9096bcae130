package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/wallet/adversary"
)

// refused writes down an attempt that was refused as it had to be.
func (s *story) refused(name string, layer Layer, reason string) {
	s.report.Refusals = append(s.report.Refusals, Refusal{name, true, layer, reason})
	s.say("  %-44s %-8s %s", name, layer, reason)
}

// mustRefuse fails the story: something was accepted, or refused for another reason.
func mustRefuse(name string, want any, got error) error {
	if got == nil {
		return fmt.Errorf("%s was NOT refused (want %v)", name, want)
	}
	return fmt.Errorf("%s: want a refusal as %v: %w", name, want, got)
}

// byWallet has an honest wallet asked for what it must not answer.
func (s *story) byWallet(ctx context.Context, name string, who *citizen, policyID string, want wallet.Code) error {
	started, err := s.city.Ask(ctx, policyID)
	if err != nil {
		return err
	}
	if _, err = s.answer(ctx, who, started.RequestLink); wallet.CodeOf(err) != want {
		return mustRefuse(name, want, err)
	}
	var refusal *wallet.Refusal
	errors.As(err, &refusal)
	s.refused(name, ByWallet, refusal.Text("en"))
	return nil
}

// byCircuit has a cheat try to prove the same all the same: there is no proof.
func (s *story) byCircuit(ctx context.Context, name string, who *citizen, policyID string, change func(*adversary.Attempt)) error {
	request, err := s.fetch(ctx, s.city, policyID)
	if err != nil {
		return err
	}
	attempt, err := attemptBy(request, 0, who)
	if err != nil {
		return err
	}
	if change != nil {
		change(attempt)
	}
	var violated error
	attempt.Change = func(public *presentation.Public, private *presentation.Private) {
		violated = presentation.Holds(*public, *private)
	}
	if _, err := s.cheat.Prove(ctx, attempt); !adversary.IsCircuitRefusal(err) || violated == nil {
		return mustRefuse(name, "unprovable", err)
	}
	s.refused(name, ByCircuit, "no proof exists: "+violated.Error())
	return nil
}

// byVerifier has a cheat send what it made for a request, and the verifier refuse it with that code.
func (s *story) byVerifier(ctx context.Context, name, policyID string, want check.Code, forge func(*adversary.Request) (map[string]openid.Presentation, error)) error {
	return s.byVerifierAt(ctx, s.city, name, policyID, want, func(request *adversary.Request) (*adversary.Reply, error) {
		presentations, err := forge(request)
		if err != nil {
			return nil, err
		}
		return s.cheat.Answer(ctx, request, presentations)
	})
}

func (s *story) byVerifierAt(ctx context.Context, c *Counter, name, policyID string, want check.Code, send func(*adversary.Request) (*adversary.Reply, error)) error {
	started, err := c.Ask(ctx, policyID)
	if err != nil {
		return err
	}
	request, err := s.cheat.Fetch(ctx, started.RequestLink)
	if err != nil {
		return err
	}
	reply, err := send(request)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	status, err := c.Status(ctx, started.ID)
	if err != nil {
		return err
	}
	if reply.Accepted() || reply.Status >= http.StatusInternalServerError || status.Result != "" || status.Reason == nil || status.Reason.Code != want {
		return mustRefuse(name, want, fmt.Errorf("status %d, session %s, reason %+v", reply.Status, status.State, status.Reason))
	}
	s.refused(name, ByVerifier, status.Reason.Text.In("en"))
	return nil
}

// fetch starts a session and reads its request as a cheat does.
func (s *story) fetch(ctx context.Context, c *Counter, policyID string) (*adversary.Request, error) {
	started, err := c.Ask(ctx, policyID)
	if err != nil {
		return nil, err
	}
	return s.cheat.Fetch(ctx, started.RequestLink)
}

// attemptBy begins as an honest answer of a person to one query.
func attemptBy(request *adversary.Request, query int, who *citizen) (*adversary.Attempt, error) {
	if query >= len(request.Object.Query.Credentials) {
		return nil, fmt.Errorf("the request has no query %d", query)
	}
	master, held, err := who.credentialOf(request.Object.Query.Credentials[query].Meta.TypeValues[0])
	if err != nil {
		return nil, err
	}
	return request.Attempt(query, master, held)
}

// presentAll answers every query of a request, each by the person at its place, under one n.
func (s *story) presentAll(ctx context.Context, request *adversary.Request, people ...*citizen) (map[string]openid.Presentation, error) {
	out := make(map[string]openid.Presentation)
	var first *adversary.Attempt
	for i, who := range people {
		attempt, err := attemptBy(request, i, who)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = attempt
		}
		attempt.N = first.N
		if out[attempt.Statement.Query], err = s.cheat.Prove(ctx, attempt); err != nil {
			return nil, err
		}
	}
	return out, nil
}
