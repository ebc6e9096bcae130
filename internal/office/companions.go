package office

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/issuers"
)

// CompanionsConfig is whom a verifier may ask for the keys and status lists of issuers, at the addresses that the chain has of them: https at
// port 443 of public addresses, and what is named here. http is for this machine only, where 127.0.0.0/8 is among the networks.
type CompanionsConfig struct {
	Networks []netip.Prefix `json:"networks,omitempty"`
	Ports    []uint16       `json:"ports,omitempty"`
}

func (c *CompanionsConfig) egress() egress.Config {
	return egress.Config{Allowed: c.Networks, Ports: c.Ports}
}

func (c *CompanionsConfig) validate() error {
	if c == nil {
		return nil
	}
	if err := c.egress().Validate(); err != nil {
		return fmt.Errorf("companions: %w", err)
	}
	return nil
}

// open is nil where companions are not to be checked.
func (c *CompanionsConfig) open(clock func() time.Time) (verifier.Issuers, error) {
	if c == nil {
		return nil, nil
	}
	return issuers.New(issuers.Config{Egress: c.egress(), Clock: clock})
}
