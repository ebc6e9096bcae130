package cosign

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
)

const (
	// evidencePrefix is a range of keys that the state machine does not use.
	evidencePrefix = "x/evidence/"
	maxEvidence    = 64
)

// accuse keeps a [client.Broken]: an entry that breaks the rules is signed into the log.
func (c *Cosigner) accuse(ctx context.Context, next client.Checkpoint, index uint64, raw []byte, reason string) {
	broken, err := c.log.ProveBroken(ctx, c.logKeyText, next, index, raw, reason)
	c.keep(ctx, next, reason, broken.Bytes, err)
}

// accuseOfFork keeps a [client.Evidence]: two checkpoints are signed that cannot be of one log.
func (c *Cosigner) accuseOfFork(ctx context.Context, next client.Checkpoint, before []byte, reason string) {
	older, err := client.ParseCheckpoint(before, c.logKey)
	if err != nil {
		c.keep(ctx, next, reason, client.Evidence{Version: 1, LogKey: c.logKeyText, Newer: string(next.Text), Proof: []credential.Digest{}}.Bytes, err)
		return
	}
	if bare, err := c.logSigned(next); err == nil { // the asker may have sent cosignatures along, which are no matter here
		next = bare
	}
	fork, err := c.log.ProveFork(ctx, c.logKeyText, older, next)
	c.keep(ctx, next, reason, fork.Bytes, err)
}

// keep logs and stores a finding, once for each tree. Beyond 64 findings it only logs: one is enough. What could not be
// proven, as the log does not serve its tiles any more, is kept as it is: the notes are signed.
func (c *Cosigner) keep(ctx context.Context, next client.Checkpoint, reason string, encode func() ([]byte, error), unproven error) {
	c.logger.ErrorContext(ctx, "checkpoint is refused", slog.String("reason", reason), slog.String("checkpoint", string(next.Text)))
	if unproven != nil {
		c.logger.WarnContext(ctx, "the evidence is not complete", slog.Any("error", unproven))
	}
	data, err := encode()
	if err == nil {
		err = c.storeOnce(evidencePrefix+credential.DigestOf([]byte(next.Body())).String(), data)
	}
	if err != nil {
		c.logger.ErrorContext(ctx, "evidence could not be stored", slog.Any("error", err))
	}
}

func (c *Cosigner) storeOnce(key string, data []byte) error {
	if _, err := c.store.Get([]byte(key)); err == nil {
		return nil
	}
	kept, err := c.Evidence()
	if err != nil || len(kept) >= maxEvidence {
		return err
	}
	return c.store.Commit(map[string][]byte{key: data})
}

// Evidence is what this cosigner holds against the log; it should be empty. Each is a file that [client.CheckEvidence] or
// [client.CheckBroken] reads, in canonical JSON.
func (c *Cosigner) Evidence() ([][]byte, error) {
	var all [][]byte
	err := c.store.Each([]byte(evidencePrefix), func(_, value []byte) error {
		all = append(all, bytes.Clone(value))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	return all, nil
}
