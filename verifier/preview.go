package verifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/client"
)

// PolicyListed is a policy of this verifier, and whether it can be asked by now.
type PolicyListed struct {
	ID      string            `json:"id"`
	Name    credential.Text   `json:"name"`
	Purpose credential.Text   `json:"purpose"`
	Digest  credential.Digest `json:"digest"`
	Queries []string          `json:"queries"`
	Ready   bool              `json:"ready"`
	// Code and Detail say what keeps it from being asked by: those of a [*NotReadyError].
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// ListPolicies are the policies of this verifier, by name. An error means that the ledger did not answer.
func (v *Verifier) ListPolicies(ctx context.Context) ([]PolicyListed, error) {
	view, err := v.chain.view(ctx)
	if err != nil {
		return nil, fmt.Errorf("list policies: read the chain: %w", err)
	}
	list := []PolicyListed{}
	for _, p := range v.Policies() {
		digest, err := p.Digest()
		if err != nil {
			return nil, err
		}
		one := PolicyListed{ID: p.ID, Name: p.Name, Purpose: p.Purpose, Digest: digest, Ready: true}
		for _, q := range p.Queries {
			one.Queries = append(one.Queries, q.ID)
		}
		if _, err := v.find(view, p.ID); err != nil {
			var why *NotReadyError
			if !errors.As(err, &why) {
				return nil, err
			}
			one.Ready, one.Code, one.Detail = false, why.Code, why.Detail
		}
		list = append(list, one)
	}
	return list, nil
}

// PreviewPolicy is what a person would read about a policy at a time, whether it can be asked by or not, as far as the chain has
// its schemas. What there is not is a [*NotReadyError].
func (v *Verifier) PreviewPolicy(ctx context.Context, id string, at time.Time, language string) (*policy.Preview, error) {
	p, ok := v.policies[id]
	if !ok {
		return nil, notReady(PolicyUnknown, "there is no such policy here")
	}
	view, err := v.chain.view(ctx)
	if err != nil {
		return nil, fmt.Errorf("preview: read the chain: %w", err)
	}
	preview, err := p.Preview(at, v.surroundings(view), language)
	if err != nil {
		return nil, notReady(PolicyUnprovable, "%v", err)
	}
	return preview, nil
}

// surroundings are what the chain says about what we ask.
func (v *Verifier) surroundings(view *client.View) policy.Surroundings {
	return policy.Surroundings{
		Schemas: schemasOf(view), Sets: v.sets, Good: view.Registry.InGoodStanding,
		IssuerName: func(did, language string) string {
			if issuer, ok := view.Registry.Issuer(did); ok {
				return issuer.Name.In(language)
			}
			return did
		},
	}
}
