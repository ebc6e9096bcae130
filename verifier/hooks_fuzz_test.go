package verifier

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// A row of webhooks opens in its place, as it was written, or is refused.
func FuzzHookRow(f *testing.F) {
	h, err := newHookRows(nil, make([]byte, SessionKeySize))
	if err != nil {
		f.Fatal(err)
	}
	const place = "outbox/endpoint/ep_1"
	// Sealed once, as each sealing draws 32 bytes.
	written, err := base64.StdEncoding.DecodeString("WQoqqvhglTULhj7TbHlk7mICVQVXWg4rFW2tHjSJN9loER3WV84f7vhrZWmw1lALYVGtrYY=")
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []string{place, "outbox/endpoint/ep_2", ""} {
		f.Add(key, written)
	}
	f.Add(place, written[:saltSize])
	f.Add(place, append([]byte{written[0] ^ 1}, written[1:]...))
	f.Add(place, []byte{})
	f.Fuzz(func(t *testing.T, key string, sealed []byte) {
		value, err := h.open(key, sealed)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if key != place || !bytes.Equal(sealed, written) || string(value) != "value" {
			t.Errorf("%x opens at %q as %q", sealed, key, value)
		}
	})
}
