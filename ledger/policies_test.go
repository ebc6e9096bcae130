package ledger_test

import (
	"testing"

	"github.com/bulla-id/bulla/credential/policy"
)

// The rules of a chain do not change when circuits are added: whoever replays takes policies and keys of circuits that its
// own program does not know, or it would stand apart from those who do.
func TestCircuitsNewerThanTheLedger(t *testing.T) {
	c, m := begun(t, 2)
	apply(t, m, c.signed(verifierDID, c.policy(func(p *policy.Policy) { p.Queries[0].Circuit = "presentation-9" })))
	if _, ok := m.Registry().Policy(verifierDID, "housing"); !ok {
		t.Error("the policy is not registered")
	}
}
