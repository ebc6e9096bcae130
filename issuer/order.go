package issuer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/entry"
)

// order is the row of a credential request that was accepted: the holder's proof was verified and its nonce used, in one
// commit with this row. From then on the credential comes, however long the ledger takes and however often we are restarted,
// or the order says why not. An application has one order at a time.
type order struct {
	ID           string             `json:"id"`
	Application  application        `json:"application"` // as it was then: its own row may be purged before the ledger is back
	Holder       credential.Element `json:"holder"`
	Pseudonym    credential.Element `json:"pseudonym"`
	Transaction  string             `json:"transaction"`  // what a wallet asks again with
	Notification string             `json:"notification"` // what it says with how it liked the credential
	Credential   string             `json:"credential,omitempty"`
	Refused      *Refusal           `json:"refused,omitempty"`
	Notified     []Notice           `json:"notified,omitempty"`
	Companion    *companion         `json:"companion,omitempty"` // what was answered; Credential is what it is of
}

// Deferral says that a credential request was accepted and its credential is not there yet. It is an [ErrUnavailable].
type Deferral struct {
	Transaction string
	Interval    time.Duration // how long to wait before asking again
}

// Error is for people.
func (d *Deferral) Error() string {
	return fmt.Sprintf("%s: the request was accepted: ask again in %s", ErrUnavailable.Code, d.Interval)
}

// Is makes it an [ErrUnavailable].
func (d *Deferral) Is(target error) bool { return ErrUnavailable.Is(target) }

// pollInterval is how often a wallet may ask for a credential that is pending.
const pollInterval = 5 * time.Second

// accept writes an order down, or finds the one that the same wallet has already.
func (i *Issuer) accept(accessToken string, proof openid.EnrolmentProof, nonceExpires credential.UnixTime) (*order, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	a, err := i.authorize(tx, accessToken)
	if err != nil {
		return nil, err
	}
	if err := useNonce(tx, proof.Nonce, nonceExpires); err != nil {
		return nil, err
	}
	if a.Order != "" {
		var o order
		switch err := tx.get(tableOrder+a.Order, &o); {
		case err != nil:
			return nil, err
		case o.Refused == nil && o.Holder != proof.HolderCommitment:
			return nil, errors.Join(tx.commit(), refuse(ErrOffer, "the offer was answered with another holder commitment: ask the agency for a new offer"))
		case o.Refused == nil:
			return &o, tx.commit()
		}
	}
	o := order{
		ID: newID(i.cfg.Clock()), Application: a, Holder: proof.HolderCommitment, Pseudonym: proof.Pseudonym,
		Transaction: webapi.RandomID(), Notification: webapi.RandomID(),
	}
	a.Order = o.ID
	tx.put(tableApplication+a.ID, a)
	tx.put(tableOrder+o.ID, o)
	if a.Case == "" {
		tx.put(tableOpen+o.ID, true)
	} else if err := i.joinCase(tx, &o); err != nil {
		return nil, err
	}
	if err := i.note(tx, Holder, DidAsk, o.ID, a.Schema); err != nil {
		return nil, err
	}
	return &o, tx.commit()
}

// decline writes down why an order comes to nothing. The application can be answered again.
func (i *Issuer) decline(tx *transaction, id string, refusal *Refusal) error {
	var o order
	if err := tx.get(tableOrder+id, &o); err != nil {
		return err
	}
	o.Refused = refusal
	tx.putUntil(tableOrder+id, o, i.now()+credential.UnixTime(i.cfg.TokenLifetime/time.Second))
	tx.delete(tableOpen + id)
	return nil
}

// declineAll answers requests with what the ledger said.
func (i *Issuer) declineAll(requests []*request, refusal *Refusal) error {
	if err := i.declineOrders(requests, refusal); err != nil {
		return err
	}
	for _, r := range requests {
		i.answer(r, reply{err: refusal})
	}
	return nil
}

func (i *Issuer) declineOrders(requests []*request, refusal *Refusal) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	for _, r := range requests {
		if r.issue == nil {
			continue
		}
		if err := i.decline(tx, r.issue.ID, refusal); err != nil {
			return err
		}
	}
	return tx.commit()
}

// wait is for an order that is on its way. It ends when the credential is there, or refused.
type wait struct {
	done chan struct{}
	err  error // set before done is closed
}

// bring brings an order onto the chain, if nobody does so yet. Without room in the queue it comes later, by takeUp.
func (i *Issuer) bring(o *order) *wait {
	i.mu.Lock()
	defer i.mu.Unlock()
	if w, known := i.waits[o.ID]; known {
		return w
	}
	w := &wait{done: make(chan struct{})}
	select {
	case i.queue <- &request{group: string(entry.KindCredentialsIssued) + " " + o.Application.Schema, issue: o}:
		i.waits[o.ID] = w
	default:
	}
	return w
}

// finish ends the wait for an order.
func (i *Issuer) finish(id string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if w, known := i.waits[id]; known {
		w.err = err
		close(w.done)
		delete(i.waits, id)
	}
}

// takeUp brings the orders that nobody brings yet, and the tasks of cases: after a restart, when they are set free, or once there
// is room in the queue again.
func (i *Issuer) takeUp() error {
	if err := i.takeTasks(); err != nil {
		return fmt.Errorf("take up tasks: %w", err)
	}
	var open []string
	err := i.cfg.Store.Scan(tableOpen, "", func(key string, _ []byte) bool {
		open = append(open, strings.TrimPrefix(key, tableOpen))
		return len(open) < maxQueue/2
	})
	if err != nil {
		return fmt.Errorf("take up orders: %w", err)
	}
	for _, id := range open {
		o, err := i.order(id)
		if err != nil {
			return err
		}
		i.bring(o)
	}
	return nil
}

// outcome waits for an order, and delivers its credential.
func (i *Issuer) outcome(ctx context.Context, o *order, patience time.Duration) (*openid.IssuedCredential, error) {
	s, ok := i.schemas[o.Application.Schema]
	if !ok {
		return nil, refuse(ErrConfiguration, "this agency no longer issues credentials of that type")
	}
	pending := &Deferral{o.Transaction, pollInterval}
	if held, err := i.held(o.ID); err != nil || held {
		return nil, errors.Join(err, pending)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w := i.bring(o)
	select {
	case <-w.done:
	case <-ctx.Done():
		return nil, pending
	}
	if w.err != nil {
		return nil, w.err
	}
	settled, err := i.order(o.ID)
	if err != nil {
		return nil, err
	}
	if settled.Credential == "" {
		return nil, pending
	}
	if err := i.noteRead(Holder, DidDeliver, settled.Credential); err != nil {
		return nil, err
	}
	return i.deliver(s, settled.Credential)
}

// open tells whether something is still to be done. A credential that is on its way is an intent's to finish.
func (o *order) open() bool { return o.Refused == nil && o.Credential == "" }

// held tells whether an order waits for officers, or for the end of the credential that it replaces. The order is read last: an
// intent that takes it up between the two reads ends its row among the open ones, and an order read before that looks held.
func (i *Issuer) held(id string) (bool, error) {
	tx := begin(i.cfg.Store)
	var open bool
	if err := tx.get(tableOpen+id, &open); !errors.Is(err, ErrAbsent) {
		return false, err
	}
	var o order
	if err := tx.get(tableOrder+id, &o); err != nil {
		return false, err
	}
	return o.open(), nil
}

func (i *Issuer) order(id string) (*order, error) {
	o := new(order)
	if err := begin(i.cfg.Store).get(tableOrder+id, o); err != nil {
		return nil, fmt.Errorf("look up an order: %w", err)
	}
	return o, nil
}

// Deferred answers a wallet that was told to ask again. Refused with [ErrAccessToken], [ErrTransaction] or what the order was
// refused with; a [Deferral] says that it must ask once more.
func (i *Issuer) Deferred(ctx context.Context, accessToken, transaction string) (*openid.IssuedCredential, error) {
	o, err := i.orderOf(accessToken)
	switch {
	case errors.Is(err, ErrAbsent) || err == nil && (o.Companion != nil || o.Transaction != transaction): // companions are there at once
		return nil, refuse(ErrTransaction, "there is no such request of yours")
	case err != nil:
		return nil, err
	case o.Refused != nil:
		return nil, o.Refused
	}
	return i.outcome(ctx, o, min(pollInterval, i.cfg.SealWait))
}

// orderOf finds the order of the application that an access token is for.
func (i *Issuer) orderOf(accessToken string) (*order, error) {
	tx := begin(i.cfg.Store)
	a, err := i.authorize(tx, accessToken)
	if err != nil {
		return nil, err
	}
	if a.Order == "" {
		return nil, ErrAbsent
	}
	return i.order(a.Order)
}

// Notice is what a wallet said of a credential.
type Notice struct {
	Event string              `json:"event"`
	At    credential.UnixTime `json:"at"`
}

// Notification is the id with which a wallet tells what became of the credential that its access token is for.
func (i *Issuer) Notification(accessToken string) (string, error) {
	o, err := i.orderOf(accessToken)
	if err != nil {
		return "", err
	}
	return o.Notification, nil
}

// Notify takes a wallet's word of what became of a credential. The same again changes nothing. Refused with [ErrAccessToken],
// [ErrNotification] for an id that is not of this token, or [ErrEvent].
func (i *Issuer) Notify(accessToken, notification, event string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	o, err := i.orderOf(accessToken)
	switch {
	case errors.Is(err, ErrAbsent) || err == nil && (o.Credential == "" || o.Notification != notification):
		return refuse(ErrNotification, "there is no such credential of yours")
	case err != nil:
		return err
	case !strings.Contains(" "+strings.Join(openid.NotificationEvents, " ")+" ", " "+event+" "):
		return refuse(ErrEvent, "want one of %s", strings.Join(openid.NotificationEvents, ", "))
	}
	for _, n := range o.Notified {
		if n.Event == event {
			return nil
		}
	}
	o.Notified = append(o.Notified, Notice{event, i.now()}) // three events at most
	tx := begin(i.cfg.Store)
	tx.put(tableOrder+o.ID, o)
	return tx.commit()
}
