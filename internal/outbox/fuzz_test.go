package outbox

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// FuzzVerify changes a message: only the one that was signed is accepted, or one that has its signature among others.
func FuzzVerify(f *testing.F) {
	secret, err := ParseSecret(exampleSecret)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		header := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
		got, err := Verify([]Secret{secret}, header, body, time.Unix(exampleTime, 0))
		if err != nil {
			fuzztest.Refused(t, err)
			if !errors.Is(err, ErrSignature) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if got != exampleID || timestamp != "1614265330" || string(body) != examplePayload {
			t.Errorf("a forgery was accepted: %q %q %q", id, timestamp, body)
		}
	})
}

// FuzzParseSecret demands one spelling, and errors that do not quote.
func FuzzParseSecret(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSecret(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if s.Reveal() != text || len(s.key) < minSecretSize || len(s.key) > maxSecretSize {
			t.Errorf("%q was accepted", text)
		}
	})
}
