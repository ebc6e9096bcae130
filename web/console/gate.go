package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"
)

// ErrSignedOut is returned for a request of nobody who is signed in.
var ErrSignedOut = errors.New("nobody is signed in")

// Session is an officer who is signed in.
type Session struct {
	Officer string   // id, as the audit trail has it
	Name    string   // for people
	Scopes  []string // of the admin API, that the tokens have
	Until   time.Time
}

func (s *Session) may(scope string) bool { return slices.Contains(s.Scopes, scope) }

// Gate says who is signed in, and speaks to the admin API for them.
type Gate interface {
	// Session is that of a request, or [ErrSignedOut].
	Session(r *http.Request) (*Session, error)
	// Token is an access token of the admin API that is good for one request at least.
	Token(ctx context.Context, s *Session) (string, error)
	// SignOut ends the session of a request, and tells the browser.
	SignOut(w http.ResponseWriter, r *http.Request) error
}
