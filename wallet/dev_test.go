package wallet

import (
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// A wallet proves nothing on a chain that says it is live and lists development keys.
func TestDevelopmentKeysOnALiveChain(t *testing.T) {
	key := entry.VerifyingKey{
		Circuit: "presentation-1", CircuitDigest: credential.DigestOf([]byte("c")), KeyDigest: credential.DigestOf([]byte("k")), NotAfter: 1,
	}
	made := key
	made.Transcript = credential.DigestOf([]byte("ceremony"))
	for name, c := range map[string]struct {
		dev  bool
		keys []entry.VerifyingKey
		want Code
	}{
		"dev chain":                       {true, []entry.VerifyingKey{key}, ""},
		"live chain":                      {false, []entry.VerifyingKey{made}, ""},
		"live chain, one key without":     {false, []entry.VerifyingKey{made, key}, CodeLedger},
		"dev chain on keys of a ceremony": {true, []entry.VerifyingKey{made}, ""},
	} {
		view := &client.View{Genesis: entry.Genesis{Dev: c.dev}, Registry: &entry.Registry{VerifyingKeys: c.keys}}
		if got := CodeOf(checkKeysOn(view)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
