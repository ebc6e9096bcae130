package offline

import (
	"context"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier/check"
)

// Chain is the [check.Chain] of an excerpt, as of a clock's time.
type Chain struct {
	*checkpoint.Chain
	Clock func() time.Time
}

// horizon is until when seals count: those ahead of the clock by more than the chain's skew do not.
func (c *Chain) horizon() time.Time {
	return c.Clock().Add(time.Duration(c.Genesis.ClockSkewSeconds) * time.Second)
}

// Latest is the newest seal that the clock has reached, else the oldest of the excerpt.
func (c *Chain) Latest() checkpoint.Seal {
	for i := len(c.Seals) - 1; i > 0; i-- {
		if !c.Seals[i].At.After(c.horizon()) {
			return c.Seals[i]
		}
	}
	return c.Seals[0]
}

// Ahead tells whether the excerpt has seals that the clock has not reached: then the clock is wrong, or the excerpt is looked
// at as of an earlier time.
func (c *Chain) Ahead() bool { return c.Newest().At.After(c.horizon()) }

// Age is how old the newest seal is that the clock has reached.
func (c *Chain) Age() time.Duration { return c.Clock().Sub(c.Latest().At) }

// Registry is who may do what after the newest seal that the clock has reached.
func (c *Chain) Registry() *entry.Registry { return c.RegistryAt(c.Latest()) }

// FindRoot implements [check.Chain].
func (c *Chain) FindRoot(_ context.Context, root credential.Element, freshness time.Duration) (check.Sealed, error) {
	seal, ok := c.Chain.FindRoot(root, c.horizon())
	if !ok {
		return check.Sealed{}, check.Refuse(check.RootUnknown, "", nil)
	}
	if c.Clock().Sub(seal.At) > freshness {
		return check.Sealed{}, check.Refuse(check.RootTooOld, "", nil)
	}
	return check.Sealed{Height: seal.Height, Time: seal.At, Registry: c.RegistryAt(seal)}, nil
}

// VerifyingKeys implements [check.Chain].
func (c *Chain) VerifyingKeys(context.Context) ([]entry.VerifyingKey, error) {
	return check.Acceptable(c.Genesis, c.Registry()), nil
}

// Terms are what results say about the chain.
func (c *Chain) Terms() check.ChainTerms {
	return check.ChainTerms{SealInterval: time.Duration(c.Genesis.SealIntervalSeconds) * time.Second, Dev: c.Genesis.Dev}
}
