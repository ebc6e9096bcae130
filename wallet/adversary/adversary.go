// Package adversary is the wallet of somebody who cheats: for tests, and for the demo, which shows who refuses what. It
// makes none of the wallet's own checks and lets every part of an answer be chosen: root, path, challenge, issuers,
// public and private inputs, proof bytes, address. Its provers should be unchecked, so that the circuit itself refuses.
//
// It can make nothing provable. What it gets past is a hole in the circuit or in the verifier.
//
//	request, err := a.Fetch(ctx, link)
//	attempt, err := request.Attempt(0, secrets.Master, &secrets.Credentials[0])
//	attempt.Seal, err = a.SealWith(ctx, attempt.Credential, since) // a root from before the revocation
//	presentation, err := a.Prove(ctx, attempt)                     // IsCircuitRefusal(err): not provable
//	reply, err := a.Answer(ctx, request, map[string]openid.Presentation{attempt.Statement.Query: presentation})
package adversary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/wallet"
)

// Config is what an adversary has: the public chain, its own provers, and the network.
type Config struct {
	Chain      *client.Client
	Provers    wallet.Provers // unchecked, and under any key
	HTTPClient *http.Client   // nil: http.DefaultClient
}

// Adversary makes and sends answers that no honest wallet would. It is safe for concurrent use.
type Adversary struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Adversary, error) {
	if cfg.Chain == nil || cfg.Provers == nil {
		return nil, errors.New("new adversary: chain and provers are needed")
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = http.DefaultClient
	}
	return &Adversary{cfg}, nil
}

// IsCircuitRefusal tells that the circuit refused: no proof exists for these inputs.
func IsCircuitRefusal(err error) bool { return errors.Is(err, proving.ErrUnsatisfied) }

// Request is a verifier's request, as it came.
type Request struct {
	Object  openid.RequestObject
	Genesis credential.Digest
}

// Fetch reads a request and believes it.
func (a *Adversary) Fetch(ctx context.Context, link string) (*Request, error) {
	reference, err := openid.ParseRequestLink(link)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, reference.URI, nil)
	if err != nil {
		return nil, err
	}
	reply, err := a.do(request)
	if err != nil {
		return nil, err
	}
	payload, err := jose.PeekPayload(string(reply.Body))
	if err != nil {
		return nil, fmt.Errorf("fetch request (status %d): %w", reply.Status, err)
	}
	object, err := openid.ParseRequestObject(payload)
	if err != nil {
		return nil, fmt.Errorf("fetch request: %w", err)
	}
	view, err := a.cfg.Chain.Update(ctx)
	if err != nil {
		return nil, err
	}
	return &Request{*object, view.GenesisHash}, nil
}

// Challenge is the challenge of the request; that of another request can stand in for it in an [Attempt].
func (r *Request) Challenge() (credential.Element, error) { return r.Object.Challenge(r.Genesis) }

// Newest is the newest seal.
func (a *Adversary) Newest(ctx context.Context) (client.SealAt, error) {
	view, err := a.cfg.Chain.Update(ctx)
	if err != nil {
		return client.SealAt{}, err
	}
	return view.At(), nil
}

// SealWith is the newest seal not older than since in which the credential's leaf is live.
func (a *Adversary) SealWith(ctx context.Context, c *wallet.Credential, since time.Time) (client.SealAt, error) {
	view, err := a.cfg.Chain.Update(ctx)
	if err != nil {
		return client.SealAt{}, err
	}
	seals, err := a.cfg.Chain.Seals(ctx, view, since)
	if err != nil {
		return client.SealAt{}, err
	}
	_, leaf, err := c.Issued.Commitment()
	if err != nil {
		return client.SealAt{}, err
	}
	for _, seal := range seals { // newest first
		group, err := a.cfg.Chain.Group(ctx, seal.Seal.ActiveRoot, c.Issued.Leaf)
		if err != nil {
			return client.SealAt{}, err
		}
		if _, found, err := group.Path(c.Issued.Leaf); err == nil && found == leaf {
			return seal, nil
		}
	}
	return client.SealAt{}, fmt.Errorf("no seal since %s has the leaf of credential %s", since.Format(time.RFC3339), c.ID)
}

// MadeUpPath leads from a credential's leaf to a root of its own making, which no seal holds.
func MadeUpPath(c *wallet.Credential) (root credential.Element, path tree.Path, err error) {
	_, leaf, err := c.Issued.Commitment()
	if err != nil {
		return root, path, err
	}
	path = tree.Path{Index: c.Issued.Leaf, Siblings: make([][tree.Arity - 1]credential.Element, credential.ActiveDepth)}
	return path.Root(leaf), path, nil
}

// Reply is what the other side said.
type Reply struct {
	Status int
	Body   []byte
}

// Accepted tells a success.
func (r *Reply) Accepted() bool { return r.Status == http.StatusOK }

// Answer sends presentations, by query, to where the request wants them.
func (a *Adversary) Answer(ctx context.Context, r *Request, presentations map[string]openid.Presentation) (*Reply, error) {
	token := openid.VPToken{}
	for query, p := range presentations {
		token[query] = []openid.Presentation{p}
	}
	text, err := encode(token)
	if err != nil {
		return nil, err
	}
	form, err := r.Form(text)
	if err != nil {
		return nil, err
	}
	return a.Post(ctx, r.Object.ResponseURI, form)
}

// Form is the form of a response, from any JSON for the vp_token, encrypted as the request wants it.
func (r *Request) Form(vpToken string) (url.Values, error) {
	return r.Object.ResponseForm(openid.AuthorizationResponse{Token: []byte(vpToken), State: r.Object.State})
}

// Post sends any form anywhere: a captured response once more, or to another verifier.
func (a *Adversary) Post(ctx context.Context, address string, form url.Values) (*Reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(request)
}

func (a *Adversary) do(request *http.Request) (*Reply, error) {
	response, err := a.cfg.HTTPClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, jose.MaxToken))
	if err != nil {
		return nil, err
	}
	return &Reply{response.StatusCode, body}, nil
}
