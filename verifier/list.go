package verifier

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/bulla-id/bulla/credential"
)

const (
	defaultList = 50   // sessions of a page
	maxList     = 200  // sessions of a page
	maxListScan = 1000 // sessions that are looked at for one
)

// ErrAfter is returned for a place in a list that no page named.
var ErrAfter error = malformed("after is not what a page named as next")

// Listed is a session in a list: how far it is, and nothing of what came of it.
type Listed struct {
	ID        string              `json:"id"`
	Policy    string              `json:"policy"`
	State     State               `json:"state"`
	Final     bool                `json:"final"`
	StartedAt credential.UnixTime `json:"started_at"`
	ExpiresAt credential.UnixTime `json:"expires_at"`
}

// List is what to list. A page begins behind After, which another page named.
type List struct {
	After  string
	Limit  int    // 0: 50; at most 200
	State  State  // empty: any
	Policy string // empty: any
}

const ownPrefix = "own/"

// ownKey finds the sessions of an application, the newest first. Names of applications are digested, as those of providers are long and
// may have a slash.
func ownKey(s *session) string {
	return fmt.Sprintf("%s%016x/%s", ownedBy(s.Client), ^uint64(s.StartedAt), s.ID)
}

func ownedBy(client string) string {
	return ownPrefix + credential.DigestOf([]byte(client)).String() + "/"
}

var placePattern = regexp.MustCompile(`^[0-9a-f]{16}/[A-Za-z0-9_-]{43}$`)

// Sessions lists an application's own sessions, the newest first, until the end of what is kept of each, and the place of the next page;
// empty: there is none. A page may be shorter than its limit, or empty, and another follow. States are those that [Verifier.Status]
// tells without a response code. It returns [ErrAfter].
func (v *Verifier) Sessions(_ context.Context, client string, l List) (page []Listed, next string, err error) {
	if l.Limit <= 0 {
		l.Limit = defaultList
	}
	l.Limit = min(l.Limit, maxList)
	rows, err := v.own(client, l.After)
	if err != nil {
		return nil, "", err
	}
	page = []Listed{}
	for i, place := range rows {
		if i == maxListScan || len(page) == l.Limit {
			return page, rows[i-1], nil
		}
		s, err := v.read(place[strings.IndexByte(place, '/')+1:])
		if errors.Is(err, ErrAbsent) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, "", fmt.Errorf("list sessions: %w", err)
		}
		status, err := v.status(s, "")
		if err != nil {
			return nil, "", fmt.Errorf("list sessions: %w", err)
		}
		if (l.State == "" || status.State == l.State) && (l.Policy == "" || s.Policy == l.Policy) {
			page = append(page, Listed{s.ID, s.Policy, status.State, status.Final, s.StartedAt, s.ExpiresAt})
		}
	}
	return page, "", nil
}

// own are the places of an application's sessions behind one of them, one more than are looked at.
func (v *Verifier) own(client, after string) (places []string, err error) {
	prefix, from := ownedBy(client), ""
	if after != "" {
		if !placePattern.MatchString(after) {
			return nil, ErrAfter
		}
		from = prefix + after + "\x00"
	}
	err = v.cfg.Store.EachFrom(prefix, from, func(key string, _ []byte) error {
		places = append(places, strings.TrimPrefix(key, prefix))
		if len(places) > maxListScan {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return places, nil
}
