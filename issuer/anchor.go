package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Anchor is a head of the audit log that the chain has. From then on nobody can show a shorter log, or another.
type Anchor struct {
	AuditHead
	Entry uint64              `json:"entry"` // index in the log of the chain
	At    credential.UnixTime `json:"at"`    // when we learned that it is sealed
}

// anchorCheck is how often it is looked whether the log is due to be anchored.
const anchorCheck = time.Hour

// anchorAll puts the head of the audit log onto the chain when the last anchor is old and there is something new.
func (i *Issuer) anchorAll(ctx context.Context) error {
	for {
		due, err := i.anchorDue()
		if err != nil {
			return err
		}
		if due {
			i.Anchor()
		}
		if err := sleep(ctx, min(anchorCheck, i.cfg.AnchorEvery)); err != nil {
			return err
		}
	}
}

// Anchor puts the head of the audit log onto the chain, as soon as it can be.
func (i *Issuer) Anchor() {
	select {
	case i.queue <- &request{group: string(entry.KindAuditAnchored), replies: make(chan reply, 1)}:
	default: // the next time
	}
}

func (i *Issuer) anchorDue() (bool, error) {
	_, since, waits, err := i.unanchored()
	return err == nil && waits && i.now() >= since+credential.UnixTime(i.cfg.AnchorEvery/time.Second), err
}

// unanchored says whether there is something that no anchor covers, and since when it could wait: the newest anchor, or the first record.
func (i *Issuer) unanchored() (last Anchor, since credential.UnixTime, waits bool, err error) {
	tx := begin(i.cfg.Store)
	head, err := auditHead(tx)
	if err != nil || head.Records == 0 {
		return last, 0, false, err
	}
	last, found, err := lastAnchor(tx)
	since = last.At
	if !found && err == nil {
		var first AuditRecord
		err = tx.get(auditRow(1), &first)
		since = first.At
	}
	return last, since, last.Records < head.Records, err
}

// AuditAnchor is when the newest anchor of the audit log got onto the chain, zero if none did, and whether the next one is late: twice as
// late as it should come.
func (i *Issuer) AuditAnchor() (at time.Time, late bool, err error) {
	last, since, waits, err := i.unanchored()
	if err != nil {
		return at, false, err
	}
	if last.Records > 0 {
		at = last.At.Time()
	}
	return at, waits && i.now() >= since+2*credential.UnixTime(i.cfg.AnchorEvery/time.Second), nil
}

func lastAnchor(tx *transaction) (last Anchor, found bool, err error) {
	err = tx.get(rowAnchor, &last)
	if errors.Is(err, ErrAbsent) {
		return last, false, nil
	}
	return last, err == nil, err
}

// addAnchor takes the head as it is now, unless the chain has it.
func (b *batch) addAnchor(r *request) error {
	head, err := auditHead(b.tx)
	if err != nil {
		return err
	}
	last, _, err := lastAnchor(b.tx)
	if err != nil {
		return err
	}
	b.answers = append(b.answers, answered{r, reply{}})
	if head.Records > last.Records {
		b.anchor = &head
	}
	return nil
}

// anchored writes down that the chain has a head.
func (i *Issuer) anchored(tx *transaction, f *flight) error {
	a := Anchor{*f.Anchor, f.receipt.Index, i.now()}
	tx.put(sequenced(tableAnchor, a.Records), a)
	tx.put(rowAnchor, a)
	return i.note(tx, System, DidAnchor, fmt.Sprint(a.Records), "")
}

// Anchors lists the heads that the chain has, oldest first.
func (i *Issuer) Anchors() (list []Anchor, err error) {
	var failed error
	err = i.cfg.Store.Scan(tableAnchor, "", func(_ string, value []byte) bool {
		var a Anchor
		failed = json.Unmarshal(value, &a)
		list = append(list, a)
		return failed == nil
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("list anchors: %w", err)
	}
	return list, nil
}
