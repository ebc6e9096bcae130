package verifying

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// ErrBusy is returned when too many proofs wait already: nothing was checked.
var ErrBusy = errors.New("too many proofs wait to be checked")

// QueueConfig says how much a [Queue] takes on.
type QueueConfig struct {
	Waiting int              // proofs that may wait; 0: 1024. Of suspects an eighth
	Batch   int              // proofs that are checked together; 0: 128
	Clock   func() time.Time // nil: time.Now
}

const (
	defaultWaiting = 1024
	defaultBatch   = 128
	// suspicion is how long at least, and twice that at most, an origin's proofs are checked alone after a bad one.
	suspicion = time.Minute
	// maxSuspects bounds the origins that are remembered for each of two such times. Those of whom there is no room spoil
	// batches, which then become smaller.
	maxSuspects = 1 << 14
)

// Queue checks proofs of many callers: one that comes alone at once and by itself, and those that come meanwhile together, which takes a
// fraction of the time for each. Every caller gets the answer that [Verify] would give. It is safe for concurrent use, and runs
// nothing when nobody waits.
//
// A bad proof makes its batch dear, as it must be found. So an origin that sent one is a suspect for a while: its proofs are
// checked alone, at most one between two batches while others wait. And batches become smaller while there are bad ones in
// them, down to one by one.
type Queue struct {
	cfg QueueConfig

	mu       sync.Mutex // guards what follows
	running  bool
	waiting  []*job // of origins in good standing
	suspects []*job
	limit    int // of the next batch

	bad, badBefore map[string]bool // suspects of this time, and of the time before
	turned         time.Time
	stats          QueueStats
}

// QueueStats counts what a queue did.
type QueueStats struct {
	Alone, Batches, Batched, Bad, Busy uint64 // proofs, batches, proofs in batches, bad proofs, proofs not taken
}

type job struct {
	ctx    context.Context // of the caller, who waits
	origin string
	vk     *keys.VerifyingKey
	item   Item
	result chan error // has room for one
}

// NewQueue makes an empty one.
func NewQueue(cfg QueueConfig) *Queue {
	if cfg.Waiting <= 0 {
		cfg.Waiting = defaultWaiting
	}
	if cfg.Batch <= 0 {
		cfg.Batch = defaultBatch
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Queue{cfg: cfg, limit: cfg.Batch, bad: make(map[string]bool), badBefore: make(map[string]bool)}
}

// Verify is [Verify] with a turn. origin says who sent the proof, as a network address does; proofs without one are never
// suspect. Beside the errors of Verify there are [ErrBusy], at once, and the context's. The slices must not change afterwards.
func (q *Queue) Verify(ctx context.Context, origin string, vk *keys.VerifyingKey, public []credential.Element, proof []byte) error {
	if _, err := vectorOf(vk, public); err != nil {
		return fmt.Errorf("check proof: %w", err) // in a batch it would end the check of the others
	}
	j := &job{ctx, origin, vk, Item{public, proof}, make(chan error, 1)}
	if !q.enter(j) {
		return ErrBusy
	}
	select {
	case err := <-j.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *Queue) enter(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, room := &q.waiting, q.cfg.Waiting
	if q.suspect(j.origin) {
		list, room = &q.suspects, max(q.cfg.Waiting/8, 1)
	}
	if len(*list) >= room {
		q.stats.Busy++
		return false
	}
	*list = append(*list, j)
	if !q.running {
		q.running = true
		go q.run()
	}
	return true
}

// suspect also lets time pass.
func (q *Queue) suspect(origin string) bool {
	if now := q.cfg.Clock(); now.Sub(q.turned) >= suspicion {
		q.badBefore = q.bad
		if now.Sub(q.turned) >= 2*suspicion {
			q.badBefore = nil
		}
		q.bad, q.turned = make(map[string]bool), now
	}
	return origin != "" && (q.bad[origin] || q.badBefore[origin])
}

// run works until nobody waits.
func (q *Queue) run() {
	for {
		batch, one := q.next()
		if batch == nil && one == nil {
			return
		}
		q.check(batch)
		if one != nil {
			q.check([]*job{one})
		}
	}
}

// next takes a batch of one key, and a suspect. When there are none of either, the run is over.
func (q *Queue) next() (batch []*job, one *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var rest []*job
	for i, j := range q.waiting {
		if len(batch) == q.limit {
			rest = append(rest, q.waiting[i:]...)
			break
		}
		switch {
		case j.ctx.Err() != nil: // nobody waits for it
		case len(batch) > 0 && j.vk != batch[0].vk:
			rest = append(rest, j)
		default:
			batch = append(batch, j)
		}
	}
	q.waiting = rest
	for len(q.suspects) > 0 && one == nil {
		if j := q.suspects[0]; j.ctx.Err() == nil {
			one = j
		}
		q.suspects[0] = nil
		q.suspects = q.suspects[1:]
	}
	q.running = len(batch) > 0 || one != nil // who is left waits for a key that differs from the batch's
	return batch, one
}

// check answers all of a batch.
func (q *Queue) check(batch []*job) {
	errs := make([]error, len(batch))
	switch len(batch) {
	case 0:
		return
	case 1:
		errs[0] = Verify(batch[0].vk, batch[0].item.Public, batch[0].item.Proof)
	default:
		items := make([]Item, len(batch))
		for i, j := range batch {
			items[i] = j.item
		}
		err := VerifyBatch(batch[0].vk, items)
		var bad *BatchError
		switch {
		case errors.As(err, &bad):
			for _, b := range bad.Bad {
				errs[b.Index] = b.Err
			}
		case err != nil: // we could not tell, so none of them passes
			for i := range errs {
				errs[i] = err
			}
		}
	}
	q.learn(batch, errs)
	for i, j := range batch {
		j.result <- errs[i]
	}
}

// learn notes who sent bad proofs, and how large a batch to make next.
func (q *Queue) learn(batch []*job, errs []error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	bad := 0
	for i, err := range errs {
		if !errors.Is(err, ErrProofInvalid) && !errors.Is(err, ErrProofMalformed) {
			continue
		}
		bad++
		if origin := batch[i].origin; origin != "" && len(q.bad) < maxSuspects {
			q.bad[origin] = true
		}
	}
	q.stats.Bad += uint64(bad)
	if len(batch) == 1 {
		q.stats.Alone++
	} else {
		q.stats.Batches++
		q.stats.Batched += uint64(len(batch))
	}
	switch {
	case bad > 0 && len(batch) > 1:
		q.limit = max(len(batch)/2, 1)
	case bad == 0 && len(batch) >= q.limit:
		q.limit = min(2*q.limit, q.cfg.Batch)
	}
}

// Stats is what was done so far.
func (q *Queue) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats
}
