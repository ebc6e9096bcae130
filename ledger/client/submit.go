package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

const (
	maxReceipt  = MaxCheckpoint*2 + 8<<10 // the checkpoint, escaped, and the proof
	pollWait    = 20 * time.Second        // how long the ledger may hold one question back
	pollPause   = 200 * time.Millisecond  // between questions, doubled after each failure up to maxPause
	maxPause    = 5 * time.Second
	maxSigner   = 4 << 10
	maxPending  = 8192 // submitted entries remembered, 72 bytes each
	maxFailures = 10   // in a row, before Await gives up
)

// NextSequence is the number that a signer's next entry must have.
func (c *Client) NextSequence(ctx context.Context, signer string) (uint64, error) {
	data, err := c.http.get(ctx, "/v1/signers/"+url.PathEscape(signer), maxSigner, 0)
	if err != nil {
		return 0, fmt.Errorf("ask for the next number of %s: %w", signer, err)
	}
	var answer struct {
		Signer string `json:"signer"`
		Next   uint64 `json:"next_seq"`
	}
	if err := credential.ParseStrict(data, &answer); err != nil || answer.Signer != signer {
		return 0, fmt.Errorf("ask for the next number of %s: answer is malformed: %w", signer, errors.Join(err, ErrTampered))
	}
	return answer.Next, nil
}

// Submit hands an entry to the ledger. The receipt says accepted: durable, but not yet in effect, and nothing is proven
// ([Client.Await]). After an error that is no [Problem] the entry may be in the log: submit the same entry again, and
// the ledger answers with its receipt.
func (c *Client) Submit(ctx context.Context, e *entry.Entry) (entry.Receipt, error) {
	raw := e.Bytes()
	data, err := c.http.post(ctx, "/v1/entries", raw, maxReceipt)
	if err != nil {
		return entry.Receipt{}, fmt.Errorf("submit entry: %w", err)
	}
	receipt, err := parseReceipt(data)
	if err != nil {
		return entry.Receipt{}, fmt.Errorf("submit entry: %w", err)
	}
	// A replay with other signatures gives the receipt of the first, whose digest differs; Await reads that one.
	if receipt.Digest == e.Digest() {
		c.submitted.add(receipt.Index, leafOf(raw))
	}
	return receipt, nil
}

// Await waits until the entry at an index has reached a level, and returns the receipt, verified: its digest is that of
// the entry in the log, included in a checkpoint that satisfies the policy. For level sealed it has checked against a
// view of its own that a seal follows the entry. It waits as long as ctx lets it, but not through ten failures in a row.
func (c *Client) Await(ctx context.Context, index uint64, level entry.Level) (entry.Receipt, error) {
	if level.Rank() == 0 {
		return entry.Receipt{}, fmt.Errorf("await entry %d: unknown level %q", index, level)
	}
	failures, pause := 0, pollPause
	for {
		receipt, err := c.await(ctx, index, level)
		switch {
		case err == nil && receipt.Level.Rank() >= level.Rank():
			return receipt, nil
		case err == nil:
			failures, pause = 0, pollPause
		case IsBad(err):
			return entry.Receipt{}, fmt.Errorf("await entry %d: %w", index, err)
		default:
			if failures++; failures >= maxFailures || isRefusal(err) {
				return entry.Receipt{}, fmt.Errorf("await entry %d: %w", index, err)
			}
			pause = min(2*pause, maxPause)
		}
		select {
		case <-ctx.Done():
			return entry.Receipt{}, fmt.Errorf("await entry %d: %w", index, errors.Join(ctx.Err(), err))
		case <-time.After(pause):
		}
	}
}

// isRefusal tells answers that asking again will not change.
func isRefusal(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status >= 400 && p.Status < 500 && p.Status != http.StatusTooManyRequests && p.Status != http.StatusRequestTimeout
}

// await asks once. The receipt may be of a lower level.
func (c *Client) await(ctx context.Context, index uint64, level entry.Level) (entry.Receipt, error) {
	path := fmt.Sprintf("/v1/receipts/%d?level=%s&wait_seconds=%d", index, level, int(pollWait/time.Second))
	data, err := c.http.get(ctx, path, maxReceipt, pollWait)
	if err != nil {
		return entry.Receipt{}, err
	}
	receipt, err := parseReceipt(data)
	if err != nil || receipt.Level.Rank() < level.Rank() {
		return receipt, err
	}
	if receipt.Index != index {
		return entry.Receipt{}, fmt.Errorf("receipt is for entry %d: %w", receipt.Index, ErrTampered)
	}
	if receipt.Level == entry.LevelAccepted {
		return receipt, nil // there is nothing to prove yet
	}
	if err := c.proveReceipt(ctx, receipt); err != nil {
		return entry.Receipt{}, err
	}
	return receipt, nil
}

// proveReceipt verifies a receipt of an entry whose bytes the caller did not give.
func (c *Client) proveReceipt(ctx context.Context, r entry.Receipt) error {
	checkpoint, err := c.receiptCheckpoint(r)
	if err != nil {
		return err
	}
	known, ok := c.submitted.find(r.Index, r.Digest)
	if !ok {
		raw, err := c.log.Entry(ctx, checkpoint.Tree(), r.Index)
		if err != nil {
			return err
		}
		known = leafOf(raw)
	}
	if err := checkInclusion(r, checkpoint, known); err != nil {
		return err
	}
	if r.Level != entry.LevelSealed {
		return nil
	}
	v, err := c.Update(ctx)
	if err != nil {
		return err
	}
	if v.SealIndex < r.Index {
		return fmt.Errorf("receipt says sealed, but the last seal served is entry %d", v.SealIndex)
	}
	return nil
}

// VerifyReceipt checks, offline, that a receipt of level logged or sealed proves these bytes to be an entry of the log:
// the digest is theirs, and they are included in the checkpoint, which is signed by the log and, for sealed, satisfies
// the policy. The leaf indices in it are proven by the active tree only ([Client.Group]).
func (c *Client) VerifyReceipt(r entry.Receipt, entryBytes []byte) error {
	checkpoint, err := c.receiptCheckpoint(r)
	if err != nil {
		return fmt.Errorf("verify receipt of entry %d: %w", r.Index, err)
	}
	if err := checkInclusion(r, checkpoint, leafOf(entryBytes)); err != nil {
		return fmt.Errorf("verify receipt of entry %d: %w", r.Index, err)
	}
	return nil
}

func (c *Client) receiptCheckpoint(r entry.Receipt) (Checkpoint, error) {
	if err := r.Validate(); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	switch r.Level {
	case entry.LevelLogged:
		return ParseCheckpoint([]byte(r.Checkpoint), c.policy.Log, c.policy.Cosigners...)
	case entry.LevelSealed:
		return c.policy.Accept([]byte(r.Checkpoint))
	}
	return Checkpoint{}, fmt.Errorf("a receipt of level %s proves nothing", r.Level)
}

// checkInclusion checks digest and inclusion proof.
func checkInclusion(r entry.Receipt, checkpoint Checkpoint, leaf logLeaf) error {
	if leaf.digest != r.Digest {
		return fmt.Errorf("digest is %s, but the entry has %s: %w", r.Digest, leaf.digest, ErrTampered)
	}
	proof := make(tlog.RecordProof, len(r.Proof))
	for i, hash := range r.Proof {
		proof[i] = tlog.Hash(hash)
	}
	if r.Index >= checkpoint.Size {
		return fmt.Errorf("its checkpoint has %d entries: %w", checkpoint.Size, ErrTampered)
	}
	t := checkpoint.Tree()
	if err := tlog.CheckRecord(proof, t.N, t.Hash, int64(r.Index), leaf.hash); err != nil {
		return fmt.Errorf("inclusion proof: %w: %w", ErrTampered, err)
	}
	return nil
}

func parseReceipt(data []byte) (entry.Receipt, error) {
	var r entry.Receipt
	if err := credential.ParseStrict(data, &r); err != nil {
		return entry.Receipt{}, fmt.Errorf("receipt: %w: %w", ErrTampered, err)
	}
	if err := r.Validate(); err != nil {
		return entry.Receipt{}, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	return r, nil
}

// logLeaf is an entry by its two hashes: plain, and as a leaf of the log.
type logLeaf struct {
	digest credential.Digest
	hash   tlog.Hash
}

func leafOf(raw []byte) logLeaf { return logLeaf{credential.DigestOf(raw), tlog.RecordHash(raw)} }

// submissions remembers what this process submitted, so that Await need not read it back from the log.
type submissions struct {
	mu     sync.Mutex
	leaves map[uint64]logLeaf
}

func newSubmissions() *submissions { return &submissions{leaves: make(map[uint64]logLeaf)} }

func (s *submissions) add(index uint64, leaf logLeaf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.leaves) >= maxPending {
		clear(s.leaves) // what is forgotten is read from the log
	}
	s.leaves[index] = leaf
}

func (s *submissions) find(index uint64, digest credential.Digest) (logLeaf, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	leaf, ok := s.leaves[index]
	return leaf, ok && leaf.digest == digest
}
