package outbox

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// batchSize is how many messages are under way to an endpoint at a time. Each endpoint has its own batch, so none waits
	// for another, unless maxBusy of them have one: then they take turns.
	batchSize = 8
	maxBusy   = 32
	// maxIdle bounds how long a forgotten Wake can hold up a message.
	maxIdle       = time.Minute
	purgeInterval = time.Hour

	firstBackoff = 5 * time.Second
	maxBackoff   = 4 * time.Hour
	// maxPause is how long an endpoint that fails with everything keeps new messages waiting.
	maxPause = time.Minute
	// maxRetryAfter bounds what an endpoint may ask for.
	maxRetryAfter = 6 * time.Hour
	maxLog        = 100
)

// backoff is how long to wait after so many attempts that failed: twice as long each time, of which a random half is
// left off, so that those who failed together do not come back together.
func backoff(attempts int) time.Duration {
	wait := maxBackoff
	if attempts < 16 { // else the shift would reach far beyond
		wait = min(wait, firstBackoff<<(attempts-1))
	}
	return wait/2 + rand.N(wait/2)
}

// Run sends messages until ctx is done, then returns nil, or until the store fails. It waits for what it started.
func (o *Outbox) Run(ctx context.Context) error {
	if !o.running.CompareAndSwap(false, true) {
		return errors.New("outbox runs already")
	}
	defer o.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &runner{o: o, busy: make(map[string]Endpoint), pace: make(map[string]*pace), done: make(chan batch, maxBusy)}
	err := r.loop(ctx)
	cancel()
	defer o.client.CloseIdleConnections()
	for len(r.busy) > 0 { // what arrived is recorded all the same; what was interrupted is sent again
		err = errors.Join(err, r.finish(<-r.done))
	}
	return err
}

// runner is what Run knows, none of it worth keeping.
type runner struct {
	o      *Outbox
	busy   map[string]Endpoint // whose batches are under way
	pace   map[string]*pace
	done   chan batch // has room for all of them
	last   string     // whose turn it was
	purged time.Time
}

// pace is how an endpoint fares.
type pace struct {
	url    string // another URL starts afresh
	failed int    // batches in a row of which nothing arrived
	until  time.Time
}

// batch is what one endpoint is sent together.
type batch struct {
	endpoint   Endpoint
	keys       []string // of deliveries, in tableDue
	deliveries []delivery
	outcomes   []outcome
}

func (r *runner) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		next, err := r.start(ctx)
		if err != nil {
			return err
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
		case <-r.o.wake:
		case <-timer.C:
		case b := <-r.done:
			err = r.finish(b)
		}
		timer.Stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// start sends what is due to whoever is not busy, and says when to look again.
func (r *runner) start(ctx context.Context) (time.Time, error) {
	now := time.Now()
	next := now.Add(maxIdle)
	if now.Sub(r.purged) >= purgeInterval {
		if _, err := r.o.Purge(); err != nil {
			return next, err
		}
		r.purged = now
	}
	for _, e := range r.turns() {
		if _, busy := r.busy[e.ID]; busy || e.Disabled || len(r.busy) >= maxBusy {
			continue
		}
		if p := r.paceOf(e); p.until.After(now) {
			next = earlier(next, p.until)
			continue
		}
		b, later, err := r.o.due(e, now)
		if err != nil {
			return next, err
		}
		if len(b.keys) > 0 {
			r.busy[e.ID], r.last = e, e.ID
			go func() { r.done <- r.o.send(ctx, b) }()
		} else if !later.IsZero() {
			next = earlier(next, later)
		}
	}
	return next, nil
}

// turns are all endpoints, beginning behind the one that was sent something last.
func (r *runner) turns() []Endpoint {
	all := *r.o.view.Load()
	next, found := slices.BinarySearchFunc(all, r.last, func(e Endpoint, id string) int { return strings.Compare(e.ID, id) })
	if found {
		next++
	}
	return slices.Concat(all[next:], all[:next])
}

func (r *runner) paceOf(e Endpoint) *pace {
	p := r.pace[e.ID]
	if p == nil || p.url != e.URL {
		p = &pace{url: e.URL}
		r.pace[e.ID] = p
	}
	return p
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// due reads the next messages for an endpoint, or when there will be one.
func (o *Outbox) due(e Endpoint, now time.Time) (b batch, later time.Time, err error) {
	b.endpoint = e
	err = o.scan(tableDue+e.ID+"/", "", func(key string, value []byte) (bool, error) {
		at, err := dueAt(key)
		if err != nil {
			return false, err
		}
		if at.After(now) {
			later = at
			return false, nil
		}
		var d delivery
		if err := decode(tableDue, value, &d); err != nil {
			return false, err
		}
		b.keys, b.deliveries = append(b.keys, key), append(b.deliveries, d)
		return len(b.keys) < batchSize, nil
	})
	return b, later, err
}

// send makes one attempt at each message of a batch.
func (o *Outbox) send(ctx context.Context, b batch) batch {
	b.outcomes = make([]outcome, len(b.deliveries))
	var sending sync.WaitGroup
	for i, d := range b.deliveries {
		sending.Go(func() { b.outcomes[i] = o.attempt(ctx, b.endpoint, d) })
	}
	sending.Wait()
	return b
}

// finish records what became of a batch.
func (r *runner) finish(b batch) error {
	delete(r.busy, b.endpoint.ID)
	r.slowDown(b)
	if err := r.o.record(b); err != nil {
		return err
	}
	if _, there := r.o.endpoint(b.endpoint.ID); !there {
		delete(r.pace, b.endpoint.ID)
	}
	return nil
}

// slowDown lets an endpoint rest of which nothing arrived, and for as long as it asks for.
func (r *runner) slowDown(b batch) {
	p, now := r.paceOf(b.endpoint), time.Now()
	var asked time.Duration
	for _, out := range b.outcomes {
		asked = max(asked, out.retryAfter)
	}
	p.until = now.Add(asked)
	if slices.ContainsFunc(b.outcomes, outcome.arrived) {
		p.failed = 0
		return
	}
	p.failed++
	if rest := now.Add(min(maxPause, backoff(p.failed))); rest.After(p.until) {
		p.until = rest
	}
}

// record commits what became of a batch: messages that arrived are forgotten, others come back later or are dead.
func (o *Outbox) record(b batch) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, ok := o.endpoints[b.endpoint.ID]
	if !ok {
		return nil // removed meanwhile, and its rows with it
	}
	now := time.Now()
	rows := make(map[string][]byte)
	log := slices.Clone(o.logs[e.ID])
	var arrived, failed, givenUp uint64
	for i, out := range b.outcomes {
		if out.code == codeInterrupted {
			continue
		}
		d := b.deliveries[i]
		d.Attempts++
		rows[b.keys[i]] = nil
		log = append(log, Attempt{now.Unix(), d.ID, d.Type, d.Attempts, out.status, out.code})
		switch {
		case out.arrived():
			arrived++
		case o.postpone(rows, e.ID, d, out, now):
			failed++
		default:
			failed++
			givenUp++
		}
		// SPEC: 410 says that nothing shall be sent there any more. Of a URL that was changed meanwhile it says nothing.
		if out.code == codeGone && e.URL == b.endpoint.URL {
			e.Disabled = true
			rows[tableEndpoint+e.ID] = encodeEndpoint(e)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	log = log[max(0, len(log)-maxLog):]
	rows[tableLog+e.ID] = encode(log)
	if err := o.commit(rows); err != nil {
		return err
	}
	o.logs[e.ID] = log
	o.arrived.Add(arrived)
	o.failed.Add(failed)
	o.givenUp.Add(givenUp)
	if e.Disabled != o.endpoints[e.ID].Disabled {
		o.endpoints[e.ID] = e
		o.publish()
		o.logger.Warn("webhook endpoint is gone and was disabled", slog.String("endpoint", e.ID))
	}
	return nil
}

// postpone puts a message that did not arrive where it belongs, and says whether it is tried again.
func (o *Outbox) postpone(rows map[string][]byte, endpoint string, d delivery, out outcome, now time.Time) bool {
	next := now.Add(max(backoff(d.Attempts), out.retryAfter))
	if out.code == codeGone || next.UnixMilli() > d.Deadline {
		d.Died = now.UnixMilli()
		rows[keyDead(endpoint, d.ID)] = encode(d)
		o.logger.Warn("webhook is given up", slog.String("endpoint", endpoint), slog.String("message", d.ID),
			slog.Int("attempts", d.Attempts), slog.String("code", string(out.code)))
		return false
	}
	rows[keyDue(endpoint, next, d.ID)] = encode(d)
	return true
}

// Counts are figures of an outbox since it was opened, and of its endpoints now.
type Counts struct {
	Arrived, Failed     uint64 // attempts
	GivenUp             uint64 // messages
	Endpoints, Disabled int
}

// Counts are the figures of now.
func (o *Outbox) Counts() Counts {
	c := Counts{Arrived: o.arrived.Load(), Failed: o.failed.Load(), GivenUp: o.givenUp.Load()}
	for _, e := range *o.view.Load() {
		c.Endpoints++
		if e.Disabled {
			c.Disabled++
		}
	}
	return c
}
