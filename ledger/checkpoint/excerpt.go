package checkpoint

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
)

// MaxSeals bounds the seals of an excerpt: more than eight hours of a chain that seals every ten seconds.
const MaxSeals = 3000

// Excerpt is a stretch of the chain's seals under one checkpoint, with the registries in effect at them: what is needed to
// check presentations under their active roots without the ledger. Nothing in it is believed before [Excerpt.Verify].
type Excerpt struct {
	Version    int                 `json:"version"`    // 1
	Genesis    string              `json:"genesis"`    // the genesis entry
	Checkpoint string              `json:"checkpoint"` // signed note
	Seals      []string            `json:"seals"`      // entries, oldest first, without gaps
	Index      uint64              `json:"index"`      // of the newest seal in the log
	Proof      []credential.Digest `json:"proof"`      // its inclusion proof, leaf first
	Registries []*entry.Registry   `json:"registries"` // those that the seals name, each once
	// Consistency proves that the log continues an older checkpoint; nil if it was not asked for.
	Consistency *Consistency `json:"consistency,omitempty"`
}

// Consistency is a consistency proof (RFC 6962) from a size of the log on.
type Consistency struct {
	Size  uint64              `json:"size"`
	Proof []credential.Digest `json:"proof"`
}

// ParseExcerpt reads an excerpt, canonical JSON.
func ParseExcerpt(text []byte) (*Excerpt, error) {
	e := new(Excerpt)
	if err := credential.ParseCanonical(text, e); err != nil {
		return nil, fmt.Errorf("excerpt of the chain: %w", err)
	}
	return e, nil
}

// Chain is a stretch of the chain that a believable checkpoint fixes. It never changes: do not change what it points to.
type Chain struct {
	GenesisHash credential.Digest
	Genesis     entry.Genesis
	Checkpoint  Checkpoint
	Seals       []Seal // ascending, at least one, without gaps

	registries map[credential.Digest]*entry.Registry
}

// Verify checks an excerpt against genesis hash and checkpoint policy of a profile; the profile's URL is not used. If seen is
// not empty it is a checkpoint that was believed before, and the log must continue it: [ErrFork] if it is another history,
// [ErrRollback] if the excerpt is older.
func (e *Excerpt) Verify(p Profile, seen []byte) (*Chain, error) {
	chain, err := e.verify(p, seen)
	if err != nil {
		return nil, fmt.Errorf("excerpt of the chain: %w", err)
	}
	return chain, nil
}

func (e *Excerpt) verify(p Profile, seen []byte) (*Chain, error) {
	if e.Version != 1 {
		return nil, fmt.Errorf("version %d, this program reads 1", e.Version)
	}
	if len(e.Seals) == 0 || len(e.Seals) > MaxSeals {
		return nil, fmt.Errorf("it has %d seals, want 1 to %d", len(e.Seals), MaxSeals)
	}
	judge, err := p.Policy.Parse()
	if err != nil {
		return nil, fmt.Errorf("checkpoint policy: %w", err)
	}
	c := &Chain{GenesisHash: p.Genesis, registries: make(map[credential.Digest]*entry.Registry)}
	if c.Genesis, err = ParseGenesis([]byte(e.Genesis), p.Genesis); err != nil {
		return nil, err
	}
	if err := judge.ValidateFor(c.Genesis); err != nil {
		return nil, err
	}
	if c.Checkpoint, err = judge.Accept([]byte(e.Checkpoint)); err != nil {
		return nil, err
	}
	if err := e.checkContinues(judge, c.Checkpoint, seen); err != nil {
		return nil, err
	}
	if err := e.readSeals(c); err != nil {
		return nil, err
	}
	return c, e.readRegistries(c)
}

// checkContinues holds the checkpoint to one seen before.
func (e *Excerpt) checkContinues(judge *Judge, c Checkpoint, seen []byte) error {
	if len(seen) == 0 {
		return nil
	}
	// It was accepted under the policy of its day; what must hold still is the log's own signature.
	last, err := Parse(seen, judge.Log)
	switch {
	case err != nil:
		return fmt.Errorf("the last checkpoint seen: %w", err)
	case last.Size > c.Size:
		return fmt.Errorf("its checkpoint has %d entries, one of %d was seen: %w", c.Size, last.Size, ErrRollback)
	case last.Size == c.Size && last.Root != c.Root:
		return fmt.Errorf("two checkpoints of %d entries: %w", c.Size, ErrFork)
	case last.Size == c.Size:
		return nil
	case e.Consistency == nil || e.Consistency.Size != last.Size:
		return fmt.Errorf("it has no proof that the log continues the one of %d entries that was seen", last.Size)
	}
	t := c.Tree()
	if err := tlog.CheckTree(hashes(e.Consistency.Proof), t.N, t.Hash, int64(last.Size), tlog.Hash(last.Root)); err != nil {
		return fmt.Errorf("the log does not continue the one of %d entries that was seen: %w: %w", last.Size, ErrTampered, err)
	}
	return nil
}

func hashes(proof []credential.Digest) []tlog.Hash {
	out := make([]tlog.Hash, len(proof))
	for i, hash := range proof {
		out[i] = tlog.Hash(hash)
	}
	return out
}

// readSeals checks the newest seal by its inclusion proof, and each other one by the digest in the one after it.
func (e *Excerpt) readSeals(c *Chain) error {
	newest := []byte(e.Seals[len(e.Seals)-1])
	t := c.Checkpoint.Tree()
	if e.Index >= c.Checkpoint.Size {
		return fmt.Errorf("its newest seal is entry %d of %d: %w", e.Index, c.Checkpoint.Size, ErrTampered)
	}
	if err := tlog.CheckRecord(hashes(e.Proof), t.N, t.Hash, int64(e.Index), tlog.RecordHash(newest)); err != nil {
		return fmt.Errorf("inclusion proof of its newest seal: %w: %w", ErrTampered, err)
	}
	index := e.Index
	for i := len(e.Seals) - 1; i >= 0; i-- {
		seal, err := ParseSeal([]byte(e.Seals[i]), index, c.GenesisHash, c.Genesis.OperatorKey)
		if err != nil {
			return err
		}
		if n := len(c.Seals); n > 0 {
			if err := c.Seals[n-1].Follows(seal); err != nil {
				return err
			}
		}
		c.Seals, index = append(c.Seals, seal), seal.PreviousAt
	}
	slices.Reverse(c.Seals)
	return nil
}

// Follows checks that a seal is the next one after another.
func (s Seal) Follows(older Seal) error {
	if s.Previous != older.Digest || s.PreviousAt != older.Index || older.Index >= s.Index || older.Height+1 != s.Height || !older.At.Before(s.At) {
		return fmt.Errorf("seals at entries %d and %d do not follow each other: %w", older.Index, s.Index, ErrTampered)
	}
	return nil
}

// readRegistries wants exactly the registries that the seals name.
func (e *Excerpt) readRegistries(c *Chain) error {
	for _, r := range e.Registries {
		if r == nil {
			return fmt.Errorf("it has an empty registry")
		}
		text, err := credential.Canonical(r)
		if err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		digest := credential.DigestOf(text)
		named := slices.ContainsFunc(c.Seals, func(s Seal) bool { return s.Registry == digest })
		if c.registries[digest] != nil || !named || r.Genesis != c.GenesisHash {
			return fmt.Errorf("registry %s stands twice, is named by no seal, or is of another chain: %w", digest, ErrTampered)
		}
		c.registries[digest] = r
	}
	for _, s := range c.Seals {
		if c.registries[s.Registry] == nil {
			return fmt.Errorf("the registry at seal %d is missing", s.Height)
		}
	}
	return nil
}

// Newest is the newest seal.
func (c *Chain) Newest() Seal { return c.Seals[len(c.Seals)-1] }

// RegistryAt is who may do what after a seal of the stretch.
func (c *Chain) RegistryAt(s Seal) *entry.Registry { return c.registries[s.Registry] }

// FindRoot finds the newest seal with an active root that is not after a time.
func (c *Chain) FindRoot(root credential.Element, at time.Time) (Seal, bool) {
	for _, s := range slices.Backward(c.Seals) {
		if s.ActiveRoot == root && !s.At.After(at) {
			return s, true
		}
	}
	return Seal{}, false
}
