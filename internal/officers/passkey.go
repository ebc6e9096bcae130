package officers

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/bulla-id/bulla/credential"
)

// newWebAuthn wants passkeys that the browser finds by itself, and that ask for the person: a fingerprint, a face, a PIN.
func newWebAuthn(at *url.URL, name string) (*webauthn.WebAuthn, error) {
	timeout := webauthn.TimeoutConfig{Enforce: true, Timeout: ceremonyLimit, TimeoutUVD: ceremonyLimit}
	return webauthn.New(&webauthn.Config{
		RPID: at.Hostname(), RPDisplayName: name, RPOrigins: []string{at.Scheme + "://" + at.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(), UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
}

// Passkeys tells whether this address can have passkeys.
func (d *Directory) Passkeys() bool { return d.web != nil }

// ceremony is one that a browser is in the middle of. It is found by its challenge, once.
type ceremony struct {
	purpose purpose
	whose   string // officer's id; of signing in: empty, as the passkey says it
	data    webauthn.SessionData
	until   time.Time
}

type purpose int

const (
	signingIn purpose = iota
	joining
	adding
)

// remember keeps a ceremony until it ends. The oldest are forgotten where there are too many.
func (d *Directory) remember(p purpose, whose string, data *webauthn.SessionData) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.cfg.Clock()
	d.ceremonies = slices.DeleteFunc(d.ceremonies, func(c ceremony) bool { return !now.Before(c.until) })
	if len(d.ceremonies) >= maxCeremonies {
		d.ceremonies = slices.Delete(d.ceremonies, 0, 1)
	}
	d.ceremonies = append(d.ceremonies, ceremony{p, whose, *data, now.Add(ceremonyLimit)})
}

// take ends a ceremony. The caller holds the mutex.
func (d *Directory) take(p purpose, whose, challenge string) (webauthn.SessionData, error) {
	at := slices.IndexFunc(d.ceremonies, func(c ceremony) bool { return c.data.Challenge == challenge })
	if at < 0 {
		return webauthn.SessionData{}, ErrPasskey
	}
	c := d.ceremonies[at]
	d.ceremonies = slices.Delete(d.ceremonies, at, at+1)
	if c.purpose != p || c.whose != whose || !d.cfg.Clock().Before(c.until) {
		return webauthn.SessionData{}, ErrPasskey
	}
	return c.data, nil
}

// user is an officer as the library sees one.
type user struct {
	officerRow
	url string
}

// handle is what a passkey stores of whose it is: no name.
func handle(url, id string) []byte {
	sum := sha256.Sum256([]byte("bulla officer\x00" + url + "\x00" + id))
	return sum[:]
}

// WebAuthnID implements [webauthn.User], as do the next three.
func (u user) WebAuthnID() []byte { return handle(u.url, u.ID) }

// WebAuthnName is what the browser shows to tell accounts apart.
func (u user) WebAuthnName() string { return u.ID }

// WebAuthnDisplayName is the person's name.
func (u user) WebAuthnDisplayName() string { return u.Name }

// WebAuthnCredentials are the passkeys that there are.
func (u user) WebAuthnCredentials() (list []webauthn.Credential) {
	for _, p := range u.Passkeys {
		list = append(list, p.Credential)
	}
	return list
}

// BeginSignIn is what a browser needs to ask for a passkey, as JSON.
func (d *Directory) BeginSignIn() (json.RawMessage, error) {
	if d.web == nil {
		return nil, ErrNoPasskey
	}
	options, data, err := d.web.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, fmt.Errorf("begin to sign in: %w", err)
	}
	d.remember(signingIn, "", data)
	return encode(options.Response), nil
}

// SignIn signs in whoever's passkey answered. It returns the session's secret.
func (d *Directory) SignIn(answer []byte) (secret string, err error) {
	if d.web == nil {
		return "", ErrNoPasskey
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(bounded(answer))
	if err != nil {
		return "", ErrPasskey
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	data, err := d.take(signingIn, "", parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return "", err
	}
	var found officerRow
	used, err := d.web.ValidateDiscoverableLogin(func(_, userHandle []byte) (webauthn.User, error) {
		found, err = d.byHandle(userHandle)
		return user{found, d.cfg.URL}, err
	}, data, parsed)
	if err != nil {
		return "", ErrPasskey
	}
	if used.Authenticator.CloneWarning {
		d.cfg.Logger.Warn("a passkey's counter went back: it may have been copied", slog.String("officer", found.ID))
		return "", ErrPasskey
	}
	if found.Disabled {
		return "", ErrDisabled
	}
	for i := range found.Passkeys {
		if string(found.Passkeys[i].Credential.ID) == string(used.ID) {
			found.Passkeys[i].Credential = plain(*used)
		}
	}
	rows := map[string][]byte{tableOfficer + found.ID: encode(found)}
	return d.begin(rows, sessionRow{Officer: found.ID}, &Note{d.principal(found.ID), SignedIn, found.ID, "passkey"})
}

// bounded is nothing where there is too much.
func bounded(answer []byte) []byte {
	if len(answer) > maxCeremonyBody {
		return nil
	}
	return answer
}

// plain is a credential without what its maker was told of the device.
func plain(c webauthn.Credential) webauthn.Credential {
	c.Attestation = webauthn.CredentialAttestation{}
	return c
}

func (d *Directory) byHandle(userHandle []byte) (found officerRow, err error) {
	err = d.each(tableOfficer, func(id string, value []byte) error {
		if string(handle(d.cfg.URL, id)) != string(userHandle) {
			return nil
		}
		if json.Unmarshal(value, &found) != nil {
			return errDamaged
		}
		return nil
	})
	if err == nil && found.ID == "" {
		err = ErrUnknown
	}
	return found, err
}

// beginPasskey is what a browser needs to make a passkey.
func (d *Directory) beginPasskey(p purpose, row officerRow) (json.RawMessage, error) {
	if d.web == nil {
		return nil, ErrNoPasskey
	}
	if len(row.Passkeys) >= maxPasskeys {
		return nil, fmt.Errorf("%w: %d passkeys are enough", ErrInput, maxPasskeys)
	}
	u := user{row, d.cfg.URL}
	options, data, err := d.web.BeginRegistration(u, webauthn.WithExclusions(webauthn.Credentials(u.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, fmt.Errorf("begin a passkey: %w", err)
	}
	d.remember(p, row.ID, data)
	return encode(options.Response), nil
}

// finishPasskey checks what a browser made, and adds it to the row. The caller holds the mutex.
func (d *Directory) finishPasskey(p purpose, row *officerRow, name string, answer []byte) error {
	if d.web == nil {
		return ErrNoPasskey
	}
	if name == "" || len(name) > maxNameOfPasskeyBytes || credential.ValidateLine(name) != nil {
		return fmt.Errorf("%w: a passkey's name is a line of at most %d bytes", ErrInput, maxNameOfPasskeyBytes)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(bounded(answer))
	if err != nil {
		return ErrPasskey
	}
	data, err := d.take(p, row.ID, parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return err
	}
	made, err := d.web.CreateCredential(user{*row, d.cfg.URL}, data, parsed)
	if err != nil || slices.ContainsFunc(row.Passkeys, func(p passkeyRow) bool { return string(p.Credential.ID) == string(made.ID) }) {
		return ErrPasskey
	}
	row.Passkeys = append(row.Passkeys, passkeyRow{name, d.now(), plain(*made)})
	return nil
}

// BeginJoin says whom an invitation is for, and is what their browser needs to make a passkey. It uses nothing up.
func (d *Directory) BeginJoin(link string) (Officer, json.RawMessage, error) {
	row, _, err := d.invited(link)
	if err != nil {
		return Officer{}, nil, err
	}
	options, err := d.beginPasskey(joining, row)
	return row.officer(), options, err
}

// invited is who joins by an invitation that is still good.
func (d *Directory) invited(link string) (row officerRow, t linkToken, err error) {
	if t, err = d.links.parse(link, invitationType, InvitationLifetime); err != nil {
		return row, t, err
	}
	if err := d.use(map[string][]byte{}, t); err != nil {
		return row, t, err
	}
	if row, err = d.named(t); err == nil && row.Joined != 0 {
		err = ErrExists
	}
	return row, t, err
}

// Join makes the invited an officer who is signed in. The invitation is then used up. It returns the session's secret.
func (d *Directory) Join(link, name string, answer []byte) (secret string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	row, t, err := d.invited(link)
	if err != nil {
		return "", err
	}
	if err := d.finishPasskey(joining, &row, name, answer); err != nil {
		return "", err
	}
	row.Joined = d.now()
	rows := map[string][]byte{tableOfficer + row.ID: encode(row)}
	if err := d.use(rows, t); err != nil {
		return "", err
	}
	return d.begin(rows, sessionRow{Officer: row.ID}, &Note{d.principal(row.ID), Joined, row.ID, "passkey"})
}

// fresh is the officer of the directory who is signed in, not long ago: else a session that was left open could be made to last.
func (d *Directory) fresh(p Person) (officerRow, error) {
	row, err := d.read(p.Officer)
	if err == nil && d.cfg.Clock().Sub(p.Began) > freshLimit {
		err = ErrStale
	}
	return row, err
}

// BeginPasskey is what an officer's browser needs to make one more passkey.
func (d *Directory) BeginPasskey(p Person) (json.RawMessage, error) {
	row, err := d.fresh(p)
	if err != nil {
		return nil, err
	}
	return d.beginPasskey(adding, row)
}

// AddPasskey adds it.
func (d *Directory) AddPasskey(p Person, name string, answer []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	row, err := d.fresh(p)
	if err != nil {
		return err
	}
	if err := d.finishPasskey(adding, &row, name, answer); err != nil {
		return err
	}
	return d.commit(&Note{p.Principal, PasskeyAdded, row.ID, ""}, row)
}
