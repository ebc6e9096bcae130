package verifier

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/verifier/check"
)

// ErrBusy is returned when as many responses are being checked as this verifier takes on, or as many proofs wait: nothing
// was looked at, and the same response may be sent again.
var ErrBusy = errors.New("too many responses at a time")

const (
	defaultResponses = 1024
	// maxBodies bounds the bodies that are held at a time, together, in bytes as they arrive: who announces much and sends
	// little holds little.
	maxBodies = 64 << 20
	// bodyTime is how long a wallet may take to send its response.
	bodyTime = 10 * time.Second
	// retryAfter is what a busy verifier tells wallets, in seconds.
	retryAfter = "2"
)

// load counts what is under way, so that more is refused at once instead of waiting in memory.
type load struct {
	places chan struct{} // as many as responses are checked at a time
	bodies atomic.Int64  // bytes of bodies that are held
	most   int64         // maxBodies
	time   time.Duration // bodyTime
}

func newLoad(responses int) *load {
	return &load{places: make(chan struct{}, responses), most: maxBodies, time: bodyTime}
}

// enter takes a place, or returns [ErrBusy]. leave gives it back.
func (l *load) enter() (leave func(), err error) {
	select {
	case l.places <- struct{}{}:
		return func() { <-l.places }, nil
	default:
		return nil, ErrBusy
	}
}

// admit is a middleware for endpoints that read a response: a busy verifier answers before it reads anything, a body has
// [bodyTime] to arrive, and all bodies together have a bound.
func (l *load) admit(c *gin.Context) {
	if len(l.places) == cap(l.places) || l.bodies.Load() >= l.most {
		refuseBusy(c)
		return
	}
	body := &body{ReadCloser: c.Request.Body, load: l, control: http.NewResponseController(c.Writer)}
	_ = body.control.SetReadDeadline(time.Now().Add(l.time)) // a writer without deadlines, as in tests, has no slow client
	c.Request.Body = body
	defer func() { l.bodies.Add(-body.held) }()
	c.Next()
}

// refuseBusy answers a wallet, and says when to come back. What it still sends is not read: its connection ends.
func refuseBusy(c *gin.Context) {
	c.Header("Retry-After", retryAfter)
	c.Header("Connection", "close")
	c.AbortWithStatusJSON(http.StatusServiceUnavailable, openid.Error{Code: string(check.Unavailable), Description: check.Unavailable.Text().English})
}

// body is a request's body that is counted while it is read.
type body struct {
	io.ReadCloser
	load    *load
	control *http.ResponseController
	held    int64
}

// Read implements [io.Reader]. It fails with [ErrBusy] when bodies hold too much.
func (b *body) Read(p []byte) (int, error) {
	if b.load.bodies.Load() >= b.load.most {
		return 0, ErrBusy
	}
	n, err := b.ReadCloser.Read(p)
	b.held += int64(n)
	b.load.bodies.Add(int64(n))
	if errors.Is(err, io.EOF) { // what follows is not the wallet's time
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
