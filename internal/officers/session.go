package officers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Person is somebody who is signed in.
type Person struct {
	Principal string   `json:"principal"`         // as the audit trail has it
	Officer   string   `json:"officer,omitempty"` // id in the directory; empty: known to the agency's provider only
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes"`

	Began time.Time `json:"-"` // when they signed in
	Until time.Time `json:"-"` // when they are signed out, if they do nothing more
}

func sessionKey(secret string) string {
	return tableSession + credential.DigestOf([]byte(secret)).String()
}

// over tells whether a session has ended.
func (s sessionRow) over(now credential.UnixTime) bool { return now >= s.until() }

func (s sessionRow) until() credential.UnixTime {
	return min(s.Began+credential.UnixTime(sessionLimit/time.Second), s.Used+credential.UnixTime(idleLimit/time.Second))
}

// begin makes a session with what leads to it, and returns its secret of 256 random bits. The caller holds the mutex.
func (d *Directory) begin(rows map[string][]byte, s sessionRow, note *Note) (string, error) {
	if err := d.sweep(rows); err != nil {
		return "", err
	}
	if err := d.makeRoom(rows, s); err != nil {
		return "", err
	}
	secret := webapi.RandomID()
	s.Began = d.now()
	s.Used = s.Began
	rows[sessionKey(secret)] = encode(s)
	if err := d.cfg.Commit(rows, note); err != nil {
		return "", fmt.Errorf("begin session: %w", err)
	}
	return secret, nil
}

// of tells whose session it is.
func (s sessionRow) of() string {
	if s.Person != nil {
		return s.Person.Principal
	}
	return s.Officer
}

// makeRoom ends the oldest sessions where there would be too many, of one person or of all.
func (d *Directory) makeRoom(rows map[string][]byte, next sessionRow) error {
	type open struct {
		key   string
		began credential.UnixTime
	}
	var all, theirs []open
	err := d.eachSession(func(digest string, s sessionRow) {
		key := tableSession + digest
		if _, ended := rows[key]; ended {
			return
		}
		all = append(all, open{key, s.Began})
		if s.of() == next.of() {
			theirs = append(theirs, open{key, s.Began})
		}
	})
	if err != nil {
		return err
	}
	drop := func(list []open, most int) {
		slices.SortFunc(list, func(a, b open) int { return cmp.Compare(a.began, b.began) })
		for len(list) >= most {
			rows[list[0].key], list = nil, list[1:]
		}
	}
	drop(theirs, maxSessionsOfOne)
	drop(all, maxSessions)
	return nil
}

func (d *Directory) endSessionsOf(rows map[string][]byte, officer string) error {
	return d.eachSession(func(digest string, s sessionRow) {
		if s.Officer == officer {
			rows[tableSession+digest] = nil
		}
	})
}

// Session says who a session's secret is of, with the scopes of their present roles, and counts it as used. Refused with [ErrSignedOut].
func (d *Directory) Session(secret string) (p Person, err error) {
	if secret == "" || len(secret) > 64 {
		return p, ErrSignedOut
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var s sessionRow
	if err := d.get(sessionKey(secret), &s, ErrSignedOut); err != nil {
		return p, err
	}
	now := d.now()
	if s.over(now) {
		return p, ErrSignedOut
	}
	if p, err = d.person(s); err != nil {
		return p, err
	}
	if now-s.Used >= credential.UnixTime(touchAfter/time.Second) {
		s.Used = now
		if err := d.cfg.Commit(map[string][]byte{sessionKey(secret): encode(s)}, nil); err != nil {
			return p, err
		}
	}
	p.Began, p.Until = s.Began.Time(), s.until().Time()
	return p, nil
}

func (d *Directory) person(s sessionRow) (p Person, err error) {
	if s.Person != nil {
		return *s.Person, nil
	}
	row, err := d.read(s.Officer)
	if err != nil || row.Disabled {
		return p, ErrSignedOut
	}
	return Person{Principal: d.principal(row.ID), Officer: row.ID, Name: row.Name, Scopes: d.scopes(row.Roles)}, nil
}

// End signs out. A session that has ended already is none to end.
func (d *Directory) End(secret string) error {
	p, err := d.Session(secret)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cfg.Commit(map[string][]byte{sessionKey(secret): nil}, &Note{p.Principal, SignedOut, p.Officer, ""})
}

// Token makes an access token of the admin API for a principal who is signed in: of the roles that they have now, or of the scopes
// given if they are the provider's. It is good for two minutes: what it lets in is what is asked for at once.
func (d *Directory) Token(principal string, scopes []string) (string, error) {
	subject := principal // of a provider: issuer|subject
	if id, ours := strings.CutPrefix(principal, d.principal("")); ours {
		row, err := d.read(id)
		if err != nil || row.Disabled {
			return "", ErrSignedOut
		}
		subject, scopes = subjectPrefix+id, d.scopes(row.Roles)
	}
	return d.cfg.Mint.Issue(oauth.Grant{Client: client, Subject: subject, Scopes: scopes, Lifetime: tokenLifetime})
}

// Welcome signs somebody in whom the agency's own provider vouches for. They are who the provider says: their tokens of the provider,
// if it makes any for the admin API, name the same principal. Their roles stay as they are until they sign in again.
func (d *Directory) Welcome(who oauth.Principal, name string) (secret string, err error) {
	p := Person{Principal: who.ID(), Name: cmp.Or(name, who.Subject), Scopes: who.Scopes}
	switch {
	case len(p.Scopes) == 0:
		return "", ErrNoRole
	case len(p.Principal) > maxPrincipal || len(p.Name) > maxName || credential.ValidateLine(p.Name) != nil || credential.ValidateLine(p.Principal) != nil:
		return "", fmt.Errorf("%w: the provider's name for them is too long or no line", ErrInput)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begin(make(map[string][]byte), sessionRow{Person: &p}, &Note{p.Principal, SignedIn, "", "provider"})
}
