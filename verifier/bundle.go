package verifier

import (
	"context"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/offline"
)

// NewBundle puts a request and the response that was made to it together with what the chain said at that time, for whoever
// checks it later without a network. It checks nothing but that the request can be read.
//
// Nothing here keeps responses: who has one got it from the wallet, and may keep it as long as the policy says.
func NewBundle(ctx context.Context, chain *client.Client, request string, response []byte, at time.Time) (*offline.Bundle, error) {
	_, payload, err := jose.PeekCompact(request)
	if err != nil {
		return nil, fmt.Errorf("make a bundle: request: %w", err)
	}
	view, err := chain.Update(ctx)
	if err != nil {
		return nil, fmt.Errorf("make a bundle: %w", err)
	}
	asked, err := check.ParseAsked(view.GenesisHash, payload)
	if err != nil {
		return nil, fmt.Errorf("make a bundle: %w", err)
	}
	freshness := time.Duration(asked.Policy.FreshnessSeconds) * time.Second
	skew := time.Duration(view.Genesis.ClockSkewSeconds) * time.Second
	excerpt, err := chain.Excerpt(ctx, view, at.Add(-freshness), at.Add(skew), 0)
	if err != nil {
		return nil, fmt.Errorf("make a bundle: %w", err)
	}
	sets, _, err := carried(ctx, chain, asked.Policy)
	if err != nil {
		return nil, fmt.Errorf("make a bundle: %w", err)
	}
	return &offline.Bundle{Version: offline.VersionWith(len(sets)), Request: request, Response: response, Chain: excerpt, Sets: sets}, nil
}

// carried reads from the chain the sets that policies name, and their size together. The client keeps those that it read.
func carried(ctx context.Context, chain *client.Client, policies ...*policy.Policy) (sets []policy.SetDocument, size int, err error) {
	for _, digest := range policy.NamedSets(policies...) {
		set, err := chain.Set(ctx, digest)
		if err != nil {
			return nil, 0, err
		}
		sets, size = append(sets, set.Document()), size+len(set.Canonical())
	}
	return sets, size, nil
}
