package checkpoint

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

// MaxProfile bounds a profile, in bytes.
const MaxProfile = 64 << 10

// ReadProfile reads a profile from a JSON file.
func ReadProfile(path string) (Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return Profile{}, fmt.Errorf("chain profile: %w", err)
	}
	defer f.Close()
	p, err := ParseProfile(f)
	if err != nil {
		return Profile{}, fmt.Errorf("chain profile %s: %w", path, err)
	}
	return p, nil
}

// ParseProfile reads a profile, JSON.
func ParseProfile(r io.Reader) (Profile, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxProfile+1))
	if err != nil {
		return Profile{}, err
	}
	if len(data) > MaxProfile {
		return Profile{}, fmt.Errorf("more than %d bytes", MaxProfile)
	}
	var p Profile
	err = credential.ParseStrict(data, &p)
	return p, err
}
