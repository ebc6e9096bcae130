package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/entry"
)

// The scrub reads everything that is stored, slowly, while the log runs, because Pebble does not notice every loss and a
// disk forgets in silence: entries against the hashes of their tiles, tiles against the tiles above them and the signed
// root, indexes and statuses against the entries, the active tree against the last seal. It checks no signature and
// recomputes no leaf: [VerifyStore] does, with the log stopped.
//
// Damage stops the log, as what follows from damaged rows may be wrong, and leaves the mark "m". A log with a mark does
// not open before a whole scrub finds nothing.

// Damage is what [Scrub] returns when rows do not fit each other.
type Damage struct {
	Entry  uint64 // at which it was noticed; the tree's size if it belongs to none
	Detail string
}

// Error says what is wrong.
func (d *Damage) Error() string { return fmt.Sprintf("damage at entry %d: %s", d.Entry, d.Detail) }

// Is makes it known as damage of the store.
func (d *Damage) Is(target error) bool { return target == errDamaged }

// scrubber walks over the entries of a store, as they were when it began.
type scrubber struct {
	ctx    context.Context
	r      Reader
	size   uint64
	pace   func(bytes int) // sleeps; called for what was read
	right  []subtree       // complete subtrees so far, largest first
	leaves uint64
	status []byte            // of each leaf, by the entries
	next   map[string]uint64 // of each signer
	pairs  map[uint32]pairName
	seal   *entry.Seal // the last one
	whole  bool        // it is the last entry
}

type subtree struct {
	level int
	hash  tlog.Hash
}

// Scrub compares the first size entries of a store, which must have that root, with all that is stored beside them. The
// store may grow meanwhile. Damage is a [*Damage]; any other error means that the store could not be read, or that ctx
// ended. done, if not nil, is called for each entry; pace for each row's bytes, and may sleep. It needs a byte of memory a
// leaf.
func Scrub(ctx context.Context, r Reader, size uint64, root tlog.Hash, pace func(bytes int), done func(entries uint64)) error {
	if pace == nil {
		pace = func(int) {}
	}
	s := &scrubber{ctx: ctx, r: r, size: size, pace: pace, next: make(map[string]uint64), pairs: make(map[uint32]pairName)}
	for index := range size {
		if err := s.entry(index); err != nil {
			return err
		}
		if done != nil {
			done(index + 1)
		}
	}
	if got := s.root(); got != root {
		return s.damage(size, "the entries have the root %v, signed is %v", got, root)
	}
	for signer := range s.next {
		if err := s.signer(signer); err != nil {
			return err
		}
	}
	if err := s.statuses(); err != nil {
		return err
	}
	return s.active()
}

func (s *scrubber) damage(index uint64, format string, args ...any) error {
	return &Damage{index, fmt.Sprintf(format, args...)}
}

// wrong is damage, unless the store could not say: then it is that error. A row that should be there and is absent is
// damage.
func (s *scrubber) wrong(index uint64, err error, format string, args ...any) error {
	if err != nil && !isAbsent(err) && !errors.Is(err, errDamaged) {
		return err
	}
	return s.damage(index, format, args...)
}

// get reads a row and keeps the pace.
func (s *scrubber) get(key string) ([]byte, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	value, err := s.r.Get([]byte(key))
	s.pace(len(key) + len(value))
	return value, err
}

// entry compares one entry with its hashes, its result and its indexes.
func (s *scrubber) entry(index uint64) error {
	raw, err := s.get(numbered(prefixEntry, index))
	if err != nil {
		return s.wrong(index, err, "the entry is missing")
	}
	if err := s.hash(index, tlog.RecordHash(raw)); err != nil {
		return err
	}
	e, payload, err := parse(raw)
	if err != nil {
		return s.damage(index, "the entry is none: %v", err)
	}
	signer, number := e.Header().Signer, e.Header().Sequence
	if want := s.next[signer]; number != want {
		return s.damage(index, "number %d of %s, expected %d", number, signer, want)
	}
	s.next[signer] = number + 1
	at, found, err := getU64(s.r, signedKey(signer, number))
	if err != nil || !found || at != index {
		return s.wrong(index, err, "the index of number %d of %s is wrong", number, signer)
	}
	result, err := s.get(numbered(prefixResult, index))
	if err != nil || !bytes.Equal(result, s.result(payload).row()) {
		return s.wrong(index, err, "the result is wrong")
	}
	return s.follow(index, signer, payload)
}

// signer compares a signer's next number with its entries, unless it changes meanwhile.
func (s *scrubber) signer(signer string) error {
	next, err := nextSequence(s.r, signer)
	if err != nil || next < s.next[signer] {
		return s.wrong(s.size, err, "the next number of %s is %d, its entries go to %d", signer, next, s.next[signer]-1)
	}
	if err := checkSigner(s.r, signer, next); err != nil {
		if now, again := nextSequence(s.r, signer); again == nil && now != next {
			return s.signer(signer)
		}
		return s.wrong(s.size, err, "the next number of %s is not %d", signer, next)
	}
	return nil
}

// hash adds a leaf of the log tree, and compares the hashes that it completes with those stored.
func (s *scrubber) hash(index uint64, h tlog.Hash) error {
	for level := 0; ; level++ {
		stored, err := s.get(numbered(prefixHash, uint64(tlog.StoredHashIndex(level, int64(index>>level)))))
		if err != nil || !bytes.Equal(stored, h[:]) {
			return s.wrong(index, err, "the stored hash of level %d is not that of the entries", level)
		}
		last := len(s.right) - 1
		if last < 0 || s.right[last].level != level {
			s.right = append(s.right, subtree{level, h})
			return nil
		}
		h = tlog.NodeHash(s.right[last].hash, h)
		s.right = s.right[:last]
	}
}

// root is the root of what was hashed so far.
func (s *scrubber) root() tlog.Hash {
	var root tlog.Hash
	for i := len(s.right) - 1; i >= 0; i-- {
		if i == len(s.right)-1 {
			root = s.right[i].hash
			continue
		}
		root = tlog.NodeHash(s.right[i].hash, root)
	}
	return root
}

// result is the result that the entry must have.
func (s *scrubber) result(payload entry.Payload) Result {
	if issued, ok := payload.(entry.CredentialsIssued); ok {
		return Result{FirstLeaf: s.leaves, Leaves: len(issued.Commitments)}
	}
	return Result{}
}

// follow takes up what the entry does to leaves, and compares the leaves that it adds with their index.
func (s *scrubber) follow(index uint64, signer string, payload entry.Payload) error {
	s.whole = false
	switch p := payload.(type) {
	case entry.CredentialsIssued:
		for range p.Commitments {
			l, err := readLeaf(s.r, s.leaves)
			if err != nil {
				return s.wrong(index, err, "leaf %d is missing or malformed", s.leaves)
			}
			if pair, err := s.pair(l.Pair); err != nil || pair != (pairName{p.Schema, signer}) {
				return s.wrong(index, err, "leaf %d is of another schema or issuer", s.leaves)
			}
			at, found, err := getU64(s.r, elementKey(prefixLeafOf, l.Value))
			if err != nil || !found || at != s.leaves {
				return s.wrong(index, err, "leaf %d is not where it is looked up", s.leaves)
			}
			s.pace(2 * credential.ElementSize)
			s.status = append(s.status, byte(statusActive))
			s.leaves++
		}
	case entry.CredentialsSuspended:
		return s.set(index, p.Leaves, statusSuspended)
	case entry.CredentialsReinstated:
		return s.set(index, p.Leaves, statusActive)
	case entry.CredentialsRevoked:
		return s.set(index, p.Leaves, statusRevoked)
	case entry.SetRegistered:
		if p.Part+1 == p.Parts {
			if _, err := readSet(s.r, p.Set); err != nil {
				return s.wrong(index, err, "set %s is missing or another", p.Set)
			}
			s.pace(policy.MaxSetSize)
		}
	case entry.Seal:
		s.seal, s.whole = &p, true
	}
	return nil
}

// pair is the schema and issuer with a number.
func (s *scrubber) pair(id uint32) (pairName, error) {
	if name, ok := s.pairs[id]; ok {
		return name, nil
	}
	row, err := s.get(pairKey(id))
	if err != nil {
		return pairName{}, err
	}
	p, err := parsePair(row)
	if err != nil {
		return pairName{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	s.pairs[id] = p.pairName
	return p.pairName, nil
}

func (s *scrubber) set(index uint64, leaves []uint64, to status) error {
	for _, leaf := range leaves {
		if leaf >= s.leaves {
			return s.damage(index, "leaf %d was never issued", leaf)
		}
		s.status[leaf] = byte(to)
	}
	return nil
}

// readState is the state as committed.
func readState(r Reader) (state, error) {
	var s state
	text, err := r.Get([]byte(rowState))
	if err != nil {
		return s, fmt.Errorf("state: %w", err)
	}
	if err := credential.ParseCanonical(text, &s); err != nil {
		return s, fmt.Errorf("state: %w: %w", errDamaged, err)
	}
	return s, nil
}
