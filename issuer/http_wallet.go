package issuer

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/openid"
)

// What wallets ask for (OpenID4VCI 1.0).

func (i *Issuer) getOffer(c *gin.Context) {
	noStore(c)
	offer, err := i.OfferAt(c.Param("reference"))
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	c.JSON(http.StatusOK, offer)
}

func (i *Issuer) postToken(c *gin.Context) {
	noStore(c)
	form, err := oauth.ReadForm(c.Writer, c.Request)
	if i.server != nil && form["grant_type"] == oauth.ClientCredentials {
		i.server.Answer(c, form)
		return
	}
	request, err := i.tokenRequest(c, form, err)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	answer, err := i.Token(c.Request.Context(), request)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	if request.Proof != nil {
		c.Header(dpop.NonceHeader, i.possession.Nonce())
	}
	c.JSON(http.StatusOK, answer)
}

// tokenRequest reads a wallet's token request from a form, if there is one. Members that we do not know are ignored.
func (i *Issuer) tokenRequest(c *gin.Context, form map[string]string, err error) (r TokenRequest, _ error) {
	var refusal *oauth.Error
	switch {
	case errors.As(err, &refusal):
		return r, refuse(ErrRequest, "%s", refusal.Description)
	case err != nil:
		return r, err
	case form["grant_type"] == "":
		return r, refuse(ErrRequest, "grant_type is missing")
	case form["grant_type"] != openid.PreAuthorizedGrant:
		return r, refuse(ErrGrantType, "only pre-authorized codes are taken")
	case form["pre-authorized_code"] == "":
		return r, refuse(ErrRequest, "pre-authorized_code is missing")
	}
	r.Code, r.TxCode = form["pre-authorized_code"], form["tx_code"]
	if text, asked := form["authorization_details"]; asked {
		if err := readForeign([]byte(text), &r.Details); err != nil || len(r.Details) == 0 {
			return r, refuse(ErrDetails, "want a JSON array of objects")
		}
	}
	if proofs := c.Request.Header.Values(dpop.Header); len(proofs) > 0 {
		r.Proof, err = i.possession.Inspect(dpop.Request{Proofs: proofs, Method: http.MethodPost, URL: i.cfg.URL + tokenPath})
	}
	return r, err
}

// readForeign decodes JSON whose unknown members are ignored, as the standards ask, but which has no duplicate keys.
func readForeign(text []byte, target any) error {
	if _, err := credential.CanonicalJSON(text); err != nil {
		return err
	}
	return json.Unmarshal(text, target)
}

func (i *Issuer) postNonce(c *gin.Context) {
	noStore(c) // SPEC: OpenID4VCI section 7.2: the answer must not be cached
	c.Header(dpop.NonceHeader, i.possession.Nonce())
	c.JSON(http.StatusOK, i.Nonce())
}

// accessToken reads the access token of a request and checks that it is presented as it must be: a token that is bound to a
// key comes with a proof of that key, and never as a bearer token.
func (i *Issuer) accessToken(c *gin.Context) (token string, b Binding, err error) {
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	bearer, bound := strings.EqualFold(scheme, "Bearer"), strings.EqualFold(scheme, dpop.Header)
	if !bearer && !bound || token == "" {
		return "", b, refuse(ErrAccessToken, "send the access token as Authorization: Bearer, or DPoP with a proof")
	}
	if b, err = i.Binding(token); err != nil {
		return "", b, err
	}
	if bound != (b.Thumbprint != "") {
		return "", b, refuse(ErrAccessToken, "the access token is of the other type")
	}
	if bound {
		_, err = i.possession.Verify(c.Request.Context(), dpop.Request{
			Proofs: c.Request.Header.Values(dpop.Header), Method: c.Request.Method, URL: i.cfg.URL + strings.TrimPrefix(c.FullPath(), i.base),
			AccessToken: token, Thumbprint: b.Thumbprint,
		})
		c.Header(dpop.NonceHeader, i.possession.Nonce())
	}
	return token, b, err
}

func (i *Issuer) postCredential(c *gin.Context) {
	noStore(c)
	token, binding, err := i.accessToken(c)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	configuration, proof, err := credentialRequest(c, binding)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	issued, err := i.Issue(c.Request.Context(), token, configuration, proof)
	i.answerCredential(c, token, issued, err)
}

func (i *Issuer) postDeferred(c *gin.Context) {
	noStore(c)
	token, _, err := i.accessToken(c)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	var body openid.DeferredRequest
	if err := readBodyOfWallet(c, &body); err != nil {
		i.refuseWallet(c, err)
		return
	}
	issued, err := i.Deferred(c.Request.Context(), token, body.Transaction)
	i.answerCredential(c, token, issued, err)
}

// answerCredential answers with a credential, or with when to ask for it.
func (i *Issuer) answerCredential(c *gin.Context, token string, issued *openid.IssuedCredential, err error) {
	var deferral *Deferral
	if errors.As(err, &deferral) {
		// SPEC: section 8.3, 9.2: 202 with the transaction, at the first request as at every later one.
		c.JSON(http.StatusAccepted, openid.CredentialResponse{Transaction: deferral.Transaction, Interval: int(deferral.Interval / time.Second)})
		return
	}
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	answer := openid.CredentialResponse{Credentials: []openid.CredentialItem{{Credential: *issued}}}
	if c.FullPath() == i.base+credentialPath { // clients of today refuse the id in a deferred answer
		if answer.Notification, err = i.Notification(token); err != nil {
			i.refuseWallet(c, err)
			return
		}
	}
	c.JSON(http.StatusOK, answer)
}

func (i *Issuer) postNotification(c *gin.Context) {
	noStore(c)
	token, _, err := i.accessToken(c)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	var body openid.Notification
	if err := readBodyOfWallet(c, &body); err != nil {
		i.refuseWallet(c, err)
		return
	}
	if err := i.Notify(token, body.ID, body.Event); err != nil {
		i.refuseWallet(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// readBodyOfWallet reads a JSON body. Members that we do not know are ignored, as the standard asks.
func readBodyOfWallet(c *gin.Context, target any) error {
	text, err := io.ReadAll(c.Request.Body)
	switch {
	case err != nil:
		return refuse(ErrRequest, "the body is too large, or could not be read")
	case mediaType(c) != "application/json":
		return refuse(ErrRequest, "want application/json")
	case readForeign(text, target) != nil: // duplicate members, broken text, other types
		return refuse(ErrRequest, "the body is not the JSON of such a request")
	}
	return nil
}

// credentialRequest reads a credential request. The proof is ours, and strict.
func credentialRequest(c *gin.Context, b Binding) (configuration string, proof openid.EnrolmentProof, err error) {
	var body struct {
		Configuration string                     `json:"credential_configuration_id"`
		Identifier    string                     `json:"credential_identifier"`
		Proofs        map[string]json.RawMessage `json:"proofs"`
	}
	if err := readBodyOfWallet(c, &body); err != nil {
		return "", proof, err
	}
	// SPEC: section 8.2: identifiers are used if, and only if, the token response had some. Ours are the configuration's id.
	configuration = body.Configuration
	if b.Identified {
		configuration = body.Identifier
	}
	switch {
	case b.Identified && (body.Identifier == "" || body.Configuration != ""):
		return "", proof, refuse(ErrIdentifier, "name the credential by credential_identifier, as the token response does")
	case !b.Identified && (body.Configuration == "" || body.Identifier != ""):
		return "", proof, refuse(ErrRequest, "name the credential by credential_configuration_id")
	case len(body.Proofs) > 1:
		return "", proof, refuse(ErrRequest, "proofs has more than one member")
	}
	var proofs []openid.EnrolmentProof
	ours, ok := body.Proofs[openid.ProofType]
	if !ok || credential.ParseStrict(ours, &proofs) != nil || len(proofs) != 1 {
		return "", proof, refuse(ErrProof, "want exactly one proof of type %s", openid.ProofType)
	}
	return configuration, proofs[0], nil
}
