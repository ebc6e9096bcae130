package issuer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Scopes of the admin API.
const (
	ScopeOffers      = "issuer:offers.write"
	ScopeCredentials = "issuer:credentials.read"
	ScopeRevoke      = "issuer:credentials.revoke" // suspend and reinstate, too
	ScopeEnrolments  = "issuer:enrolments.reset"
)

// Scopes are all of them.
var Scopes = []string{ScopeOffers, ScopeCredentials, ScopeRevoke, ScopeEnrolments}

// AdminPath is where the admin API is, below the issuer's URL.
const AdminPath = "/admin/v1"

// AdminAuthority makes and checks the tokens of the admin API of the issuer at a URL.
func AdminAuthority(url string, key *jose.SigningKey, clock func() time.Time) *webapi.Authority {
	return &webapi.Authority{Key: key, Issuer: url, Audience: url + AdminPath, Clock: clock}
}

// mountAdmin is the API for clerks. Bodies are JSON, strict; refusals are RFC 9457 problems whose code is that of
// [Refusal], with the member claim where a claim does not fit.
//
//	POST /offers                       Application → 201 Offer
//	GET  /credentials?after=&limit=    → {credentials, next}
//	POST /credentials/search           {person, after, limit} → the same: a person's name has no place in a URL
//	GET  /credentials/{id}             → Credential
//	POST /credentials/{id}/suspend     {code, note} → Credential, once it is sealed; so reinstate and revoke
//	POST /enrolments/reset             {person, register} → 204
func (i *Issuer) mountAdmin(g *gin.RouterGroup) {
	g.Use(noStore)
	require := i.admin.Require
	g.POST("/offers", require(ScopeOffers), i.postOffer)
	g.GET("/credentials", require(ScopeCredentials), i.getCredentials)
	g.POST("/credentials/search", require(ScopeCredentials), i.searchCredentials)
	g.GET("/credentials/:id", require(ScopeCredentials), i.getCredential)
	g.POST("/credentials/:id/suspend", require(ScopeRevoke), i.postChange(i.Suspend))
	g.POST("/credentials/:id/reinstate", require(ScopeRevoke), i.postChange(i.Reinstate))
	g.POST("/credentials/:id/revoke", require(ScopeRevoke), i.postChange(i.Revoke))
	g.POST("/enrolments/reset", require(ScopeEnrolments), i.postReset)
}

// officer is who a request came from.
func officer(c *gin.Context) Officer { return Officer(webapi.Client(c)) }

// readBody reads a strict JSON body, or answers and returns false.
func readBody(c *gin.Context, target any) bool {
	text, ok := webapi.Body(c)
	if !ok {
		return false
	}
	if mediaType(c) != "application/json" {
		webapi.Refuse(c, webapi.NewProblem(http.StatusUnsupportedMediaType, "media-type", "want application/json"))
		return false
	}
	if credential.ParseStrict(text, target) != nil { // the cause may quote the body
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "body", "the body is not the JSON that this path takes: no unknown or duplicate members, text in NFC"))
		return false
	}
	return true
}

func (i *Issuer) postOffer(c *gin.Context) {
	var a Application
	if !readBody(c, &a) {
		return
	}
	offer, err := i.Offer(c.Request.Context(), officer(c), a)
	if err != nil {
		i.refuseClerk(c, err)
		return
	}
	c.JSON(http.StatusCreated, offer)
}

// credentialPage is one page of a list.
type credentialPage struct {
	Credentials []Credential `json:"credentials"`
	Next        string       `json:"next,omitempty"` // give it as after for the next page; none: this is the last
}

func (i *Issuer) getCredentials(c *gin.Context) {
	limit, err := strconv.Atoi(c.DefaultQuery("limit", "0"))
	if err != nil {
		i.refuseClerk(c, refuse(ErrRequest, "limit is 1 to %d", MaxPage))
		return
	}
	i.listCredentials(c, List{After: c.Query("after"), Limit: limit})
}

func (i *Issuer) searchCredentials(c *gin.Context) {
	var body struct {
		Person string `json:"person"`
		After  string `json:"after"`
		Limit  int    `json:"limit"`
	}
	if readBody(c, &body) {
		i.listCredentials(c, List{body.Person, body.After, body.Limit})
	}
}

func (i *Issuer) listCredentials(c *gin.Context, l List) {
	page, more, err := i.Credentials(officer(c), l)
	if err != nil {
		i.refuseClerk(c, err)
		return
	}
	answer := credentialPage{Credentials: page}
	if more && len(page) > 0 {
		answer.Next = page[len(page)-1].ID
	}
	c.JSON(http.StatusOK, answer)
}

func (i *Issuer) getCredential(c *gin.Context) {
	found, err := i.Credential(officer(c), c.Param("id"))
	if err != nil {
		i.refuseClerk(c, err)
		return
	}
	c.JSON(http.StatusOK, found)
}

func (i *Issuer) postChange(change func(ctx context.Context, by Officer, id string, reason Reason) (Credential, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		var body Reason
		if !readBody(c, &body) {
			return
		}
		changed, err := change(c.Request.Context(), officer(c), c.Param("id"), body)
		if err != nil {
			i.refuseClerk(c, err)
			return
		}
		i.cfg.Logger.InfoContext(c, "credential changed", slog.String("credential", changed.ID), slog.String("status", string(changed.Status)), slog.String("client", webapi.Client(c)))
		c.JSON(http.StatusOK, changed)
	}
}

func (i *Issuer) postReset(c *gin.Context) {
	var body struct {
		Person   string `json:"person"`
		Register string `json:"register"`
	}
	if !readBody(c, &body) {
		return
	}
	if err := i.ResetEnrolment(officer(c), body.Register, body.Person); err != nil {
		i.refuseClerk(c, err)
		return
	}
	i.cfg.Logger.InfoContext(c, "enrolment reset", slog.String("client", webapi.Client(c)))
	c.Status(http.StatusNoContent)
}

// problem is an RFC 9457 problem that can name a claim or quote the ledger's code.
type problem struct {
	webapi.Problem
	Claim  string `json:"claim,omitempty"`
	Ledger string `json:"ledger,omitempty"`
}

var clerkStatus = map[Code]int{
	ErrNotFound.Code:     http.StatusNotFound,
	ErrState.Code:        http.StatusConflict,
	ErrApproval.Code:     http.StatusConflict,
	ErrExternalID.Code:   http.StatusConflict,
	ErrVersion.Code:      http.StatusPreconditionFailed,
	ErrSameOfficer.Code:  http.StatusForbidden,
	ErrOfficer.Code:      http.StatusForbidden,
	ErrHeld.Code:         http.StatusConflict,
	ErrOnePerPerson.Code: http.StatusConflict,
	ErrLedger.Code:       http.StatusConflict,
	ErrUnavailable.Code:  http.StatusServiceUnavailable,
}

// refuseClerk answers a clerk with a problem.
func (i *Issuer) refuseClerk(c *gin.Context, err error) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		i.cfg.Logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
		webapi.Refuse(c, webapi.NewProblem(http.StatusInternalServerError, "internal", "something went wrong here"))
		return
	}
	status, ok := clerkStatus[refusal.Code]
	if !ok {
		status = http.StatusBadRequest
	}
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, problem{*webapi.NewProblem(status, string(refusal.Code), refusal.Detail), refusal.Claim, refusal.Ledger})
}
