// Package officers knows who works at an agency's console: a directory of people with their roles, how they sign in, and the
// sessions of those who have. What they may then do is decided where it always is, at the admin API: a session gives short-lived
// access tokens of the officer's present roles, and nothing else.
//
//	Links.Invitation ──► BeginJoin, Join ──► an officer with a passkey ──► BeginSignIn, SignIn ──┐
//	Links.SignIn ──────► Redeem ─────────────────────────────────────────────────────────────────┼─► session ──► Token
//	the agency's own OpenID provider ──► Welcome ────────────────────────────────────────────────┘
//
// Everything is in the agency's store, encrypted. Of sessions there is only a digest: who copies the store cannot take one over.
// Whoever can change the store can bring back officers who were disabled; whoever has the key of the admin API can make links, and
// tokens, of anybody.
package officers

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
)

// Why something is refused. Any other error means that we could not do our work.
var (
	ErrSignedOut = errors.New("nobody is signed in, or the session has ended")
	ErrLink      = errors.New("link is not valid: it may be used, expired, or for another agency")
	ErrPasskey   = errors.New("passkey was not accepted")
	ErrUnknown   = errors.New("there is no such officer or passkey")
	ErrExists    = errors.New("officer has joined already")
	ErrDisabled  = errors.New("officer is disabled")
	ErrInput     = errors.New("officer cannot be entered like that")
	ErrSelf      = errors.New("nobody changes their own roles, or disables themselves")
	ErrNoRole    = errors.New("person has no role here")
	ErrStale     = errors.New("signed in too long ago for this: sign in again")
	ErrNoPasskey = errors.New("passkeys need a host name: this address has none")
)

// Verbs of the audit trail.
const (
	Invited        = "officer-invited"    // object: whom
	Joined         = "officer-joined"     // object: the officer; detail: how
	Changed        = "officer-changed"    // object: whom; detail: what
	SignedIn       = "officer-signed-in"  // object: the officer; detail: how
	SignedOut      = "officer-signed-out" // object: the officer
	PasskeyAdded   = "passkey-added"      // object: the officer
	PasskeyRemoved = "passkey-removed"    // object: the officer
)

// Limits.
const (
	maxOfficers           = 1000
	maxPasskeys           = 8
	maxSessionsOfOne      = 16 // the oldest ends
	maxSessions           = 4096
	maxName               = 200 // bytes
	idleLimit             = 30 * time.Minute
	sessionLimit          = 10 * time.Hour
	touchAfter            = time.Minute      // how exactly it is known when a session was last used
	freshLimit            = 15 * time.Minute // how old a session may be that adds a passkey
	tokenLifetime         = 2 * time.Minute
	client                = "console" // as tokens name it
	subjectPrefix         = "officer:"
	maxPrincipal          = 255 // bytes, as a token's subject
	ceremonyLimit         = 5 * time.Minute
	maxCeremonies         = 1024
	maxCeremonyBody       = 64 << 10
	maxNameOfPasskeyBytes = 60
)

// Store keeps our rows among those of the agency, under keys that begin with `officers/`: see issuer.Store.
type Store interface {
	Get(key string) ([]byte, error)
	Scan(prefix, after string, visit func(key string, value []byte) bool) error
}

// Note is what the audit trail says of a change: by is an officer's principal.
type Note struct{ By, Verb, Object, Detail string }

// Config is what a directory needs.
type Config struct {
	URL   string              // of the agency
	Name  string              // of the agency, as passkeys show it
	Roles map[string][]string // scopes of each role that there is
	Store Store
	// Commit writes rows together with what the audit trail says of them, all or nothing; nil deletes. No note: none is needed.
	Commit func(rows map[string][]byte, note *Note) error
	// Absent tells the store's error for a row that is not there.
	Absent error
	Mint   oauth.Mint       // of the admin API
	Key    *jose.SigningKey // that links are signed with
	Clock  func() time.Time
	Logger *slog.Logger
}

// Directory is the officers of one agency. It is safe for concurrent use.
type Directory struct {
	cfg   Config
	links Links
	web   *webauthn.WebAuthn // nil: this address cannot have passkeys

	mu         sync.Mutex // held over each read that leads to a write
	ceremonies []ceremony // under way, the oldest first
}

// New checks a configuration.
func New(cfg Config) (*Directory, error) {
	if cfg.Store == nil || cfg.Commit == nil || cfg.Absent == nil || cfg.Key == nil || cfg.Clock == nil || cfg.Logger == nil || len(cfg.Roles) == 0 {
		return nil, errors.New("officers: something is missing in the configuration")
	}
	if err := cfg.Mint.Validate(); err != nil {
		return nil, fmt.Errorf("officers: %w", err)
	}
	at, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("officers: URL: %w", err)
	}
	d := &Directory{cfg: cfg, links: Links{cfg.URL, cfg.Key, cfg.Clock}}
	if net.ParseIP(at.Hostname()) == nil { // SPEC: Web Authentication section 5.1.3: a domain, no address
		d.web, err = newWebAuthn(at, cfg.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("officers: %w", err)
	}
	return d, nil
}

// Links are those of the agency.
func (d *Directory) Links() Links { return d.links }

// Officer is one who works at the console.
type Officer struct {
	ID       string              `json:"id"`
	Name     string              `json:"name"`
	Roles    []string            `json:"roles"`
	Disabled bool                `json:"disabled,omitempty"`
	Joined   credential.UnixTime `json:"joined,omitempty"` // 0: invited only
	Passkeys []Passkey           `json:"passkeys,omitempty"`
}

// Has tells whether they have a role.
func (o Officer) Has(role string) bool { return slices.Contains(o.Roles, role) }

// principal is who an officer of the directory is in tokens and the audit trail. Software has no colon in its name.
func (d *Directory) principal(id string) string { return d.cfg.URL + "|" + subjectPrefix + id }

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Validate refuses an officer that nobody could tell from another, or whose roles are not among those that there are.
func (o Officer) Validate(roles map[string][]string) error {
	if err := ValidateID(o.ID); err != nil {
		return err
	}
	switch {
	case o.Name == "" || len(o.Name) > maxName || strings.TrimSpace(o.Name) != o.Name || credential.ValidateLine(o.Name) != nil:
		return fmt.Errorf("%w: a name is a line of at most %d bytes", ErrInput, maxName)
	case len(o.Roles) == 0:
		return fmt.Errorf("%w: no role", ErrInput)
	}
	for i, role := range o.Roles {
		if _, known := roles[role]; !known || slices.Contains(o.Roles[:i], role) {
			return fmt.Errorf("%w: role %.40q is unknown or stands twice: there are %s", ErrInput, role, strings.Join(slices.Sorted(maps.Keys(roles)), ", "))
		}
	}
	return nil
}

// ValidateID refuses what cannot be an officer's id.
func ValidateID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%w: an id has 1 to 63 small letters, digits and ._-", ErrInput)
	}
	return nil
}

// scopes are those of some roles.
func (d *Directory) scopes(roles []string) (scopes []string) {
	for _, role := range roles {
		for _, s := range d.cfg.Roles[role] {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

// Officers are all of them, by id.
func (d *Directory) Officers() (list []Officer, err error) {
	err = d.each(tableOfficer, func(_ string, value []byte) error {
		var row officerRow
		if err := json.Unmarshal(value, &row); err != nil {
			return errDamaged
		}
		list = append(list, row.officer())
		return nil
	})
	return list, err
}

// Officer is one of them, or [ErrUnknown].
func (d *Directory) Officer(id string) (Officer, error) {
	row, err := d.read(id)
	return row.officer(), err
}

// Invite enters an officer and returns a link with which they join, good for a day. Who has not joined yet can be invited again.
func (d *Directory) Invite(by string, o Officer) (link string, err error) {
	if err := o.Validate(d.cfg.Roles); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	row, err := d.read(o.ID)
	switch {
	case err == nil && row.Joined != 0:
		return "", ErrExists
	case errors.Is(err, ErrUnknown):
		if err := d.room(); err != nil {
			return "", err
		}
	case err != nil:
		return "", err
	}
	if link, err = d.links.Invitation(o); err != nil {
		return "", err
	}
	return link, d.commit(&Note{by, Invited, o.ID, strings.Join(o.Roles, " ")}, officerRow{ID: o.ID, Name: o.Name, Roles: o.Roles})
}

// room refuses one officer too many.
func (d *Directory) room() error {
	known := 0
	if err := d.each(tableOfficer, func(string, []byte) error { known++; return nil }); err != nil {
		return err
	}
	if known >= maxOfficers {
		return fmt.Errorf("%w: there are %d already", ErrInput, maxOfficers)
	}
	return nil
}

// Change gives an officer other roles, or disables or enables them. Their sessions end.
func (d *Directory) Change(by, id string, roles []string, disabled bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	row, err := d.read(id)
	if err != nil {
		return err
	}
	if by == d.principal(id) {
		return ErrSelf
	}
	if err := (Officer{ID: id, Name: row.Name, Roles: roles}).Validate(d.cfg.Roles); err != nil {
		return err
	}
	detail := "roles: " + strings.Join(roles, " ")
	if disabled {
		detail = "disabled"
	}
	row.Roles, row.Disabled = roles, disabled
	rows := map[string][]byte{tableOfficer + id: encode(row)}
	if err := d.endSessionsOf(rows, id); err != nil {
		return err
	}
	return d.cfg.Commit(rows, &Note{by, Changed, id, detail})
}

// RemovePasskey takes a passkey from an officer.
func (d *Directory) RemovePasskey(id, passkey string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	row, err := d.read(id)
	if err != nil {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(row.Passkeys), func(p passkeyRow) bool { return p.id() == passkey })
	if len(kept) == len(row.Passkeys) {
		return ErrUnknown
	}
	row.Passkeys = kept
	return d.commit(&Note{d.principal(id), PasskeyRemoved, id, ""}, row)
}
