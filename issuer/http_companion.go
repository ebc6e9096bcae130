package issuer

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/statuslist"
)

// What clerks and verifiers of companion credentials ask for. Wallets use the endpoints of all credentials.

// getStatusList serves a list to anybody. It says nothing of who asks, and nobody is asked who they are.
func (i *Issuer) getStatusList(c *gin.Context) {
	if _, historical := c.GetQuery("time"); historical { // SPEC: Token Status List section 8.4
		c.AbortWithStatusJSON(http.StatusNotImplemented, openid.Error{Code: "invalid_request", Description: "past lists are not kept"})
		return
	}
	text := c.Param("number")
	number, err := strconv.ParseUint(text, 10, 53)
	if err != nil || strconv.FormatUint(number, 10) != text { // a list has one address
		i.refuseWallet(c, refuse(ErrNotFound, "there is no status list with that number"))
		return
	}
	signed, err := i.StatusList(number)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	c.Header("Content-Type", statuslist.MediaType)
	c.Header("ETag", signed.Tag)
	c.Header("Cache-Control", "public, max-age="+strconv.Itoa(int(listMaxAge/time.Second)))
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, strings.NewReader(signed.Token)) // which answers If-None-Match
}

func (a *adminAPI) mountCompanions() {
	type in struct {
		ID   string `path:"id"`
		Body struct {
			TxCode bool `json:"tx_code,omitempty" doc:"ask for a transaction code, which you give to the person by another way than the link"`
		}
	}
	operation(a, ScopeOffers, huma.Operation{
		OperationID: "offer-companion", Method: http.MethodPost, Path: "/credentials/{id}/companion-offers", Tags: []string{"Offers"}, DefaultStatus: http.StatusCreated,
		Summary: "Offer an ordinary dc+sd-jwt credential of the same data, for another wallet",
		Description: "The credential must be active. Presentations of a companion can be linked. For schemas that need approvals, file an application of " +
			"the kind companion instead.",
	}, func(ctx context.Context, by Officer, in *in) (*body[Offer], error) {
		offer, err := a.i.OfferCompanion(ctx, by, in.ID, in.Body.TxCode)
		return &body[Offer]{offer}, err
	})
}
