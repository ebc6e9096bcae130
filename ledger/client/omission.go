package client

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/ledger/entry"
)

// ErrOmitted is returned for a receipt that the log signed and does not keep. See [OmissionError].
var ErrOmitted = errors.New("the log does not hold what it promised")

// ErrEmptyReceipt is returned for a receipt that carries no signature, and so promises nothing.
var ErrEmptyReceipt = errors.New("the receipt carries no signed checkpoint: it promises nothing")

// OmissionError is a broken promise. Evidence, if not nil, convinces others ([CheckEvidence]); without it the host serves
// an older state than the log has signed, which may pass.
type OmissionError struct {
	Promised, Served Checkpoint
	Evidence         *Evidence
}

// Error says what was promised and what is there.
func (e *OmissionError) Error() string {
	if e.Evidence == nil {
		return fmt.Sprintf("%v: it signed %d entries, but the host serves only %d", ErrOmitted, e.Promised.Size, e.Served.Size)
	}
	return fmt.Sprintf("%v: it signed a tree of %d entries with the root %s, which the one of %d entries that it serves does not continue",
		ErrOmitted, e.Promised.Size, e.Promised.Root, e.Served.Size)
}

// Unwrap gives [ErrOmitted].
func (e *OmissionError) Unwrap() error { return ErrOmitted }

// CheckReceipt checks whether the log keeps what a receipt promises: the receipt's checkpoint is signed by the log, the
// log that is served now continues it, and the entry is where the receipt says. It returns the entry's bytes. Errors:
// [ErrEmptyReceipt]; [ErrOmitted] if the log signed the receipt's checkpoint and now serves another history or less;
// [ErrTampered] for a receipt that its own checkpoint does not bear out.
func (c *Client) CheckReceipt(ctx context.Context, r entry.Receipt) ([]byte, error) {
	if r.Level == entry.LevelAccepted {
		return nil, ErrEmptyReceipt
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	promised, err := ParseCheckpoint([]byte(r.Checkpoint), c.policy.Log, c.policy.Cosigners...)
	if err != nil {
		return nil, fmt.Errorf("the receipt's checkpoint: %w", err)
	}
	v, err := c.Update(ctx)
	var fork *ForkError
	if errors.As(err, &fork) { // whatever else it is, is the receipt's part of it?
		served, parseErr := ParseCheckpoint(fork.Served, c.policy.Log)
		if parseErr != nil {
			return nil, err
		}
		if omission := c.compare(ctx, promised, served); omission != nil {
			return nil, omission
		}
	}
	if err != nil {
		return nil, err
	}
	if err := c.compare(ctx, promised, v.Checkpoint); err != nil {
		return nil, err
	}
	raw, err := c.log.Entry(ctx, promised.Tree(), r.Index)
	if err != nil {
		return nil, err
	}
	if err := checkInclusion(r, promised, leafOf(raw)); err != nil {
		return nil, fmt.Errorf("the receipt is not what the ledger gave out: %w", err)
	}
	return raw, nil
}

// compare checks that the served tree continues the promised one.
func (c *Client) compare(ctx context.Context, promised, served Checkpoint) error {
	older, newer := promised, served
	if served.Size < promised.Size {
		older, newer = served, promised
	}
	root, err := c.log.RootAt(ctx, newer.Tree(), older.Size)
	switch {
	case err != nil && served.Size < promised.Size: // the host does not have the hashes
		return &OmissionError{Promised: promised, Served: served}
	case err != nil:
		return fmt.Errorf("compare the log with the receipt: %w", err)
	case root == tlog.Hash(older.Root):
		return nil // the smaller one may be the served one: what is signed is published a little later
	}
	evidence, err := c.log.ProveFork(ctx, c.policy.LogKey, promised, served)
	if err != nil {
		return fmt.Errorf("%w (its evidence could not be put together: %w)", &OmissionError{Promised: promised, Served: served}, err)
	}
	return &OmissionError{Promised: promised, Served: served, Evidence: &evidence}
}
