package client

import (
	"fmt"
	"io"
	"os"

	"github.com/bulla-id/bulla/credential"
)

// Profile is how a chain is made known to those who use it: which chain it is, where to read it, whose signatures to
// believe. Whoever can change a user's profile can make them believe another chain.
type Profile struct {
	Ledger  string            `json:"ledger"` // URL of the ledger or a mirror
	Genesis credential.Digest `json:"genesis"`
	Policy  Policy            `json:"checkpoint_policy"`
}

const maxProfile = 64 << 10

// ReadProfile reads a profile from a JSON file.
func ReadProfile(path string) (Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return Profile{}, fmt.Errorf("chain profile: %w", err)
	}
	defer f.Close()
	p, err := parseProfile(f)
	if err != nil {
		return Profile{}, fmt.Errorf("chain profile %s: %w", path, err)
	}
	return p, nil
}

func parseProfile(r io.Reader) (Profile, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err != nil {
		return Profile{}, err
	}
	if len(data) > maxProfile {
		return Profile{}, fmt.Errorf("more than %d bytes", maxProfile)
	}
	var p Profile
	err = credential.ParseStrict(data, &p)
	return p, err
}

// Config is the client configuration of the profile.
func (p Profile) Config() Config { return Config{URL: p.Ledger, Genesis: p.Genesis, Policy: p.Policy} }
