package verifying

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// Item is one proof of a batch, with its public inputs as [Verify] takes them.
type Item struct {
	Public []credential.Element
	Proof  []byte
}

// BadItem is a refused proof of a batch.
type BadItem struct {
	Index int   // among the items
	Err   error // wraps [ErrProofMalformed] or [ErrProofInvalid]
}

// BatchError names all bad proofs of a batch, by ascending index. The others are good.
type BatchError struct{ Bad []BadItem }

// Error lists the first few.
func (e *BatchError) Error() string {
	const shown = 5
	var parts []string
	for _, bad := range e.Bad[:min(shown, len(e.Bad))] {
		parts = append(parts, fmt.Sprintf("proof %d: %v", bad.Index, bad.Err))
	}
	if more := len(e.Bad) - shown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// Unwrap lets errors.Is find [ErrProofMalformed] and [ErrProofInvalid].
func (e *BatchError) Unwrap() []error {
	errs := make([]error, len(e.Bad))
	for i, bad := range e.Bad {
		errs[i] = bad.Err
	}
	return errs
}

// VerifyBatch checks proofs of one circuit together, which takes a fraction of the time that [Verify] takes for each:
// they are one equation, of all of them under random coefficients. A batch with a bad proof passes with a probability
// below 2^-127.
//
// Bad proofs are found by bisection and named in a [*BatchError]. As with Verify, any other error means that nothing was
// checked; a wrong number of public inputs is one. An empty batch has no bad proof. If all are bad, it takes about twice
// as long as one by one. Safe for concurrent use; the items must not change until it returns.
func VerifyBatch(vk *keys.VerifyingKey, items []Item) error {
	s := search{vk: vk}
	entries, err := s.parse(items)
	if err != nil {
		return fmt.Errorf("check batch: %w", err)
	}
	if err := s.find(entries, false); err != nil {
		return fmt.Errorf("check batch: %w", err)
	}
	if len(s.bad) == 0 {
		return nil
	}
	slices.SortFunc(s.bad, func(a, b BadItem) int { return cmp.Compare(a.Index, b.Index) })
	return &BatchError{s.bad}
}

// entry is an item once it is parsed, so that nobody can change it when coefficients are drawn.
type entry struct {
	index  int
	inputs fr.Vector
	proof  *groth16.Proof
}

// search looks for the bad proofs of a batch.
type search struct {
	vk  *keys.VerifyingKey
	bad []BadItem
}

// parse reads all items. Malformed proofs are bad; the others are returned.
func (s *search) parse(items []Item) ([]entry, error) {
	if s.vk == nil {
		return nil, errors.New("there is no verifying key")
	}
	all, errs := make([]entry, len(items)), make([]error, len(items))
	for i, item := range items {
		inputs, err := vectorOf(s.vk, item.Public)
		if err != nil {
			return nil, fmt.Errorf("proof %d: %w", i, err)
		}
		all[i] = entry{index: i, inputs: inputs}
	}
	inParallel(len(items), func(i int) { all[i].proof, errs[i] = parse(items[i].Proof) })
	var good []entry
	for i, err := range errs {
		if err != nil {
			s.bad = append(s.bad, BadItem{i, err})
			continue
		}
		good = append(good, all[i])
	}
	return good, nil
}

// oneByOne is how many proofs, known to have a bad one among them, are no longer bisected.
const oneByOne = 4

// find adds the bad ones among entries; known says that there is one. An error means that it could not be told.
func (s *search) find(entries []entry, known bool) error {
	n := len(entries)
	if !known && (n == 0 || n > 1 && combinationHolds(s.vk.Groth16(), entries)) {
		return nil
	}
	before := len(s.bad)
	if n <= oneByOne {
		if err := s.verifyEach(entries); err != nil {
			return err
		}
	} else {
		if err := s.find(entries[:n/2], false); err != nil {
			return err
		}
		if err := s.find(entries[n/2:], len(s.bad) == before); err != nil {
			return err
		}
	}
	if (known || n > 1) && len(s.bad) == before {
		return errors.New("the proofs together are refused, and none of them alone")
	}
	return nil
}

// verifyEach adds the bad ones among a few.
func (s *search) verifyEach(entries []entry) error {
	for _, e := range entries {
		err := verify(s.vk, e.inputs, e.proof)
		switch {
		case errors.Is(err, ErrProofInvalid):
			s.bad = append(s.bad, BadItem{e.index, err})
		case err != nil:
			return fmt.Errorf("proof %d: %w", e.index, err)
		}
	}
	return nil
}
