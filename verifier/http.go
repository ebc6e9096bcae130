package verifier

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier/check"
)

// Handler serves the application's API (OAuth 2 tokens, RFC 9457 problems, described at /v1/openapi.json), the authorization server
// that gives the tokens if any software may ask for them (/oauth/token, /oauth/jwks), the endpoints that wallets use (OpenID4VP
// 1.0, errors of OAuth's form, open to pages of any origin), the result keys, and health.
func (v *Verifier) Handler() http.Handler {
	e := webapi.Engine(v.cfg.Logger, maxForm)
	e.RedirectTrailingSlash = false // SPEC: OpenID4VP 1.0 section 8.2: wallets are never redirected
	e.Use(func(c *gin.Context) { c.Header("Cache-Control", "no-store") })

	v.mountApp(e)

	v.serveWallets(e.Group("/oid4vp", allowAnyOrigin, webapi.NewRate(v.cfg.WalletRate, v.cfg.Clock).Limit))

	e.GET("/jwks.json", v.getKeys)
	e.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	e.GET("/readyz", v.getReady)
	return e
}

// problem is the one place where errors become answers to applications.
func (v *Verifier) problem(c *gin.Context, err error) *webapi.Problem {
	var notReady *NotReadyError
	var wrong malformed
	if p := hookProblem(err); p != nil {
		return p
	}
	switch {
	case errors.As(err, &wrong):
		return webapi.NewProblem(http.StatusBadRequest, "malformed", string(wrong))
	case errors.As(err, &notReady) && notReady.Code == PolicyUnknown:
		return webapi.NewProblem(http.StatusNotFound, notReady.Code, notReady.Detail)
	case errors.As(err, &notReady):
		return webapi.NewProblem(http.StatusConflict, notReady.Code, notReady.Detail)
	case errors.Is(err, ErrLifetime):
		return webapi.NewProblem(http.StatusBadRequest, "lifetime", ErrLifetime.Error())
	case errors.Is(err, ErrReturnURI):
		return webapi.NewProblem(http.StatusBadRequest, "return_uri", ErrReturnURI.Error())
	case errors.Is(err, ErrKeyUsed):
		return webapi.NewProblem(http.StatusUnprocessableEntity, "idempotency_key", ErrKeyUsed.Error())
	case errors.Is(err, ErrForeignRequest):
		return webapi.NewProblem(http.StatusBadRequest, "request_foreign", ErrForeignRequest.Error())
	case errors.Is(err, ErrResponseCode):
		return webapi.NewProblem(http.StatusForbidden, "response_code", ErrResponseCode.Error())
	case errors.Is(err, ErrEnded):
		return webapi.NewProblem(http.StatusConflict, "session_ended", ErrEnded.Error())
	case errors.Is(err, ErrClientFollowers):
		c.Header("Retry-After", "10")
		return webapi.NewProblem(http.StatusTooManyRequests, "followers", ErrClientFollowers.Error())
	case errors.Is(err, ErrFollowers):
		c.Header("Retry-After", "10")
		return webapi.NewProblem(http.StatusServiceUnavailable, "followers", ErrFollowers.Error())
	case errors.Is(err, ErrLogQuery):
		return webapi.NewProblem(http.StatusBadRequest, "malformed", ErrLogQuery.Error())
	case errors.Is(err, ErrScopeUnknown):
		return webapi.NewProblem(http.StatusNotFound, "scope_unknown", ErrScopeUnknown.Error())
	case errors.Is(err, ErrNoBackups):
		return webapi.NewProblem(http.StatusConflict, "no_backups", ErrNoBackups.Error())
	case errors.Is(err, ErrBusy):
		c.Header("Retry-After", retryAfter)
		return webapi.NewProblem(http.StatusServiceUnavailable, string(check.Unavailable), ErrBusy.Error())
	case errors.Is(err, ErrAbsent):
		return webapi.NewProblem(http.StatusNotFound, string(check.SessionUnknown), "there is no such session of yours; results are kept as long as the policy says")
	}
	v.cfg.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
	return webapi.NewProblem(http.StatusServiceUnavailable, string(check.Unavailable), "ledger or store did not answer; try again")
}

func (v *Verifier) getReady(c *gin.Context) {
	if err := v.Ready(c.Request.Context()); err != nil {
		webapi.Refuse(c, v.notReady(c, err))
		return
	}
	c.JSON(http.StatusOK, gin.H{"status": "ready"})
}

// notReady is always a 503, with what to do where we know.
func (v *Verifier) notReady(c *gin.Context, err error) *webapi.Problem {
	p := v.problem(c, err)
	return webapi.NewProblem(http.StatusServiceUnavailable, p.Code, p.Detail)
}
