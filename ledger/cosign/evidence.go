package cosign

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// Evidence shows that the log's key signed what the rules forbid: anybody can check the notes and replay the entries.
type Evidence struct {
	Checkpoint string    `json:"checkpoint"`       // the offending signed note
	Before     string    `json:"before,omitempty"` // the note that it contradicts
	Index      uint64    `json:"index,omitempty"`  // of the entry that is wrong
	Entry      []byte    `json:"entry,omitempty"`  // its bytes
	Reason     string    `json:"reason"`
	Time       time.Time `json:"time"` // when it was seen first
}

const (
	// evidencePrefix is a range of keys that the state machine does not use.
	evidencePrefix = "x/evidence/"
	maxEvidence    = 64
)

// keepEvidence logs and stores a finding, once for each checkpoint. Beyond 64 findings it only logs: one is enough.
func (c *Cosigner) keepEvidence(ctx context.Context, e Evidence) {
	c.logger.ErrorContext(ctx, "checkpoint is refused", slog.String("reason", e.Reason), slog.Uint64("entry", e.Index), slog.String("checkpoint", e.Checkpoint))
	key := evidencePrefix + credential.DigestOf([]byte(e.Checkpoint)).String()
	if err := c.storeEvidence(key, e); err != nil {
		c.logger.ErrorContext(ctx, "evidence could not be stored", slog.Any("error", err))
	}
}

func (c *Cosigner) storeEvidence(key string, e Evidence) error {
	if _, err := c.store.Get([]byte(key)); err == nil {
		return nil
	}
	kept, err := c.Evidence()
	if err != nil || len(kept) >= maxEvidence {
		return err
	}
	e.Time = c.clock().UTC()
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	return c.store.Commit(map[string][]byte{key: value})
}

// Evidence is what this cosigner holds against the log; it should be empty.
func (c *Cosigner) Evidence() ([]Evidence, error) {
	var all []Evidence
	err := c.store.Each([]byte(evidencePrefix), func(_, value []byte) error {
		var e Evidence
		if err := json.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("decode evidence: %w", err)
		}
		all = append(all, e)
		return nil
	})
	return all, err
}
