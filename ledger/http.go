package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/entry"
)

const (
	maxWait   = 30 * time.Second
	immutable = "public, max-age=31536000, immutable"
)

// Handler is the ledger over HTTP. Everything but POST /v1/entries is public reading; entries are authorised by their
// own signatures. Limits of time and headers are the server's (webapi.Serve).
//
//	GET  /checkpoint                       the published checkpoint: C2SP tlog-checkpoint with cosignatures
//	GET  /tile/{L}/{N}[.p/{W}]             hash tile, C2SP tlog-tiles
//	GET  /tile/entries/{N}[.p/{W}]         entry bundle: each entry behind its length in 16 bits
//	GET  /genesis                          the first entry
//	GET  /active/{row}/{name}              tile of the active tree
//	GET  /registry/{digest}                canonical JSON named by a seal
//	GET  /census/{digest}                  canonical JSON named by a seal
//	POST /v1/entries                       202 with a receipt; 200 if the entry was there
//	GET  /v1/receipts/{index}              ?level=sealed&wait_seconds=20
//	GET  /v1/signers/{signer}              the signer's next number
//	GET  /healthz, /readyz
func (l *Log) Handler() http.Handler {
	e := webapi.Engine(l.cfg.Logger, entry.MaxSize)
	e.UseRawPath = true // signers are DIDs, which have / and % in them
	public := e.Group("/", func(c *gin.Context) { c.Header("Access-Control-Allow-Origin", "*") })
	public.GET("/checkpoint", l.getCheckpoint)
	public.GET("/tile/*path", l.getTile)
	public.GET("/genesis", l.getGenesis)
	public.GET("/active/:row/:name", l.getActive)
	public.GET("/registry/:digest", l.getDocument)
	public.GET("/census/:digest", l.getDocument)
	public.GET("/v1/receipts/:index", l.getReceipt)
	public.GET("/v1/signers/:signer", l.getSigner)
	e.POST("/v1/entries", l.postEntry)
	e.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", l.getReady)
	return e
}

func (l *Log) getCheckpoint(c *gin.Context) {
	published, err := l.Published()
	if err != nil {
		webapi.Refuse(c, webapi.NewProblem(http.StatusNotFound, "not-published", "no checkpoint is published yet"))
		return
	}
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "text/plain; charset=utf-8", published)
}

func (l *Log) getTile(c *gin.Context) {
	data, err := l.tile(c.Param("path"))
	l.serve(c, "application/octet-stream", data, err)
}

func (l *Log) getGenesis(c *gin.Context) {
	raw, err := readEntry(l.cfg.Store, 0)
	l.serve(c, "application/jose+json", raw, err)
}

func (l *Log) getActive(c *gin.Context) {
	var name credential.Element
	row, err := strconv.Atoi(c.Param("row"))
	if err != nil || row < 0 || row > 4 || name.UnmarshalText([]byte(c.Param("name"))) != nil {
		l.serve(c, "", nil, ErrAbsent)
		return
	}
	data, err := l.cfg.Store.Get([]byte(elementKey(prefixTile, name)))
	l.serve(c, "application/octet-stream", data, err)
}

func (l *Log) getDocument(c *gin.Context) {
	var digest credential.Digest
	if digest.UnmarshalText([]byte(c.Param("digest"))) != nil {
		l.serve(c, "", nil, ErrAbsent)
		return
	}
	data, err := l.cfg.Store.Get([]byte(documentKey(digest)))
	l.serve(c, "application/json", data, err)
}

// serve answers with bytes that never change, or with a problem.
func (l *Log) serve(c *gin.Context, contentType string, data []byte, err error) {
	if err != nil {
		l.refuse(c, err)
		return
	}
	c.Header("Cache-Control", immutable)
	c.Data(http.StatusOK, contentType, data)
}

func (l *Log) postEntry(c *gin.Context) {
	raw, ok := webapi.Body(c)
	if !ok {
		return
	}
	receipt, err := l.Submit(c.Request.Context(), raw)
	switch {
	case err == nil:
		c.JSON(http.StatusAccepted, receipt)
	case errors.Is(err, ErrAlreadyLogged) && receipt.Level != "":
		c.JSON(http.StatusOK, receipt)
	default:
		l.refuse(c, err)
	}
}

func (l *Log) getReceipt(c *gin.Context) {
	index, err := strconv.ParseUint(c.Param("index"), 10, 53)
	level, wait := entry.Level(c.DefaultQuery("level", string(entry.LevelAccepted))), c.DefaultQuery("wait_seconds", "0")
	seconds, err2 := strconv.Atoi(wait)
	if err != nil || err2 != nil || level.Rank() == 0 || seconds < 0 {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "query", "want an index, level=accepted|logged|sealed and wait_seconds"))
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), min(maxWait, time.Duration(min(seconds, 60))*time.Second))
	defer cancel()
	receipt, err := l.Receipt(ctx, index, level)
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

func (l *Log) getReady(c *gin.Context) {
	if l.Ready() != nil {
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "stopped", "the ledger takes no entries; its log says why"))
		return
	}
	c.String(http.StatusOK, "ready\n")
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
	case errors.Is(err, ErrAbsent):
		webapi.Refuse(c, webapi.NewProblem(http.StatusNotFound, "not-found", "there is nothing by that name"))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "canceled", "the request ended before the answer"))
	default:
		l.cfg.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
		webapi.Refuse(c, webapi.NewProblem(http.StatusInternalServerError, "internal", "something went wrong here"))
	}
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

// tileError keeps a path that is no tile apart from a store that failed.
func tileError(path string) error { return fmt.Errorf("tile %s: %w", path, ErrAbsent) }
