package issuer

import (
	"context"
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
	r.Code, r.TxCode, r.Client = form["pre-authorized_code"], form["tx_code"], form["client_id"]
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
	configuration, proofs, err := credentialRequest(c, binding)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	issued, err := i.answerRequest(c.Request.Context(), token, configuration, proofs)
	i.answerCredential(c, token, issued, err)
}

// answerRequest asks for a credential in the format of its configuration, with a proof of the type that belongs to it.
func (i *Issuer) answerRequest(ctx context.Context, token, configuration string, proofs map[string]json.RawMessage) (any, error) {
	if _, ok := i.companions[configuration]; ok {
		proof, err := oneProof[string](proofs, openid.CompanionProofType)
		if err != nil {
			return nil, err
		}
		return i.IssueCompanion(ctx, token, configuration, proof)
	}
	proof, err := oneProof[openid.EnrolmentProof](proofs, openid.ProofType)
	if err != nil {
		return nil, err
	}
	return i.Issue(ctx, token, configuration, proof)
}

// oneProof reads the one proof of a request. It is strict, whatever else of the request is not.
func oneProof[P any](proofs map[string]json.RawMessage, proofType string) (proof P, err error) {
	var list []P
	if text, ok := proofs[proofType]; !ok || credential.ParseStrict(text, &list) != nil || len(list) != 1 {
		return proof, refuse(ErrProof, "want exactly one proof of type %s", proofType)
	}
	return list[0], nil
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
func (i *Issuer) answerCredential(c *gin.Context, token string, issued any, err error) {
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
	item, err := openid.Item(issued)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	answer := openid.CredentialResponse{Credentials: []openid.CredentialItem{item}}
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

// credentialRequest reads a credential request: of which configuration, with which proofs.
func credentialRequest(c *gin.Context, b Binding) (configuration string, proofs map[string]json.RawMessage, err error) {
	var body openid.CredentialRequest
	if err := readBodyOfWallet(c, &body); err != nil {
		return "", nil, err
	}
	// SPEC: section 8.2: identifiers are used if, and only if, the token response had some. Ours are the configuration's id.
	configuration = body.ConfigurationID
	if b.Identified {
		configuration = body.Identifier
	}
	switch {
	case b.Identified && (body.Identifier == "" || body.ConfigurationID != ""):
		return "", nil, refuse(ErrIdentifier, "name the credential by credential_identifier, as the token response does")
	case !b.Identified && (body.ConfigurationID == "" || body.Identifier != ""):
		return "", nil, refuse(ErrRequest, "name the credential by credential_configuration_id")
	case len(body.Proofs) > 1:
		return "", nil, refuse(ErrRequest, "proofs has more than one member")
	}
	return configuration, body.Proofs, nil
}
