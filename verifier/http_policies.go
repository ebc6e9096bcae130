package verifier

import (
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/webapi"
)

// ScopePolicies is for those who look at the verifier's policies.
const ScopePolicies = "verifier:policies.read"

// servePolicies mounts what shows the verifier's policies: GET /v1/policies, and GET /v1/policies/{id}/preview?lang=&at= .
func (v *Verifier) servePolicies(e gin.IRoutes) {
	e.GET("/v1/policies", v.cfg.Authority.Require(ScopePolicies), v.getPolicies)
	e.GET("/v1/policies/:id/preview", v.cfg.Authority.Require(ScopePolicies), v.getPreview)
}

func (v *Verifier) getPolicies(c *gin.Context) {
	list, err := v.ListPolicies(c.Request.Context())
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.JSON(http.StatusOK, gin.H{"policies": list})
}

func (v *Verifier) getPreview(c *gin.Context) {
	at, language, ok := previewOf(c.Query("at"), c.Query("lang"), v.cfg.Clock())
	if !ok {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "malformed", "want lang=zh-CN or lang=en, and at, if given, as a date like 2027-03-01 or a time like 2027-03-01T09:30:00Z"))
		return
	}
	preview, err := v.PreviewPolicy(c.Request.Context(), c.Param("id"), at, language)
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.JSON(http.StatusOK, preview)
}

// previewOf reads the two parameters; without them it is now, and zh-CN.
func previewOf(at, language string, now time.Time) (time.Time, string, bool) {
	if language == "" {
		language = policy.Languages()[0]
	}
	if !slices.Contains(policy.Languages(), language) {
		return now, language, false
	}
	if at == "" {
		return now, language, true
	}
	t, err := policy.ParseMoment(at)
	return t, language, err == nil
}
