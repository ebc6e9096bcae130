package mirror

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/webapi"
)

// Handler is the mirror over HTTP: the ledger's static part, and
//
//	GET  /healthz   alive
//	GET  /readyz    503 with the reason while there is an alarm
//	GET  /status    [Status] as JSON
func (m *Mirror) Handler() http.Handler {
	e := webapi.Engine(m.cfg.Logger, 1)
	public := e.Group("/", func(c *gin.Context) { c.Header("Access-Control-Allow-Origin", "*") })
	m.follower.Static(m.cfg.Logger).Routes(public)
	e.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", func(c *gin.Context) {
		if s := m.Status(); s.Alarm != Fine {
			webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, string(s.Alarm), s.Detail))
			return
		}
		c.String(http.StatusOK, "ready\n")
	})
	e.GET("/status", func(c *gin.Context) {
		c.Header("Cache-Control", "no-store")
		c.JSON(http.StatusOK, m.Status())
	})
	return e
}
