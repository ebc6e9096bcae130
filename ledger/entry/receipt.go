package entry

import (
	"errors"
	"fmt"

	"github.com/bulla-id/bulla/credential"
)

// Level says how far an entry has got. Levels only rise.
type Level string

// The levels of acknowledgement.
const (
	LevelAccepted Level = "accepted" // durable, with its index
	LevelLogged   Level = "logged"   // in a signed checkpoint, with inclusion proof
	LevelSealed   Level = "sealed"   // in a cosigned checkpoint that holds a seal after the entry: in effect
)

// Rank orders levels: 0 for what is no level, 1 for accepted, 3 for sealed.
func (l Level) Rank() int {
	switch l {
	case LevelAccepted:
		return 1
	case LevelLogged:
		return 2
	case LevelSealed:
		return 3
	}
	return 0
}

// Receipt is the ledger's answer to an entry. It proves itself to whoever trusts the keys on the checkpoint; whoever
// does not verify the proof trusts the ledger's host.
type Receipt struct {
	Index      uint64            `json:"index"`      // in the log
	Digest     credential.Digest `json:"digest"`     // of the entry's bytes
	FirstLeaf  uint64            `json:"first_leaf"` // index in the active tree of the first commitment; 0 without leaves
	Leaves     int               `json:"leaves"`     // how many leaves the entry added
	Level      Level             `json:"level"`
	Checkpoint string            `json:"checkpoint,omitempty"` // signed note, from level logged on
	Proof      [][]byte          `json:"proof,omitempty"`      // inclusion of Index in the checkpoint's tree: 32-byte hashes, leaf first (standard base64 in JSON)
}

// maxProof is how many hashes lead from a leaf to the root of the largest tree.
const maxProof = 64

// Validate checks the form: nothing is proven by it.
func (r *Receipt) Validate() error {
	switch {
	case r.Level.Rank() == 0:
		return fmt.Errorf("receipt: unknown level %.100q", r.Level)
	case r.Level != LevelAccepted && r.Checkpoint == "":
		return fmt.Errorf("receipt of level %s without checkpoint", r.Level)
	case r.Leaves < 0 || r.Leaves > MaxBatch:
		return fmt.Errorf("receipt: %d leaves", r.Leaves)
	case len(r.Proof) > maxProof:
		return fmt.Errorf("receipt: inclusion proof of %d hashes", len(r.Proof))
	case r.Digest.IsZero():
		return errors.New("receipt: digest is missing")
	}
	for i, h := range r.Proof {
		if len(h) != len(credential.Digest{}) {
			return fmt.Errorf("receipt: hash %d of the inclusion proof has %d bytes, want 32", i, len(h))
		}
	}
	return nil
}
