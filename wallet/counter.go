package wallet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
)

// A counter without a network shows its request as a QR code and reads the answer from one: doc/spec/counter.md. The
// wallet checks it as it checks others, and nothing is sent: a person shows the answer.

// CounterAnswer is an answer for a counter.
type CounterAnswer struct {
	Event Event
	// Text is what the QR code says. Whoever reads it before the counter learns what the counter would.
	Text string
}

// IsCounterRequest tells requests of counters from those that are answered over a network.
func IsCounterRequest(link string) bool {
	return strings.HasPrefix(strings.TrimSpace(link), openid.CounterScheme)
}

// ReadCounter reads the request of a counter and checks all of it: made under a pass of a registered verifier, asking
// exactly what the registered policy says as of now, for verifying keys that the chain lists, nothing that counts once, and
// not answered before. The policy and its sets are read from the chain; nothing is sent to the verifier.
func (w *Wallet) ReadCounter(ctx context.Context, link string) (*Request, error) {
	ask, err := openid.ParseCounterAsk(link)
	if err != nil {
		return nil, refuse(CodeRequest, err, "read link")
	}
	view, err := w.update(ctx)
	if err != nil {
		return nil, err
	}
	r := &Request{view: view, counter: ask}
	var ok bool
	if r.verifier, ok = view.Registry.Verifier(ask.Pass.Verifier); !ok {
		return nil, refuse(CodeNotRegistered, nil, "verifier %s is not on the chain", ask.Pass.Verifier)
	}
	if r.keyID, err = ask.Verify(view.GenesisHash, r.verifier); err != nil {
		return nil, refuse(CodeSignature, err, "signatures of the counter's request")
	}
	if r.policy, err = w.registeredPolicy(ctx, view, ask); err != nil {
		return nil, err
	}
	if err := r.policy.CheckCounter(); err != nil {
		return nil, refuse(CodeUnsupported, err, "what a counter may ask")
	}
	if r.object, err = ask.Object(r.policy, view.Registry); err != nil {
		return nil, refuse(CodeWider, err, "what the counter asks")
	}
	now := w.clock()
	if err := r.checkTimes(now); err != nil {
		return nil, err
	}
	if err := w.loadRegisteredSets(ctx, r); err != nil {
		return nil, err
	}
	if err := r.checkQueries(now); err != nil {
		return nil, err
	}
	if r.challenge, err = ask.Challenge(view.GenesisHash, r.object.Query.Credentials); err != nil {
		return nil, refuse(CodeRequest, err, "challenge")
	}
	if w.vault.read().wasAnswered(r.verifier.DID, r.object.Nonce) {
		return nil, refuse(CodeNonceUsed, nil, "the request was answered before")
	}
	return r, nil
}

// registeredPolicy reads from the chain the policy that a counter names.
func (w *Wallet) registeredPolicy(ctx context.Context, view *client.View, ask *openid.CounterAsk) (*policy.Policy, error) {
	registered, ok := view.Registry.Policy(ask.Pass.Verifier, ask.Request.Policy)
	if !ok {
		return nil, refuse(CodeNotRegistered, nil, "policy %s of %s is not on the chain", ask.Request.Policy, ask.Pass.Verifier)
	}
	if registered.Digest != ask.Request.Digest {
		return nil, refuse(CodeWider, nil, "policy %s is registered with other contents", ask.Request.Policy)
	}
	text, err := w.chain.RegisteredPolicy(ctx, view, registered)
	if err != nil && client.IsBad(err) {
		return nil, refuse(CodeLedger, err, "policy %s", registered.ID)
	}
	if err != nil {
		return nil, refuse(CodeNetwork, err, "policy %s", registered.ID)
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, refuse(CodeRequest, err, "policy %s", registered.ID)
	}
	return p, nil
}

// loadRegisteredSets reads from the chain the sets that the policy of a counter names: there is no verifier to ask. The ledger's
// host learns which ones, as it learns by which policy somebody is asked.
func (w *Wallet) loadRegisteredSets(ctx context.Context, r *Request) error {
	return r.takeSets(func(digest credential.Digest) (*policy.Set, error) {
		set, err := w.chain.Set(ctx, digest)
		if err != nil && (client.IsBad(err) || errors.Is(err, client.ErrNoSet)) {
			return nil, refuse(CodeLedger, err, "set %s of the policy", digest)
		}
		if err != nil {
			return nil, refuse(CodeNetwork, err, "set %s of the policy", digest)
		}
		return set, nil
	})
}

// AtCounter tells which counter asks; ok is false for requests over a network.
func (r *Request) AtCounter() (name string, ok bool) {
	if r.counter == nil {
		return "", false
	}
	return r.counter.Pass.Counter, true
}

// AnswerCounter proves what the person agreed to and packs it for one QR code. As with [Wallet.Answer] everything is
// checked again against the newest seal, and the nonce is spent, durably, before the answer is given out.
func (w *Wallet) AnswerCounter(ctx context.Context, consent Consent) (*CounterAnswer, error) {
	r := consent.request
	if r == nil || r.counter == nil {
		return nil, refuse(CodeConsent, nil, "there is no consent to a request of a counter")
	}
	total := len(r.queries) + 3
	progress(ctx, StageChain, 0, total)
	token, chosen, err := w.proven(ctx, consent, total)
	if err != nil {
		return nil, err
	}
	packed, err := openid.PackCounterAnswer(r.object.Nonce, r.object.Query.Credentials, token)
	if err != nil {
		return nil, refuse(CodeProof, err, "pack the answer")
	}
	text, err := packed.Text()
	if err != nil {
		return nil, refuse(CodeUnsupported, err, "pack the answer")
	}
	if w.clock().After(r.object.ExpiresAt.Time()) {
		return nil, refuse(CodeExpiredRequest, nil, "the request expired at %s, while proving", r.object.ExpiresAt)
	}
	event, err := w.spend(r, chosen, EventPresented)
	if err != nil {
		return nil, err
	}
	progress(ctx, StageDone, total, total)
	return &CounterAnswer{*event, text}, nil
}

// proven makes the response that the person agreed to.
func (w *Wallet) proven(ctx context.Context, consent Consent, total int) (openid.VPToken, []*Credential, error) {
	r := consent.request
	view, err := w.recheck(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	chosen, err := w.chosen(ctx, r, consent.choice)
	if err != nil {
		return nil, nil, err
	}
	jobs, err := w.prepare(ctx, r, view, chosen)
	if err != nil {
		return nil, nil, err
	}
	token, err := w.prove(ctx, r, jobs, total)
	return token, chosen, err
}

// noRoot says why there is no root to prove under.
func (r *Request) noRoot(freshness time.Duration) error {
	if r.counter != nil {
		return refuse(CodeCounterBehind, nil, "the counter has the seals %d to %d: no grid root of the last %s among them in which the credentials are live",
			r.counter.Request.Seals[0], r.counter.Request.Seals[1], freshness)
	}
	return refuse(CodeNotOnGrid, nil, "there is no grid root of the last %s in which the credentials are live", freshness)
}

// knows tells whether the verifier can know a seal by its height: a counter has only those up to its last
// synchronisation; others ask the chain.
func (r *Request) knows(height uint64) bool {
	return r.counter == nil || r.counter.Request.Seals[0] <= height && height <= r.counter.Request.Seals[1]
}

// sealOf is the newest seal with a root that the verifier of a request will find.
func (w *Wallet) sealOf(ctx context.Context, r *Request, view *client.View, root credential.Element, freshness time.Duration) (client.SealAt, error) {
	if r.counter == nil {
		return w.chain.FindRoot(ctx, root, freshness)
	}
	seals, err := w.chain.Seals(ctx, view, w.clock().Add(-freshness)) // newest first
	if err != nil {
		return client.SealAt{}, err
	}
	i := slices.IndexFunc(seals, func(s client.SealAt) bool { return s.Seal.ActiveRoot == root && r.knows(s.Seal.Height) })
	if i < 0 {
		return client.SealAt{}, fmt.Errorf("the counter knows no seal with the root: %w", client.ErrRootUnknown)
	}
	return seals[i], nil
}
