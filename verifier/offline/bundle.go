package offline

import (
	"encoding/json"
	"fmt"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/checkpoint"
)

// MaxBundle bounds a bundle, in bytes.
const MaxBundle = credential.MaxDocument

// Bundle is a presentation with all that it takes to check it: what was asked, what was answered, and an excerpt of the
// chain. Its file form is canonical JSON. Who keeps one keeps what the verifier learned: the policy's retention holds for it.
type Bundle struct {
	Version  int                 `json:"version"`  // 1
	Request  string              `json:"request"`  // the signed request object (JWT), the bytes that wallets fetch
	Response json.RawMessage     `json:"response"` // the vp_token
	Chain    *checkpoint.Excerpt `json:"chain"`
}

// ParseBundle reads a bundle, canonical JSON. Nothing in it is believed before [Verifier.Verify].
func ParseBundle(text []byte) (*Bundle, error) {
	b := new(Bundle)
	if err := credential.ParseCanonical(text, b); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return b, nil
}

// Bytes is the file: canonical JSON.
func (b *Bundle) Bytes() ([]byte, error) { return credential.Canonical(b) }
