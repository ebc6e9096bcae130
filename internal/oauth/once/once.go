// Package once remembers what may count one time only: the identifiers of DPoP proofs and of client assertions.
package once

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// Store takes note of what was used. Whoever can change it can make us take a proof or an assertion twice.
type Store interface {
	// Use takes note of key until that time, after which the caller refuses it anyway. made is when the thing says it was
	// made, or, so that nothing is used on both sides of a restart, the earliest that we can have taken it. A nil error means: it was not used before, and nobody else who asks at the same time is told so too. ErrUsed
	// and ErrEarlier are refusals; any other error means that the store cannot tell, and the caller must refuse as well.
	Use(ctx context.Context, key credential.Digest, made, until time.Time) error
}

// Why a store says no.
var (
	ErrUsed    = errors.New("was used already")
	ErrEarlier = errors.New("was made before we began to take note")
	ErrFull    = errors.New("too many are in use at this moment")
)

// Memory is a Store of bounded size that forgets when the process ends. So that what was used just before a restart is
// not used again after it, it refuses what was made before it began; what remains are things of clients whose clock is
// ahead, unless the caller allows for that in what it says of when they were made. It is safe for concurrent use.
type Memory struct {
	limit int
	clock func() time.Time
	since time.Time

	mu    sync.Mutex
	seen  map[credential.Digest]struct{} // what is in queue
	queue queue                          // first to be forgotten first
}

// NewMemory makes a store of at most limit things, some 150 bytes each.
func NewMemory(limit int, clock func() time.Time) *Memory {
	return &Memory{limit: limit, clock: clock, since: clock().Truncate(time.Second), seen: make(map[credential.Digest]struct{})}
}

// Use implements [Store]. A full store refuses the new: forgetting the old would let somebody with many keys of their own
// make room for a second use.
func (m *Memory) Use(_ context.Context, key credential.Digest, made, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(m.clock())
	_, used := m.seen[key]
	switch {
	case used:
		return ErrUsed
	case made.Before(m.since):
		return ErrEarlier
	case len(m.queue) >= m.limit:
		return ErrFull
	}
	m.seen[key] = struct{}{}
	heap.Push(&m.queue, item{key, until})
	return nil
}

func (m *Memory) forget(now time.Time) {
	for len(m.queue) > 0 && m.queue[0].until.Before(now) {
		delete(m.seen, heap.Pop(&m.queue).(item).key)
	}
}

type item struct {
	key   credential.Digest
	until time.Time
}

type queue []item

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].until.Before(q[j].until) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
