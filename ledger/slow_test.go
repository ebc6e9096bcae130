package ledger_test

import (
	"sync"
	"sync/atomic"

	"github.com/bulla-id/bulla/ledger"
)

// slowStore holds commits back while hold is set, until release is closed.
type slowStore struct {
	ledger.Store
	hold    atomic.Bool
	release chan struct{}
	once    sync.Once
	in      chan struct{}
	make    sync.Once
}

func (s *slowStore) inside() chan struct{} {
	s.make.Do(func() { s.in = make(chan struct{}) })
	return s.in
}

// entered waits until a commit is held.
func (s *slowStore) entered() { <-s.inside() }

func (s *slowStore) Commit(rows map[string][]byte) error {
	if s.hold.Load() {
		s.once.Do(func() { close(s.inside()) })
		<-s.release
	}
	return s.Store.Commit(rows)
}
