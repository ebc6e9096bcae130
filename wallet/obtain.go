package wallet

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
)

// An agency answers a credential request with the credential, or with a transaction to ask again with: because an officer
// must approve it first, or because the ledger takes long.

// obtained is a credential as it came, not checked yet.
type obtained struct {
	issued       *openid.IssuedCredential
	notification string // empty: the issuer does not want to know
}

// patience is how long one call asks again. After it the wallet takes up where it was when it is asked to.
const patience = 2 * time.Minute

// obtain asks for the credential and, while the agency says so, again.
func (w *Wallet) obtain(ctx context.Context, view *client.View, s *source, p *pending) (*obtained, error) {
	if p.Transaction == "" {
		proof, err := w.enrol(ctx, view, s, p)
		if err != nil {
			return nil, err
		}
		proofs, err := openid.Proofs(openid.ProofType, proof)
		if err != nil {
			return nil, err
		}
		progress(ctx, StageWait, 3, receiveSteps)
		got, interval, err := w.request(ctx, s, p, s.credentialURL, openid.CredentialRequest{ConfigurationID: s.configuration, Proofs: proofs})
		if err != nil || got != nil {
			return got, err
		}
		if err := pauses(ctx, interval); err != nil {
			return nil, err
		}
	}
	progress(ctx, StageWait, 3, receiveSteps)
	for asked := time.Duration(0); ; {
		got, interval, err := w.request(ctx, s, p, s.deferredURL, openid.DeferredRequest{Transaction: p.Transaction})
		if err != nil || got != nil {
			return got, err
		}
		if asked += interval; asked > patience {
			return nil, refuse(CodePending, nil, "the agency took the request and has not issued the credential yet")
		}
		if err := pauses(ctx, interval); err != nil {
			return nil, err
		}
	}
}

// pauses waits until the agency may be asked again.
func pauses(ctx context.Context, interval time.Duration) error {
	if !sleep(ctx, interval) {
		return refuse(CodePending, ctx.Err(), "the agency took the request and has not issued the credential yet")
	}
	return nil
}

// Bounds of how long an issuer may tell a wallet to wait.
const (
	minInterval = time.Second
	maxInterval = time.Minute
)

// request posts a credential request or asks again. The answer is a credential, or when to ask again: the transaction is saved then.
func (w *Wallet) request(ctx context.Context, s *source, p *pending, address string, body any) (*obtained, time.Duration, error) {
	answered, err := w.tell(ctx, p, address, body, maxCredential)
	if err != nil {
		return nil, 0, err
	}
	if answered.status != http.StatusOK && answered.status != http.StatusAccepted {
		// What was refused can be asked for anew, with another proof.
		if answered.status == http.StatusBadRequest && p.Transaction != "" {
			if err := w.changePending(p, func(p *pending) { p.Transaction = "" }); err != nil {
				return nil, 0, err
			}
		}
		return nil, 0, answered.refusal("POST " + address)
	}
	var response struct {
		Credentials  []openid.CredentialItem `json:"credentials"`
		Notification string                  `json:"notification_id"`
		Transaction  string                  `json:"transaction_id"`
		Interval     int64                   `json:"interval"`
	}
	if err := decodeForeign(answered.body, &response); err != nil {
		return nil, 0, refuse(CodeAnswer, err, "credential response")
	}
	if answered.status == http.StatusAccepted {
		interval := min(max(time.Duration(min(response.Interval, 3600))*time.Second, minInterval), maxInterval)
		return nil, interval, w.deferred(s, p, response.Transaction)
	}
	if len(response.Credentials) != 1 || len(response.Notification) > maxIdentifier {
		return nil, 0, refuse(CodeAnswer, nil, "credential response: %d credentials, want 1", len(response.Credentials))
	}
	issued := new(openid.IssuedCredential)
	if err := credential.ParseStrict(response.Credentials[0].Credential, issued); err != nil {
		return nil, 0, refuse(CodeAnswer, err, "credential response")
	}
	return &obtained{issued, response.Notification}, 0, nil
}

const maxIdentifier = 1024 // bytes, of transactions and notifications

// deferred saves what to ask again with.
func (w *Wallet) deferred(s *source, p *pending, transaction string) error {
	switch {
	case s.deferredURL == "":
		return refuse(CodeAnswer, nil, "the issuer defers the credential and has no endpoint to ask again")
	case transaction == "" || len(transaction) > maxIdentifier:
		return refuse(CodeAnswer, nil, "the issuer defers the credential without a transaction")
	case transaction == p.Transaction:
		return nil
	}
	return w.changePending(p, func(p *pending) { p.Transaction = transaction })
}

// tell sends JSON with the access token of a receiving.
func (w *Wallet) tell(ctx context.Context, p *pending, address string, body any, limit int) (answer, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	prover, err := w.prover(p)
	if err != nil {
		return answer{}, err
	}
	return w.http.do(ctx, call{
		method: http.MethodPost, address: address, contentType: "application/json", accept: "application/json",
		token: p.Token, prover: prover, body: string(text), limit: limit, timeout: slowTimeout,
	})
}

// notify tells the issuer what became of a credential, if it wants to know. That it could not be told changes nothing here.
func (w *Wallet) notify(ctx context.Context, s *source, p *pending, got *obtained, event string) {
	if s.notificationURL == "" || got.notification == "" {
		return
	}
	answered, err := w.tell(ctx, p, s.notificationURL, openid.Notification{ID: got.notification, Event: event}, maxSmall)
	if err == nil && answered.status != http.StatusNoContent {
		err = answered.refusal("POST " + s.notificationURL)
	}
	if err != nil {
		w.log.Warn("the issuer was not told what became of the credential", "error", err)
	}
}
