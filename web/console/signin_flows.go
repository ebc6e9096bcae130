package console

import (
	"sync"
	"time"

	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/webapi"
)

const (
	flowLimit = 10 * time.Minute
	maxFlows  = 1024
)

// flow is a browser that is on its way to the provider and back.
type flow struct {
	secret  string // of its cookie
	next    string
	pending oauth.Pending
	until   time.Time
}

// flows remembers them, for a while, and forgets the oldest where there are too many.
type flows struct {
	mu   sync.Mutex
	list []flow // the oldest first
}

// add remembers one, and returns what its cookie has.
func (f *flows) add(pending oauth.Pending, next string, now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.list) > 0 && (len(f.list) >= maxFlows || !now.Before(f.list[0].until)) {
		f.list = f.list[1:]
	}
	secret := webapi.RandomID()
	f.list = append(f.list, flow{secret, next, pending, now.Add(flowLimit)})
	return secret
}

// take is the flow of a cookie, once.
func (f *flows) take(secret string, now time.Time) (flow, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, known := range f.list {
		if known.secret == secret { // 256 random bits, once: there is nothing to time
			f.list = append(f.list[:i:i], f.list[i+1:]...)
			return known, now.Before(known.until)
		}
	}
	return flow{}, false
}
