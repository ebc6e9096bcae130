package oauth

import (
	"container/list"
	"sync"
	"time"
)

// Limits of the throttle.
const (
	freeFailures = 5           // then each further one doubles the wait
	maxWait      = time.Minute // so that a client that was misconfigured comes back by itself
	forgetAfter  = 15 * time.Minute
	maxThrottled = 4096 // some 200 bytes each
)

// throttle makes those wait who fail to authenticate again and again. It counts for each client and the address it is
// tried from, so that a stranger elsewhere cannot lock a client out; secrets have 256 bits, so it is not what keeps them
// safe: it saves work and noise. Bounded: where all places are taken, the one that failed longest ago is forgotten.
type throttle struct {
	clock func() time.Time

	mu       sync.Mutex
	failures map[string]*list.Element // of *failure
	order    *list.List               // last failed first
}

type failure struct {
	key   string
	count int
	last  time.Time
}

func newThrottle(clock func() time.Time) *throttle {
	return &throttle{clock: clock, failures: make(map[string]*list.Element), order: list.New()}
}

// wait is how long who fails under key must wait; zero: may try.
func (t *throttle) wait(key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.failures[key]
	if !ok {
		return 0
	}
	f := e.Value.(*failure)
	return max(0, pause(f.count)-t.clock().Sub(f.last))
}

// pause is the wait after so many failures.
func pause(count int) time.Duration {
	if count < freeFailures {
		return 0
	}
	return min(maxWait, time.Second<<min(count-freeFailures, 10))
}

func (t *throttle) failed(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	e, ok := t.failures[key]
	if !ok {
		if t.order.Len() >= maxThrottled {
			t.remove(t.order.Back())
		}
		e = t.order.PushFront(&failure{key: key})
		t.failures[key] = e
	}
	f := e.Value.(*failure)
	if now.Sub(f.last) > forgetAfter {
		f.count = 0
	}
	f.count++
	f.last = now
	t.order.MoveToFront(e)
}

func (t *throttle) succeeded(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e, ok := t.failures[key]; ok {
		t.remove(e)
	}
}

func (t *throttle) remove(e *list.Element) {
	delete(t.failures, e.Value.(*failure).key)
	t.order.Remove(e)
}
