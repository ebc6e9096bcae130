package verifier

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier/check"
)

// Scopes of the application's API.
const (
	ScopeWrite = "verifier:sessions.write"
	ScopeRead  = "verifier:sessions.read"
)

// maxForm bounds a posted response: form encoding writes a byte as three where JSON has quotes and braces.
const maxForm = 3*openid.MaxResponse + 8<<10

// Handler serves the application's API (bearer tokens, RFC 9457 problems), the two endpoints that wallets use (OpenID4VP
// 1.0, errors of OAuth's form, open to pages of any origin), the result keys, and health.
func (v *Verifier) Handler() http.Handler {
	e := webapi.Engine(v.cfg.Logger, maxForm)
	e.Use(func(c *gin.Context) { c.Header("Cache-Control", "no-store") })

	e.POST("/v1/sessions", v.cfg.Authority.Require(ScopeWrite), v.postSession)
	e.GET("/v1/sessions/:id", v.cfg.Authority.Require(ScopeRead), v.getSession)

	wallets := e.Group("/oid4vp", allowAnyOrigin, webapi.NewRate(v.cfg.WalletRate, v.cfg.Clock).Limit)
	wallets.GET("/requests/:id", v.getRequest)
	wallets.OPTIONS("/requests/:id", preflight)
	wallets.POST("/responses/:id", v.load.admit, v.postResponse)
	wallets.OPTIONS("/responses/:id", preflight)

	e.GET("/jwks.json", v.getKeys)
	e.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	e.GET("/readyz", v.getReady)
	return e
}

type sessionRequest struct {
	Policy          string `json:"policy"`
	LifetimeSeconds int    `json:"lifetime_seconds,omitempty"`
}

func (v *Verifier) postSession(c *gin.Context) {
	body, ok := webapi.Body(c)
	if !ok {
		return
	}
	var request sessionRequest
	if err := credential.ParseStrict(body, &request); err != nil {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "malformed", `want {"policy": a policy's id, "lifetime_seconds": optional}`))
		return
	}
	started, err := v.Start(c.Request.Context(), webapi.Client(c), request.Policy, time.Duration(request.LifetimeSeconds)*time.Second)
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.Header("Location", v.base+"/v1/sessions/"+started.ID)
	c.JSON(http.StatusCreated, started)
}

func (v *Verifier) getSession(c *gin.Context) {
	status, err := v.Status(c.Request.Context(), webapi.Client(c), c.Param("id"))
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
	case errors.Is(err, ErrAbsent):
		return webapi.NewProblem(http.StatusNotFound, string(check.SessionUnknown), "there is no such session of yours; results are kept as long as the policy says")
	}
	v.cfg.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
	return webapi.NewProblem(http.StatusServiceUnavailable, string(check.Unavailable), "ledger or store did not answer; try again")
}

// allowAnyOrigin lets wallets that are web pages talk to us. No cookie or credential is involved, so any page may.
func allowAnyOrigin(c *gin.Context) {
	c.Header("Access-Control-Allow-Origin", "*")
}

func preflight(c *gin.Context) {
	c.Header("Access-Control-Allow-Methods", "GET, POST")
	c.Header("Access-Control-Allow-Headers", "Content-Type")
	c.Header("Access-Control-Max-Age", "600")
	c.Status(http.StatusNoContent)
}

func (v *Verifier) getRequest(c *gin.Context) {
	token, err := v.Request(c.Request.Context(), c.Param("id"))
	if err != nil {
		v.refuseWallet(c, err, http.StatusGone)
		return
	}
	c.Data(http.StatusOK, "application/"+openid.RequestType, []byte(token))
}

func (v *Verifier) postResponse(c *gin.Context) {
	response, err := readResponse(c.Request)
	response.Client = webapi.ClientOf(c.Request)
	if err == nil {
		err = v.Respond(c.Request.Context(), c.Param("id"), response)
	}
	if err != nil && !declined(err) {
		v.refuseWallet(c, err, http.StatusBadRequest)
		return
	}
	c.JSON(http.StatusOK, openid.DirectPostAnswer{})
}

// declined tells an error that the wallet sent and we took note of.
//
// SPEC: OpenID4VP 1.0 section 8.2: an error response that was processed is answered as a response is, with 200.
func declined(err error) bool {
	var refusal *check.Refusal
	return errors.As(err, &refusal) && (refusal.Code == check.RefusedByHolder || refusal.Code == check.WalletError)
}

// errTooLarge is returned for bodies beyond the limit.
var errTooLarge = errors.New("body is too large")

// readResponse reads a direct_post: vp_token and state, or error and state.
func readResponse(r *http.Request) (Response, error) {
	body, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return Response{}, errTooLarge
	}
	if errors.Is(err, ErrBusy) {
		return Response{}, err
	}
	if err != nil {
		return Response{}, check.Refuse(check.Malformed, "", err)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return Response{}, check.Refuse(check.Malformed, "", errors.New("content type is not application/x-www-form-urlencoded"))
	}
	return parseForm(string(body))
}

// parseForm wants state once, and once either vp_token or error.
//
// SPEC: RFC 6749 section 3.1: parameters that we do not know are ignored, none may stand twice.
func parseForm(body string) (Response, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return Response{}, check.Refuse(check.Malformed, "", err)
	}
	for _, value := range values {
		if len(value) != 1 {
			return Response{}, check.Refuse(check.Malformed, "", errors.New("a parameter stands twice"))
		}
	}
	r := Response{State: values.Get("state"), Token: []byte(values.Get("vp_token")), Error: values.Get("error")}
	if r.State == "" || (len(r.Token) == 0) == (r.Error == "") {
		return Response{}, check.Refuse(check.Malformed, "", errors.New("want state and either vp_token or error"))
	}
	return r, nil
}

// refuseWallet is the one place where errors become answers to wallets.
func (v *Verifier) refuseWallet(c *gin.Context, err error, status int) {
	var refusal *check.Refusal
	switch {
	case errors.As(err, &refusal):
		if refusal.Code == check.SessionUnknown {
			status = http.StatusNotFound
		}
		c.AbortWithStatusJSON(status, openid.Error{Code: string(refusal.Code), Description: refusal.Error()})
	case errors.Is(err, errTooLarge):
		c.AbortWithStatusJSON(http.StatusRequestEntityTooLarge, openid.Error{Code: string(check.Malformed), Description: "the body may have " + strconv.Itoa(maxForm) + " bytes"})
	case errors.Is(err, ErrBusy):
		refuseBusy(c)
	default:
		v.cfg.Logger.ErrorContext(c, "wallet could not be served", slog.String("path", c.FullPath()), slog.Any("error", err))
		c.Header("Retry-After", "2")
		c.AbortWithStatusJSON(http.StatusServiceUnavailable, openid.Error{Code: string(check.Unavailable), Description: check.Unavailable.Text().English})
	}
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
