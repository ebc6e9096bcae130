package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Excerpt takes out of a view what somebody without a network needs to check presentations under the active roots of a
// time: the seals from one time to another, at most [checkpoint.MaxSeals], newest first, with their registries. Of a time
// without a seal it has the last one before. seen is the size of the checkpoint that the reader saw last, or 0.
func (c *Client) Excerpt(ctx context.Context, v *View, from, to time.Time, seen uint64) (*checkpoint.Excerpt, error) {
	e, err := c.excerpt(ctx, v, from, to, seen)
	if err != nil {
		return nil, fmt.Errorf("take an excerpt of the chain: %w", err)
	}
	return e, nil
}

func (c *Client) excerpt(ctx context.Context, v *View, from, to time.Time, seen uint64) (*checkpoint.Excerpt, error) {
	_, genesis, err := c.log.Genesis(ctx, c.cfg.Genesis)
	if err != nil {
		return nil, err
	}
	e := &checkpoint.Excerpt{
		Version: 1, Genesis: string(genesis), Checkpoint: string(v.Checkpoint.Text), Seals: []string{}, Proof: []credential.Digest{},
		Registries: []*entry.Registry{},
	}
	if err := c.excerptSeals(ctx, e, v, from, to); err != nil {
		return nil, err
	}
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return c.log.hashes(ctx, v.Checkpoint.Tree(), indexes) })
	proof, err := tlog.ProveRecord(int64(v.Checkpoint.Size), int64(e.Index), reader)
	if err != nil {
		return nil, fmt.Errorf("prove that the seal is in the log: %w", err)
	}
	e.Proof = appendHashes(e.Proof, proof)
	if seen > 0 && seen < v.Checkpoint.Size {
		proof, err := tlog.ProveTree(int64(v.Checkpoint.Size), int64(seen), reader)
		if err != nil {
			return nil, fmt.Errorf("prove that the log continues the one seen: %w", err)
		}
		e.Consistency = &checkpoint.Consistency{Size: seen, Proof: appendHashes([]credential.Digest{}, proof)}
	}
	return e, nil
}

func appendHashes(list []credential.Digest, hashes []tlog.Hash) []credential.Digest {
	for _, hash := range hashes {
		list = append(list, credential.Digest(hash))
	}
	return list
}

// excerptSeals walks back from the view's seal and takes those of the time, with their registries.
func (c *Client) excerptSeals(ctx context.Context, e *checkpoint.Excerpt, v *View, from, to time.Time) error {
	at := v.At()
	raw, err := c.log.Entry(ctx, v.Checkpoint.Tree(), at.Index)
	if err != nil {
		return err
	}
	taken := make(map[credential.Digest]bool)
	for {
		if !at.Time.After(to) {
			if len(e.Seals) == 0 {
				e.Index = at.Index
			}
			e.Seals = append(e.Seals, string(raw))
			if !taken[at.Seal.Registry] {
				registry, err := c.RegistryAt(ctx, at.Seal)
				if err != nil {
					return err
				}
				e.Registries, taken[at.Seal.Registry] = append(e.Registries, registry), true
			}
		}
		if at.Seal.Height == 0 || at.Time.Before(from) || len(e.Seals) == checkpoint.MaxSeals {
			break
		}
		if at, raw, err = c.entryBefore(ctx, v, at); err != nil {
			return err
		}
	}
	if len(e.Seals) == 0 {
		return fmt.Errorf("there was no seal before %s: %w", to.UTC().Format(time.RFC3339), ErrNoSeal)
	}
	slices.Reverse(e.Seals)
	return nil
}

// RegisteredPolicy reads the text of a registered policy from the entry that registered it. The host sees which bundle of
// 256 entries that lies in.
func (c *Client) RegisteredPolicy(ctx context.Context, v *View, r entry.RegisteredPolicy) (json.RawMessage, error) {
	raw, err := c.log.Entry(ctx, v.Checkpoint.Tree(), r.Entry)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", r.ID, err)
	}
	e, err := entry.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", r.ID, err)
	}
	payload, err := e.ParsePayload()
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", r.ID, err)
	}
	registration, ok := payload.(entry.PolicyRegistered)
	if !ok || credential.DigestOf(registration.Policy) != r.Digest {
		return nil, fmt.Errorf("entry %d does not register the policy %s as the registry says: %w", r.Entry, r.ID, ErrTampered)
	}
	return registration.Policy, nil
}
