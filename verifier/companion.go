package verifier

import (
	"context"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/check"
)

// Issuers reads the keys and status lists that issuers publish beside the chain, for policies that accept companions; package issuers has
// one. [check.Companions] says what its answers mean.
type Issuers interface {
	Key(ctx context.Context, issuer, keyID string) (jose.PublicKey, error)
	Status(ctx context.Context, issuer string, at statuslist.Reference) (check.Standing, error)
}

// companions is the [check.Companions] of a verifier.
type companions struct {
	Issuers
	chain *chain
}

// newCompanions is nil where there is nobody to ask.
func newCompanions(issuers Issuers, chain *chain) check.Companions {
	if issuers == nil {
		return nil
	}
	return companions{issuers, chain}
}

// Newest implements [check.Companions].
func (c companions) Newest(ctx context.Context) (check.Sealed, error) {
	view, err := c.chain.view(ctx)
	if err != nil {
		return check.Sealed{}, err
	}
	return sealedBy(view), nil
}

func sealedBy(view *client.View) check.Sealed {
	return check.Sealed{Height: view.Seal.Height, Time: view.Seal.Time.Time(), Registry: view.Registry}
}

// takesCompanions refuses a policy that accepts companions where they could not be checked.
func (v *Verifier) takesCompanions(p *policy.Policy) error {
	for _, q := range p.Queries {
		if q.Companion && v.cfg.Issuers == nil {
			return notReady(CompanionsOff, "policy %s accepts companions, which this verifier does not check: configure whom it may ask for issuers' keys and status lists (companions), or leave companion out of the policy and register it again", p.ID)
		}
	}
	return nil
}
