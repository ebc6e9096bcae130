package wallet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
)

// Consent is a person's agreement to one request, with the credentials that answer it. Without one nothing is sent.
type Consent struct {
	request *Request
	choice  Choice
}

// Consent records that a person agreed. Call it only from what a person did after reading the explanation: pressed a
// button, typed a word. nil chooses as [Request.DefaultChoice].
func (r *Request) Consent(choice Choice) Consent { return Consent{r, choice} }

// Answer is what became of an answer.
type Answer struct {
	Event       Event
	RedirectURI string // where the verifier wants the person to go on; may be empty
}

// Answer proves what the person agreed to and sends it. Everything is checked again, against the newest seal: a
// credential that is suspended or revoked by now is refused, though older roots might still pass. The nonce is spent,
// durably, before anything is sent; after a failure of the network the verifier must make a new request.
func (w *Wallet) Answer(ctx context.Context, consent Consent) (*Answer, error) {
	r := consent.request
	if r == nil || r.counter != nil {
		return nil, refuse(CodeConsent, nil, "there is no consent to a request over a network")
	}
	total := len(r.queries) + 4
	progress(ctx, StageChain, 0, total)
	view, err := w.recheck(ctx, r)
	if err != nil {
		return nil, err
	}
	chosen, err := w.chosen(ctx, r, consent.choice)
	if err != nil {
		return nil, err
	}
	jobs, err := w.prepare(ctx, r, view, chosen)
	if err != nil {
		return nil, err
	}
	token, err := w.prove(ctx, r, jobs, total)
	if err != nil {
		return nil, err
	}
	progress(ctx, StageSend, total-1, total)
	answer, err := w.send(ctx, r, chosen, token)
	if err == nil {
		progress(ctx, StageDone, total, total)
	}
	return answer, err
}

// Refuse tells the verifier that the person does not want to. It is also what to call, once the person has seen why,
// when the wallet cannot answer: the verifier cannot tell the two apart.
func (w *Wallet) Refuse(ctx context.Context, r *Request) error {
	if w.clock().After(r.object.ExpiresAt.Time()) {
		return refuse(CodeExpiredRequest, nil, "the request expired at %s", r.object.ExpiresAt)
	}
	event, err := w.spend(r, nil, EventRefused)
	if err != nil {
		return err
	}
	if r.counter != nil {
		return w.finish(event, nil) // nobody waits: the person says no
	}
	_, err = w.post(ctx, r, openid.AuthorizationResponse{Error: "access_denied"})
	if CodeOf(err) == CodeRemote {
		err = nil // it arrived, which is all a refusal can ask for
	}
	return errors.Join(err, w.finish(event, err))
}

// recheck holds the request to the chain and the clock as they are now.
func (w *Wallet) recheck(ctx context.Context, r *Request) (*client.View, error) {
	view, err := w.update(ctx)
	if err != nil {
		return nil, err
	}
	now := w.clock()
	if err := r.checkTimes(now); err != nil {
		return nil, err
	}
	verifier, ok := view.Registry.Verifier(r.verifier.DID)
	if !ok || !slices.Equal(verifier.ResponseURIs, r.verifier.ResponseURIs) || !slices.Equal(verifier.Keys, r.verifier.Keys) {
		return nil, refuse(CodeNotRegistered, nil, "the registration of %s changed: read the request again", r.verifier.DID)
	}
	if err := r.checkRegistered(view.Registry); err != nil {
		return nil, err
	}
	for i := range r.queries {
		if err := checkKey(view.Registry, r.queries[i].circuit(), r.queries[i].verifyingKey, now); err != nil {
			return nil, err
		}
	}
	if w.vault.read().wasAnswered(r.verifier.DID, r.object.Nonce) {
		return nil, refuse(CodeNonceUsed, nil, "the request was answered before")
	}
	return view, nil
}

// chosen finds the credential for each query, none twice.
func (w *Wallet) chosen(ctx context.Context, r *Request, choice Choice) ([]*Credential, error) {
	if choice == nil {
		candidates, err := w.Candidates(ctx, r)
		if err != nil {
			return nil, err
		}
		if choice, err = r.DefaultChoice(candidates); err != nil {
			return nil, err
		}
	}
	if len(choice) != len(r.queries) {
		return nil, refuse(CodeConsent, nil, "%d credentials were chosen for %d queries", len(choice), len(r.queries))
	}
	doc := w.vault.read()
	used := make(map[string]bool)
	chosen := make([]*Credential, 0, len(r.queries))
	for i := range r.queries {
		id := choice[r.queries[i].statement.Query]
		c, ok := doc.credential(id)
		switch {
		case !ok || !r.queries[i].isOfKind(c):
			return nil, refuse(CodeNoCredential, nil, "query %q: credential %q is not of its kind", r.queries[i].statement.Query, id)
		case used[id]:
			return nil, refuse(CodeSameCredential, nil, "credential %s was chosen for two queries", id)
		}
		used[id] = true
		chosen = append(chosen, c)
	}
	return chosen, nil
}

// job is one proof to make.
type job struct {
	query   *query
	public  presentation.Public
	private presentation.Private
	shown   credential.Claims
}

// prepare makes the inputs of all proofs under one root, with one n.
func (w *Wallet) prepare(ctx context.Context, r *Request, view *client.View, chosen []*Credential) ([]job, error) {
	master := w.vault.read().Master
	newest := newGroups(w, view.At())
	for i, c := range chosen {
		group, err := newest.of(ctx, c.Issued.Leaf)
		if err != nil {
			return nil, err
		}
		if err := r.queries[i].check(r, master, c, view, group); err != nil {
			return nil, err
		}
	}
	freshness := time.Duration(r.policy.FreshnessSeconds) * time.Second
	groups, err := w.pickRoot(ctx, r, view, freshness, chosen)
	if err != nil {
		return nil, err
	}
	// A root may stand in several seals, with other registries: take the one that the verifier will find.
	root := groups.seal.Seal.ActiveRoot
	seal, err := w.sealOf(ctx, r, view, root, freshness)
	if err != nil {
		return nil, refuse(CodeNotOnGrid, err, "seal of the root")
	}
	registry, err := w.chain.RegistryAt(ctx, seal.Seal)
	if err != nil {
		return nil, refuse(CodeNetwork, err, "registry of the root")
	}
	n := credential.Random31()
	jobs := make([]job, len(chosen))
	for i, c := range chosen {
		q := &r.queries[i]
		path, err := groups.path(ctx, c)
		if err != nil {
			return nil, err
		}
		good := goodIssuers(registry, q.statement.Schema, q.accepted)
		if !slices.Contains(good, c.Issued.Issuer) {
			return nil, refuse(CodeIssuerSuspended, nil, "the issuer of credential %s was not in good standing at the root's seal", c.ID)
		}
		jobs[i].query = q
		if jobs[i].public, jobs[i].private, err = q.inputs(r, master, c, good, root, n, path); err != nil {
			return nil, err
		}
		if jobs[i].shown, err = q.disclosed(c); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// rootTries bounds for how many grid roots the groups of leaves are fetched.
const rootTries = 8

// pickRoot takes the oldest grid root that the freshness allows, less the margin, in which all chosen credentials are
// live: so that all wallets take the same one.
func (w *Wallet) pickRoot(ctx context.Context, r *Request, view *client.View, freshness time.Duration, chosen []*Credential) (*groups, error) {
	seals, err := w.chain.GridSeals(ctx, view, freshness, min(w.margin, freshness/2))
	if err != nil {
		return nil, refuse(CodeNetwork, err, "grid seals")
	}
	seals = slices.DeleteFunc(seals, func(s client.SealAt) bool {
		return !r.knows(s.Seal.Height) || slices.ContainsFunc(chosen, func(c *Credential) bool { return s.Index < c.Issued.Receipt.Index })
	})
	seals = slices.CompactFunc(seals, func(a, b client.SealAt) bool { return a.Seal.ActiveRoot == b.Seal.ActiveRoot })
	if len(seals) > rootTries { // suspended long in between: then the newest will do
		seals = append(seals[:rootTries-1:rootTries-1], seals[len(seals)-1])
	}
	for _, seal := range seals {
		groups := newGroups(w, seal)
		live, err := groups.live(ctx, chosen)
		if err != nil {
			return nil, err
		}
		if live {
			return groups, nil
		}
	}
	return nil, r.noRoot(freshness)
}

// live tells whether the leaves of all credentials are in the active tree.
func (g *groups) live(ctx context.Context, chosen []*Credential) (bool, error) {
	for _, c := range chosen {
		if _, err := g.path(ctx, c); CodeOf(err) == CodeRevokedOrSuspended {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}

// path leads from the credential's leaf to the root of the groups' seal.
func (g *groups) path(ctx context.Context, c *Credential) (tree.Path, error) {
	group, err := g.of(ctx, c.Issued.Leaf)
	if err != nil {
		return tree.Path{}, err
	}
	path, found, err := group.Path(c.Issued.Leaf)
	if err != nil {
		return tree.Path{}, refuse(CodeLedger, err, "path of credential %s", c.ID)
	}
	if _, leaf, err := c.Issued.Commitment(); err != nil || found != leaf {
		return tree.Path{}, refuse(CodeRevokedOrSuspended, nil, "credential %s is not in the active tree of seal %d", c.ID, g.seal.Seal.Height)
	}
	return path, nil
}

// prove makes all proofs. None is sent before all are there.
func (w *Wallet) prove(ctx context.Context, r *Request, jobs []job, total int) (openid.VPToken, error) {
	token := openid.VPToken{}
	for i, j := range jobs {
		progress(ctx, StageKey, 1+i, total)
		prover, err := w.provers(ctx, j.query.circuit(), j.query.verifyingKey)
		if err != nil {
			return nil, refuse(CodeProof, err, "load the proving key of presentations")
		}
		progress(ctx, StageProve, 2+i, total)
		proof, err := prover.ProvePresentation(ctx, j.public, j.private)
		if err != nil {
			return nil, refuse(CodeProof, err, "prove query %q", j.query.statement.Query)
		}
		p := NewPresentation(j.query.system, proof, &j.public)
		if len(j.shown) > 0 {
			p.Disclosed = j.shown
		}
		token[j.query.statement.Query] = []openid.Presentation{p}
	}
	return token, nil
}

// NewPresentation is what goes to the verifier of a proof and its public inputs: what it cannot compute itself.
func NewPresentation(system string, proof []byte, public *presentation.Public) openid.Presentation {
	return openid.Presentation{
		System: system, Proof: openid.EncodeBytes(proof), Root: public.Root, N: public.N, Link: public.Link, Item: public.Item,
		Pseudonym: public.Pseudonym, SubjectTag: public.SubjectTag,
	}
}

// send spends the nonce, posts, and writes down what became of it.
func (w *Wallet) send(ctx context.Context, r *Request, chosen []*Credential, token openid.VPToken) (*Answer, error) {
	text, err := json.Marshal(token)
	if err != nil {
		return nil, err
	}
	if w.clock().After(r.object.ExpiresAt.Time()) {
		return nil, refuse(CodeExpiredRequest, nil, "the request expired at %s, while proving", r.object.ExpiresAt)
	}
	event, err := w.spend(r, chosen, EventPresented)
	if err != nil {
		return nil, err
	}
	body, err := w.post(ctx, r, openid.AuthorizationResponse{Token: text})
	if saveErr := w.finish(event, err); err != nil || saveErr != nil {
		return nil, errors.Join(err, saveErr)
	}
	answer := &Answer{Event: *event}
	var reply openid.DirectPostAnswer
	if decodeForeign(body, &reply) == nil && reply.RedirectURI != "" {
		if _, err := parseAddress(reply.RedirectURI); err == nil {
			answer.RedirectURI = reply.RedirectURI
		}
	}
	w.log.InfoContext(ctx, "request answered", "verifier", r.verifier.DID, "policy", r.policy.ID)
	return answer, nil
}

// spend makes the nonce used and writes down what is about to be revealed, before it is.
func (w *Wallet) spend(r *Request, chosen []*Credential, kind EventKind) (*Event, error) {
	event, err := r.event(kind, chosen, w.clock())
	if err != nil {
		return nil, err
	}
	err = w.vault.update(func(d *document) error {
		if d.wasAnswered(r.verifier.DID, r.object.Nonce) {
			return refuse(CodeNonceUsed, nil, "the request was answered before")
		}
		d.Answered = appendBounded(d.Answered, maxAnswered, answered{r.verifier.DID, r.object.Nonce, event.At})
		event.ID = d.newID()
		d.Events = appendBounded(d.Events, maxEvents, *event)
		if kind == EventPresented {
			d.reveal(r, chosen, event.At)
		}
		return nil
	})
	return event, err
}

// post sends a response with the request's state to its response_uri, encrypted if the request asks for that.
func (w *Wallet) post(ctx context.Context, r *Request, response openid.AuthorizationResponse) ([]byte, error) {
	response.State = r.object.State
	form, err := r.object.ResponseForm(response)
	if err != nil {
		return nil, err
	}
	return w.http.fetch(ctx, call{
		method: http.MethodPost, address: r.object.ResponseURI, contentType: "application/x-www-form-urlencoded",
		accept: "application/json", body: form.Encode(), limit: maxSmall, timeout: time.Minute,
	})
}

// finish writes down what the verifier said.
func (w *Wallet) finish(event *Event, err error) error {
	event.Outcome = OutcomeDone
	var refusal *Refusal
	if errors.As(err, &refusal) {
		event.Outcome, event.Remote = OutcomeUnknown, refusal.Remote
		if refusal.Code == CodeRemote {
			event.Outcome = OutcomeRejected
		}
	}
	return w.vault.update(func(d *document) error {
		for i := range d.Events {
			if d.Events[i].ID == event.ID {
				d.Events[i] = *event
			}
		}
		return nil
	})
}
