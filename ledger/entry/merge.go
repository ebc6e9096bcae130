package entry

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
)

// Merge puts the signatures of several people under one payload: each signed the same draft by themselves, offline. A
// key that signed in several of them counts once.
func Merge(entries ...*Entry) (*Entry, error) {
	if len(entries) == 0 {
		return nil, errors.New("merge signatures: there are none")
	}
	var signatures []Signature
	for i, e := range entries {
		if string(e.Payload) != string(entries[0].Payload) {
			return nil, fmt.Errorf("merge signatures: number %d is of another payload than the first", i+1)
		}
		for _, s := range e.Signatures {
			known := func(o Signature) bool { return o.Header.KeyID == s.Header.KeyID }
			if !slices.ContainsFunc(signatures, known) {
				signatures = append(signatures, s)
			}
		}
	}
	slices.SortFunc(signatures, func(a, b Signature) int { return strings.Compare(a.Header.KeyID, b.Header.KeyID) })
	wire := wireEntry{Payload: base64.RawURLEncoding.EncodeToString(entries[0].Payload)}
	for _, s := range signatures {
		wire.Signatures = append(wire.Signatures, wireSignature{s.protected, base64.RawURLEncoding.EncodeToString(s.signature)})
	}
	raw, err := credential.Canonical(wire)
	if err != nil {
		return nil, fmt.Errorf("merge signatures: %w", err)
	}
	merged, err := Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("merge signatures: %w", err)
	}
	return merged, nil
}
