package issuer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/officers"
)

// The audit log says who read or wrote what, and when: never a claim, a person or a note. Each record holds the digest of the one
// before it. A write is in one commit with its record; a read is recorded before it is answered. The head goes onto the chain
// from time to time, so that nobody can later show a shorter log, or another: whoever can change the store can do that only to
// what came after the last anchor.

// Officer is who acts, by the name that their access token gives them: an issuer of tokens and a subject, which stay the same.
type Officer string

// Actors that are no officers.
const (
	Holder Officer = "holder" // whoever has an offer's link
	System Officer = "system" // the issuer itself
)

const maxOfficer = 1024 // bytes

func (o Officer) validate() error {
	if o == "" || len(o) > maxOfficer || credential.ValidateLine(string(o)) != nil {
		return refuse(ErrOfficer, "who acts is not known, or has no plain name")
	}
	return nil
}

// Verb is what an officer did.
type Verb string

// The verbs.
const (
	DidOffer          Verb = "offer"                // object: the application's id
	DidAsk            Verb = "credential-asked"     // a wallet; object: the order's id
	DidIssue          Verb = "credential-issued"    // it is sealed
	DidDeliver        Verb = "credential-delivered" // to a wallet
	DidOfferCompanion Verb = "companion-offer"      // object: the credential's id; detail: the offer's
	DidIssueCompanion Verb = "companion-issued"     // to a wallet; object: the credential's id; detail: the offer's
	DidChange         Verb = "credential-changed"   // it is sealed; detail: what, and the reason's code
	DidRequest        Verb = "change-requested"     // by an officer; detail: what, and the reason's code
	DidRead           Verb = "credential-read"
	DidList           Verb = "credentials-listed"
	DidErase          Verb = "credential-erased"
	DidReset          Verb = "enrolment-reset-asked" // object: the register
	DidFile           Verb = "case-filed"            // object: the case's id
	DidEdit           Verb = "case-edited"
	DidReview         Verb = "case-in-review"
	DidApprove        Verb = "case-approved" // by one officer
	DidRefuse         Verb = "case-refused"
	DidWithdraw       Verb = "case-withdrawn"
	DidReadCase       Verb = "case-read"
	DidListCases      Verb = "cases-listed"
	DidReadAudit      Verb = "audit-read"
	DidAnchor         Verb = "audit-anchored"
	DidChangeWebhooks Verb = "webhooks-changed"
	DidInvite         Verb = officers.Invited   // object: whom, by id, as in the next six; detail: roles
	DidJoin           Verb = officers.Joined    // detail: by what
	DidChangeOfficer  Verb = officers.Changed   // detail: disabled, or the roles
	DidSignIn         Verb = officers.SignedIn  // detail: by what; none in the directory: an officer of the agency's provider
	DidSignOut        Verb = officers.SignedOut // by themselves
	DidAddPasskey     Verb = officers.PasskeyAdded
	DidRemovePasskey  Verb = officers.PasskeyRemoved
)

// AuditRecord is one line of the log. Its digest is SHA-256 of its canonical JSON.
type AuditRecord struct {
	Number   uint64              `json:"number"` // from 1
	At       credential.UnixTime `json:"at"`
	By       Officer             `json:"by"`
	Verb     Verb                `json:"verb"`
	Object   string              `json:"object,omitempty"` // an id of ours
	Detail   string              `json:"detail,omitempty"` // a code of ours
	Previous credential.Digest   `json:"previous"`         // digest of the record before; all zero before the first
}

func (r AuditRecord) digest() (credential.Digest, error) {
	text, err := credential.Canonical(r)
	return credential.DigestOf(text), err
}

// AuditHead is how far the log has come.
type AuditHead struct {
	Records uint64            `json:"records"`
	Head    credential.Digest `json:"head"` // digest of the last record
}

func auditRow(number uint64) string { return sequenced(tableAudit, number) }

// note adds a record to the log, in the commit of what it is about. The caller holds the issuer's mutex.
func (i *Issuer) note(tx *transaction, by Officer, verb Verb, object, detail string) error {
	head, err := auditHead(tx)
	if err != nil {
		return err
	}
	r := AuditRecord{head.Records + 1, i.now(), by, verb, object, detail, head.Head}
	if head.Head, err = r.digest(); err != nil {
		return fmt.Errorf("write audit record: %w", err)
	}
	head.Records = r.Number
	tx.put(auditRow(r.Number), r)
	tx.put(rowAudit, head)
	return nil
}

// noteRead records a read before it is answered.
func (i *Issuer) noteRead(by Officer, verb Verb, object string) error {
	if err := by.validate(); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	if err := i.note(tx, by, verb, object, ""); err != nil {
		return err
	}
	return tx.commit()
}

func auditHead(tx *transaction) (head AuditHead, err error) {
	if err := tx.get(rowAudit, &head); err != nil && !errors.Is(err, ErrAbsent) {
		return head, err
	}
	return head, nil
}

// AuditHead is how far the log has come.
func (i *Issuer) AuditHead() (AuditHead, error) { return auditHead(begin(i.cfg.Store)) }

// AuditQuery asks for records, oldest first.
type AuditQuery struct {
	Newest bool   // newest first instead
	After  uint64 // number that the previous page ended with
	Limit  int    // 1 to MaxPage; 0: 50
	By     Officer
	Verb   Verb
	Object string
}

// maxLooked bounds how many records one page looks at: a filter that fits few of many ends a page early, and the next goes on.
const maxLooked = 10_000

// Audit lists records. next is what to ask the next page with; 0: there is none.
func (i *Issuer) Audit(by Officer, q AuditQuery) (page []AuditRecord, next uint64, err error) {
	if q.Limit == 0 {
		q.Limit = 50
	}
	if q.Limit < 0 || q.Limit > MaxPage {
		return nil, 0, refuse(ErrRequest, "limit is 1 to %d", MaxPage)
	}
	if err := i.noteRead(by, DidReadAudit, ""); err != nil {
		return nil, 0, err
	}
	looked, scan := 0, i.scanAudit
	if q.Newest {
		scan = i.scanAuditDown
	}
	err = scan(q.After, func(r AuditRecord) error {
		if len(page) == q.Limit || looked == maxLooked {
			return errEnough
		}
		looked, next = looked+1, r.Number
		if (q.By == "" || q.By == r.By) && (q.Verb == "" || q.Verb == r.Verb) && (q.Object == "" || q.Object == r.Object) {
			page = append(page, r)
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		next = 0
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, 0, err
	}
	return page, next, nil
}

var errEnough = errors.New("enough")

// scanAudit visits the records behind a number.
func (i *Issuer) scanAudit(after uint64, visit func(AuditRecord) error) error {
	var failed error
	err := i.cfg.Store.Scan(tableAudit, auditRow(after), func(_ string, value []byte) bool {
		var r AuditRecord
		if failed = json.Unmarshal(value, &r); failed == nil {
			failed = visit(r)
		}
		return failed == nil
	})
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	return failed
}

// scanAuditDown visits the records before a number, all of them if it is 0, from the newest on.
func (i *Issuer) scanAuditDown(before uint64, visit func(AuditRecord) error) error {
	tx := begin(i.cfg.Store)
	head, err := auditHead(tx)
	if err != nil {
		return err
	}
	if before == 0 || before > head.Records {
		before = head.Records + 1
	}
	for number := before - 1; number > 0; number-- {
		var r AuditRecord
		if err := tx.get(auditRow(number), &r); err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// ExportAudit writes the log as JSON Lines, each the canonical JSON of a record, and returns its head. [VerifyAudit] needs nothing
// else.
func (i *Issuer) ExportAudit(by Officer, w io.Writer) (AuditHead, error) {
	if err := i.noteRead(by, DidReadAudit, "export"); err != nil {
		return AuditHead{}, err
	}
	var head AuditHead
	out := bufio.NewWriter(w)
	err := i.scanAudit(0, func(r AuditRecord) error {
		text, err := credential.Canonical(r)
		if err != nil {
			return err
		}
		head = AuditHead{r.Number, credential.DigestOf(text)}
		_, err = out.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return head, fmt.Errorf("export the audit log: %w", err)
	}
	return head, out.Flush()
}

// maxAuditLine bounds a line of an exported log, in bytes.
const maxAuditLine = 4 << 10

// VerifyAudit checks an exported log, whoever exported it: that numbers and digests follow each other, and that it has the heads
// given, as the chain has them. It returns the log's own head.
func VerifyAudit(r io.Reader, anchors ...AuditHead) (AuditHead, error) {
	var head AuditHead
	open := make(map[uint64]credential.Digest, len(anchors))
	for _, a := range anchors {
		open[a.Records] = a.Head
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAuditLine)
	for lines.Scan() {
		var record AuditRecord
		if err := credential.ParseCanonical(lines.Bytes(), &record); err != nil {
			return head, fmt.Errorf("record %d: %w", head.Records+1, err)
		}
		if record.Number != head.Records+1 || record.Previous != head.Head {
			return head, fmt.Errorf("record %d does not follow the one before it", head.Records+1)
		}
		head = AuditHead{record.Number, credential.DigestOf(lines.Bytes())}
		if want, anchored := open[head.Records]; anchored {
			if want != head.Head {
				return head, fmt.Errorf("the first %d records are not those that were anchored", head.Records)
			}
			delete(open, head.Records)
		}
	}
	if err := lines.Err(); err != nil {
		return head, fmt.Errorf("record %d: %w", head.Records+1, err)
	}
	for records := range open {
		return head, fmt.Errorf("it has %d records, but %d are anchored", head.Records, records)
	}
	return head, nil
}

// ReasonCode says why a credential's state was changed. It stays with us.
type ReasonCode string

// The codes.
const (
	ReasonError       ReasonCode = "issued-in-error"
	ReasonNotEntitled ReasonCode = "no-longer-entitled"
	ReasonHolder      ReasonCode = "holder-request"
	ReasonLost        ReasonCode = "wallet-lost"
	ReasonFraud       ReasonCode = "suspected-fraud"
	ReasonDeceased    ReasonCode = "deceased"
	ReasonReplaced    ReasonCode = "replaced"    // by a new credential: renewed or corrected
	ReasonTransferred ReasonCode = "transferred" // to another holder
	ReasonOther       ReasonCode = "other"       // the note says it
)

// ReasonCodes are all of them.
var ReasonCodes = []ReasonCode{ReasonError, ReasonNotEntitled, ReasonHolder, ReasonLost, ReasonFraud, ReasonDeceased, ReasonReplaced, ReasonTransferred, ReasonOther}

// Reason is why, with words of the officer's, which may be about a person: they are kept with the credential, encrypted, and nowhere
// else.
type Reason struct {
	Code ReasonCode `json:"code"`
	Note string     `json:"note,omitempty"`
}

func (r Reason) validate() error {
	known := false
	for _, c := range ReasonCodes {
		known = known || c == r.Code
	}
	switch {
	case !known:
		var codes []string
		for _, c := range ReasonCodes {
			codes = append(codes, string(c))
		}
		return refuse(ErrRequest, "code is one of %s", strings.Join(codes, ", "))
	case r.Code == ReasonOther && r.Note == "":
		return refuse(ErrRequest, "the reason %s needs a note", ReasonOther)
	case len(r.Note) > maxReason:
		return refuse(ErrRequest, "a note has at most %d bytes", maxReason)
	}
	return nil
}
