package webapi

import (
	"net/http"
	"sync"
	"time"
)

// eventWrite is how long one event may take: a reader that takes longer is let go.
const eventWrite = 10 * time.Second

// Events writes server-sent events to one reader.
type Events struct {
	w   http.ResponseWriter
	out *http.ResponseController
}

// BeginEvents says that events follow. Who calls it decides what caches may keep, which is nothing by their other headers.
func BeginEvents(w http.ResponseWriter) *Events {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx holds events back
	w.WriteHeader(http.StatusOK)
	return &Events{w, http.NewResponseController(w)}
}

// Send writes whole events at once. It returns false when the reader is gone or too slow.
func (e *Events) Send(text string) bool {
	_ = e.out.SetWriteDeadline(time.Now().Add(eventWrite)) // not every writer has deadlines
	_, err := e.w.Write([]byte(text))
	return err == nil && e.out.Flush() == nil
}

// Places bounds how many readers wait at the same time, all together and each client. It is safe for concurrent use.
type Places struct {
	all, each int

	mu      sync.Mutex
	holding int
	clients map[string]int
}

// NewPlaces makes as many places, of which one client has no more than each.
func NewPlaces(all, each int) *Places {
	return &Places{all: all, each: each, clients: make(map[string]int)}
}

// Enter takes a place, if there is one for that client ([ClientOf]); leave, which is called once, gives it back.
func (p *Places) Enter(client string) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holding >= p.all || p.clients[client] >= p.each {
		return nil, false
	}
	p.holding++
	p.clients[client]++
	return func() { p.leave(client) }, true
}

func (p *Places) leave(client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holding--
	if p.clients[client]--; p.clients[client] == 0 {
		delete(p.clients, client)
	}
}
