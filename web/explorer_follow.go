package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/bulla-id/bulla/internal/webapi"
)

// Bounds of following the overview by server-sent events. Who finds no place asks again and again, which the page does by itself.
const (
	maxFollowers          = 256 // at once
	maxFollowersPerClient = 8
	followPause           = time.Second // at least, between two events: a chain that is being read changes all the time
	followHeartbeat       = 15 * time.Second
	followLife            = time.Hour // then the page comes back, and the load is spread anew
)

// follower is one open overview.
type follower struct {
	x       *Explorer
	request *http.Request
	events  *webapi.Events
	tag     string // of what it has
}

// follow sends the part of the overview that changes, whenever it did: an event "news", whose id is its tag, at most once a second. What an
// event has is all that there is to show, so that one that was missed is made good by the next. Last-Event-ID, or ?after, says what the
// page has already.
func (x *Explorer) follow(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	leave, ok := x.followers.Enter(webapi.ClientOf(r))
	if !ok {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "too many follow at this moment", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	f := &follower{x: x, request: r, tag: r.Header.Get("Last-Event-ID")}
	if f.tag == "" {
		f.tag = r.URL.Query().Get("after")
	}
	f.events = webapi.BeginEvents(w)
	if f.events.Send(": news of the chain\nretry: 3000\n\n") {
		f.run()
	}
}

// run sends until the reader leaves, is too slow, or the hour is over.
func (f *follower) run() {
	beat, end := time.NewTicker(followHeartbeat), time.NewTimer(followLife)
	defer beat.Stop()
	defer end.Stop()
	for {
		changed := f.x.chain.Changed() // before the index is read: what comes in between wakes us
		if !f.show() || !await(f, time.After(followPause), beat, end) || !await(f, changed, beat, end) {
			return
		}
	}
}

// await waits for something to happen, and shows signs of life meanwhile. It returns false when there is nobody to wait for.
func await[T any](f *follower, happens <-chan T, beat *time.Ticker, end *time.Timer) bool {
	ctx := f.request.Context()
	for {
		select {
		case <-happens:
			return true
		case <-beat.C:
			if !f.events.Send(": alive\n\n") {
				return false
			}
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		case <-webapi.Closing(ctx):
			return false
		}
	}
}

// show sends what there is, if the page has something else.
func (f *follower) show() bool {
	part, err := f.x.livePart(f.x.page(f.request))
	if err != nil {
		f.x.logger.ErrorContext(f.request.Context(), "live part of the explorer", slog.Any("error", err))
		return false
	}
	if part.tag == f.tag {
		return true
	}
	f.tag = part.tag
	return f.events.Send(fmt.Sprintf("id: %s\nevent: news\ndata: %s\n\n", part.tag, strings.ReplaceAll(string(part.body), "\n", "\ndata: ")))
}
