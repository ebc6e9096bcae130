package wallet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
)

// exchange gets a token for the code and saves it: the code works once.
func (w *Wallet) exchange(ctx context.Context, s *source, p *pending, code, txCode string) error {
	form := url.Values{"grant_type": {openid.PreAuthorizedGrant}, "pre-authorized_code": {code}}
	if txCode != "" {
		form.Set("tx_code", txCode)
	}
	if s.bindsTokens { // what is read on the way, or in a log, is then worth nothing
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed)
		if err := w.changePending(p, func(p *pending) { p.Key = seed }); err != nil {
			return err
		}
	}
	prover, err := w.prover(p)
	if err != nil {
		return err
	}
	body, err := w.http.fetch(ctx, call{
		method: http.MethodPost, address: s.tokenURL, contentType: "application/x-www-form-urlencoded", accept: "application/json",
		body: form.Encode(), limit: maxSmall, prover: prover,
	})
	if err != nil {
		return err
	}
	var token openid.TokenResponse
	if err := decodeForeign(body, &token); err != nil {
		return refuse(CodeAnswer, err, "token response")
	}
	want := "Bearer"
	if prover != nil {
		want = dpop.Header
	}
	// SPEC: RFC 9449 section 5: a token that was not bound, though a proof was sent, is refused: it would be worth something to others.
	if !strings.EqualFold(token.TokenType, want) || !isToken(token.AccessToken) || token.ExpiresIn < 0 || token.ExpiresIn > 1<<30 {
		return refuse(CodeAnswer, nil, "token response: want a token of type %s", want)
	}
	ends := w.clock().Add(time.Duration(token.ExpiresIn) * time.Second)
	return w.changePending(p, func(p *pending) { p.Token, p.TokenEnds = token.AccessToken, credential.UnixTimeOf(ends) })
}

// prover has the key of a receiving, if its token is bound to one.
func (w *Wallet) prover(p *pending) (*dpop.Prover, error) {
	if len(p.Key) == 0 {
		return nil, nil
	}
	key, err := jose.FromSeed(p.Key)
	if err != nil {
		return nil, fmt.Errorf("key of a receiving: %w", err)
	}
	return dpop.NewProver(key, w.clock), nil
}

// isToken tells what may stand in an Authorization header: RFC 6750 section 2.1.
func isToken(s string) bool {
	return s != "" && len(s) <= 8<<10 &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") == ""
}

func (w *Wallet) changePending(p *pending, change func(*pending)) error {
	return w.vault.update(func(d *document) error {
		i := slices.IndexFunc(d.Pending, func(other pending) bool { return other.ID == p.ID })
		if i < 0 {
			return refuse(CodeOffer, nil, "this credential was received meanwhile")
		}
		change(&d.Pending[i])
		*p = d.Pending[i]
		return nil
	})
}

// collect asks for the credential, again and again if need be, checks it and keeps it.
func (w *Wallet) collect(ctx context.Context, view *client.View, s *source, p *pending) (*Summary, error) {
	got, err := w.obtain(ctx, view, s, p)
	if err != nil {
		return nil, err
	}
	progress(ctx, StageChain, 4, receiveSteps)
	if err := w.confirm(ctx, s, p, got.issued); err != nil {
		if CodeOf(err) != CodeNetwork {
			w.notify(ctx, s, p, got, "credential_failure")
		}
		return nil, err
	}
	summary, err := w.keep(s, p, got.issued)
	if err == nil {
		w.notify(ctx, s, p, got, "credential_accepted")
		progress(ctx, StageDone, receiveSteps, receiveSteps)
	}
	return summary, err
}

// enrol makes the enrolment proof for a fresh nonce of the issuer.
func (w *Wallet) enrol(ctx context.Context, view *client.View, s *source, p *pending) (*openid.EnrolmentProof, error) {
	body, err := w.http.fetch(ctx, call{method: http.MethodPost, address: s.nonceURL, accept: "application/json", limit: maxSmall})
	if err != nil {
		return nil, err
	}
	var nonce openid.NonceResponse
	if err := decodeForeign(body, &nonce); err != nil || nonce.Nonce == "" || len(nonce.Nonce) > 1024 {
		return nil, refuse(CodeAnswer, err, "nonce response")
	}
	challenge, err := openid.EnrolmentChallenge{
		Genesis: view.GenesisHash, VerifyingKey: s.verifyingKey, Audience: s.identifier, Configuration: s.configuration, Nonce: nonce.Nonce,
	}.Element()
	if err != nil {
		return nil, refuse(CodeAnswer, err, "nonce response")
	}
	master := w.vault.read().Master
	scope := credential.EnrolmentScope(s.schema.Schema.Register(s.issuer.DID))
	public := enrolment.Public{
		HolderCommitment: credential.HolderCommitment(master, p.Blinding), RegisterScope: scope,
		Pseudonym: credential.Pseudonym(master, scope), Challenge: challenge,
	}
	progress(ctx, StageKey, 1, receiveSteps)
	prover, err := w.provers(ctx, circuits.Enrolment, s.verifyingKey)
	if err != nil {
		return nil, refuse(CodeProof, err, "load the proving key of enrolments")
	}
	progress(ctx, StageProve, 2, receiveSteps)
	proof, err := prover.ProveEnrolment(ctx, public, enrolment.Private{Master: master, Blinding: p.Blinding})
	if err != nil {
		return nil, refuse(CodeProof, err, "prove the enrolment")
	}
	return &openid.EnrolmentProof{
		HolderCommitment: public.HolderCommitment, Pseudonym: public.Pseudonym, Nonce: nonce.Nonce,
		VerifyingKey: s.verifyingKey, Proof: openid.EncodeBytes(proof),
	}, nil
}
