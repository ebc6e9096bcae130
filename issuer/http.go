package issuer

import (
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/oauth/once"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Paths below the issuer's own.
const (
	tokenPath        = "/token"
	keysPath         = "/jwks.json"
	noncePath        = "/nonce"
	credentialPath   = "/credential"
	deferredPath     = "/deferred-credential"
	notificationPath = "/notification"
	offersPath       = "/offers/"       // and a reference
	listsPath        = "/status-lists/" // and a number
	healthPath       = "/healthz"
	readyPath        = "/readyz"
)

const maxBody = 64 << 10 // bytes

// Handler is the issuer over HTTP, at the full paths of its URL. For wallets (OpenID4VCI 1.0), open to pages of any
// origin:
//
//	GET  /.well-known/openid-credential-issuer{path}
//	GET  /.well-known/oauth-authorization-server{path}
//	POST {path}/token        pre-authorized code, and transaction code, for an access token; also client_credentials, for software
//	POST {path}/nonce
//	POST {path}/credential
//	POST {path}/deferred-credential
//	POST {path}/notification
//	GET  {path}/offers/{reference}
//	GET  {path}/progress/{link}  how far a person's application is
//
// For whoever verifies companion credentials, if the issuer has a key for them:
//
//	GET  /.well-known/jwt-vc-issuer{path}
//	GET  {path}/status-lists/{number}
//
// For clerks, with a bearer token: see http_admin.go. And GET {path}/healthz, {path}/readyz. {path} is that of the
// issuer's URL: a host that several agencies share routes what [Issuer.Paths] lists.
func (i *Issuer) Handler() http.Handler {
	e := webapi.Engine(i.cfg.Logger, maxBody)
	e.RedirectTrailingSlash = false // a wallet's request is never sent elsewhere
	wallets := e.Group("/", allowAnyOrigin, webapi.NewRate(i.cfg.WalletRate, i.cfg.Clock).Limit)
	i.wallet(wallets, http.MethodGet, wellKnownPath(openid.IssuerWellKnown)+i.base, func(c *gin.Context) { describeTo(c, i.Metadata()) })
	i.wallet(wallets, http.MethodGet, wellKnownPath(openid.ServerWellKnown)+i.base, func(c *gin.Context) { describeTo(c, i.ServerMetadata()) })
	i.wallet(wallets, http.MethodPost, i.base+tokenPath, i.postToken)
	i.wallet(wallets, http.MethodPost, i.base+noncePath, i.postNonce)
	i.wallet(wallets, http.MethodPost, i.base+credentialPath, i.postCredential)
	i.wallet(wallets, http.MethodPost, i.base+deferredPath, i.postDeferred)
	i.wallet(wallets, http.MethodPost, i.base+notificationPath, i.postNotification)
	i.wallet(wallets, http.MethodGet, i.base+offersPath+":reference", i.getOffer)
	wallets.GET(i.base+ProgressPath+"/:link", i.getProgress)
	if i.cfg.Keys.Companion != nil {
		i.wallet(wallets, http.MethodGet, wellKnownPath(openid.KeysWellKnown)+i.base, func(c *gin.Context) { describeTo(c, i.CompanionKeys()) })
		i.wallet(wallets, http.MethodGet, i.base+listsPath+":number", i.getStatusList)
	}
	if i.server != nil {
		e.GET(i.base+keysPath, i.server.GetKeys)
	}
	i.mountAdmin(e)
	e.GET(i.base+healthPath, func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	e.GET(i.base+readyPath, i.getReady)
	imports := i.importHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == i.base+importPath && r.Method == http.MethodPost {
			imports.ServeHTTP(w, r)
			return
		}
		e.ServeHTTP(w, r)
	})
}

// Paths are the exact paths, and those ending in a slash the prefixes, that a shared host routes to the handler.
func (i *Issuer) Paths() []string {
	var paths []string
	for _, name := range []string{openid.IssuerWellKnown, openid.ServerWellKnown, openid.KeysWellKnown} {
		paths = append(paths, wellKnownPath(name)+i.base)
	}
	return append(paths, i.base+"/")
}

func wellKnownPath(name string) string { return "/.well-known/" + name }

// wallet mounts an endpoint and the question that browsers ask before they use it.
func (i *Issuer) wallet(group *gin.RouterGroup, method, path string, handle gin.HandlerFunc) {
	group.Handle(method, path, handle)
	group.OPTIONS(path, func(c *gin.Context) {
		c.Header("Access-Control-Allow-Methods", method)
		c.Header("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
		c.Header("Access-Control-Max-Age", "86400")
		c.Status(http.StatusNoContent)
	})
}

// allowAnyOrigin lets a web wallet in, wherever it is served from. Nothing here depends on cookies.
func allowAnyOrigin(c *gin.Context) {
	c.Header("Access-Control-Allow-Origin", "*")
	c.Header("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate, Retry-After, ETag")
}

func describeTo(c *gin.Context, metadata any) {
	c.Header("Cache-Control", "max-age=60")
	c.JSON(http.StatusOK, metadata)
}

func (i *Issuer) getReady(c *gin.Context) {
	if !i.Ready() {
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "not-ready", "the issuer is not connected to the ledger"))
		return
	}
	c.String(http.StatusOK, "ok\n")
}

func mediaType(c *gin.Context) string {
	t, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

func noStore(c *gin.Context) { c.Header("Cache-Control", "no-store") }

// walletError is how a refusal looks in the standards. The description begins with our own code, which is finer.
type walletError struct {
	status int
	code   string
}

var walletErrors = map[Code]walletError{
	ErrGrantType.Code:     {http.StatusBadRequest, "unsupported_grant_type"},
	ErrGrant.Code:         {http.StatusBadRequest, "invalid_grant"},
	ErrAccessToken.Code:   {http.StatusUnauthorized, "invalid_token"},
	ErrConfiguration.Code: {http.StatusBadRequest, "unknown_credential_configuration"},
	ErrIdentifier.Code:    {http.StatusBadRequest, "unknown_credential_identifier"},
	ErrDetails.Code:       {http.StatusBadRequest, "invalid_authorization_details"},
	ErrTransaction.Code:   {http.StatusBadRequest, "invalid_transaction_id"},
	ErrNotification.Code:  {http.StatusBadRequest, "invalid_notification_id"},
	ErrEvent.Code:         {http.StatusBadRequest, "invalid_notification_request"},
	ErrNotFound.Code:      {http.StatusNotFound, "invalid_request"},
	ErrNonce.Code:         {http.StatusBadRequest, "invalid_nonce"},
	ErrProof.Code:         {http.StatusBadRequest, "invalid_proof"},
	ErrOffer.Code:         {http.StatusBadRequest, "credential_request_denied"},
	ErrDenied.Code:        {http.StatusBadRequest, "credential_request_denied"},
	ErrOtherSecret.Code:   {http.StatusBadRequest, "credential_request_denied"},
	ErrOtherPerson.Code:   {http.StatusBadRequest, "credential_request_denied"},
	ErrOnePerPerson.Code:  {http.StatusBadRequest, "credential_request_denied"},
	ErrLedger.Code:        {http.StatusBadRequest, "credential_request_denied"},
	ErrUnavailable.Code:   {http.StatusServiceUnavailable, "temporarily_unavailable"},
}

// refuseWallet answers a wallet as OAuth and OpenID4VCI ask.
func (i *Issuer) refuseWallet(c *gin.Context, err error) {
	var refusal *Refusal
	switch {
	case errors.Is(err, dpop.ErrProof), errors.Is(err, dpop.ErrNonce):
		i.refuseProof(c, err)
		return
	case errors.Is(err, once.ErrFull):
		err = refuse(ErrUnavailable, "too many wallets ask at this moment")
	}
	if !errors.As(err, &refusal) {
		i.cfg.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
		c.AbortWithStatusJSON(http.StatusInternalServerError, openid.Error{Code: "server_error"})
		return
	}
	answer, ok := walletErrors[refusal.Code]
	switch {
	case refusal.Code == ErrRequest.Code && c.FullPath() == i.base+credentialPath:
		answer = walletError{http.StatusBadRequest, "invalid_credential_request"}
	case refusal.Code == ErrRequest.Code && c.FullPath() == i.base+notificationPath:
		answer = walletError{http.StatusBadRequest, "invalid_notification_request"}
	case !ok:
		answer = walletError{http.StatusBadRequest, "invalid_request"}
	case answer.status == http.StatusUnauthorized:
		c.Header("WWW-Authenticate", `Bearer error="invalid_token"`)
	case answer.status == http.StatusServiceUnavailable:
		c.Header("Retry-After", "5")
	}
	c.AbortWithStatusJSON(answer.status, openid.Error{Code: answer.code, Description: printable(refusal.Error())})
}

// refuseProof answers a wallet whose proof of possession is not valid. With our nonce it need not have the right time.
func (i *Issuer) refuseProof(c *gin.Context, err error) {
	code, status := "invalid_dpop_proof", http.StatusBadRequest
	if errors.Is(err, dpop.ErrNonce) {
		code = "use_dpop_nonce"
	}
	c.Header(dpop.NonceHeader, i.possession.Nonce())
	if c.FullPath() != i.base+tokenPath { // SPEC: RFC 9449 section 7.1
		status = http.StatusUnauthorized
		c.Header("WWW-Authenticate", `DPoP error="`+code+`", algs="ES256 EdDSA"`)
	}
	c.AbortWithStatusJSON(status, openid.Error{Code: code, Description: printable(err.Error())})
}

// printable keeps what a description may contain. SPEC: RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
