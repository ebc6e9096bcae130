package verifier

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier/check"
)

// maxForm bounds a posted response: form encoding writes a byte as three where JSON has quotes and braces. An encrypted one
// is shorter.
const maxForm = 3*openid.MaxResponse + 8<<10

// serveWallets has the endpoints that are for wallets. None redirects (SPEC: OpenID4VP 1.0 sections 5.10 and 8.2).
func (v *Verifier) serveWallets(wallets *gin.RouterGroup) {
	wallets.GET("/requests/:id", v.getRequest)
	wallets.POST("/requests/:id", v.postRequest)
	wallets.OPTIONS("/requests/:id", preflight)
	wallets.GET("/sets/:digest", v.getSet)
	wallets.OPTIONS("/sets/:digest", preflight)
	wallets.POST("/responses/:id", v.load.admit, v.postResponse)
	wallets.OPTIONS("/responses/:id", preflight)
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
	v.sendRequest(c, token, err)
}

// postRequest is the request for a wallet that may have posted a nonce.
func (v *Verifier) postRequest(c *gin.Context) {
	walletNonce, err := readFetch(c.Request)
	if err != nil {
		v.refuseWallet(c, err, http.StatusBadRequest)
		return
	}
	var token string
	if walletNonce == "" {
		token, err = v.Request(c.Request.Context(), c.Param("id"))
	} else {
		token, err = v.RequestWith(c.Request.Context(), c.Param("id"), walletNonce)
	}
	v.sendRequest(c, token, err)
}

func (v *Verifier) sendRequest(c *gin.Context, token string, err error) {
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
	// The answer counts already: if we cannot say where to go on, the person goes back by hand, and the application says so.
	redirect, err := v.Redirect(c.Request.Context(), c.Param("id"), err == nil)
	if err != nil {
		v.cfg.Logger.ErrorContext(c, "wallet could not be sent back", slog.Any("error", err))
	}
	c.JSON(http.StatusOK, openid.DirectPostAnswer{RedirectURI: redirect})
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

// maxFetch bounds what a wallet posts when it fetches a request: its metadata, which nothing here depends on.
const maxFetch = 32 << 10

// readFetch reads what a wallet posts when it fetches a request: its nonce, or nothing.
//
// SPEC: OpenID4VP 1.0 section 5.10: wallet_metadata and wallet_nonce, both optional; wallets of today post other
// parameters too. Format, algorithms and client identifier of a request follow from chain and configuration, so the
// metadata could change nothing.
func readFetch(r *http.Request) (walletNonce string, err error) {
	if r.Header.Get("Content-Type") == "" && r.ContentLength == 0 {
		return "", nil
	}
	values, err := readForm(r, maxFetch)
	if err != nil || !values.Has("wallet_nonce") {
		return "", err
	}
	if walletNonce = values.Get("wallet_nonce"); !openid.ValidWalletNonce(walletNonce) {
		return "", check.Refuse(check.Malformed, "", errors.New("wallet_nonce is not 1 to 512 printable characters"))
	}
	return walletNonce, nil
}

// readResponse reads a direct_post: vp_token and state, or error and state; or a direct_post.jwt: response.
func readResponse(r *http.Request) (Response, error) {
	values, err := readForm(r, maxForm)
	if err != nil {
		return Response{}, err
	}
	return responseOf(values)
}

// readForm reads a body of at most limit bytes as a form.
func readForm(r *http.Request, limit int) (url.Values, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) || len(body) > limit {
		return nil, errTooLarge
	}
	if errors.Is(err, ErrBusy) {
		return nil, err
	}
	if err != nil {
		return nil, check.Refuse(check.Malformed, "", err)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, check.Refuse(check.Malformed, "", errors.New("content type is not application/x-www-form-urlencoded"))
	}
	return parseForm(string(body))
}

// parseForm refuses parameters that stand twice.
//
// SPEC: RFC 6749 section 3.1: parameters that we do not know are ignored, none may stand twice.
func parseForm(body string) (url.Values, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, check.Refuse(check.Malformed, "", err)
	}
	for _, value := range values {
		if len(value) != 1 {
			return nil, check.Refuse(check.Malformed, "", errors.New("a parameter stands twice"))
		}
	}
	return values, nil
}

// responseOf wants state, and either vp_token or error; or response, which has them all, and none of them beside it.
func responseOf(values url.Values) (Response, error) {
	if values.Has("response") {
		r := Response{Token: []byte(values.Get("response")), Encrypted: true}
		if len(r.Token) == 0 || values.Has("vp_token") || values.Has("error") {
			return Response{}, check.Refuse(check.Malformed, "", errors.New("want response without vp_token and error"))
		}
		return r, nil
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

// getSet serves a set that our policies name. It is as public as the chain, but not to be cached (no-store, as all we
// answer): whether a browser asks for it would tell us that its owner was here before.
func (v *Verifier) getSet(c *gin.Context) {
	var digest credential.Digest
	err := digest.UnmarshalText([]byte(c.Param("digest")))
	if err == nil {
		var set *policy.Set
		if set, err = v.sets(digest); err == nil {
			c.Data(http.StatusOK, "application/json", set.Canonical())
			return
		}
	}
	c.AbortWithStatusJSON(http.StatusNotFound, openid.Error{Code: "set_unknown", Description: "no policy here names a set of that digest"})
}
