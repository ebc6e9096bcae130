package verifier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/counter"
	"github.com/bulla-id/bulla/verifier/offline"
)

// maxCopiedSets bounds the sets of a counter's copy, in bytes: the copy has at most 4 MiB, and the rest is the chain's.
const maxCopiedSets = 3 << 20

// CounterCopy reads from the chain what a counter of a verifier takes with it: the verifier's registered policies, as far as a
// counter may ask by them, with the sets that they name, and the seals that the longest of their freshnesses reaches back to. Policies
// whose sets find no more room are left out.
func CounterCopy(ctx context.Context, chain *client.Client, did string, now time.Time) (*counter.Copy, error) {
	view, err := chain.Update(ctx)
	if err != nil {
		return nil, fmt.Errorf("copy the chain for a counter: %w", err)
	}
	c := &counter.Copy{Policies: []*policy.Policy{}}
	freshness := 0
	for _, registered := range view.Registry.Policies {
		if registered.Verifier != did {
			continue
		}
		text, err := chain.RegisteredPolicy(ctx, view, registered)
		if err != nil {
			return nil, fmt.Errorf("copy the chain for a counter: %w", err)
		}
		p, err := policy.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("copy the chain for a counter: %w", err)
		}
		if p.CheckCounter() != nil {
			continue
		}
		sets, size, err := carried(ctx, chain, append(slices.Clone(c.Policies), p)...)
		if err != nil {
			return nil, fmt.Errorf("copy the chain for a counter: %w", err)
		}
		if size <= maxCopiedSets {
			c.Policies, c.Sets, freshness = append(c.Policies, p), sets, max(freshness, p.FreshnessSeconds)
		}
	}
	if len(c.Policies) == 0 {
		return nil, fmt.Errorf("%s has registered no policy that a counter may ask by", did)
	}
	c.Version = offline.VersionWith(len(c.Sets))
	skew := time.Duration(view.Genesis.ClockSkewSeconds) * time.Second
	if c.Chain, err = chain.Excerpt(ctx, view, now.Add(-time.Duration(freshness)*time.Second), now.Add(skew), 0); err != nil {
		return nil, fmt.Errorf("copy the chain for a counter: %w", err)
	}
	return c, nil
}
