package client

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Broken accuses a log of an entry that breaks the rules. That the log signed the entry is proven offline, by signature and
// inclusion proof; that it breaks the rules, by replaying the entries before it, which are public.
type Broken struct {
	Version    int                 `json:"version"`    // 1
	LogKey     string              `json:"log_key"`    // verifier key, as in [Evidence]
	Checkpoint string              `json:"checkpoint"` // signed note
	Index      uint64              `json:"index"`      // of the entry
	Entry      []byte              `json:"entry"`      // its bytes
	Proof      []credential.Digest `json:"proof"`      // inclusion proof (RFC 6962)
	Reason     string              `json:"reason"`     // in the accuser's words
}

// MaxBroken bounds an accusation, in bytes.
const MaxBroken = 2*entry.MaxSize + 2*MaxCheckpoint

// ErrNotSigned is returned for an entry of which it is not shown that the log signed it.
var ErrNotSigned = errors.New("this does not show that the log signed the entry")

// ProveBroken makes an accusation, with the inclusion proof from the log's tiles.
func (l *Log) ProveBroken(ctx context.Context, logKey string, c Checkpoint, index uint64, raw []byte, reason string) (Broken, error) {
	b := Broken{
		Version: 1, LogKey: logKey, Checkpoint: string(c.Text), Index: index, Entry: raw, Proof: []credential.Digest{}, Reason: reason,
	}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return l.hashes(ctx, c.Tree(), indexes) })
	proof, err := tlog.ProveRecord(int64(c.Size), int64(index), reader)
	if err != nil {
		return b, fmt.Errorf("prove that entry %d is in the log: %w", index, err)
	}
	for _, hash := range proof {
		b.Proof = append(b.Proof, credential.Digest(hash))
	}
	return b, nil
}

// Bytes is the file: canonical JSON.
func (b Broken) Bytes() ([]byte, error) { return credential.Canonical(b) }

// CheckBroken checks offline, against the log's key, that the log signed the entry that an accusation is about, or gives
// [ErrNotSigned]. Whether it breaks the rules it does not say.
func CheckBroken(data []byte, logKey string) (Broken, error) {
	var b Broken
	if len(data) > MaxBroken {
		return b, fmt.Errorf("more than %d bytes: %w", MaxBroken, ErrNotSigned)
	}
	if err := credential.ParseCanonical(data, &b); err != nil {
		return b, fmt.Errorf("%w: %w", ErrNotSigned, err)
	}
	if b.Version != 1 || b.LogKey != logKey {
		return b, fmt.Errorf("it has version %d and is about the log key %.200q, want 1 and %.200q: %w", b.Version, b.LogKey, logKey, ErrNotSigned)
	}
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return b, fmt.Errorf("log key: %w", err)
	}
	c, err := ParseCheckpoint([]byte(b.Checkpoint), verifier)
	if err != nil {
		return b, fmt.Errorf("checkpoint: %w: %w", ErrNotSigned, err)
	}
	if b.Index >= c.Size {
		return b, fmt.Errorf("entry %d of %d: %w", b.Index, c.Size, ErrNotSigned)
	}
	proof := make(tlog.RecordProof, len(b.Proof))
	for i, hash := range b.Proof {
		proof[i] = tlog.Hash(hash)
	}
	if err := tlog.CheckRecord(proof, int64(c.Size), tlog.Hash(c.Root), int64(b.Index), tlog.RecordHash(b.Entry)); err != nil {
		return b, fmt.Errorf("inclusion proof: %w: %w", ErrNotSigned, err)
	}
	return b, nil
}
