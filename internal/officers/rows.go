package officers

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/bulla-id/bulla/credential"
)

// The tables of a directory.
const (
	tableOfficer = "officers/officer/" // by id
	tableSession = "officers/session/" // by digest of its secret
	tableUsed    = "officers/used/"    // by its id: links that were used, until they would have expired
)

var errDamaged = errors.New("a row of officers is damaged") // the cause could quote it

// officerRow is an officer with what their passkeys are checked against.
type officerRow struct {
	ID       string              `json:"id"`
	Name     string              `json:"name"`
	Roles    []string            `json:"roles"`
	Disabled bool                `json:"disabled,omitempty"`
	Joined   credential.UnixTime `json:"joined,omitempty"`
	Passkeys []passkeyRow        `json:"passkeys,omitempty"`
}

type passkeyRow struct {
	Name       string              `json:"name"`
	Added      credential.UnixTime `json:"added"`
	Credential webauthn.Credential `json:"credential"`
}

func (p passkeyRow) id() string { return base64.RawURLEncoding.EncodeToString(p.Credential.ID) }

// Passkey is one of an officer's, for people.
type Passkey struct {
	ID    string              `json:"id"`
	Name  string              `json:"name"`
	Added credential.UnixTime `json:"added"`
}

func (r officerRow) officer() Officer {
	o := Officer{ID: r.ID, Name: r.Name, Roles: r.Roles, Disabled: r.Disabled, Joined: r.Joined}
	for _, p := range r.Passkeys {
		o.Passkeys = append(o.Passkeys, Passkey{p.id(), p.Name, p.Added})
	}
	return o
}

// sessionRow is a session. One of the directory has an officer; one of the agency's provider has who it is instead.
type sessionRow struct {
	Officer string              `json:"officer,omitempty"`
	Person  *Person             `json:"person,omitempty"`
	Began   credential.UnixTime `json:"began"`
	Used    credential.UnixTime `json:"used"`
}

func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("officers: encode row: %T", value)) // our own types always encode
	}
	return data
}

// get decodes a row, or returns absent.
func (d *Directory) get(key string, value any, absent error) error {
	data, err := d.cfg.Store.Get(key)
	switch {
	case errors.Is(err, d.cfg.Absent):
		return absent
	case err != nil:
		return fmt.Errorf("read officers: %w", err)
	case json.Unmarshal(data, value) != nil:
		return errDamaged
	}
	return nil
}

func (d *Directory) read(id string) (row officerRow, err error) {
	if !idPattern.MatchString(id) {
		return row, ErrUnknown
	}
	return row, d.get(tableOfficer+id, &row, ErrUnknown)
}

// commit writes an officer, and whatever else belongs to it.
func (d *Directory) commit(note *Note, row officerRow) error {
	return d.cfg.Commit(map[string][]byte{tableOfficer + row.ID: encode(row)}, note)
}

// each visits the rows of a table.
func (d *Directory) each(table string, visit func(key string, value []byte) error) error {
	var failed error
	err := d.cfg.Store.Scan(table, "", func(key string, value []byte) bool {
		failed = visit(strings.TrimPrefix(key, table), value)
		return failed == nil
	})
	if err != nil {
		return fmt.Errorf("read officers: %w", err)
	}
	return failed
}

// sweep deletes what is over: sessions and marks of used links.
func (d *Directory) sweep(rows map[string][]byte) error {
	now := d.now()
	err := d.each(tableUsed, func(id string, value []byte) error {
		var until credential.UnixTime
		if json.Unmarshal(value, &until) != nil {
			return errDamaged
		}
		if now >= until {
			rows[tableUsed+id] = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.eachSession(func(digest string, s sessionRow) {
		if s.over(now) {
			rows[tableSession+digest] = nil
		}
	})
}

func (d *Directory) eachSession(visit func(digest string, s sessionRow)) error {
	return d.each(tableSession, func(digest string, value []byte) error {
		var s sessionRow
		if json.Unmarshal(value, &s) != nil {
			return errDamaged
		}
		visit(digest, s)
		return nil
	})
}

func (d *Directory) now() credential.UnixTime { return credential.UnixTimeOf(d.cfg.Clock()) }
