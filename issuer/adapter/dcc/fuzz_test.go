package dcc

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/bulla-id/bulla/internal/fuzztest"
)

// However much a stream would blow up to, it costs little, and what it gives is bounded.
func FuzzInflate(f *testing.F) {
	f.Add(deflate([]byte("message")))
	f.Add(deflate(bytes.Repeat([]byte{0}, 3<<20)))
	f.Add(deflate(nil))
	f.Add(append(deflate([]byte("message")), 0))
	f.Add(deflate(bytes.Repeat([]byte{0}, maxMessage)))
	f.Fuzz(func(t *testing.T, compressed []byte) {
		var message []byte
		var err error
		fuzztest.Bounded(t, 256<<10, func() { message, err = inflate(compressed) })
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if len(message) == 0 || len(message) > maxMessage {
			t.Errorf("%d bytes", len(message))
		}
		if again, err := inflate(deflate(message)); err != nil || !bytes.Equal(again, message) {
			t.Errorf("the message %q changes on its way, %v", message, err)
		}
	})
}

// fixed is a message with a signature of zeros.
func fixed(t testing.TB, tags ...uint64) []byte {
	payload := encode(t, claimsSet(map[int]any{1: content(nil)}))
	var message any = []any{encode(t, map[any]any{labelAlgorithm: -7, labelKeyID: make([]byte, 8)}), map[any]any{}, payload, make([]byte, 64)}
	for _, tag := range tags {
		message = cbor.Tag{Number: tag, Content: message}
	}
	return encode(t, message)
}

// A message is refused at a step that is named, or has the parts that a signature covers.
func FuzzParseMessage(f *testing.F) {
	f.Add(fixed(f))
	f.Add(fixed(f, tagSign1))
	f.Add(fixed(f, tagSign1, tagCWT))
	f.Add(fixed(f, tagSign1, tagSign1))
	f.Add(append(fixed(f), 0))
	f.Add(bytes.Repeat([]byte{0x81}, 64))
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x5a, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxMessage {
			data = data[:maxMessage]
		}
		var m *signedMessage
		var err error
		fuzztest.Bounded(t, 1<<20+64*len(data), func() { m, err = parseMessage(data) })
		if err != nil {
			fuzztest.Refused(t, err)
			if step := resultOf(nil, err).Step; step != StepCBOR && step != StepSignature {
				t.Errorf("refused at step %q", step)
			}
			return
		}
		if _, err := m.verify(nil); err == nil {
			t.Error("verified without a signer")
		}
		checkToken(t, m.payload)
	})
}

// checkToken demands of a payload that it is refused, or is JSON with times that are in order of themselves.
func checkToken(t *testing.T, payload []byte) {
	var token *token
	var err error
	fuzztest.Bounded(t, 1<<20+512*len(payload), func() { token, err = parseToken(payload) })
	if err != nil {
		fuzztest.Refused(t, err)
		return
	}
	if _, err := json.Marshal(token.content); err != nil {
		t.Errorf("the content %v is no JSON: %v", token.content, err)
	}
	if token.expires != nil && token.validAt(token.expires.Add(time.Nanosecond)) == nil {
		t.Errorf("valid after %s", token.expires)
	}
	if certificate, err := token.certificate(); token.expires != nil && err == nil {
		if _, err := Claims(certificate); err != nil {
			fuzztest.Refused(t, err)
		}
	}
}

func FuzzParseWebToken(f *testing.F) {
	f.Add(encode(f, claimsSet(map[int]any{1: content(nil)})))
	f.Add(encode(f, map[int]any{4: 1 << 41, 6: 1.5, -260: map[int]any{1: content(nil)}}))
	f.Add(encode(f, map[int]any{4: nan(), -260: map[int]any{1: map[any]any{1: 2}}}))
	f.Add(encode(f, map[int]any{4: expires, -260: map[int]any{1: nested(11)}}))
	f.Add([]byte{0xa2, 0x04, 0x01, 0x04, 0x02})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) <= maxMessage {
			checkToken(t, payload)
		}
	})
}

// A test file cannot be read, or its certificate is judged.
func FuzzCheckFile(f *testing.F) {
	for _, data := range testFiles(f) {
		if len(data) < 3000 {
			f.Add(data)
		}
	}
	f.Add([]byte(`{"COSE":"d2","TESTCTX":{"VALIDATIONCLOCK":"2021-05-03"}}`))
	f.Add([]byte("\xef\xbb\xbf" + `{"PREFIX":"HC1:","TESTCTX":{"CERTIFICATE":"-----BEGIN X-----\n-----END X-----"}}`))
	f.Add([]byte(`{"PREFIX":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := CheckFile(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if report.Accepted != (report.Certificate != nil) || report.Accepted == (report.Step != "") || report.Accepted == (report.Reason != "") {
			t.Errorf("accepted %t at step %q: %q", report.Accepted, report.Step, report.Reason)
		}
	})
}

func FuzzParseClock(f *testing.F) {
	for _, text := range []string{"2021-05-03T18:00:00Z", "2021-05-03T20:00:00.0+02", " 2021-05-03 ", "2021-13-01", "-2021-05-03", "10000-01-01", "2021-05-03T24:00:00Z"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clock, err := ParseClock(text)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := ParseClock(clock.Format(time.RFC3339Nano)); clock.Year() >= 0 && clock.Year() <= 9999 && (err != nil || !again.Equal(clock)) {
			t.Errorf("%q is %s, which is read as %s, %v", text, clock, again, err)
		}
	})
}
