package verifier

import (
	"context"
	"errors"
	"fmt"
)

// ErrEnded is returned for a session that nobody can cancel any more.
var ErrEnded = errors.New("the session has ended in another way: read what came of it")

// Cancel ends a session of an application's before it is answered. One that is cancelled already stays so; one that has ended in
// another way is [ErrEnded]; [ErrAbsent] for sessions of others. Of Cancel and a response that is verified at the same time one wins.
func (v *Verifier) Cancel(_ context.Context, client, id string) (*Status, error) {
	s, err := v.cancel(func() (*stored, error) { return v.ofClient(client, id) })
	if err != nil {
		return nil, err
	}
	return v.status(s, "")
}

// CancelPage ends the session of a page, as the person does not want to, or returns [ErrAbsent]. One that has ended stays as it is.
func (v *Verifier) CancelPage(_ context.Context, page string) error {
	if _, err := v.cancel(func() (*stored, error) { return v.ofPage(page) }); !errors.Is(err, ErrEnded) {
		return err
	}
	return nil
}

// cancel ends the session that read finds.
func (v *Verifier) cancel(read func() (*stored, error)) (*stored, error) {
	for range maxConflicts {
		s, err := read()
		switch {
		case err != nil:
			return nil, err
		case s.State == Cancelled:
			return s, nil
		case s.Final || !v.cfg.Clock().Before(s.ExpiresAt.Time()):
			return nil, ErrEnded
		}
		next := s.session
		next.State, next.Final = Cancelled, true
		switch err := v.replace(s, next, Batch{}); {
		case err == nil:
			return &stored{session: next}, nil
		case !errors.Is(err, ErrChanged):
			return nil, err
		}
	}
	return nil, fmt.Errorf("session changed %d times meanwhile", maxConflicts)
}
