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
	tx := begin(i.cfg.Store)
	head, err := auditHead(tx)
	if err != nil || head.Records == 0 {
		return false, err
	}
	last, found, err := lastAnchor(tx)
	since := last.At
	if !found && err == nil {
		var first AuditRecord
		err = tx.get(auditRow(1), &first)
		since = first.At
	}
	return err == nil && last.Records < head.Records && i.now() >= since+credential.UnixTime(i.cfg.AnchorEvery/time.Second), err
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
