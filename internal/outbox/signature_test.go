package outbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The example that implementations of Standard Webhooks share.
const (
	exampleSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	exampleTime      = 1614265330
	examplePayload   = `{"test": 2432232314}`
	exampleSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSharedExample(t *testing.T) {
	secret := parseSecret(t, exampleSecret)
	header := make(http.Header)
	sign(header, []Secret{secret}, exampleID, time.Unix(exampleTime, 0), []byte(examplePayload))
	if got := header.Get("Webhook-Signature"); got != exampleSignature {
		t.Errorf("signature %s", got)
	}
	id, err := Verify([]Secret{secret}, header, []byte(examplePayload), time.Unix(exampleTime, 0))
	if id != exampleID || err != nil {
		t.Errorf("%s, %v", id, err)
	}
}

func TestVerify(t *testing.T) {
	right, other := NewSecret(), NewSecret()
	now := time.Unix(exampleTime, 0)
	long := strings.Repeat("v1,x ", maxSignatures)
	for _, c := range []struct {
		name    string
		change  func(h http.Header)
		secrets []Secret
		body    string
		at      time.Time
		ok      bool
	}{
		{name: "as sent", ok: true},
		{name: "second of two secrets", secrets: []Secret{other, right}, ok: true},
		{name: "second of two signatures", change: func(h http.Header) {
			h.Set(headerSignature, "v1a,zzzz v1,AAAA "+h.Get(headerSignature))
		}, ok: true},
		{name: "oldest", at: now.Add(Tolerance), ok: true},
		{name: "newest", at: now.Add(-Tolerance), ok: true},

		{name: "too old", at: now.Add(Tolerance + time.Second)},
		{name: "too new", at: now.Add(-Tolerance - time.Second)},
		{name: "other secret", secrets: []Secret{other}},
		{name: "no secret", secrets: []Secret{}},
		{name: "other body", body: "{}"},
		{name: "other id", change: func(h http.Header) { h.Set(headerID, "msg_2") }},
		{name: "other time", change: func(h http.Header) { h.Set(headerTimestamp, fmt.Sprint(exampleTime+1)) }},
		{name: "another spelling of the time", change: func(h http.Header) { h.Set(headerTimestamp, fmt.Sprintf("+%d", exampleTime)) }},
		{name: "no time", change: func(h http.Header) { h.Del(headerTimestamp) }},
		{name: "no id", change: func(h http.Header) { h.Del(headerID) }},
		{name: "two ids", change: func(h http.Header) { h.Add(headerID, "x") }},
		{name: "no signature", change: func(h http.Header) { h.Del(headerSignature) }},
		{name: "signature of another version", change: func(h http.Header) {
			h.Set(headerSignature, "v1a"+strings.TrimPrefix(h.Get(headerSignature), "v1"))
		}},
		{name: "signature cut short", change: func(h http.Header) { h.Set(headerSignature, h.Get(headerSignature)[:20]) }},
		{name: "empty signature", change: func(h http.Header) { h.Set(headerSignature, "v1,") }},
		{name: "too many signatures", change: func(h http.Header) { h.Set(headerSignature, long+h.Get(headerSignature)) }},
	} {
		header := make(http.Header)
		sign(header, []Secret{right}, "msg_1", now, []byte(examplePayload))
		if c.change != nil {
			c.change(header)
		}
		if c.secrets == nil {
			c.secrets = []Secret{right}
		}
		if c.body == "" {
			c.body = examplePayload
		}
		if c.at.IsZero() {
			c.at = now
		}
		_, err := Verify(c.secrets, header, []byte(c.body), c.at)
		if c.ok != (err == nil) || err != nil && !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestDotsDoNotShift moves the dot between identifier and time: the signed bytes are the same.
func TestDotsDoNotShift(t *testing.T) {
	secret, now := NewSecret(), time.Unix(exampleTime, 0)
	header := make(http.Header)
	sign(header, []Secret{secret}, "a", now, []byte(fmt.Sprintf("%d.{}", exampleTime)))
	header.Set(headerID, fmt.Sprintf("a.%d", exampleTime))
	if _, err := Verify([]Secret{secret}, header, []byte("{}"), now); !errors.Is(err, ErrSignature) {
		t.Errorf("%v", err)
	}
}

// TestZeroSecret signs with no key at all, which everybody can.
func TestZeroSecret(t *testing.T) {
	header := make(http.Header)
	sign(header, []Secret{{}}, "msg_1", time.Unix(exampleTime, 0), nil)
	if _, err := Verify([]Secret{{}}, header, nil, time.Unix(exampleTime, 0)); !errors.Is(err, ErrSignature) {
		t.Errorf("%v", err)
	}
}

func TestParseSecret(t *testing.T) {
	of := func(n int) string { return secretPrefix + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, ok := range map[string]bool{
		exampleSecret: true, of(24): true, of(32): true, of(64): true,
		"": false, "whsec_": false, of(23): false, of(65): false, of(1000): false,
		strings.TrimPrefix(of(32), secretPrefix): false, "WHSEC_" + strings.TrimPrefix(of(32), secretPrefix): false,
		of(32) + "\n": false, of(32)[:20] + "\n" + of(32)[20:]: false, strings.TrimRight(of(32), "="): false,
		strings.Replace(of(32), "A=", "B=", 1): false, " " + of(32): false,
	} {
		s, err := ParseSecret(text)
		if ok != (err == nil) || ok && s.Reveal() != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := parseSecret(t, exampleSecret)
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "endpoint", Endpoint{Secrets: []Secret{s}})
	fmt.Fprintf(&out, "%v %+v %#v %s", s, Endpoint{Secrets: []Secret{s}}, s, s)
	if err := json.NewEncoder(&out).Encode(Endpoint{Secrets: []Secret{s}}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), exampleSecret[8:]) || strings.Contains(out.String(), s.key) {
		t.Errorf("printed: %s", out.String())
	}
}

func parseSecret(t *testing.T, text string) Secret {
	t.Helper()
	s, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
