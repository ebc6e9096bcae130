package client

import (
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// View is the chain as one checkpoint fixes it. It never changes: do not change what it points to.
type View struct {
	GenesisHash credential.Digest
	Genesis     entry.Genesis
	Checkpoint  Checkpoint
	Seal        entry.Seal // the last one at or before the checkpoint's end
	SealIndex   uint64     // its index in the log
	Registry    *entry.Registry
	Census      *entry.Census

	sealDigest credential.Digest // of the seal's entry
}

// At is the view's seal with its place.
func (v *View) At() SealAt { return SealAt{v.Seal, v.SealIndex, v.Seal.Time.Time(), v.sealDigest} }

// SealAt is a seal with its place in the log.
type SealAt struct {
	Seal  entry.Seal
	Index uint64
	Time  time.Time

	digest credential.Digest // of its entry
}

// Age is how old the seal is by that clock.
func (s SealAt) Age(now time.Time) time.Duration { return now.Sub(s.Time) }
