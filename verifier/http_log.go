package verifier

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Scopes of the API for who keeps the verifier, beside those for its applications.
const (
	ScopeLog     = "verifier:log.read"     // the entries of one's own sessions
	ScopeLogAll  = "verifier:log.read_all" // with it, all entries
	ScopeScopes  = "verifier:scopes.read"
	ScopeClose   = "verifier:scopes.close"
	ScopeBackups = "verifier:backups.write"
)

// serveKeeping has the endpoints that are for who keeps the verifier.
func (v *Verifier) serveKeeping(api *gin.RouterGroup) {
	require := v.cfg.Authority.Require
	api.GET("/log", require(ScopeLog), v.getLog)
	api.GET("/scopes", require(ScopeScopes), v.getScopes)
	api.POST("/scopes/close", require(ScopeClose), v.postClose)
	api.POST("/backups", require(ScopeBackups), v.postBackup)
}

// getLog reads ?since=&after=&limit=, all optional.
func (v *Verifier) getLog(c *gin.Context) {
	q, err := logQuery(c.Query("since"), c.Query("after"), c.Query("limit"))
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	q.Client, q.All = webapi.Client(c), webapi.Has(c, ScopeLogAll)
	page, err := v.Log(q)
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.JSON(http.StatusOK, page)
}

// logQuery parses what the parameters of a page say; empty ones are left out.
func logQuery(since, after, limit string) (LogQuery, error) {
	q := LogQuery{After: after}
	if since != "" {
		n, err := strconv.ParseUint(since, 10, 53)
		if err != nil {
			return q, ErrLogQuery
		}
		q.Since = credential.UnixTime(n)
	}
	if limit != "" {
		n, err := strconv.ParseUint(limit, 10, 31)
		if err != nil || n == 0 {
			return q, ErrLogQuery
		}
		q.Limit = int(n)
	}
	return q, nil
}

// scopeList is what GET /v1/scopes answers.
type scopeList struct {
	Scopes []Scope `json:"scopes"`
}

func (v *Verifier) getScopes(c *gin.Context) {
	list, err := v.Scopes(c.Request.Context())
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.JSON(http.StatusOK, scopeList{list})
}

// closeRequest is what POST /v1/scopes/close takes.
type closeRequest struct {
	Scope credential.Element `json:"scope"`
}

func (v *Verifier) postClose(c *gin.Context) {
	body, ok := webapi.Body(c)
	if !ok {
		return
	}
	var request closeRequest
	if err := credential.ParseStrict(body, &request); err != nil || request.Scope.IsZero() {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "malformed", `want {"scope": id of a scope as GET /v1/scopes lists it}`))
		return
	}
	closed, err := v.CloseScope(c.Request.Context(), request.Scope)
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.JSON(http.StatusOK, closed)
}

func (v *Verifier) postBackup(c *gin.Context) {
	made, err := v.Backup(c.Request.Context())
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	c.JSON(http.StatusCreated, made)
}
