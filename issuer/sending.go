package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Ledger is what an issuer needs of the chain; a *client.Client is one.
type Ledger interface {
	// NextSequence is the number that the signer's next entry must have.
	NextSequence(ctx context.Context, signer string) (uint64, error)
	// Submit hands in an entry. The same entry again gives the same receipt. A *client.Problem with a code and a status
	// of 4xx says that the entry is not on the chain; after any other error it may be.
	Submit(ctx context.Context, e *entry.Entry) (entry.Receipt, error)
	// Await waits until the entry at an index has reached a level, and verifies its receipt.
	Await(ctx context.Context, index uint64, level entry.Level) (entry.Receipt, error)
}

// request is something to get onto the chain: an order, a clerk's change, or the head of the audit log if it is neither.
type request struct {
	group   string // requests of one group may share an entry
	issue   *order
	change  *change
	done    <-chan struct{} // of a change: closed when nobody waits any more
	replies chan reply      // of a change: room for the one answer
}

// reply says where to wait, or why not.
type reply struct {
	credential string
	flight     *flight // nil: the credential is settled
	err        error
}

func (r *request) abandoned() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// answer tells who waits. An order that is on its way is finished when its flight lands.
func (i *Issuer) answer(r *request, a reply) {
	switch {
	case r.change != nil && r.change.file != "":
		if a.flight == nil {
			i.endTask(r.change.file)
		}
	case r.issue == nil:
		r.replies <- a
	case a.err != nil || a.flight == nil:
		i.finish(r.issue.ID, a.err)
	}
}

// flight is an intent on its way.
type flight struct {
	intent
	signed  *entry.Entry
	receipt entry.Receipt // owned by whoever sends, then by whoever waits for the seal
	err     error         // set before done is closed: why the ledger refused
	done    chan struct{}
}

func newFlight(in intent, signed *entry.Entry) *flight {
	return &flight{intent: in, signed: signed, done: make(chan struct{})}
}

// flights are those under way, by sequence number. Guarded by Issuer.mu.
type flights struct{ under map[uint64]*flight }

func (f *flights) add(x *flight)                { f.under[x.Sequence] = x }
func (f *flights) find(sequence uint64) *flight { return f.under[sequence] }

// send queues a request and waits until its entry is sealed. It returns the credential's id.
func (i *Issuer) send(ctx context.Context, r *request) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, i.cfg.SealWait)
	defer cancel()
	r.done, r.replies = ctx.Done(), make(chan reply, 1)
	select {
	case i.queue <- r:
	default:
		return "", refuse(ErrUnavailable, "too many requests are waiting: ask again later")
	}
	var a reply
	select {
	case a = <-r.replies:
	case <-ctx.Done():
		return "", refuse(ErrUnavailable, "the ledger has not answered yet: ask again")
	}
	if a.err != nil || a.flight == nil {
		return a.credential, a.err
	}
	select {
	case <-a.flight.done:
		return a.credential, a.flight.err
	case <-ctx.Done():
		return "", refuse(ErrUnavailable, "the entry is on the chain and not sealed yet: ask again")
	}
}

// Run brings requests onto the chain until ctx ends, which is no error. First it sends again what a crash left open. It
// returns an error if it cannot go on without risk: the records do not fit the chain, or the store failed.
func (i *Issuer) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return i.sendAll(running) })
	group.Go(func() error { return i.sealAll(running) })
	group.Go(func() error { return i.purgeAll(running) })
	group.Go(func() error { return i.anchorAll(running) })
	group.Go(func() error { return i.webhooks.Run(running) })
	err := group.Wait()
	i.running.Store(false)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return fmt.Errorf("issuer %s: %w", i.cfg.DID, err)
}

// Ready tells whether requests get onto the chain.
func (i *Issuer) Ready() bool { return i.running.Load() }

// Waiting is how many changes wait to be sent to the ledger.
func (i *Issuer) Waiting() int { return len(i.queue) }

// sendAll owns the sequence of our entries: one is sent after another. Entries wait for their seals together.
func (i *Issuer) sendAll(ctx context.Context) error {
	if err := i.recover(ctx); err != nil {
		return fmt.Errorf("take up where we were: %w", err)
	}
	if err := i.takeUp(); err != nil {
		return err
	}
	i.running.Store(true)
	var waiting []*request
	for {
		var err error
		if waiting, err = i.collect(ctx, waiting); err != nil {
			return err
		}
		var batch []*request
		batch, waiting = oldestGroup(waiting)
		if _, err := i.sendBatch(ctx, batch); err != nil {
			return err
		}
	}
}

// collect adds what is in the queue, and waits for a first one if there is nothing.
func (i *Issuer) collect(ctx context.Context, waiting []*request) ([]*request, error) {
	if len(waiting) == 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case r := <-i.queue:
			waiting = append(waiting, r)
		}
	}
	for len(waiting) < maxQueue {
		select {
		case r := <-i.queue:
			waiting = append(waiting, r)
		default:
			return waiting, ctx.Err()
		}
	}
	return waiting, ctx.Err()
}

// oldestGroup splits off the requests that can share an entry with the oldest.
func oldestGroup(waiting []*request) (batch, rest []*request) {
	for _, r := range waiting {
		if r.group == waiting[0].group && len(batch) < entry.MaxBatch {
			batch = append(batch, r)
		} else {
			rest = append(rest, r)
		}
	}
	return batch, rest
}

// sendBatch prepares and sends one entry, and answers everybody in it. If the ledger refuses it for what may be one
// member's fault, each is tried alone. An error ends Run.
func (i *Issuer) sendBatch(ctx context.Context, requests []*request) (*Refusal, error) {
	f, sent, err := i.prepare(requests)
	if err != nil || f == nil {
		return nil, err
	}
	refusal, err := i.submit(ctx, f)
	if err != nil {
		return nil, err
	}
	if refusal == nil {
		for n, r := range sent {
			i.answer(r, reply{credential: f.Items[n].Credential, flight: f}) // prepare gives both in one order
		}
		return nil, i.awaitSeal(ctx, f)
	}
	if err := i.refused(f, refusal); err != nil {
		return nil, err
	}
	if len(sent) > 1 && slices.Contains(memberFaults, refusal.Ledger) {
		return refusal, i.sendEach(ctx, sent)
	}
	if err := i.declineAll(sent, refusal); err != nil {
		return nil, err
	}
	if refusal.Ledger == client.ErrSequence.Code {
		return refusal, fmt.Errorf("entry %d: the chain has another entry of ours: %w", f.Sequence, ErrForeignEntry)
	}
	return refusal, nil
}

// memberFaults are the codes with which the ledger may mean some members of a batch and not others.
var memberFaults = []string{client.ErrQuota.Code, "full", client.ErrDuplicateLeaf.Code, client.ErrRevoked.Code, "conflict", "permission", "unknown-reference"}

// sendEach sends requests one by one. Once the quota is used up, the rest need not be tried.
func (i *Issuer) sendEach(ctx context.Context, requests []*request) error {
	for n, r := range requests {
		refusal, err := i.sendBatch(ctx, []*request{r})
		if err != nil {
			return err
		}
		if refusal != nil && (refusal.Ledger == client.ErrQuota.Code || refusal.Ledger == "full") {
			return i.declineAll(requests[n+1:], refusal)
		}
	}
	return nil
}

// submit sends an entry until the ledger took or refused it. As long as that is open, nothing else may be sent: the
// sequence number may be used.
func (i *Issuer) submit(ctx context.Context, f *flight) (*Refusal, error) {
	for pause := i.cfg.RetryPause; ; pause = min(2*pause, maxPause) {
		receipt, err := i.cfg.Ledger.Submit(ctx, f.signed)
		if err == nil {
			if receipt.Digest != f.signed.Digest() {
				return nil, fmt.Errorf("entry %d: the ledger answered with the receipt of another: %w", f.Sequence, ErrForeignEntry)
			}
			f.receipt = receipt
			return nil, nil
		}
		if refusal := refusalOf(err); refusal != nil {
			i.cfg.Logger.WarnContext(ctx, "ledger refused an entry", slog.Uint64("sequence", f.Sequence), slog.String("code", refusal.Ledger))
			return refusal, nil
		}
		i.cfg.Logger.WarnContext(ctx, "ledger did not answer", slog.Uint64("sequence", f.Sequence), slog.Any("error", err))
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

const maxPause = 30 * time.Second

// refusalOf tells a refusal, after which the entry is not on the chain, from a failure, after which it may be. An
// answer without a code is not the ledger's.
func refusalOf(err error) *Refusal {
	var p *client.Problem
	if !errors.As(err, &p) || p.Code == "" || p.Status < 400 || p.Status > 499 ||
		p.Status == http.StatusTooManyRequests || p.Status == http.StatusRequestTimeout {
		return nil
	}
	return &Refusal{Code: ErrLedger.Code, Ledger: p.Code, Detail: ledgerWords(p.Code)}
}

func ledgerWords(code string) string {
	switch code {
	case client.ErrQuota.Code:
		return "the agency's quota of credentials is used up (quota)"
	case client.ErrSuspended.Code:
		return "the agency is suspended (issuer-suspended)"
	case client.ErrAuthority.Code:
		return "the agency or its key is not registered on the chain (authority)"
	case "permission", "unknown-reference":
		return "the chain does not let the agency do that (" + code + ")"
	}
	return "the ledger refused the entry (" + code + ")"
}

// refused withdraws a refused intent and tells those who joined it.
func (i *Issuer) refused(f *flight, refusal *Refusal) error {
	if err := i.withdraw(f); err != nil {
		return err
	}
	i.land(f, refusal)
	return nil
}

// land ends a flight: with nil once it is settled, with a refusal once it is withdrawn. The orders in one that was withdrawn may
// be tried again one by one, and are finished then.
func (i *Issuer) land(f *flight, refusal *Refusal) {
	i.mu.Lock()
	delete(i.flights.under, f.Sequence)
	i.mu.Unlock()
	if refusal != nil {
		f.err = refusal
	}
	close(f.done)
	for _, it := range f.Items {
		if refusal == nil && it.Order != "" {
			i.finish(it.Order, nil)
		}
		if refusal == nil && it.Case != "" {
			i.endTask(it.Case)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
