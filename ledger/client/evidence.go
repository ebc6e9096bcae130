package client

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
)

// Evidence convinces anybody who has the log's key, offline, that the log signed two histories: two checkpoints, and, if
// they have different sizes, the proof that the newer tree begins otherwise than the older one says.
type Evidence struct {
	Version int                 `json:"version"` // 1
	LogKey  string              `json:"log_key"` // verifier key, for comparison with the one in the genesis entry
	Older   string              `json:"older"`   // signed note
	Newer   string              `json:"newer"`   // signed note, of no smaller size
	Root    credential.Digest   `json:"root"`    // what the newer tree's first entries, as many as Older's size, really give
	Proof   []credential.Digest `json:"proof"`   // consistency proof from Root to Newer's root (RFC 6962); empty for one size
}

// MaxEvidence bounds evidence, in bytes.
const MaxEvidence = 8 * MaxCheckpoint

// ErrNoEvidence is returned for what does not prove a fork.
var ErrNoEvidence = errors.New("this proves no fork")

// ProveFork makes evidence of two checkpoints that do not fit. It reads the newer one's tree.
func (l *Log) ProveFork(ctx context.Context, logKey string, a, b Checkpoint) (Evidence, error) {
	older, newer := a, b
	if older.Size > newer.Size {
		older, newer = b, a
	}
	e := Evidence{Version: 1, LogKey: logKey, Older: string(older.Text), Newer: string(newer.Text), Root: newer.Root, Proof: []credential.Digest{}}
	if older.Size < newer.Size {
		root, err := l.RootAt(ctx, newer.Tree(), older.Size)
		if err != nil {
			return e, err
		}
		reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return l.hashes(ctx, newer.Tree(), indexes) })
		proof, err := tlog.ProveTree(int64(newer.Size), int64(older.Size), reader)
		if err != nil {
			return e, fmt.Errorf("prove that the trees differ: %w", err)
		}
		e.Root = credential.Digest(root)
		for _, hash := range proof {
			e.Proof = append(e.Proof, credential.Digest(hash))
		}
	}
	data, err := e.Bytes()
	if err != nil {
		return e, err
	}
	_, err = CheckEvidence(data, logKey)
	return e, err
}

// Bytes is the file: canonical JSON.
func (e Evidence) Bytes() ([]byte, error) { return credential.Canonical(e) }

// CheckEvidence checks evidence offline against the log's key, which the caller knows from the chain's genesis entry. It
// returns the two checkpoints, or [ErrNoEvidence].
func CheckEvidence(data []byte, logKey string) (fork [2]Checkpoint, err error) {
	if len(data) > MaxEvidence {
		return fork, fmt.Errorf("evidence of more than %d bytes: %w", MaxEvidence, ErrNoEvidence)
	}
	var e Evidence
	if err := credential.ParseCanonical(data, &e); err != nil {
		return fork, fmt.Errorf("%w: %w", ErrNoEvidence, err)
	}
	if e.Version != 1 || e.LogKey != logKey {
		return fork, fmt.Errorf("it has version %d and is about the log key %.200q, want 1 and %.200q: %w", e.Version, e.LogKey, logKey, ErrNoEvidence)
	}
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return fork, fmt.Errorf("log key: %w", err)
	}
	for i, text := range []string{e.Older, e.Newer} {
		if fork[i], err = ParseCheckpoint([]byte(text), verifier); err != nil {
			return fork, fmt.Errorf("checkpoint %d of 2: %w: %w", i+1, ErrNoEvidence, err)
		}
	}
	older, newer := fork[0], fork[1]
	if older.Size > newer.Size || older.Root == e.Root {
		return fork, fmt.Errorf("the two checkpoints fit: %w", ErrNoEvidence)
	}
	if older.Size == newer.Size {
		if e.Root != newer.Root || len(e.Proof) > 0 {
			return fork, fmt.Errorf("there is nothing to prove for checkpoints of one size: %w", ErrNoEvidence)
		}
		return fork, nil
	}
	proof := make(tlog.TreeProof, len(e.Proof))
	for i, hash := range e.Proof {
		proof[i] = tlog.Hash(hash)
	}
	t := newer.Tree()
	if err := tlog.CheckTree(proof, t.N, t.Hash, int64(older.Size), tlog.Hash(e.Root)); err != nil {
		return fork, fmt.Errorf("consistency proof: %w: %w", ErrNoEvidence, err)
	}
	return fork, nil
}
