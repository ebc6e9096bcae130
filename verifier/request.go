package verifier

import (
	"context"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/check"
)

// Paths that wallets reach, below the public URL; an id follows.
const (
	requestPath  = "/oid4vp/requests/"
	responsePath = "/oid4vp/responses/"
	setPath      = "/oid4vp/sets/"
)

// PagePath is where pages of sessions are, below the public URL. Package web has them; who serves this verifier mounts them there.
const PagePath = "/verify"

// systemID is the name of the one proof system in our queries.
const systemID = "zk"

// newRequest makes the request object of one session: the statements of the policy at now, one key for each, one nonce.
func (v *Verifier) newRequest(view *client.View, p *policy.Policy, requestID string, now time.Time, lifetime time.Duration) (*openid.RequestObject, error) {
	statements, err := p.Resolve(now, schemasOf(view))
	if err != nil {
		return nil, err
	}
	text, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	r := &openid.RequestObject{
		ClientID: v.ClientID(), ResponseType: "vp_token", ResponseMode: openid.DirectPost, ResponseURI: v.base + responsePath + requestID,
		Nonce: webapi.RandomID(), State: webapi.RandomID(), Audience: openid.SelfIssued,
		IssuedAt: credential.UnixTimeOf(now), ExpiresAt: credential.UnixTimeOf(now.Add(lifetime)),
		ClientMetadata: openid.ClientMetadata{Formats: openid.OurFormats()},
		VerifierInfo:   []openid.VerifierInfo{{Format: openid.PolicyInfo, Data: text}},
	}
	if len(p.SetUses()) > 0 {
		at, err := credential.Canonical(openid.SetsLocation{URI: v.base + setPath})
		if err != nil {
			return nil, err
		}
		r.VerifierInfo = append(r.VerifierInfo, openid.VerifierInfo{Format: openid.SetsInfo, Data: at})
	}
	for _, s := range statements {
		key, err := v.usableKey(view, s.CircuitName(), now.Add(lifetime))
		if err != nil {
			return nil, err
		}
		query, err := v.newQuery(view, s, key)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", p.ID, err)
		}
		r.Query.Credentials = append(r.Query.Credentials, query)
	}
	if r.Query.AcceptCompanions(); len(r.Query.Companions) > 0 {
		r.ClientMetadata.Formats[openid.CompanionFormat] = openid.CompanionAlgorithms()
	}
	return r, nil
}

// newQuery wraps a statement. It compiles it first, so that nobody is asked what could not be proven today.
func (v *Verifier) newQuery(view *client.View, s policy.Statement, key *keys.VerifyingKey) (openid.CredentialQuery, error) {
	schema, _ := view.Registry.Schema(s.Schema) // Resolve found it
	accepted, err := s.Accepted(v.sets)
	if err != nil {
		return openid.CredentialQuery{}, err
	}
	good, err := view.Registry.InGoodStanding(s.Schema, accepted)
	if err != nil {
		return openid.CredentialQuery{}, notReady(NoIssuer, "query %q: %v", s.Query, err)
	}
	if _, err := s.Compile(policy.Context{Genesis: view.GenesisHash, Schema: &schema.Schema, Sets: v.sets, Trees: v.trees, Issuers: good}); err != nil {
		return openid.CredentialQuery{}, err
	}
	return openid.CredentialQuery{
		ID: s.Query, Format: openid.Format,
		Meta: openid.Meta{
			TypeValues: []string{schema.Schema.Type}, Statement: s,
			Systems: []openid.System{{
				ID: systemID, System: openid.ProofSystem, Circuit: key.Name(), CircuitDigest: key.Circuit(), VerifyingKey: key.Digest(),
			}},
		},
	}, nil
}

// RequestWith is [Verifier.Request] for a wallet that posted a nonce of its own: the same request, signed anew with the
// nonce in it. What a response is bound to does not have it, so that the request stays one, whoever fetches it.
func (v *Verifier) RequestWith(ctx context.Context, requestID, walletNonce string) (string, error) {
	token, err := v.Request(ctx, requestID)
	if err != nil {
		return "", err
	}
	payload, err := jose.PeekPayload(token)
	if err != nil {
		return "", fmt.Errorf("stored request: %w", err)
	}
	r, err := openid.ParseRequestObject(payload)
	if err != nil {
		return "", fmt.Errorf("stored request: %w", err)
	}
	if r.ClientID != v.ClientID() { // made before we were configured anew: nobody would believe it under this signature
		return "", check.Refuse(check.SessionExpired, "", nil)
	}
	r.WalletNonce = walletNonce
	return v.identity.sign(r)
}
