package check

import (
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
)

// NewAskedAtCounter is a counter's own request as it was shown, with the registered policy that it asks by.
func NewAskedAtCounter(genesis credential.Digest, ask *openid.CounterAsk, p *policy.Policy, registry *entry.Registry) (*Asked, error) {
	object, err := ask.Object(p, registry)
	if err != nil {
		return nil, fmt.Errorf("counter request: %w", err)
	}
	a, err := NewAsked(genesis, object)
	if err != nil {
		return nil, err
	}
	if a.challenge, err = ask.Challenge(genesis, object.Query.Credentials); err != nil {
		return nil, fmt.Errorf("counter request: challenge: %w", err)
	}
	return a, nil
}
