package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
)

// A case is what an agency decides on: to issue a credential, or to change one. It goes through
//
//	submitted ──► in-review ──► approved ──► issued, or done
//	    └────────────┴──► refused, withdrawn
//
// and needs as many approvals as [Config.Approvals] says of its schema, each by another officer, none by who wrote its present
// version. The person follows it by a private link. A wallet may answer an offer of a case before it is decided, and is told to
// ask again.

// CaseKind is what a case is about.
type CaseKind string

// The kinds. Renewing, correcting and transferring revoke the old credential first, once the new one was asked for.
const (
	CaseIssue     CaseKind = "issue"
	CaseRenew     CaseKind = "renew"    // the same person and claims, another validity
	CaseCorrect   CaseKind = "correct"  // the same person, other claims
	CaseTransfer  CaseKind = "transfer" // the same subject, another person
	CaseReinstate CaseKind = "reinstate"
	CaseRevoke    CaseKind = "revoke"
	CaseCompanion CaseKind = "companion" // of an active credential, for another wallet
)

// issues tells whether a credential comes of such a case.
func (k CaseKind) issues() bool {
	return k == CaseIssue || k.replaces()
}

func (k CaseKind) replaces() bool {
	return k == CaseRenew || k == CaseCorrect || k == CaseTransfer
}

// changes tells whether such a case changes a credential, and nothing comes of it.
func (k CaseKind) changes() bool { return k == CaseReinstate || k == CaseRevoke }

// CaseState is how far a case is.
type CaseState string

// The states.
const (
	CaseSubmitted CaseState = "submitted"
	CaseInReview  CaseState = "in-review"
	CaseApproved  CaseState = "approved"
	CaseRefused   CaseState = "refused"
	CaseWithdrawn CaseState = "withdrawn"
	CaseIssued    CaseState = "issued" // its credential is on the chain, or its companion in a wallet
	CaseDone      CaseState = "done"   // its change is on the chain
)

// CaseUndecided is no state of a case: it asks for those in both that wait for officers.
const CaseUndecided CaseState = "undecided"

func (s CaseState) undecided() bool { return s == CaseSubmitted || s == CaseInReview }

func (s CaseState) ended() bool { return !s.undecided() && s != CaseApproved }

// Filing is what a clerk files.
type Filing struct {
	Kind CaseKind `json:"kind"`
	// ExternalID is the agency's own number for it: filed again, it is the same case. It may be empty.
	ExternalID  string       `json:"external_id,omitempty"`
	Application *Application `json:"application,omitempty"` // of kinds that issue
	Credential  string       `json:"credential,omitempty"`  // id of the one to change or to replace
	Reason      *Reason      `json:"reason,omitempty"`      // of a change
}

// LogValue hides a person's data from slog.
func (f Filing) LogValue() slog.Value { return slog.StringValue("filing to " + string(f.Kind)) }

// Case is a case as officers see it.
type Case struct {
	Filing
	ID        string    `json:"id"`
	Schema    string    `json:"schema"`
	Version   uint64    `json:"version"` // rises with every step
	State     CaseState `json:"state"`
	Needed    int       `json:"approvals_needed"`
	Author    Officer   `json:"author"` // of the present content
	Approvals []Officer `json:"approvals"`
	Decision  *Reason   `json:"decision,omitempty"` // why it was refused
	Steps     []Step    `json:"steps"`
	Issued    string    `json:"issued,omitempty"` // id of the credential that came of it
}

// LogValue hides a person's data from slog.
func (c Case) LogValue() slog.Value { return slog.StringValue("case " + c.ID) }

// Step is when a case came into a state, and by whom.
type Step struct {
	State CaseState           `json:"state"`
	At    credential.UnixTime `json:"at"`
	By    Officer             `json:"by"`
}

// caseFile is the row of a case.
type caseFile struct {
	Case
	Order string `json:"order,omitempty"` // the wallet's request that counts
}

// LogValue hides everything from slog.
func (c caseFile) LogValue() slog.Value { return c.Case.LogValue() }

func (c *caseFile) step(state CaseState, at credential.UnixTime, by Officer) {
	c.State, c.Version = state, c.Version+1
	c.Steps = append(c.Steps, Step{state, at, by})
}

const maxExternalID = 255 // bytes

// File begins a case. link is the secret of the person's private link; it is shown once, and empty where the same was filed before.
// Refused as [Issuer.Offer], with [ErrNotFound] or [ErrState] for the credential, or with [ErrExternalID].
func (i *Issuer) File(by Officer, f Filing) (c Case, link string, err error) {
	if c, link, err = i.file(by, f); err != nil {
		return Case{}, "", err
	}
	return c, link, i.takeUp() // it may need no approval
}

func (i *Issuer) file(by Officer, f Filing) (c Case, link string, err error) {
	if err := by.validate(); err != nil {
		return Case{}, "", err
	}
	schemaType, err := i.checkFiling(&f)
	if err != nil {
		return Case{}, "", err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	if c, link, err = i.fileIn(tx, by, schemaType, f); err != nil {
		return Case{}, "", err
	}
	if err := tx.commit(); err != nil {
		return Case{}, "", err
	}
	i.webhooks.Wake()
	return c, link, nil
}

// fileIn files what was checked. After a refusal nothing of it is in tx. The caller holds mu.
func (i *Issuer) fileIn(tx *transaction, by Officer, schemaType string, f Filing) (c Case, link string, err error) {
	if f.ExternalID != "" {
		switch old, err := i.filed(tx, schemaType, f); {
		case err == nil:
			return old.Case, "", nil
		case !errors.Is(err, ErrAbsent):
			return Case{}, "", err
		}
	}
	file := caseFile{Case: Case{
		Filing: f, ID: newID(i.cfg.Clock()), Schema: schemaType, Needed: i.cfg.Approvals[schemaType], Author: by, Approvals: []Officer{},
	}}
	file.step(CaseSubmitted, i.now(), by)
	link = webapi.RandomID()
	tx.put(linkRow(link), file.ID)
	if f.ExternalID != "" {
		tx.put(i.externalRow(schemaType, f.ExternalID), file.ID)
	}
	if err := i.note(tx, by, DidFile, file.ID, string(f.Kind)); err != nil {
		return Case{}, "", err
	}
	if file.Needed == 0 {
		if err := i.approved(tx, &file, by); err != nil {
			return Case{}, "", err
		}
	}
	tx.putCase(&file)
	return file.Case, link, i.tellCase(tx, &file) // nobody follows it yet
}

// checkFiling refuses what could not be carried out, and returns the schema's type.
func (i *Issuer) checkFiling(f *Filing) (string, error) {
	if len(f.ExternalID) > maxExternalID || credential.ValidateLine(f.ExternalID) != nil {
		return "", refuse(ErrExternalID, "external_id is a line of at most %d bytes", maxExternalID)
	}
	if !f.Kind.issues() && !f.Kind.changes() && f.Kind != CaseCompanion {
		return "", refuse(ErrRequest, "kind is issue, renew, correct, transfer, reinstate, revoke or companion")
	}
	if f.Kind.issues() != (f.Application != nil) || (f.Kind == CaseIssue) != (f.Credential == "") || f.Kind.changes() != (f.Reason != nil) {
		return "", refuse(ErrRequest, "an application belongs to what issues, a credential to what changes or replaces one, a reason to a change")
	}
	if f.Kind == CaseCompanion {
		r, err := i.companionable(begin(i.cfg.Store), f.Credential)
		if err != nil {
			return "", err
		}
		return r.Schema, nil
	}
	var old Credential
	if f.Credential != "" {
		var err error
		if old, err = i.credential(f.Credential); err != nil {
			return "", err
		}
		if old.Status == Revoked || old.Status == Pending {
			return "", refuse(ErrState, "the credential is %s", old.Status)
		}
	}
	if f.Reason != nil {
		return old.Schema, f.Reason.validate()
	}
	s, err := i.checkApplication(f.Application)
	if err != nil {
		return "", err
	}
	a := f.Application
	switch {
	case f.Kind == CaseIssue && s.OnePerPerson:
		return a.Schema, s.register.Live(a.Person, Holding{Schema: a.Schema, From: a.ValidFrom, Until: a.ValidUntil})
	case f.Kind == CaseIssue:
		return a.Schema, nil
	case a.Schema != old.Schema:
		return "", refuse(ErrApplication, "the new credential is of another schema than the old one")
	case f.Kind == CaseTransfer && (a.Person == old.Person || a.Subject != old.Subject || old.Subject == ""):
		return "", refuse(ErrApplication, "a transfer is of the same subject to another person")
	case f.Kind != CaseTransfer && a.Person != old.Person:
		return "", refuse(ErrApplication, "to another person it is a transfer")
	}
	return a.Schema, nil
}

// filed finds the case that was filed under the same number.
func (i *Issuer) filed(tx *transaction, schemaType string, f Filing) (*caseFile, error) {
	var id string
	if err := tx.get(i.externalRow(schemaType, f.ExternalID), &id); err != nil {
		return nil, err
	}
	old := new(caseFile)
	if err := tx.get(tableCase+id, old); err != nil {
		return nil, err
	}
	// ValidFrom may have been filled in on the day when it was filed.
	if f.Application != nil && old.Application != nil && f.Application.ValidFrom != old.Application.ValidFrom {
		a := *f.Application
		a.ValidFrom = old.Application.ValidFrom
		f.Application = &a
	}
	ours, err1 := json.Marshal(old.Filing)
	theirs, err2 := json.Marshal(f)
	if err1 != nil || err2 != nil || string(ours) != string(theirs) {
		return nil, refuse(ErrExternalID, "another case has that external_id: it is %s", id)
	}
	return old, nil
}

// externalRow hides the agency's numbers, which may be a person's.
func (i *Issuer) externalRow(schemaType, externalID string) string {
	return tableExternal + tag(i.tagKey, schemaType+"\x00"+externalID)
}

func linkRow(link string) string { return tableLink + credential.DigestOf([]byte(link)).String() }

// keepCase writes a case and tells those who follow it. The caller holds mu.
func (i *Issuer) keepCase(tx *transaction, c *caseFile) error {
	tx.putCase(c)
	if err := i.tellCase(tx, c); err != nil {
		return err
	}
	if err := tx.commit(); err != nil {
		return err
	}
	i.tellNews()
	i.webhooks.Wake()
	return nil
}

// openCase reads a case to change it, if it is at that version; 0 is any. The caller holds mu.
func (i *Issuer) openCase(tx *transaction, by Officer, id string, version uint64) (*caseFile, error) {
	if err := by.validate(); err != nil {
		return nil, err
	}
	c := new(caseFile)
	switch err := tx.get(tableCase+id, c); {
	case errors.Is(err, ErrAbsent):
		return nil, refuse(ErrNotFound, "there is no case with that id")
	case err != nil:
		return nil, err
	case version != 0 && version != c.Version:
		return nil, refuse(ErrVersion, "the case is at version %d meanwhile: read it again", c.Version)
	}
	return c, nil
}

// Case reads a case, or returns [ErrNotFound].
func (i *Issuer) Case(by Officer, id string) (Case, error) {
	c, err := i.openCase(begin(i.cfg.Store), by, id, 0)
	if err != nil {
		return Case{}, err
	}
	return c.Case, i.noteRead(by, DidReadCase, id)
}

// CaseQuery asks for cases, oldest first.
type CaseQuery struct {
	After      string // id that the previous page ended with
	Limit      int    // 1 to MaxPage; 0: 50
	State      CaseState
	Schema     string
	Person     string
	ExternalID string
}

func (q CaseQuery) fits(c *caseFile) bool {
	person := ""
	if c.Application != nil {
		person = c.Application.Person
	}
	state := q.State == "" || q.State == c.State || q.State == CaseUndecided && c.State.undecided()
	return state && (q.Schema == "" || q.Schema == c.Schema) && (q.Person == "" || q.Person == person) &&
		(q.ExternalID == "" || q.ExternalID == c.ExternalID)
}

// Cases lists cases. next is what to ask the next page with; empty: there is none.
func (i *Issuer) Cases(by Officer, q CaseQuery) (page []Case, next string, err error) {
	if q.Limit == 0 {
		q.Limit = 50
	}
	if q.Limit < 0 || q.Limit > MaxPage {
		return nil, "", refuse(ErrRequest, "limit is 1 to %d", MaxPage)
	}
	if err := i.noteRead(by, DidListCases, ""); err != nil {
		return nil, "", err
	}
	page = []Case{}
	looked, more := 0, false
	err = i.candidates(q, func(c *caseFile) bool {
		if more = len(page) == q.Limit || looked == maxLooked; more {
			return false
		}
		looked, next = looked+1, c.ID
		if q.fits(c) {
			page = append(page, c.Case)
		}
		return true
	})
	if err != nil {
		return nil, "", fmt.Errorf("list cases: %w", err)
	}
	if !more {
		next = ""
	}
	return page, next, nil
}

// validateApprovals refuses numbers that no agency can mean.
func (cfg *Config) validateApprovals() error {
	for schemaType, n := range cfg.Approvals {
		known := slices.ContainsFunc(cfg.Schemas, func(s *credential.Schema) bool { return s.Type == schemaType })
		if !known || n < 0 || n > 8 {
			return fmt.Errorf("%d approvals for schema %s: want 0 to 8, for a schema that is issued", n, schemaType)
		}
	}
	return nil
}
