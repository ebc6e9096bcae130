package issuer

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Paths below the issuer's own.
const (
	tokenPath      = "/token"
	noncePath      = "/nonce"
	credentialPath = "/credential"
	healthPath     = "/healthz"
	readyPath      = "/readyz"
)

const maxBody = 64 << 10 // bytes

// Handler is the issuer over HTTP, at the full paths of its URL. For wallets (OpenID4VCI 1.0), open to pages of any
// origin:
//
//	GET  /.well-known/openid-credential-issuer{path}
//	GET  /.well-known/oauth-authorization-server{path}
//	POST {path}/token        pre-authorized code, and transaction code, for an access token
//	POST {path}/nonce
//	POST {path}/credential
//
// For clerks, with a bearer token: see http_admin.go. And GET {path}/healthz, {path}/readyz. {path} is that of the
// issuer's URL: a host that several agencies share routes what [Issuer.Paths] lists.
func (i *Issuer) Handler() http.Handler {
	e := webapi.Engine(i.cfg.Logger, maxBody)
	e.RedirectTrailingSlash = false // a wallet's request is never sent elsewhere
	wallets := e.Group("/", allowAnyOrigin)
	i.wallet(wallets, http.MethodGet, wellKnownPath(openid.IssuerWellKnown)+i.base, func(c *gin.Context) { describeTo(c, i.Metadata()) })
	i.wallet(wallets, http.MethodGet, wellKnownPath(openid.ServerWellKnown)+i.base, func(c *gin.Context) { describeTo(c, i.ServerMetadata()) })
	i.wallet(wallets, http.MethodPost, i.base+tokenPath, i.postToken)
	i.wallet(wallets, http.MethodPost, i.base+noncePath, i.postNonce)
	i.wallet(wallets, http.MethodPost, i.base+credentialPath, i.postCredential)
	i.mountAdmin(e.Group(i.base + AdminPath))
	e.GET(i.base+healthPath, func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	e.GET(i.base+readyPath, i.getReady)
	return e
}

// Paths are the exact paths, and those ending in a slash the prefixes, that a shared host routes to the handler.
func (i *Issuer) Paths() []string {
	return []string{wellKnownPath(openid.IssuerWellKnown) + i.base, wellKnownPath(openid.ServerWellKnown) + i.base, i.base + "/"}
}

func wellKnownPath(name string) string { return "/.well-known/" + name }

// wallet mounts an endpoint and the question that browsers ask before they use it.
func (i *Issuer) wallet(group *gin.RouterGroup, method, path string, handle gin.HandlerFunc) {
	group.Handle(method, path, handle)
	group.OPTIONS(path, func(c *gin.Context) {
		c.Header("Access-Control-Allow-Methods", method)
		c.Header("Access-Control-Allow-Headers", "Authorization, Content-Type")
		c.Header("Access-Control-Max-Age", "86400")
		c.Status(http.StatusNoContent)
	})
}

// allowAnyOrigin lets a web wallet in, wherever it is served from. Nothing here depends on cookies.
func allowAnyOrigin(c *gin.Context) { c.Header("Access-Control-Allow-Origin", "*") }

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

func (i *Issuer) postToken(c *gin.Context) {
	noStore(c)
	form, err := tokenForm(c)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	answer, err := i.Token(form["pre-authorized_code"], form["tx_code"])
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	c.JSON(http.StatusOK, answer)
}

// tokenForm reads a token request. Members that we do not know are ignored.
func tokenForm(c *gin.Context) (map[string]string, error) {
	if mediaType(c) != "application/x-www-form-urlencoded" {
		return nil, refuse(ErrRequest, "want a form: application/x-www-form-urlencoded")
	}
	if err := c.Request.ParseForm(); err != nil {
		return nil, refuse(ErrRequest, "the form is malformed or too large")
	}
	form := make(map[string]string)
	for name, values := range c.Request.PostForm {
		if len(values) != 1 { // SPEC: RFC 6749 section 3.2: parameters stand once
			return nil, refuse(ErrRequest, "a parameter stands twice")
		}
		form[name] = values[0]
	}
	switch {
	case form["grant_type"] == "":
		return nil, refuse(ErrRequest, "grant_type is missing")
	case form["grant_type"] != openid.PreAuthorizedGrant:
		return nil, refuse(ErrGrantType, "only pre-authorized codes are taken")
	case form["pre-authorized_code"] == "":
		return nil, refuse(ErrRequest, "pre-authorized_code is missing")
	}
	return form, nil
}

func (i *Issuer) postNonce(c *gin.Context) {
	noStore(c) // SPEC: OpenID4VCI section 7.2: the answer must not be cached
	c.JSON(http.StatusOK, i.Nonce())
}

func (i *Issuer) postCredential(c *gin.Context) {
	noStore(c)
	accessToken, ok := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	if !ok || accessToken == "" {
		i.refuseWallet(c, refuse(ErrAccessToken, "send the access token as Authorization: Bearer"))
		return
	}
	configuration, proof, err := credentialRequest(c)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	issued, err := i.Issue(c.Request.Context(), accessToken, configuration, proof)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	c.JSON(http.StatusOK, openid.CredentialResponse{Credentials: []openid.CredentialItem{{Credential: *issued}}})
}

// credentialRequest reads a credential request. Members that we do not know are ignored, as the standard asks; the
// proof is ours, and strict.
func credentialRequest(c *gin.Context) (configuration string, proof openid.EnrolmentProof, err error) {
	var body struct {
		Configuration string                     `json:"credential_configuration_id"`
		Identifier    string                     `json:"credential_identifier"`
		Proofs        map[string]json.RawMessage `json:"proofs"`
	}
	text, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return "", proof, refuse(ErrRequest, "the body is too large, or could not be read")
	}
	if mediaType(c) != "application/json" {
		return "", proof, refuse(ErrRequest, "want application/json")
	}
	if _, err := credential.CanonicalJSON(text); err != nil { // duplicate members, broken text
		return "", proof, refuse(ErrRequest, "the body is not well-formed JSON")
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return "", proof, refuse(ErrRequest, "the body is not a credential request")
	}
	switch {
	case body.Identifier != "" || body.Configuration == "":
		// SPEC: section 8.2: identifiers are used only if the token response had some, which ours never has.
		return "", proof, refuse(ErrRequest, "name the credential by credential_configuration_id")
	case len(body.Proofs) > 1:
		return "", proof, refuse(ErrRequest, "proofs has more than one member")
	}
	var proofs []openid.EnrolmentProof
	ours, ok := body.Proofs[openid.ProofType]
	if !ok || credential.ParseStrict(ours, &proofs) != nil || len(proofs) != 1 {
		return "", proof, refuse(ErrProof, "want exactly one proof of type %s", openid.ProofType)
	}
	return body.Configuration, proofs[0], nil
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
	ErrNonce.Code:         {http.StatusBadRequest, "invalid_nonce"},
	ErrProof.Code:         {http.StatusBadRequest, "invalid_proof"},
	ErrOffer.Code:         {http.StatusBadRequest, "credential_request_denied"},
	ErrOtherSecret.Code:   {http.StatusBadRequest, "credential_request_denied"},
	ErrOtherPerson.Code:   {http.StatusBadRequest, "credential_request_denied"},
	ErrOnePerPerson.Code:  {http.StatusBadRequest, "credential_request_denied"},
	ErrLedger.Code:        {http.StatusBadRequest, "credential_request_denied"},
	ErrUnavailable.Code:   {http.StatusServiceUnavailable, "temporarily_unavailable"},
}

// refuseWallet answers a wallet as OAuth and OpenID4VCI ask.
func (i *Issuer) refuseWallet(c *gin.Context, err error) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		i.cfg.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
		c.AbortWithStatusJSON(http.StatusInternalServerError, openid.Error{Code: "server_error"})
		return
	}
	answer, ok := walletErrors[refusal.Code]
	switch {
	case refusal.Code == ErrRequest.Code && c.FullPath() == i.base+credentialPath:
		answer = walletError{http.StatusBadRequest, "invalid_credential_request"}
	case !ok:
		answer = walletError{http.StatusBadRequest, "invalid_request"}
	case answer.status == http.StatusUnauthorized:
		c.Header("WWW-Authenticate", `Bearer error="invalid_token"`)
	case answer.status == http.StatusServiceUnavailable:
		c.Header("Retry-After", "5")
	}
	c.AbortWithStatusJSON(answer.status, openid.Error{Code: answer.code, Description: printable(refusal.Error())})
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
