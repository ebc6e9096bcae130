package issuer

import (
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// intent is the row of an entry that is not known to be sealed. It is written, in one commit with everything that
// follows from the entry, before the entry is sent: so the records never know less than the chain.
type intent struct {
	Sequence uint64     `json:"sequence"`
	Kind     entry.Kind `json:"kind"`
	Entry    []byte     `json:"entry"`            // the signed bytes: ES256 would not give the same twice
	Items    []item     `json:"items"`            // in the order of commitments, or of leaves
	Anchor   *AuditHead `json:"anchor,omitempty"` // of an entry that anchors the audit log
}

// item is a credential in an intent, with what must be undone if the ledger refuses the entry.
type item struct {
	Credential string  `json:"credential"`
	Order      string  `json:"order,omitempty"`
	Reason     *Reason `json:"reason,omitempty"`
	By         Officer `json:"by,omitempty"`   // who asked for a change
	Case       string  `json:"case,omitempty"` // id of the case that asked for a change
}

// sequenced is the key of a row by sequence number; keys rise with numbers.
func sequenced(table string, sequence uint64) string { return fmt.Sprintf("%s%016x", table, sequence) }

// settle writes what a sealed entry brought about.
func (i *Issuer) settle(f *flight) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	released := make(map[*Register]map[string]string)
	var restated []statusChange
	for n, it := range f.Items {
		var r record
		if err := tx.get(tableCredential+it.Credential, &r); err != nil {
			return err
		}
		r.Change = ""
		r.History = append(r.History, Event{f.Kind, f.receipt.Index, i.now(), it.Reason})
		r.Status = statusAfter[f.Kind]
		switch f.Kind {
		case entry.KindCredentialsIssued:
			r.Leaf = f.receipt.FirstLeaf + uint64(n)
			tx.expire(tableOrder+it.Order, i.now()+credential.UnixTime(i.cfg.TokenLifetime/time.Second))
		case entry.KindCredentialsRevoked:
			i.noteRelease(released, &r)
		}
		if err := i.restate(tx, &r, &restated); err != nil {
			return err
		}
		tx.put(tableCredential+r.ID, r)
		verb := DidChange
		if f.Kind == entry.KindCredentialsIssued {
			verb = DidIssue
			if err := i.settleCase(tx, it.Order, r.ID); err != nil {
				return err
			}
		}
		if it.Case != "" {
			if err := i.settleTask(tx, it.Case); err != nil {
				return err
			}
		}
		if err := i.note(tx, System, verb, r.ID, f.detail(it)); err != nil {
			return err
		}
		if err := i.tellCredential(tx, &r, f.Kind, f.receipt.Index); err != nil {
			return err
		}
	}
	if f.Anchor != nil {
		if err := i.anchored(tx, f); err != nil {
			return err
		}
	}
	if f.Kind == entry.KindCredentialsIssued {
		tx.put(sequenced(tableEntry, f.Sequence), issuedEntry{f.Entry, f.receipt})
	}
	tx.delete(sequenced(tableIntent, f.Sequence))
	if err := tx.commit(); err != nil {
		return err
	}
	i.lists.apply(restated)
	i.tellNews()
	i.webhooks.Wake()
	return i.releaseAll(released)
}

// detail is what an intent does to an item, and why, for the audit log.
func (in *intent) detail(it item) string {
	if it.Reason == nil {
		return ""
	}
	return string(in.Kind) + " " + string(it.Reason.Code)
}

// noteRelease collects a credential that its register can forget.
func (i *Issuer) noteRelease(released map[*Register]map[string]string, r *record) {
	s, ok := i.schemas[r.Schema]
	if !ok {
		return // the schema is no longer configured; Reconcile finds the holding when it is again
	}
	if released[s.register] == nil {
		released[s.register] = make(map[string]string)
	}
	released[s.register][r.ID] = r.Person
}

func (i *Issuer) releaseAll(released map[*Register]map[string]string) error {
	for register, credentials := range released {
		if err := register.Release(i.cfg.DID, credentials); err != nil {
			return err
		}
	}
	return nil
}

// withdraw undoes an intent whose entry the ledger refused: as if it had never been asked for.
func (i *Issuer) withdraw(f *flight) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	var s state
	if err := tx.get(rowState, &s); err != nil {
		return err
	}
	released := make(map[*Register]map[string]string)
	for _, it := range f.Items {
		var r record
		if err := tx.get(tableCredential+it.Credential, &r); err != nil {
			return err
		}
		if f.Kind != entry.KindCredentialsIssued {
			r.Change = ""
			tx.put(tableCredential+r.ID, r)
			if it.Case != "" {
				tx.put(tableTask+it.Case, true)
			}
			continue
		}
		i.noteRelease(released, &r)
		if err := i.forget(tx, &r, it); err != nil {
			return err
		}
	}
	s.Next = f.Sequence // one intent at a time is not accepted, so this was the last
	tx.put(rowState, s)
	tx.delete(sequenced(tableIntent, f.Sequence))
	if err := tx.commit(); err != nil {
		return err
	}
	return i.releaseAll(released)
}

// forget deletes a credential that never came onto the chain. Its order is open again.
func (i *Issuer) forget(tx *transaction, r *record, it item) error {
	tx.delete(tableCredential + r.ID)
	tx.delete(i.personRow(r))
	var o order
	if err := tx.get(tableOrder+it.Order, &o); err != nil {
		return err
	}
	o.Credential = ""
	tx.put(tableOrder+it.Order, o)
	tx.put(tableOpen+it.Order, true)
	return nil
}
