package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Times of following a session by server-sent events.
const (
	followBeat = 15 * time.Second // between two looks at the store, which others may have written, and signs of life
	followLife = maximumLifetime + time.Minute
)

// pollAfter is what who asks again and again is told to wait, in seconds.
const pollAfter = "2"

// sessionAnswer is a session, or that it is as the application knows it.
type sessionAnswer struct {
	Status     int
	ETag       string `header:"ETag"`
	RetryAfter string `header:"Retry-After"`
	Body       *Status
}

// sessionByCode is a session of whose browser a response code may be known.
type sessionByCode struct {
	ID           string `path:"id"`
	ResponseCode string `query:"response_code" doc:"that the browser came back with, of a session with a return_uri"`
}

func (a *appAPI) mountReading() {
	tags := []string{"Sessions"}
	appOperation(a, ScopeRead, huma.Operation{
		OperationID: "read-session", Method: http.MethodGet, Path: "/sessions/{id}", Tags: tags, Summary: "How far one of your sessions is, and its result",
		Description: "With If-None-Match it is 304 while nothing changed. Ask again after two seconds, as Retry-After says, until it is final.",
		Errors:      []int{http.StatusNotFound}, Parameters: []*huma.Param{{Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: "string"}}},
		Responses: map[string]*huma.Response{"304": {Description: "It is as the ETag says"}},
	}, func(ctx context.Context, client string, in *sessionByCode) (*sessionAnswer, error) {
		status, err := a.v.StatusWith(ctx, client, in.ID, in.ResponseCode)
		if err != nil {
			return nil, err
		}
		_, tag, err := status.tagged()
		if err != nil {
			return nil, err
		}
		answer := &sessionAnswer{Status: http.StatusOK, ETag: `"` + tag + `"`, Body: status}
		if !status.Final {
			answer.RetryAfter = pollAfter
		}
		if isKnown(webapi.GinOf(ctx).Request.Header.Values("If-None-Match"), answer.ETag) {
			answer.Status, answer.Body = http.StatusNotModified, nil
		}
		return answer, nil
	})
	appOperation(a, ScopeRead, huma.Operation{
		OperationID: "follow-session", Method: http.MethodGet, Path: "/sessions/{id}/events", Tags: tags, Summary: "Follow one of your sessions by server-sent events",
		Description: "An event \"session\" for each state, with what read-session answers, until it is final. Last-Event-ID resumes; 204 if nothing more will come.",
		Errors:      []int{http.StatusNotFound, http.StatusTooManyRequests},
		Parameters:  []*huma.Param{{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: "string"}}},
		Responses: map[string]*huma.Response{
			"200": {Description: "Events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}},
			"204": {Description: "Nothing more will come"},
		},
	}, func(ctx context.Context, client string, in *sessionByCode) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(huma.Context) { a.v.follow(webapi.GinOf(ctx), client, in.ID, in.ResponseCode) }}, nil
	})
}

// tagged is the status as it is sent, and the name of just that.
func (s *Status) tagged() (text []byte, tag string, err error) {
	text, err = json.Marshal(s)
	return text, credential.DigestOf(text).String(), err
}

// isKnown tells whether a client named an entity tag. SPEC: RFC 9110 section 13.1.2: a list, or a star, compared weakly.
func isKnown(fields []string, tag string) bool {
	for _, known := range strings.Split(strings.Join(fields, ","), ",") {
		if known = strings.TrimPrefix(strings.Trim(known, " \t"), "W/"); known == tag || known == "*" {
			return true
		}
	}
	return false
}

// stream is a session that somebody follows over HTTP.
type stream struct {
	v       *Verifier
	c       *gin.Context
	out     *webapi.Events
	news    *follower
	code    string // of the browser
	session session
	pending bool
	shown   bool // once something is
	state   State
}

// follow sends an event for each state of a session until it is final. What an event says is what [Verifier.StatusWith] tells who has
// that response code.
func (v *Verifier) follow(c *gin.Context, client, id, code string) {
	s := &stream{v: v, c: c, code: code}
	if _, err := v.StatusWith(c.Request.Context(), client, id, code); err != nil { // before it takes a place
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	var err error
	if s.news, s.pending, err = v.join(client, id); err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	defer v.part(s.news)
	began, err := v.ofClient(client, id)
	if err != nil {
		webapi.Refuse(c, v.problem(c, err))
		return
	}
	s.session = began.session
	if s.begin() {
		s.run()
	}
}

// begin says that events follow, unless none does.
func (s *stream) begin() bool {
	status, err := s.v.statusAs(&s.session, s.pending, s.code)
	if err != nil {
		webapi.Refuse(s.c, s.v.problem(s.c, err))
		return false
	}
	_, tag, err := status.tagged()
	if err != nil {
		webapi.Refuse(s.c, s.v.problem(s.c, err))
		return false
	}
	if s.c.GetHeader("Last-Event-ID") == tag {
		if s.shown, s.state = true, status.State; status.Final || s.isOver() {
			s.c.Status(http.StatusNoContent) // a browser asks no more
			s.c.Writer.WriteHeaderNow()
			return false
		}
	}
	s.out = webapi.BeginEvents(s.c.Writer)
	return s.out.Send(": a session\nretry: 3000\n\n")
}

// run sends until the session is final or the reader leaves, is too slow, or has been here for longer than sessions are open.
func (s *stream) run() {
	beat, end := time.NewTicker(s.v.beat), time.NewTimer(followLife)
	defer beat.Stop()
	defer end.Stop()
	for s.show() {
		expiry := time.NewTimer(max(s.session.ExpiresAt.Time().Sub(s.v.cfg.Clock()), 100*time.Millisecond))
		select {
		case n := <-s.news.news:
			s.take(n)
		case <-expiry.C:
		case <-beat.C:
			if !s.look() {
				return
			}
		case <-s.news.behind:
			return
		case <-end.C:
			return
		case <-s.c.Request.Context().Done():
			return
		case <-webapi.Closing(s.c.Request.Context()):
			return
		}
		expiry.Stop()
	}
}

// take takes note of a change.
func (s *stream) take(n news) {
	switch {
	case n.session == nil:
		s.pending = n.pending
	case n.session.Changes > s.session.Changes: // two that are written one after the other may be told the other way round
		s.session = *n.session
	}
}

// look reads what others may have written, and says that we live. What was told before it was written is shown before.
func (s *stream) look() bool {
	now, err := s.v.read(s.session.ID)
	if errors.Is(err, ErrAbsent) {
		return false
	}
	if err == nil && now.session.Changes > s.session.Changes { // else it is read the next time
		if !s.catchUp() {
			return false
		}
		s.take(news{session: &now.session})
	}
	return s.out.Send(": alive\n\n")
}

// catchUp shows what was told by now. It returns false when nothing more will come.
func (s *stream) catchUp() bool {
	for {
		select {
		case n := <-s.news.news:
			s.take(n)
			if !s.show() {
				return false
			}
		default:
			return true
		}
	}
}

// show sends the session if its state is another than was sent last. It returns false when nothing more will come.
func (s *stream) show() bool {
	over := s.isOver() // before the status is read: what ends in between is still shown
	status, err := s.v.statusAs(&s.session, s.pending, s.code)
	if err != nil { // the code is another's: the session was declined while it was verified
		return false
	}
	if !s.shown || status.State != s.state || status.Final {
		text, tag, err := status.tagged()
		if err != nil || !s.out.Send(fmt.Sprintf("id: %s\nevent: session\ndata: %s\n\n", tag, text)) {
			return false
		}
		s.shown, s.state = true, status.State
	}
	return !status.Final && !over
}

// isOver tells that whatever is hidden from who has no response code will not be shown.
func (s *stream) isOver() bool {
	return !s.pending && !s.v.cfg.Clock().Before(s.session.ExpiresAt.Time())
}
