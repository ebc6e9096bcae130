package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Personal data is only here, and can be erased: what stays of a credential says that there was one, and nothing about whom. The
// commitment on the chain says nothing without it. doc/decisions/0013 says what becomes of the bytes.

// Erase erases what a credential says of its person, with the applications and requests that led to it. The credential must be revoked
// or past its end: one that can still be proven could otherwise no longer be revoked with a reason. Refused with [ErrNotFound] or [ErrState].
func (i *Issuer) Erase(ctx context.Context, by Officer, id string, reason Reason) error {
	if err := errors.Join(by.validate(), reason.validate()); err != nil {
		return err
	}
	if err := i.erase(by, id, reason); err != nil {
		return err
	}
	i.cfg.Logger.InfoContext(ctx, "credential erased", slog.String("credential", id))
	// The rows are gone for every reader already; this takes what they were out of the files.
	if err := i.cfg.Store.Forget(); err != nil {
		return fmt.Errorf("erase credential %s: %w", id, err)
	}
	return nil
}

func (i *Issuer) erase(by Officer, id string, reason Reason) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	var r record
	switch err := tx.get(tableCredential+id, &r); {
	case errors.Is(err, ErrAbsent):
		return refuse(ErrNotFound, "there is no credential with that id")
	case err != nil:
		return fmt.Errorf("erase credential %s: %w", id, err)
	case r.Status == Pending || r.Change != "":
		return refuse(ErrState, "a change of the credential is on its way to the chain")
	case r.Status != Revoked && r.ValidUntil >= i.cfg.Clock().UTC().Format(time.DateOnly):
		return refuse(ErrState, "the credential is valid: revoke it first")
	case r.Erased != 0:
		return nil
	}
	if err := i.eraseOrigins(tx, id); err != nil {
		return fmt.Errorf("erase credential %s: %w", id, err)
	}
	tx.delete(i.personRow(&r))
	released := make(map[*Register]map[string]string)
	i.noteRelease(released, &r)
	tx.put(tableCredential+id, r.erased(i.now()))
	if err := i.note(tx, by, DidErase, id, string(reason.Code)); err != nil {
		return err
	}
	if err := tx.commit(); err != nil {
		return err
	}
	return i.releaseAll(released)
}

// erased is what stays of a credential.
func (r record) erased(at credential.UnixTime) record {
	r.Erased = at
	r.Person, r.Claims, r.Subject = "", credential.Claims{}, ""
	r.HolderCommitment, r.SubjectKey, r.Salt = credential.Element{}, credential.Secret{}, credential.Secret{}
	r.Statuses = nil // they stay in their lists as they are, and nobody can tell whose they were: they are revoked for good, or over
	r.History = append([]Event(nil), r.History...)
	for n, e := range r.History {
		if e.Reason != nil {
			r.History[n].Reason = &Reason{Code: e.Reason.Code}
		}
	}
	return r
}

// eraseOrigins erases the cases that a credential came of or that changed it, and the wallet's request.
func (i *Issuer) eraseOrigins(tx *transaction, id string) error {
	ids := []string{id} // whatever says one of them was about this credential
	err := eachRow(i.cfg.Store, tableOrder, func(key string, o order) {
		if o.Credential == id {
			tx.delete(key)
			tx.delete(tableApplication + o.Application.ID)
			ids = append(ids, o.Application.ID)
		}
	})
	if err != nil {
		return err
	}
	err = eachRow(i.cfg.Store, tableCase, func(key string, c caseFile) {
		if c.Issued != id && (c.Credential != id || c.Kind.replaces()) {
			return
		}
		ids = append(ids, c.ID)
		if c.ExternalID != "" {
			tx.delete(i.externalRow(c.Schema, c.ExternalID))
			c.ExternalID = ""
		}
		if c.Application != nil {
			c.Application = &Application{Schema: c.Schema, Claims: credential.Claims{}}
		}
		for _, reason := range []*Reason{c.Reason, c.Decision} {
			if reason != nil {
				reason.Note = ""
			}
		}
		tx.put(key, c)
	})
	if err != nil {
		return err
	}
	// Offers that no wallet answered, and requests that were refused, have the claims too.
	err = eachRow(i.cfg.Store, tableApplication, func(key string, a application) {
		if a.Case != "" && slices.Contains(ids, a.Case) {
			tx.delete(key)
		}
	})
	if err == nil {
		err = eachRow(i.cfg.Store, tableOrder, func(key string, o order) {
			if o.Application.Case != "" && slices.Contains(ids, o.Application.Case) {
				tx.delete(key)
			}
		})
	}
	if err != nil {
		return err
	}
	return i.forgetAnswers(tx, ids)
}

// eachRow visits the rows of a table.
func eachRow[T any](s Store, prefix string, visit func(key string, row T)) error {
	var failed error
	err := s.Scan(prefix, "", func(key string, value []byte) bool {
		var row T
		if json.Unmarshal(value, &row) != nil { // the cause could quote it
			failed = fmt.Errorf("row of %s is damaged", table(key))
			return false
		}
		visit(key, row)
		return true
	})
	return errors.Join(err, failed)
}

// LostWallet is what stands in the way of enrolling a new wallet of a person.
type LostWallet struct {
	Revoked []string  `json:"revoked"` // ids of our credentials that this ended
	Others  []Holding `json:"others"`  // of other agencies, which must end them
	Reset   bool      `json:"reset"`   // the person can be enrolled anew
}

// ReplaceWallet ends all our credentials of a person, as their wallet is lost, and then the enrolment, if no other agency's credential
// needs it: only so is one person one master secret. Where it says that others are in the way, it is called again once they have ended
// theirs. Schemas that need approvals keep their rule: their credentials are revoked by cases first. It returns once all is sealed.
func (i *Issuer) ReplaceWallet(ctx context.Context, by Officer, register, person string, note string) (out LostWallet, err error) {
	reason := Reason{Code: ReasonLost, Note: note}
	if err := errors.Join(by.validate(), reason.validate()); err != nil {
		return out, err
	}
	r, err := i.registerNamed(register)
	if err != nil {
		return out, err
	}
	holdings, err := r.Holdings(person)
	if err != nil {
		return out, err
	}
	for _, h := range holdings {
		if h.Issuer != i.cfg.DID {
			out.Others = append(out.Others, h)
			continue
		}
		if _, err := i.change(ctx, change{kind: entry.KindCredentialsRevoked, credential: h.Credential, reason: reason, by: by}); err != nil {
			return out, fmt.Errorf("revoke credential %s: %w", h.Credential, err)
		}
		out.Revoked = append(out.Revoked, h.Credential)
	}
	if len(out.Others) > 0 {
		return out, nil
	}
	err = i.ResetEnrolment(by, r.Name(), person)
	out.Reset = err == nil
	return out, err
}

// registerNamed finds one of the agency's enrolment registers; the name may be left out if there is only one.
func (i *Issuer) registerNamed(name string) (*Register, error) {
	r, ok := i.registers[name]
	if name == "" && len(i.registers) == 1 {
		for _, r = range i.registers {
			ok = true
		}
	}
	if !ok {
		return nil, refuse(ErrNotFound, "name one of the agency's enrolment registers")
	}
	return r, nil
}
