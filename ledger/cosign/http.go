package cosign

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/webapi"
)

// Handler is the cosigner over HTTP.
//
//	POST /add-checkpoint   C2SP tlog-witness: 200 with the cosignature line
//	GET  /evidence         what the cosigner holds against the log: a list of files for bulla ledger check-evidence; normally empty
//	GET  /healthz
func (c *Cosigner) Handler() http.Handler {
	e := webapi.Engine(c.logger, MaxRequest)
	e.POST("/add-checkpoint", c.postCheckpoint)
	e.GET("/evidence", c.getEvidence)
	e.GET("/healthz", func(g *gin.Context) { g.String(http.StatusOK, "ok\n") })
	return e
}

func (c *Cosigner) postCheckpoint(g *gin.Context) {
	body, ok := webapi.Body(g)
	if !ok {
		return
	}
	request, err := ParseRequest(body)
	if err != nil {
		c.answer(g, err)
		return
	}
	line, err := c.Add(g.Request.Context(), request)
	if err != nil {
		c.answer(g, err)
		return
	}
	g.Data(http.StatusOK, "text/plain; charset=utf-8", line)
}

// answer maps errors to statuses. SPEC (tlog-witness): 409 carries the size that old should have been.
func (c *Cosigner) answer(g *gin.Context, err error) {
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		g.Data(http.StatusConflict, "text/x.tlog.size", fmt.Appendf(nil, "%d\n", conflict.Size))
		return
	}
	for _, known := range []struct {
		err    error
		status int
		code   string
	}{
		{ErrRequest, http.StatusBadRequest, "malformed"},
		{ErrSignature, http.StatusForbidden, "signature"},
		{ErrUnknownLog, http.StatusNotFound, "unknown-log"},
		{ErrFork, http.StatusConflict, "fork"},
		{ErrProof, http.StatusUnprocessableEntity, "proof"},
		{ErrRefused, http.StatusUnprocessableEntity, "replay-refused"},
		{ErrAhead, http.StatusServiceUnavailable, "ahead-of-clock"},
		{ErrUnreachable, http.StatusServiceUnavailable, "ledger-unreachable"},
	} {
		if errors.Is(err, known.err) {
			if known.status == http.StatusServiceUnavailable {
				c.logger.WarnContext(g, "checkpoint not cosigned yet", slog.Any("error", err))
			}
			detail := known.err.Error()
			if known.err == ErrRefused { // what it says is public, and the operator needs it
				detail = err.Error()
			}
			webapi.Refuse(g, webapi.NewProblem(known.status, known.code, detail))
			return
		}
	}
	c.logger.ErrorContext(g, "add checkpoint", slog.Any("error", err))
	webapi.Refuse(g, webapi.NewProblem(http.StatusInternalServerError, "internal", "something went wrong here"))
}

func (c *Cosigner) getEvidence(g *gin.Context) {
	all, err := c.Evidence()
	if err != nil {
		c.answer(g, err)
		return
	}
	g.Header("Cache-Control", "no-store")
	g.Data(http.StatusOK, "application/json", slices.Concat([]byte("["), bytes.Join(all, []byte(",")), []byte("]")))
}
