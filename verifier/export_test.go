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
