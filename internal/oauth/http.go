package oauth

import (
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/oauth/once"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Limits of a form.
const (
	maxForm   = 24 << 10 // bytes
	maxFields = 32
)

// Endpoint serves an authorization server over HTTP: its token endpoint, its keys, and its metadata.
type Endpoint struct {
	Server *Server
	Logger *slog.Logger
	// Remote says where a request came from, for the throttle. Nil: the address of the connection; behind a proxy that is
	// the proxy, and all clients wait for one.
	Remote func(*http.Request) string
}

// PostToken is the token endpoint.
func (e *Endpoint) PostToken(c *gin.Context) {
	form, err := ReadForm(c.Writer, c.Request)
	if err != nil {
		e.Refuse(c, err)
		return
	}
	e.Answer(c, form)
}

// Answer is PostToken for a form that was read already, by a server with more grants than ours.
func (e *Endpoint) Answer(c *gin.Context, form map[string]string) {
	basic, err := readBasic(c.Request.Header.Values("Authorization"))
	if err != nil {
		e.Refuse(c, err)
		return
	}
	remote := e.Remote
	if remote == nil {
		remote = webapi.ClientOf
	}
	answer, err := e.Server.Token(c.Request.Context(), TokenRequest{form, basic, c.Request.Header.Values(dpop.Header), remote(c.Request)})
	if err != nil {
		e.Refuse(c, err)
		return
	}
	if verifier := e.Server.cfg.DPoP; verifier != nil {
		offerNonce(c, verifier.Nonce())
	}
	c.Header("Cache-Control", "no-store")
	c.JSON(http.StatusOK, answer)
}

// GetKeys serves the keys.
func (e *Endpoint) GetKeys(c *gin.Context) {
	c.Header("Cache-Control", "max-age=300")
	c.Header("Content-Type", "application/jwk-set+json")
	c.JSON(http.StatusOK, e.Server.cfg.Mint.Keys.Document())
}

// GetMetadata serves the metadata. SPEC: RFC 8414 section 3: its path is /.well-known/oauth-authorization-server put
// between host and path of the issuer.
func (e *Endpoint) GetMetadata(c *gin.Context) {
	c.Header("Cache-Control", "max-age=300")
	c.JSON(http.StatusOK, e.Server.Metadata())
}

// Refuse is the one place where errors become answers of an OAuth endpoint.
func (e *Endpoint) Refuse(c *gin.Context, err error) {
	var refusal *Error
	if !errors.As(err, &refusal) {
		e.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
		refusal = &Error{Code: "server_error", Status: http.StatusInternalServerError}
	}
	c.Header("Cache-Control", "no-store")
	offerNonce(c, refusal.Nonce)
	if refusal.Status == http.StatusUnauthorized { // SPEC: RFC 6749 section 5.2, RFC 9110 section 11.6.1
		c.Header("WWW-Authenticate", `Basic realm="token endpoint", charset="UTF-8"`)
	}
	if refusal.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(int((refusal.RetryAfter + 999999999).Seconds())))
	}
	c.AbortWithStatusJSON(refusal.Status, refusal)
}

// ReadForm reads the parameters of a token request, each of which stands once. Those that we do not know are left in.
func ReadForm(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, refuse(invalidRequest, "want a form: application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		e := refuse(invalidRequest, "the body may have %d bytes", tooLarge.Limit)
		e.Status = http.StatusRequestEntityTooLarge
		return nil, e
	}
	if err != nil {
		return nil, refuse(invalidRequest, "the body could not be read")
	}
	return ParseForm(string(body))
}

// ParseForm reads the body of a token request.
//
// SPEC: RFC 6749 section 3.2: no parameter stands twice; one without a value counts as left out.
func ParseForm(body string) (map[string]string, error) {
	if len(body) > maxForm || strings.Count(body, "&") >= maxFields {
		return nil, refuse(invalidRequest, "the form is too large")
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, refuse(invalidRequest, "the form is malformed")
	}
	form := make(map[string]string, len(values))
	for name, value := range values {
		if len(value) != 1 {
			return nil, refuse(invalidRequest, "a parameter stands twice")
		}
		if value[0] != "" {
			form[name] = value[0]
		}
	}
	return form, nil
}

// readBasic reads the credentials of HTTP Basic; nil: there are none.
//
// SPEC: RFC 6749 section 2.3.1: id and secret are form-encoded, then put together with a colon.
func readBasic(fields []string) (*BasicCredentials, error) {
	if len(fields) == 0 {
		return nil, nil
	}
	malformed := refuse(invalidClient, "the header Authorization is not that of HTTP Basic with a client's id and secret")
	scheme, encoded, _ := strings.Cut(fields[0], " ")
	if len(fields) > 1 || !strings.EqualFold(scheme, "Basic") || len(encoded) > 1024 {
		return nil, malformed
	}
	text, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, malformed
	}
	id, secret, ok := strings.Cut(string(text), ":")
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if !ok || idErr != nil || secretErr != nil {
		return nil, malformed
	}
	return &BasicCredentials{id, secret}, nil
}

// offerNonce gives a client the nonce for its next proof. Pages of other origins may read it too.
func offerNonce(c *gin.Context, nonce string) {
	if nonce != "" {
		c.Header(dpop.NonceHeader, nonce)
		c.Writer.Header().Add("Access-Control-Expose-Headers", dpop.NonceHeader+", WWW-Authenticate")
	}
}

const principalKey = "principal"

// PrincipalOf is who a request that passed Require came from; the zero value of any other.
func PrincipalOf(c *gin.Context) Principal {
	principal, _ := c.Value(principalKey).(Principal)
	return principal
}

// Require lets a request through only with a token that has the scope, and answers others as RFC 6750 and RFC 9449 ask,
// with a problem of RFC 9457 as the body.
func (r *Resource) Require(scope string) gin.HandlerFunc {
	if err := checkScope(scope); err != nil {
		panic(err) // our own code is wrong
	}
	return func(c *gin.Context) {
		principal, err := r.Authenticate(c.Request)
		if err != nil {
			r.refuse(c, err)
			return
		}
		if !principal.Has(scope) {
			r.challenge(c, `error="insufficient_scope", scope="`+scope+`"`)
			webapi.Refuse(c, webapi.NewProblem(http.StatusForbidden, "scope-missing", "this needs the scope "+scope))
			return
		}
		c.Set(principalKey, principal)
	}
}

// refuse is the one place where errors of Authenticate become answers.
func (r *Resource) refuse(c *gin.Context, err error) {
	c.Header("Cache-Control", "no-store")
	switch {
	case errors.Is(err, ErrMissing): // SPEC: RFC 6750 section 3.1: then no error code is given
		r.challenge(c, "")
		webapi.Refuse(c, webapi.NewProblem(http.StatusUnauthorized, "token-missing", "send an access token in the header Authorization"))
	case errors.Is(err, ErrToken):
		r.challenge(c, `error="invalid_token"`)
		webapi.Refuse(c, webapi.NewProblem(http.StatusUnauthorized, "token-invalid", "the access token is expired, for another service, not ours, or not sent as its kind asks"))
	case errors.Is(err, dpop.ErrNonce):
		offerNonce(c, r.cfg.DPoP.Nonce())
		r.challengeProof(c, `error="use_dpop_nonce", error_description="send the nonce of the header DPoP-Nonce in the proof"`)
		webapi.Refuse(c, webapi.NewProblem(http.StatusUnauthorized, "dpop-nonce", "send the nonce of the header DPoP-Nonce in the proof"))
	case errors.Is(err, dpop.ErrProof):
		r.challengeProof(c, `error="invalid_dpop_proof"`)
		webapi.Refuse(c, webapi.NewProblem(http.StatusUnauthorized, "dpop-proof", "the proof in the header DPoP does not fit this request and token, is too old or was used"))
	default: // nothing was decided: the provider's keys, or the store of replays
		if !errors.Is(err, once.ErrFull) {
			r.cfg.Logger.ErrorContext(c, "request could not be authenticated", slog.String("path", c.FullPath()), slog.Any("error", err))
		}
		c.Header("Retry-After", "5")
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "unavailable", "the access token cannot be checked at this moment: try again"))
	}
}

// challenge names the schemes that are taken, with what was wrong.
func (r *Resource) challenge(c *gin.Context, parameters string) {
	if !r.cfg.RequireDPoP {
		c.Writer.Header().Add("WWW-Authenticate", strings.TrimSpace("Bearer "+parameters))
	}
	if r.cfg.DPoP != nil {
		r.challengeProof(c, parameters)
	}
}

// challengeProof says what was wrong with a proof.
//
// SPEC: RFC 9449 section 7.1: algs lists the algorithms that proofs may have.
func (r *Resource) challengeProof(c *gin.Context, parameters string) {
	challenge := `DPoP algs="` + strings.Join(algorithmNames(), " ") + `"`
	if parameters != "" {
		challenge += ", " + parameters
	}
	c.Writer.Header().Add("WWW-Authenticate", challenge)
}
