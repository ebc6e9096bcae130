package offline

import (
	"encoding/json"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/checkpoint"
)

// MaxBundle bounds a bundle, in bytes.
const MaxBundle = credential.MaxDocument

// Bundle is a presentation with all that it takes to check it: what was asked, what was answered, and an excerpt of the
// chain. Its file form is canonical JSON. Who keeps one keeps what the verifier learned: the policy's retention holds for it.
type Bundle struct {
	Version  int                 `json:"version"`  // 1, or 2 with sets
	Request  string              `json:"request"`  // the signed request object (JWT), the bytes that wallets fetch
	Response json.RawMessage     `json:"response"` // the vp_token
	Chain    *checkpoint.Excerpt `json:"chain"`
	// Sets are those that the policy names, in the order of [policy.NamedSets]: in version 2 at least one, in version 1 none.
	Sets []policy.SetDocument `json:"sets,omitempty"`
}

// ParseBundle reads a bundle, canonical JSON. Nothing in it is believed before [Verifier.Verify].
func ParseBundle(text []byte) (*Bundle, error) {
	b := new(Bundle)
	if err := credential.ParseCanonical(text, b); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return b, b.validate()
}

// VersionWith is the version of a bundle, or a counter's copy, with so many sets.
func VersionWith(sets int) int {
	if sets > 0 {
		return 2
	}
	return 1
}

func (b *Bundle) validate() error {
	if b.Version != VersionWith(len(b.Sets)) || b.Chain == nil {
		return fmt.Errorf("bundle of version %d with %d sets: this program reads 1 without sets, and 2 with some", b.Version, len(b.Sets))
	}
	return nil
}

// Bytes is the file: canonical JSON.
func (b *Bundle) Bytes() ([]byte, error) { return credential.Canonical(b) }
