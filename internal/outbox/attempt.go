package outbox

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/bulla-id/bulla/internal/egress"
)

// Code says in a word what became of an attempt.
type Code string

const (
	codeArrived     Code = "arrived"     // any 2xx
	codeGone        Code = "gone"        // 410
	codeRefused     Code = "refused"     // any other status, redirects among them
	codeForbidden   Code = "forbidden"   // the name leads to an address that we do not call
	codeTimeout     Code = "timeout"     // no answer in time
	codeTLS         Code = "tls"         // its certificate or handshake
	codeUnreachable Code = "unreachable" // no connection, or it broke
	codeInterrupted Code = "interrupted" // we stop; never recorded
)

// Attempt is a line of an endpoint's log. Neither payloads nor answers stand in it.
type Attempt struct {
	Time    int64  `json:"time"` // seconds since 1970
	ID      string `json:"id"`   // the message's
	Type    string `json:"type"`
	Attempt int    `json:"attempt"` // from 1
	Status  int    `json:"status"`  // 0 without an answer
	Code    Code   `json:"code"`
}

// Log lists the last attempts at an endpoint, the newest first, at most 100; or returns [ErrUnknown].
func (o *Outbox) Log(endpoint string) ([]Attempt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.endpoints[endpoint]; !ok {
		return nil, ErrUnknown
	}
	log := slices.Clone(o.logs[endpoint])
	slices.Reverse(log)
	return log, nil
}

func (o *Outbox) endpoint(id string) (Endpoint, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, ok := o.endpoints[id]
	return e, ok
}

// outcome is what became of one attempt.
type outcome struct {
	status     int
	code       Code
	retryAfter time.Duration
}

func (out outcome) arrived() bool { return out.code == codeArrived }

// attempt posts a message once.
func (o *Outbox) attempt(ctx context.Context, e Endpoint, d delivery) outcome {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(d.Payload))
	if err != nil {
		return outcome{code: codeForbidden} // a URL from before a rule changed
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "bulla-webhooks/1")
	sign(r.Header, e.Secrets, d.ID, time.Now(), d.Payload)
	answer, err := o.client.Do(r)
	if err != nil {
		return outcome{code: codeOf(ctx, err)}
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body) // bounded; so the connection can be used again. The status has told all.
	return judge(answer, time.Now())
}

func judge(answer *http.Response, now time.Time) outcome {
	out := outcome{status: answer.StatusCode, code: codeRefused}
	switch {
	case out.status >= 200 && out.status < 300:
		out.code = codeArrived
	case out.status == http.StatusGone:
		out.code = codeGone
	case out.status == http.StatusTooManyRequests || out.status == http.StatusServiceUnavailable:
		out.retryAfter = retryAfter(answer.Header.Get("Retry-After"), now)
	}
	return out
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3), within bounds. What is malformed asks for nothing.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}

// codeOf names a failure without its text, which could tell about our network.
func codeOf(ctx context.Context, err error) Code {
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case ctx.Err() != nil:
		return codeInterrupted
	case errors.Is(err, egress.ErrForbidden):
		return codeForbidden
	case errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return codeTLS
	case errors.As(err, &timeout) && timeout.Timeout():
		return codeTimeout
	}
	return codeUnreachable
}
