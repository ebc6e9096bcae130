package issuer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// How officers decide a case, and what follows.

// Review takes a case into review. Refused with [ErrNotFound], [ErrVersion] or [ErrState].
func (i *Issuer) Review(by Officer, id string, version uint64) (Case, error) {
	return i.decide(by, id, version, func(tx *transaction, c *caseFile) error {
		if c.State != CaseSubmitted {
			return refuse(ErrState, "the case is %s", c.State)
		}
		c.step(CaseInReview, i.now(), by)
		return i.note(tx, by, DidReview, c.ID, "")
	})
}

// Edit replaces the application of a case that is not decided. Approvals are lost, and who edits cannot approve. Refused as
// [Issuer.File], and with [ErrVersion] or [ErrState].
func (i *Issuer) Edit(by Officer, id string, version uint64, a Application) (Case, error) {
	return i.decide(by, id, version, func(tx *transaction, c *caseFile) error {
		if !c.State.undecided() || !c.Kind.issues() {
			return refuse(ErrState, "the case is %s, and only an application that is not decided can be edited", c.State)
		}
		f := c.Filing
		f.Application = &a
		if schemaType, err := i.checkFiling(&f); err != nil {
			return err
		} else if schemaType != c.Schema {
			return refuse(ErrApplication, "the schema of a case stays")
		}
		c.Filing, c.Author, c.Approvals = f, by, []Officer{}
		c.step(c.State, i.now(), by)
		return i.note(tx, by, DidEdit, c.ID, "")
	})
}

// Approve adds an officer's approval; with enough of them the case is approved, and takes effect. version is what the officer has
// read, and must be the present one. Refused with [ErrNotFound], [ErrVersion], [ErrState] or [ErrSameOfficer].
func (i *Issuer) Approve(by Officer, id string, version uint64) (Case, error) {
	if version == 0 {
		return Case{}, refuse(ErrVersion, "name the version that you approve")
	}
	return i.decide(by, id, version, func(tx *transaction, c *caseFile) error {
		switch {
		case !c.State.undecided():
			return refuse(ErrState, "the case is %s", c.State)
		case c.Author == by:
			return refuse(ErrSameOfficer, "who wrote it cannot approve it")
		case slices.Contains(c.Approvals, by):
			return refuse(ErrSameOfficer, "you have approved it")
		}
		c.Approvals = append(c.Approvals, by)
		if err := i.note(tx, by, DidApprove, c.ID, ""); err != nil {
			return err
		}
		if len(c.Approvals) < c.Needed {
			c.step(CaseInReview, i.now(), by)
			return nil
		}
		return i.approved(tx, c, by)
	})
}

// Refuse ends a case that is not decided. Its reason is for officers; the person learns that it was refused.
func (i *Issuer) Refuse(by Officer, id string, version uint64, reason Reason) (Case, error) {
	if err := reason.validate(); err != nil {
		return Case{}, err
	}
	return i.end(by, id, version, CaseRefused, DidRefuse, &reason)
}

// Withdraw ends a case that is not decided, as the person wishes.
func (i *Issuer) Withdraw(by Officer, id string, version uint64) (Case, error) {
	return i.end(by, id, version, CaseWithdrawn, DidWithdraw, nil)
}

func (i *Issuer) end(by Officer, id string, version uint64, state CaseState, verb Verb, reason *Reason) (Case, error) {
	return i.decide(by, id, version, func(tx *transaction, c *caseFile) error {
		if !c.State.undecided() {
			return refuse(ErrState, "the case is %s", c.State)
		}
		c.Decision = reason
		c.step(state, i.now(), by)
		if err := i.note(tx, by, verb, c.ID, ""); err != nil || c.Order == "" {
			return err
		}
		return i.decline(tx, c.Order, refuse(ErrDenied, "the agency decided against it"))
	})
}

// decide changes a case in one commit. What it sets free is brought onto the chain.
func (i *Issuer) decide(by Officer, id string, version uint64, change func(*transaction, *caseFile) error) (Case, error) {
	c, err := i.decideOne(by, id, version, change)
	if err != nil {
		return Case{}, err
	}
	return c, i.takeUp()
}

func (i *Issuer) decideOne(by Officer, id string, version uint64, change func(*transaction, *caseFile) error) (Case, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	c, err := i.openCase(tx, by, id, version)
	if err != nil {
		return Case{}, err
	}
	if err := change(tx, c); err != nil {
		return Case{}, err
	}
	return c.Case, i.keepCase(tx, c)
}

// approved lets a case take effect.
func (i *Issuer) approved(tx *transaction, c *caseFile, by Officer) error {
	c.step(CaseApproved, i.now(), by)
	if c.Kind.changes() {
		tx.put(tableTask+c.ID, true)
		return nil
	}
	if c.Order == "" {
		return nil // the wallet has not asked yet
	}
	return i.release(tx, c)
}

// release lets the order of an approved case come: at once, or once the credential that it replaces is revoked.
func (i *Issuer) release(tx *transaction, c *caseFile) error {
	if c.Kind.replaces() {
		var old record
		if err := tx.get(tableCredential+c.Credential, &old); err != nil {
			return err
		}
		if old.Status != Revoked {
			tx.put(tableTask+c.ID, true)
			return nil
		}
	}
	tx.put(tableOpen+c.Order, true)
	return nil
}

// takeTasks sends the changes that approved cases ask for: those of a case itself, and the revocation of what is replaced.
func (i *Issuer) takeTasks() error {
	var ids []string
	err := i.cfg.Store.Scan(tableTask, "", func(key string, _ []byte) bool {
		ids = append(ids, strings.TrimPrefix(key, tableTask))
		return len(ids) < maxQueue/4
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		var c caseFile
		if err := begin(i.cfg.Store).get(tableCase+id, &c); err != nil {
			return err
		}
		i.queueTask(c.task())
	}
	return nil
}

// task is the change that an approved case asks for.
func (c *caseFile) task() *change {
	t := &change{kind: entry.KindCredentialsRevoked, credential: c.Credential, by: c.Author, file: c.ID}
	switch c.Kind {
	case CaseReinstate:
		t.kind, t.reason = entry.KindCredentialsReinstated, *c.Reason
	case CaseRevoke:
		t.reason = *c.Reason
	case CaseTransfer:
		t.reason = Reason{Code: ReasonTransferred}
	default:
		t.reason = Reason{Code: ReasonReplaced}
	}
	return t
}

// queueTask queues a change that nobody waits for, unless it is under way.
func (i *Issuer) queueTask(c *change) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.tasks[c.file] {
		return
	}
	select {
	case i.queue <- &request{group: string(c.kind), change: c}:
		i.tasks[c.file] = true
	default: // the next time
	}
}

// endTask says that the task of a case is no longer under way.
func (i *Issuer) endTask(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.tasks, id)
}

// taskRefused ends the task of a case whose credential is no longer in the state that it was filed for. A replacement goes on where
// the old credential is revoked anyway.
func (b *batch) taskRefused(c *change, refusal *Refusal) error {
	var file caseFile
	if err := b.tx.get(tableCase+c.file, &file); err != nil {
		return err
	}
	var old record
	err := b.tx.get(tableCredential+file.Credential, &old)
	if err != nil && !errors.Is(err, ErrAbsent) {
		return err
	}
	if old.Change != "" {
		return nil // another change is on its way: the task is tried again
	}
	b.tx.delete(tableTask + file.ID)
	if file.Kind.replaces() && old.Status == Revoked {
		return b.issuer.release(b.tx, &file)
	}
	file.Decision = &Reason{Code: ReasonOther, Note: refusal.Detail}
	file.step(CaseRefused, b.issuer.now(), System)
	b.tx.putCase(&file)
	if err := b.issuer.tellCase(b.tx, &file); err != nil {
		return err
	}
	if file.Order == "" {
		return nil
	}
	return b.issuer.decline(b.tx, file.Order, refuse(ErrDenied, "the credential to be replaced is no longer there"))
}

// settleTask writes that the change of a case is on the chain.
func (i *Issuer) settleTask(tx *transaction, id string) error {
	var c caseFile
	if err := tx.get(tableCase+id, &c); err != nil {
		return err
	}
	if c.Kind.replaces() {
		return i.release(tx, &c)
	}
	c.step(CaseDone, i.now(), System)
	tx.putCase(&c)
	return i.tellCase(tx, &c)
}

// settleCase writes that the credential of a case is on the chain.
func (i *Issuer) settleCase(tx *transaction, orderID, credentialID string) error {
	var o order
	if err := tx.get(tableOrder+orderID, &o); err != nil || o.Application.Case == "" {
		return err
	}
	var c caseFile
	if err := tx.get(tableCase+o.Application.Case, &c); err != nil {
		return err
	}
	c.Issued = credentialID
	c.step(CaseIssued, i.now(), System)
	tx.putCase(&c)
	return i.tellCase(tx, &c)
}

// joinCase binds a wallet's order to the case that its offer is of: one order counts.
func (i *Issuer) joinCase(tx *transaction, o *order) error {
	var c caseFile
	if err := tx.get(tableCase+o.Application.Case, &c); err != nil {
		return err
	}
	if c.State == CaseRefused || c.State == CaseWithdrawn {
		return refuse(ErrDenied, "the agency decided against it")
	}
	if c.Order != "" {
		var other order
		if err := tx.get(tableOrder+c.Order, &other); err != nil {
			return err
		}
		if other.Refused == nil {
			return refuse(ErrOffer, "another offer of the same case was answered")
		}
	}
	c.Order = o.ID
	if c.State == CaseApproved {
		if err := i.release(tx, &c); err != nil {
			return err
		}
	}
	tx.putCase(&c)
	return nil
}

// OfferCase makes an offer of a case that issues, decided or not, or of an approved one to a companion. Refused with
// [ErrNotFound] or [ErrState].
func (i *Issuer) OfferCase(ctx context.Context, by Officer, id string, txCode bool) (Offer, error) {
	c, err := i.openCase(begin(i.cfg.Store), by, id, 0)
	switch {
	case err != nil:
		return Offer{}, err
	case c.Kind == CaseCompanion && c.State == CaseApproved:
		return i.offerCompanion(ctx, by, c.Credential, c.ID, txCode)
	case !c.Kind.issues() || !c.State.undecided() && c.State != CaseApproved:
		return Offer{}, refuse(ErrState, "the case is to %s and %s: there is nothing to offer", c.Kind, c.State)
	}
	a := *c.Application
	a.TxCode = txCode
	return i.makeOffer(ctx, by, application{Application: a, Case: id})
}

// Progress is what a person sees of their case.
type Progress struct {
	Kind    CaseKind       `json:"kind"`
	Schema  string         `json:"schema"`
	Version uint64         `json:"version"`
	State   CaseState      `json:"state"`
	Steps   []ProgressStep `json:"steps"`
}

// Ahead are the states that a case in a state comes into if all goes well; none if it has ended.
func (k CaseKind) Ahead(state CaseState) []CaseState {
	if state.ended() {
		return nil
	}
	way := []CaseState{CaseSubmitted, CaseInReview, CaseApproved, CaseIssued}
	if k == CaseReinstate || k == CaseRevoke {
		way[3] = CaseDone
	}
	return way[slices.Index(way, state)+1:]
}

// Names are what pages call the agency, and what a schema's credentials are called: its type, if the schema does not say.
func (i *Issuer) Names(schemaType string) (agency, schema credential.Text) {
	schema = credential.Text{English: schemaType}
	if known, ok := i.schemas[schemaType]; ok && known.Display != nil {
		schema = *known.Display
	}
	return i.cfg.Name, schema
}

// ProgressStep is a step of a case, without who took it.
type ProgressStep struct {
	State CaseState           `json:"state"`
	At    credential.UnixTime `json:"at"`
}

// Progress shows a case to who has its private link, or returns [ErrNotFound]. With after it waits until the case is beyond that
// version, as long as ctx lets it.
func (i *Issuer) Progress(ctx context.Context, link string, after uint64) (Progress, error) {
	for {
		news := i.news()
		p, err := i.progress(link)
		if err != nil || p.Version > after {
			return p, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return p, nil
		}
	}
}

func (i *Issuer) progress(link string) (Progress, error) {
	tx := begin(i.cfg.Store)
	var id string
	var c caseFile
	err := tx.get(linkRow(link), &id)
	if err == nil {
		err = tx.get(tableCase+id, &c)
	}
	if errors.Is(err, ErrAbsent) {
		return Progress{}, refuse(ErrNotFound, "there is no case at this link")
	}
	p := Progress{Kind: c.Kind, Schema: c.Schema, Version: c.Version, State: c.State}
	for _, s := range c.Steps {
		p.Steps = append(p.Steps, ProgressStep{s.State, s.At})
	}
	return p, err
}

// news is closed when a case changes.
func (i *Issuer) news() <-chan struct{} {
	i.newsMu.Lock()
	defer i.newsMu.Unlock()
	return i.changed
}

func (i *Issuer) tellNews() {
	i.newsMu.Lock()
	defer i.newsMu.Unlock()
	close(i.changed)
	i.changed = make(chan struct{})
}
