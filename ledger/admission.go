package ledger

import (
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/webapi"
)

// admission bounds what is held for clients at a time, so that a crowd is turned away and not queued.
type admission struct{ *webapi.Places }

func newAdmission(all, each int) *admission { return &admission{webapi.NewPlaces(all, each)} }

// admit takes a place for a request, or answers 503 with Retry-After.
func (a *admission) admit(c *gin.Context, retryAfter time.Duration, what string) (leave func(), ok bool) {
	leave, ok = a.Enter(webapi.ClientOf(c.Request))
	if !ok {
		c.Header("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "busy", what))
	}
	return leave, ok
}
