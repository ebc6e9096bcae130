package verifier

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier/check"
)

// Scopes of the application's API.
const (
	ScopeWrite = "verifier:sessions.write"
	ScopeRead  = "verifier:sessions.read"
)

// Handler serves the application's API (bearer tokens, RFC 9457 problems), the two endpoints that wallets use (OpenID4VP
// 1.0, errors of OAuth's form, open to pages of any origin), the result keys, and health.
func (v *Verifier) Handler() http.Handler {
	e := webapi.Engine(v.cfg.Logger, maxForm)
	e.RedirectTrailingSlash = false // SPEC: OpenID4VP 1.0 section 8.2: wallets are never redirected
	e.Use(func(c *gin.Context) { c.Header("Cache-Control", "no-store") })

	e.POST("/v1/sessions", v.cfg.Authority.Require(ScopeWrite), v.postSession)
	e.POST("/v1/validate", v.cfg.Authority.Require(ScopeValidate), v.postValidate)
	e.GET("/v1/sessions/:id", v.cfg.Authority.Require(ScopeRead), v.getSession)

	v.servePolicies(e)

	v.serveWallets(e.Group("/oid4vp", allowAnyOrigin, webapi.NewRate(v.cfg.WalletRate, v.cfg.Clock).Limit))

	e.GET("/jwks.json", v.getKeys)
	e.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	e.GET("/readyz", v.getReady)
	return e
}

type sessionRequest struct {
	Policy          string `json:"policy"`
	LifetimeSeconds int    `json:"lifetime_seconds,omitempty"`
	ReturnURI       string `json:"return_uri,omitempty"`
}

func (v *Verifier) postSession(c *gin.Context) {
	body, ok := webapi.Body(c)
	if !ok {
		return
	}
	var request sessionRequest
	if err := credential.ParseStrict(body, &request); err != nil {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "malformed", `want {"policy": a policy's id, "lifetime_seconds": optional, "return_uri": optional}`))
		return
	}
	started, err := v.StartWith(c.Request.Context(), webapi.Client(c), Ask{
		Policy: request.Policy, Lifetime: time.Duration(request.LifetimeSeconds) * time.Second, ReturnURI: request.ReturnURI,
	})
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.Header("Location", v.base+"/v1/sessions/"+started.ID)
	c.JSON(http.StatusCreated, started)
}

func (v *Verifier) getSession(c *gin.Context) {
	status, err := v.StatusWith(c.Request.Context(), webapi.Client(c), c.Param("id"), c.Query("response_code"))
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.JSON(http.StatusOK, status)
}

// problem is the one place where errors become answers to applications.
func (v *Verifier) problem(c *gin.Context, err error) *webapi.Problem {
	var notReady *NotReadyError
	switch {
	case errors.As(err, &notReady) && notReady.Code == PolicyUnknown:
		return webapi.NewProblem(http.StatusNotFound, notReady.Code, notReady.Detail)
	case errors.As(err, &notReady):
		return webapi.NewProblem(http.StatusConflict, notReady.Code, notReady.Detail)
	case errors.Is(err, ErrLifetime):
		return webapi.NewProblem(http.StatusBadRequest, "lifetime", ErrLifetime.Error())
	case errors.Is(err, ErrReturnURI):
		return webapi.NewProblem(http.StatusBadRequest, "return_uri", ErrReturnURI.Error())
	case errors.Is(err, ErrResponseCode):
		return webapi.NewProblem(http.StatusForbidden, "response_code", ErrResponseCode.Error())
	case errors.Is(err, ErrBusy):
		c.Header("Retry-After", retryAfter)
		return webapi.NewProblem(http.StatusServiceUnavailable, string(check.Unavailable), ErrBusy.Error())
	case errors.Is(err, ErrAbsent):
		return webapi.NewProblem(http.StatusNotFound, string(check.SessionUnknown), "there is no such session of yours; results are kept as long as the policy says")
	}
	v.cfg.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
	return webapi.NewProblem(http.StatusServiceUnavailable, string(check.Unavailable), "ledger or store did not answer; try again")
}

// resultKey is a key as RFC 7517 writes it, with what it is for.
type resultKey struct {
	jose.PublicKey
	KeyID     string         `json:"kid"`
	Use       string         `json:"use"`
	Algorithm jose.Algorithm `json:"alg"`
}

func (v *Verifier) getKeys(c *gin.Context) {
	key := v.cfg.ResultKey.Public()
	c.Header("Content-Type", "application/jwk-set+json")
	c.JSON(http.StatusOK, gin.H{"keys": []resultKey{{key, key.KeyID(), "sig", key.Algorithm()}}})
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
