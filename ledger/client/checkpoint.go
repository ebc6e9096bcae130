package client

import (
	"fmt"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// MaxCheckpoint bounds a signed checkpoint, in bytes.
const MaxCheckpoint = 64 << 10

// maxLogSize keeps sizes and stored-hash indices within int64 and JSON numbers.
const maxLogSize = 1 << 53

// Checkpoint is a signed tree head of the log (C2SP tlog-checkpoint) whose signatures were checked.
type Checkpoint struct {
	Text      []byte // the signed note, as served
	Origin    string
	Size      uint64            // entries, at least 1
	Root      credential.Digest // RFC 6962 root
	Cosigners []string          // names of the cosigners whose signatures verified, each once
}

// ParseCheckpoint reads a signed note and checks the log's signature and those of known cosigners. The log's key name
// is the origin. Our checkpoints have three lines and one spelling: others are refused. Whether the cosigners suffice
// is the caller's policy.
func ParseCheckpoint(text []byte, logKey note.Verifier, cosigners ...note.Verifier) (Checkpoint, error) {
	if len(text) > MaxCheckpoint {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d bytes, at most %d: %w", len(text), MaxCheckpoint, ErrPolicy)
	}
	parsed, rest, signed, err := log.ParseCheckpoint(text, logKey.Name(), logKey, cosigners...)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	switch {
	case len(rest) != 0 || string(parsed.Marshal()) != signed.Text:
		return Checkpoint{}, fmt.Errorf("checkpoint is not in the form we write: %w", ErrPolicy)
	case parsed.Size == 0 || parsed.Size >= maxLogSize || len(parsed.Hash) != tlog.HashSize:
		return Checkpoint{}, fmt.Errorf("checkpoint of size %d with a root of %d bytes: %w", parsed.Size, len(parsed.Hash), ErrPolicy)
	}
	c := Checkpoint{Text: text, Origin: parsed.Origin, Size: parsed.Size, Root: credential.Digest(parsed.Hash)}
	for _, s := range signed.Sigs {
		if s.Name != logKey.Name() {
			c.Cosigners = append(c.Cosigners, s.Name)
		}
	}
	return c, nil
}

// Tree is the checkpoint for the functions of tlog.
func (c Checkpoint) Tree() tlog.Tree { return tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Root)} }

// Body is what is signed: origin, size and root, a line each.
func (c Checkpoint) Body() string {
	return string(log.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal())
}

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
