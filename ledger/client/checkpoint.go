package client

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/ledger/checkpoint"
)

// What a checkpoint is and whose signatures count is for package checkpoint to say, which needs no host.
type (
	// Checkpoint is a signed tree head of the log whose signatures were checked.
	Checkpoint = checkpoint.Checkpoint
	// Policy says whose signatures make a checkpoint believable.
	Policy = checkpoint.Policy
)

// Profile is how a chain is made known to those who use it: a [checkpoint.Profile] that a client can be made of.
type Profile checkpoint.Profile

// MaxCheckpoint bounds a signed checkpoint, in bytes.
const MaxCheckpoint = checkpoint.Max

// ParseCheckpoint is [checkpoint.Parse].
func ParseCheckpoint(text []byte, logKey note.Verifier, cosigners ...note.Verifier) (Checkpoint, error) {
	return checkpoint.Parse(text, logKey, cosigners...)
}

// ReadProfile is [checkpoint.ReadProfile].
func ReadProfile(path string) (Profile, error) {
	p, err := checkpoint.ReadProfile(path)
	return Profile(p), err
}

// Config is the client configuration of the profile.
func (p Profile) Config() Config { return Config{URL: p.Ledger, Genesis: p.Genesis, Policy: p.Policy} }

// ForkError is what a client that was shown two checkpoints that do not fit keeps as evidence: anybody with the log's
// key can check both notes. errors.Is tells [ErrFork] from [ErrRollback].
type ForkError struct {
	Seen, Served []byte // signed notes
	Cause        error  // ErrFork or ErrRollback
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("%v; seen before:\n%s\nserved now:\n%s", e.Cause, e.Seen, e.Served)
}

// Unwrap gives the cause.
func (e *ForkError) Unwrap() error { return e.Cause }
