package officers

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Where the console is, below the agency's URL, and its pages for those who are not signed in.
const (
	ConsolePath = "/console"
	JoinPath    = ConsolePath + "/join"
	SignInPath  = ConsolePath + "/sign-in"
)

// What links are for. No token of one kind is taken for another, nor for an access token.
const (
	invitationType = "officer-invitation+jwt"
	signInType     = "officer-sign-in+jwt"
)

// How long they are good for.
const (
	InvitationLifetime = 24 * time.Hour
	LinkLifetime       = 10 * time.Minute
)

const maxLink = 4 << 10 // bytes

// linkToken is what a link says, signed with the key of the admin API.
type linkToken struct {
	Issuer   string              `json:"iss"` // the agency's URL, for whom it is, too
	Subject  string              `json:"sub"` // an officer's id
	Name     string              `json:"name,omitempty"`
	Roles    []string            `json:"roles,omitempty"`
	IssuedAt credential.UnixTime `json:"iat"`
	Expires  credential.UnixTime `json:"exp"`
	ID       string              `json:"jti"`
}

// Links makes links for officers. It needs no store, so that a command can make one while the agency runs. Whoever has the key could
// make access tokens as well.
type Links struct {
	URL   string // of the agency
	Key   *jose.SigningKey
	Clock func() time.Time
}

// Invitation lets somebody join, once, within a day: as an officer with a name and roles, who then makes a passkey. What the directory
// says of them already counts.
func (l Links) Invitation(o Officer) (string, error) {
	return l.link(JoinPath, invitationType, InvitationLifetime, o)
}

// SignIn lets an officer in, once, within ten minutes, without a passkey: the first one, one who lost it, or somebody who tries things
// out. One that the directory does not know yet joins by it, if the link has name and roles.
func (l Links) SignIn(o Officer) (string, error) {
	return l.link(SignInPath, signInType, LinkLifetime, o)
}

// link is an address whose secret stands behind #, where no server and no log of one sees it.
func (l Links) link(path, typ string, lifetime time.Duration, o Officer) (string, error) {
	now := l.Clock()
	token, err := jose.SignCompact(l.Key, "", typ, linkToken{
		l.URL, o.ID, o.Name, o.Roles, credential.UnixTimeOf(now), credential.UnixTimeOf(now.Add(lifetime)), webapi.RandomID(),
	})
	if err != nil {
		return "", fmt.Errorf("make a link: %w", err)
	}
	return l.URL + path + "#" + token, nil
}

// parse reads a link, or the token alone. What it says is signed; whether it was used is not looked at.
func (l Links) parse(text, typ string, lifetime time.Duration) (t linkToken, err error) {
	text = strings.TrimSpace(text)
	if _, token, ok := strings.Cut(text, "#"); ok {
		text = token
	}
	if len(text) > maxLink {
		return t, ErrLink
	}
	payload, err := jose.VerifyCompact(text, typ, jose.Keys(l.Key.Public()))
	if err != nil || credential.ParseStrict(payload, &t) != nil {
		return t, ErrLink
	}
	now := credential.UnixTimeOf(l.Clock())
	if t.Issuer != l.URL || t.ID == "" || now >= t.Expires || t.Expires-t.IssuedAt > credential.UnixTime(lifetime/time.Second) {
		return t, ErrLink
	}
	return t, nil
}

// use marks a link as used, or refuses one that was. The caller holds the mutex.
func (d *Directory) use(rows map[string][]byte, t linkToken) error {
	var until credential.UnixTime
	switch err := d.get(tableUsed+t.ID, &until, ErrUnknown); {
	case err == nil:
		return ErrLink
	case !errors.Is(err, ErrUnknown):
		return err
	}
	rows[tableUsed+t.ID] = encode(t.Expires)
	return nil
}

// named is the officer that a link speaks of: as the directory has them, else as the link does.
func (d *Directory) named(t linkToken) (row officerRow, err error) {
	row, err = d.read(t.Subject)
	if errors.Is(err, ErrUnknown) {
		if (Officer{ID: t.Subject, Name: t.Name, Roles: t.Roles}).Validate(d.cfg.Roles) != nil {
			return row, ErrUnknown
		}
		row, err = officerRow{ID: t.Subject, Name: t.Name, Roles: t.Roles}, d.room()
	}
	if err == nil && row.Disabled {
		err = ErrDisabled
	}
	return row, err
}

// Whom says who a link would sign in. It uses nothing up: people see the name before they say yes, so that nobody is signed in as
// somebody else by a link that they were sent.
func (d *Directory) Whom(link string) (Officer, error) {
	t, err := d.links.parse(link, signInType, LinkLifetime)
	if err != nil {
		return Officer{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.use(map[string][]byte{}, t); err != nil {
		return Officer{}, err
	}
	row, err := d.named(t)
	return row.officer(), err
}

// Redeem signs an officer in by a link, which is then used up. It returns the session's secret.
func (d *Directory) Redeem(link string) (secret string, err error) {
	t, err := d.links.parse(link, signInType, LinkLifetime)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := make(map[string][]byte)
	if err := d.use(rows, t); err != nil {
		return "", err
	}
	row, err := d.named(t)
	if err != nil {
		return "", err
	}
	note := &Note{d.principal(row.ID), SignedIn, row.ID, "link"}
	if row.Joined == 0 {
		row.Joined, note.Verb = d.now(), Joined
		rows[tableOfficer+row.ID] = encode(row)
	}
	return d.begin(rows, sessionRow{Officer: row.ID}, note)
}
