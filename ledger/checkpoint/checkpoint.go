// Package checkpoint is what a checkpoint of a Bulla chain proves, without a network: whose signatures make it believable
// ([Policy]), which chain that is ([Profile]), and the seals and registries that it fixes ([Excerpt]). Package client reads
// them from a host and keeps what it saw last; who was handed an excerpt in a file checks it here.
package checkpoint

import (
	"errors"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// Errors that callers branch on.
var (
	// ErrPolicy is returned for a checkpoint that the policy does not accept: a signature is bad or too few
	// independent cosigners signed.
	ErrPolicy = errors.New("checkpoint does not satisfy the policy")
	// ErrTampered is returned where something was served or handed over that is not what the checkpoint, a seal or a name
	// fixes.
	ErrTampered = errors.New("host served something else than the chain fixes")
	// ErrFork is returned once the log's key was seen to sign two histories.
	ErrFork = errors.New("log has signed two histories")
	// ErrRollback is returned for a checkpoint older than one seen before.
	ErrRollback = errors.New("host served a checkpoint older than the last one seen")
)

// Max bounds a signed checkpoint, in bytes.
const Max = 64 << 10

// MaxLogSize keeps sizes and stored-hash indices within int64 and JSON numbers.
const MaxLogSize = 1 << 53

// Checkpoint is a signed tree head of the log (C2SP tlog-checkpoint) whose signatures were checked.
type Checkpoint struct {
	Text      []byte // the signed note, as served
	Origin    string
	Size      uint64            // entries, at least 1
	Root      credential.Digest // RFC 6962 root
	Cosigners []string          // names of the cosigners whose signatures verified, each once
}

// Parse reads a signed note and checks the log's signature and those of known cosigners. The log's key name
// is the origin. Our checkpoints have three lines and one spelling: others are refused. Whether the cosigners suffice
// is the caller's policy.
func Parse(text []byte, logKey note.Verifier, cosigners ...note.Verifier) (Checkpoint, error) {
	if len(text) > Max {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d bytes, at most %d: %w", len(text), Max, ErrPolicy)
	}
	parsed, rest, signed, err := log.ParseCheckpoint(text, logKey.Name(), logKey, cosigners...)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	switch {
	case len(rest) != 0 || string(parsed.Marshal()) != signed.Text:
		return Checkpoint{}, fmt.Errorf("checkpoint is not in the form we write: %w", ErrPolicy)
	case parsed.Size == 0 || parsed.Size >= MaxLogSize || len(parsed.Hash) != tlog.HashSize:
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
