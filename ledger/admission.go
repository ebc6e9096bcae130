package ledger

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/webapi"
)

// admission bounds what is held for clients at a time, so that a crowd is turned away and not queued. Clients are told
// apart by [webapi.ClientOf].
type admission struct {
	all, each int

	mu      sync.Mutex
	holding int
	clients map[string]int
}

func newAdmission(all, each int) *admission {
	return &admission{all: all, each: each, clients: make(map[string]int)}
}

// enter takes a place; leave gives it back.
func (a *admission) enter(client string) (leave func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.holding >= a.all || a.clients[client] >= a.each {
		return nil, false
	}
	a.holding++
	a.clients[client]++
	return func() { a.leave(client) }, true
}

func (a *admission) leave(client string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holding--
	if a.clients[client]--; a.clients[client] == 0 {
		delete(a.clients, client)
	}
}

// admit takes a place for a request, or answers 503 with Retry-After.
func (a *admission) admit(c *gin.Context, retryAfter time.Duration, what string) (leave func(), ok bool) {
	leave, ok = a.enter(webapi.ClientOf(c.Request))
	if !ok {
		c.Header("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "busy", what))
	}
	return leave, ok
}
