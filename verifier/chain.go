package verifier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier/check"
)

// Ledger is the chain as a verifier reads it; [*client.Client] is one, and says what its answers are worth.
type Ledger interface {
	// Update gives the newest view. After an error that is not [client.IsBad] earlier views stay valid.
	Update(ctx context.Context) (*client.View, error)
	// FindRoot finds the newest seal with an active root of at most that age: [client.ErrRootUnknown],
	// [client.ErrRootTooOld].
	FindRoot(ctx context.Context, root credential.Element, freshness time.Duration) (client.SealAt, error)
	// RegistryAt is who may do what after a seal.
	RegistryAt(ctx context.Context, seal entry.Seal) (*entry.Registry, error)
}

// chain is the [check.Chain] of a ledger, with the newest view at hand.
type chain struct {
	ledger Ledger
	clock  func() time.Time

	mu     sync.Mutex // guards what follows; held while the ledger is asked, so that one question serves all who wait
	newest *client.View
	asked  time.Time

	registries registries
}

// registries are some that were read last, by their digests: a registry of thousands of issuers takes milliseconds to read,
// and changes rarely. They must not be changed.
type registries struct {
	mu   sync.Mutex
	read map[credential.Digest]*entry.Registry
}

const keptRegistries = 8

func (r *registries) at(seal entry.Seal, read func() (*entry.Registry, error)) (*entry.Registry, error) {
	r.mu.Lock()
	known := r.read[seal.Registry]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	registry, err := read()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.read == nil || len(r.read) >= keptRegistries {
		r.read = make(map[credential.Digest]*entry.Registry)
	}
	r.read[seal.Registry] = registry
	return registry, nil
}

// viewAge is how long a view counts as the newest.
const viewAge = time.Second

// view is the newest view. While the ledger does not answer, the last one serves: roots in it grow too old by
// themselves. A ledger that was caught lying serves nobody.
func (c *chain) view(ctx context.Context) (*client.View, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := c.clock().Sub(c.asked); c.newest != nil && age >= 0 && age < viewAge {
		return c.newest, nil
	}
	view, err := c.ledger.Update(ctx)
	switch {
	case err == nil:
		c.newest, c.asked = view, c.clock()
	case c.newest == nil || client.IsBad(err):
		return nil, err
	}
	return c.newest, nil
}

// FindRoot implements [check.Chain].
func (c *chain) FindRoot(ctx context.Context, root credential.Element, freshness time.Duration) (check.Sealed, error) {
	at, err := c.ledger.FindRoot(ctx, root, freshness)
	switch {
	case errors.Is(err, client.ErrRootUnknown):
		return check.Sealed{}, check.Refuse(check.RootUnknown, "", err)
	case errors.Is(err, client.ErrRootTooOld):
		return check.Sealed{}, check.Refuse(check.RootTooOld, "", err)
	case err != nil:
		return check.Sealed{}, err
	}
	registry, err := c.registries.at(at.Seal, func() (*entry.Registry, error) { return c.ledger.RegistryAt(ctx, at.Seal) })
	if err != nil {
		return check.Sealed{}, fmt.Errorf("registry at seal %d: %w", at.Seal.Height, err)
	}
	return check.Sealed{Height: at.Seal.Height, Time: at.Time, Registry: registry}, nil
}

// VerifyingKeys implements [check.Chain].
func (c *chain) VerifyingKeys(ctx context.Context) ([]entry.VerifyingKey, error) {
	view, err := c.view(ctx)
	if err != nil {
		return nil, err
	}
	return acceptable(view), nil
}

// acceptable are the listed keys that this kind of chain may have.
func acceptable(view *client.View) []entry.VerifyingKey {
	return check.Acceptable(view.Genesis, view.Registry)
}

// terms are what results say about the chain.
func (c *chain) terms() (check.ChainTerms, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest == nil {
		return check.ChainTerms{}, errors.New("no view of the chain yet")
	}
	g := c.newest.Genesis
	return check.ChainTerms{SealInterval: time.Duration(g.SealIntervalSeconds) * time.Second, Dev: g.Dev}, nil
}

// forget makes the next question go to the ledger.
func (c *chain) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = time.Time{}
}
