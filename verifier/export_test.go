package verifier

import (
	"time"

	"github.com/bulla-id/bulla/circuits/verifying"
)

// What tests of load look at and shorten.

const MaxForm = maxForm

// Proofs counts the proofs that were looked at.
func (v *Verifier) Proofs() verifying.QueueStats { return v.proofs.Stats() }

// Held are the bytes of bodies that are held, and the places that are taken.
func (v *Verifier) Held() (bodies int64, places int) { return v.load.bodies.Load(), len(v.load.places) }

// Impatient makes bodies arrive within a time, and bounds what they hold together.
func (v *Verifier) Impatient(time time.Duration, bodies int64) {
	v.load.time, v.load.most = time, bodies
}

// Follow makes followers look at the store more often, and bounds how many there are, in total and of one application.
func (v *Verifier) Follow(beat time.Duration, most, mostOfOne int) {
	v.beat, v.followers.most, v.followers.mostOfOne = beat, most, mostOfOne
}

// Followers are how many there are, of sessions and of applications, as they are counted.
func (v *Verifier) Followers() (total, sessions, clients int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.followers.total, len(v.followers.sessions), len(v.followers.clients)
}

// Tell floods the followers of a session with news.
func (v *Verifier) Tell(id string, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for range n {
		v.tell(id, news{})
	}
}
