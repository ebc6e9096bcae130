package issuer

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Status is the state of a credential.
type Status string

// The states. Pending becomes active with the seal, or the credential is forgotten because the ledger refused it.
const (
	Pending   Status = "pending"
	Active    Status = "active"
	Suspended Status = "suspended"
	Revoked   Status = "revoked" // for good
)

// Credential is an issued credential as clerks see it.
type Credential struct {
	ID         string              `json:"id"`
	Person     string              `json:"person"`
	Schema     string              `json:"schema"` // type
	Claims     credential.Claims   `json:"claims"`
	Subject    string              `json:"subject,omitempty"`
	ValidFrom  string              `json:"valid_from"`
	ValidUntil string              `json:"valid_until"`
	Status     Status              `json:"status"`
	Change     entry.Kind          `json:"change,omitempty"` // on its way to the chain
	Leaf       uint64              `json:"leaf"`             // index in the active tree, once active
	History    []Event             `json:"history"`          // what took effect, oldest first
	Erased     credential.UnixTime `json:"erased,omitempty"` // when its personal data was erased
	Companions int                 `json:"companions,omitempty"`
}

// LogValue hides a person's data from slog.
func (c Credential) LogValue() slog.Value { return slog.StringValue("credential " + c.ID) }

// Event is a change that took effect.
type Event struct {
	Kind   entry.Kind          `json:"kind"`
	Entry  uint64              `json:"entry"` // index in the log
	At     credential.UnixTime `json:"at"`    // when we learned that it is sealed
	Reason *Reason             `json:"reason,omitempty"`
}

// record is the row of a credential: what clerks see and what only the wallet gets.
type record struct {
	Credential
	SchemaID         credential.Element `json:"schema_id"`
	HolderCommitment credential.Element `json:"holder_commitment"`
	SubjectKey       credential.Secret  `json:"subject_key"`
	Salt             credential.Secret  `json:"salt"`
	Sequence         uint64             `json:"sequence"`           // of the entry that issued it
	Statuses         []statusPlace      `json:"statuses,omitempty"` // of its companions
}

// LogValue hides everything from slog.
func (r record) LogValue() slog.Value { return r.Credential.LogValue() }

// Credential finds a credential, or returns [ErrNotFound].
func (i *Issuer) Credential(by Officer, id string) (Credential, error) {
	c, err := i.credential(id)
	if err != nil {
		return Credential{}, err
	}
	return c, i.noteRead(by, DidRead, id)
}

func (i *Issuer) credential(id string) (Credential, error) {
	var r record
	switch err := begin(i.cfg.Store).get(tableCredential+id, &r); {
	case errors.Is(err, ErrAbsent):
		return Credential{}, refuse(ErrNotFound, "there is no credential with that id")
	case err != nil:
		return Credential{}, fmt.Errorf("look up credential %s: %w", id, err)
	}
	return r.Credential, nil
}

// MaxPage bounds a page of a list.
const MaxPage = 200

// List asks for credentials, oldest first.
type List struct {
	Person string // of this person only, if not empty
	After  string // the id that the previous page ended with
	Limit  int    // 1 to MaxPage; 0: 50
}

// Credentials lists credentials; more says that another page follows.
func (i *Issuer) Credentials(by Officer, l List) (page []Credential, more bool, err error) {
	if l.Limit == 0 {
		l.Limit = 50
	}
	if l.Limit < 0 || l.Limit > MaxPage {
		return nil, false, refuse(ErrRequest, "limit is 1 to %d", MaxPage)
	}
	if err := i.noteRead(by, DidList, ""); err != nil {
		return nil, false, err
	}
	prefix := tableCredential
	if l.Person != "" {
		prefix = tablePerson + tag(i.tagKey, l.Person) + "/"
	}
	var ids []string
	err = i.cfg.Store.Scan(prefix, prefix+l.After, func(key string, _ []byte) bool {
		ids = append(ids, strings.TrimPrefix(key, prefix))
		return len(ids) <= l.Limit
	})
	if err != nil {
		return nil, false, fmt.Errorf("list credentials: %w", err)
	}
	if more = len(ids) > l.Limit; more {
		ids = ids[:l.Limit]
	}
	page = make([]Credential, 0, len(ids))
	for _, id := range ids {
		c, err := i.credential(id)
		if errors.Is(err, ErrNotFound) {
			continue // refused by the ledger meanwhile
		}
		if err != nil {
			return nil, false, err
		}
		page = append(page, c)
	}
	return page, more, nil
}

// ResetEnrolment ends a person's enrolment, so that another master secret can be enrolled; [ErrHeld] while any
// credential of the person in that register is not revoked. The register may be left out if there is only one.
func (i *Issuer) ResetEnrolment(by Officer, register, person string) error {
	r, err := i.registerNamed(register)
	if err != nil {
		return err
	}
	if err := i.noteRead(by, DidReset, r.Name()); err != nil { // before it is done: the register's rows have a commit of their own
		return err
	}
	return r.Reset(person)
}
