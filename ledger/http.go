package ledger

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/entry"
)

const maxWait = 30 * time.Second

// Handler is the ledger over HTTP. Everything but POST /v1/entries is public reading; entries are authorised by their
// own signatures. Limits of time and headers are the server's (webapi.Serve), those of number are the handler's: make
// one.
//
//	GET  …                                 the static part: [Static.Routes]
//	POST /v1/entries                       ?level=sealed&wait_seconds=20: 202 with a receipt; 200 if the entry was there
//	GET  /v1/receipts/{index}              ?level=sealed&wait_seconds=20
//	GET  /v1/signers/{signer}              the signer's next number
//	GET  /v1/stream                        server-sent events: entries as they are published
//	GET  /v1/status                        [Status]: clock, scrub, sizes
//	GET  /healthz, /readyz
func (l *Log) Handler() http.Handler {
	e := webapi.Engine(l.cfg.Logger, entry.MaxSize)
	e.UseRawPath = true // signers are DIDs, which have / and % in them
	public := e.Group("/", func(c *gin.Context) { c.Header("Access-Control-Allow-Origin", "*") })
	l.Static().Routes(public)
	public.GET("/v1/receipts/:index", l.getReceipt)
	public.GET("/v1/signers/:signer", l.getSigner)
	public.GET("/v1/status", l.getStatus)
	public.GET("/v1/stream", l.getStream(newAdmission(maxStreams, maxStreamsPerClient)))
	e.POST("/v1/entries", l.postEntry(newAdmission(l.cfg.MaxPending, max(1, l.cfg.MaxPending/4))))
	e.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", l.getReady)
	return e
}

// postEntry takes an entry, if there is room for it: bodies are not read before.
func (l *Log) postEntry(admission *admission) gin.HandlerFunc {
	return func(c *gin.Context) {
		level, wait, ok := waitFor(c)
		if !ok {
			return
		}
		leave, ok := admission.admit(c, time.Second, "too many entries are waiting")
		if !ok {
			return
		}
		raw, ok := webapi.Body(c)
		if !ok {
			leave()
			return
		}
		receipt, err := l.Submit(c.Request.Context(), raw)
		leave()
		again := errors.Is(err, ErrAlreadyLogged) && receipt.Level != ""
		if err != nil && !again {
			l.refuse(c, err)
			return
		}
		if receipt.Level.Rank() < level.Rank() && wait > 0 {
			receipt, err = l.await(c, receipt.Index, level, wait)
			if err != nil {
				l.refuse(c, err)
				return
			}
		}
		status := http.StatusAccepted
		if again {
			status = http.StatusOK
		}
		c.JSON(status, receipt)
	}
}

// waitFor reads the level that is wanted, and how long the answer may be held back for it.
func waitFor(c *gin.Context) (entry.Level, time.Duration, bool) {
	level := entry.Level(c.DefaultQuery("level", string(entry.LevelAccepted)))
	seconds, err := strconv.Atoi(c.DefaultQuery("wait_seconds", "0"))
	if err != nil || level.Rank() == 0 || seconds < 0 {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "query", "want an index, level=accepted|logged|sealed and wait_seconds"))
		return "", 0, false
	}
	return level, min(maxWait, time.Duration(min(seconds, 60))*time.Second), true
}

// await is the receipt at a level, or at the one it has after the wait, or when the server stops.
func (l *Log) await(c *gin.Context, index uint64, level entry.Level, wait time.Duration) (entry.Receipt, error) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), wait)
	defer cancel()
	if closing := webapi.Closing(ctx); closing != nil {
		go func() {
			select {
			case <-closing:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return l.Receipt(ctx, index, level)
}

func (l *Log) getReceipt(c *gin.Context) {
	level, wait, ok := waitFor(c)
	if !ok {
		return
	}
	index, err := strconv.ParseUint(c.Param("index"), 10, 53)
	if err != nil {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "query", "want an index, level=accepted|logged|sealed and wait_seconds"))
		return
	}
	receipt, err := l.await(c, index, level, wait)
	if err != nil {
		l.refuse(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, receipt)
}

func (l *Log) getSigner(c *gin.Context) {
	signer := c.Param("signer")
	if !credential.ValidName(signer) {
		l.refuse(c, ErrAbsent)
		return
	}
	next, err := l.NextSequence(signer)
	if err != nil {
		l.refuse(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, struct {
		Next   uint64 `json:"next_seq"`
		Signer string `json:"signer"`
	}{next, signer})
}

// refuse maps errors to the wire. Inner errors go to the log only.
func (l *Log) refuse(c *gin.Context, err error) {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		p := webapi.NewProblem(refusal.status(), string(refusal.Code), refusal.Detail)
		c.Header("Content-Type", "application/problem+json")
		if refusal.Is(ErrSequence) {
			c.AbortWithStatusJSON(p.Status, sequenceProblem{*p, refusal.Expected})
			return
		}
		webapi.Refuse(c, p)
	case errors.Is(err, ErrBusy):
		c.Header("Retry-After", "1")
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "busy", "too many entries are waiting"))
	case errors.Is(err, ErrStopped):
		c.Header("Retry-After", "30")
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "stopped", "the ledger has stopped: send the same entry again later"))
	default:
		refuseAbsent(c, l.cfg.Logger, err)
	}
}

// Static is the part of the log that is files.
func (l *Log) Static() *Static {
	head := func() []byte {
		published, err := l.Published()
		if err != nil {
			return nil
		}
		return published
	}
	return NewStatic(l.cfg.Store, head, l.signedSize, l.cfg.Logger)
}

// sequenceProblem tells a signer that lost count where to go on.
type sequenceProblem struct {
	webapi.Problem
	Expected uint64 `json:"expected"`
}

// status is the HTTP status of a refusal.
func (r *Refusal) status() int {
	switch r.Code {
	case ErrMalformed.Code:
		return http.StatusBadRequest
	case ErrSequence.Code, ErrAlreadyLogged.Code, ErrDuplicateLeaf.Code, ErrConflict.Code:
		return http.StatusConflict
	}
	return http.StatusForbidden
}
