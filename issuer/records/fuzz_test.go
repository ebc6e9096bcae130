package records

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/issuer"
)

// A row opens in its place, as it was written, or is damaged: each version byte, length and place but one is refused.
func FuzzOpenRow(f *testing.F) {
	s, err := newSealer(make([]byte, issuer.RecordKeySize))
	if err != nil {
		f.Fatal(err)
	}
	const place = "offer/1"
	// Sealed once, as each sealing draws a nonce.
	written, err := base64.StdEncoding.DecodeString("AVHIrWf7CXgyIgINwnO1/32Qyu+rgvdbbMGfU4CwF6sglw==")
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []string{place, "offer/2", ""} {
		f.Add(key, written)
	}
	f.Add(place, written[:12])
	f.Add(place, append([]byte{2}, written[1:]...))
	f.Add(place, []byte{})
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		value, err := s.open(key, data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if key != place || !bytes.Equal(data, written) || string(value) != "value" {
			t.Errorf("%x opens at %q as %q", data, key, value)
		}
	})
}
