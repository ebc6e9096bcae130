package ledger

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/webapi"
)

const (
	maxStreams          = 256
	maxStreamsPerClient = 16
	maxStreamBehind     = 10_000 // entries; who is further behind reads tiles
	streamHeartbeat     = 15 * time.Second
	streamLife          = time.Hour // then the reader comes back, and the load is spread anew
)

// stream is one reader of GET /v1/stream: server-sent events, an event "entry" for each entry in the published
// checkpoint, whose id is the index and whose data are the entry's bytes, and an event "checkpoint" behind the last one,
// whose data is the note. Nothing is proven by it: readers who need proof check the entries against the tiles.
type stream struct {
	l    *Log
	c    *gin.Context
	out  *webapi.Events
	next uint64 // index of the entry that is sent next
	size uint64 // of the checkpoint that was sent last
}

// getStream begins behind the entry that Last-Event-ID or ?after= names, or with what is published next.
func (l *Log) getStream(admission *admission) gin.HandlerFunc {
	return func(c *gin.Context) {
		leave, ok := admission.admit(c, 10*time.Second, "too many readers of the stream")
		if !ok {
			return
		}
		defer leave()
		s := &stream{l: l, c: c}
		if s.begin() {
			s.run()
		}
	}
}

// begin finds the first entry to send, or answers with a problem.
func (s *stream) begin() bool {
	published, _ := s.l.publishedNow()
	s.next, s.size = published.size, published.size
	after := s.c.GetHeader("Last-Event-ID")
	if after == "" {
		after = s.c.Query("after")
	}
	if after != "" {
		index, err := strconv.ParseUint(after, 10, 53)
		if err != nil || index >= published.size {
			webapi.Refuse(s.c, webapi.NewProblem(http.StatusBadRequest, "query", "Last-Event-ID or after is not the index of a published entry"))
			return false
		}
		if s.next = index + 1; published.size-s.next > maxStreamBehind {
			webapi.Refuse(s.c, webapi.NewProblem(http.StatusGone, "too-far-behind", fmt.Sprintf("more than %d entries behind: read them from the tiles", maxStreamBehind)))
			return false
		}
		s.size = s.next
	}
	s.c.Header("Cache-Control", "no-store")
	s.out = webapi.BeginEvents(s.c.Writer)
	return s.out.Send(": stream of entries\nretry: 3000\n\n")
}

// run sends until the reader leaves, is too slow, or the hour is over.
func (s *stream) run() {
	heartbeat := time.NewTicker(streamHeartbeat)
	defer heartbeat.Stop()
	end := time.NewTimer(streamLife)
	defer end.Stop()
	for {
		published, changed := s.l.publishedNow()
		if !s.catchUp(published) {
			return
		}
		select {
		case <-changed:
		case <-heartbeat.C:
			if !s.out.Send(": alive\n\n") {
				return
			}
		case <-end.C:
			return
		case <-s.c.Request.Context().Done():
			return
		case <-webapi.Closing(s.c.Request.Context()):
			return
		case <-s.l.stopped:
			return
		}
	}
}

// catchUp sends what is published and was not sent.
func (s *stream) catchUp(published head) bool {
	for ; s.next < published.size; s.next++ {
		raw, err := readEntry(s.l.cfg.Store, s.next)
		if err != nil {
			return false // it is reported by whoever reads the entry otherwise
		}
		// Entries are canonical JSON, without line breaks.
		if !s.out.Send(fmt.Sprintf("id: %d\nevent: entry\ndata: %s\n\n", s.next, raw)) {
			return false
		}
	}
	if s.size == published.size {
		return true
	}
	s.size = published.size
	note := strings.ReplaceAll(strings.TrimSuffix(string(published.note), "\n"), "\n", "\ndata: ")
	return s.out.Send("event: checkpoint\ndata: " + note + "\n\n")
}

// publishedNow is the published checkpoint and a channel that is closed when it may be another.
func (l *Log) publishedNow() (head, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.published, l.changed
}
