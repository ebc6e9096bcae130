package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Sets that policies name stand in the log in parts, as one can be larger than an entry may be. The document is put
// together when its last part comes, held to its digest, and then served by it. No registry lists them: a policy is
// registered only if every set that it names is complete, so that whoever finds its digest in a registry knows that the
// log has the sets, too. Sets are never dropped. See doc/decisions/0014.

// maxSets bounds the sets of one verifier.
const maxSets = 256

// setParts is how far a verifier's registration of a set has come.
type setParts struct {
	Registered int               `json:"registered"` // sets that it completed before
	Set        credential.Digest `json:"set"`
	Entries    []uint64          `json:"entries"` // log indices of the parts so far; all of them when it is complete
}

func setKey(d credential.Digest) string { return prefixSet + string(d[:]) }

// registerSet takes the next part of a set. Part 0 begins anew, so that who lost count can.
func (s *step) registerSet(p entry.SetRegistered) error {
	signer := s.header.Signer
	_, err := s.Get([]byte(setKey(p.Set)))
	if err == nil {
		return refuse(ErrConflict, "set %s is registered", p.Set)
	}
	if !errors.Is(err, ErrAbsent) {
		return fmt.Errorf("look up set %s: %w", p.Set, err)
	}
	parts, err := readSetParts(s, signer)
	if err != nil {
		return err
	}
	if p.Part == 0 {
		parts.Set, parts.Entries = p.Set, nil
	}
	switch {
	case parts.Registered >= maxSets:
		return refuse(ErrFull, "verifier %s has %d sets, the most there may be", signer, maxSets)
	case parts.Set != p.Set || len(parts.Entries) != p.Part:
		return refuse(ErrConflict, "part %d of set %s does not follow what %s registered last: begin with part 0", p.Part, p.Set, signer)
	}
	if p.Part+1 == p.Parts {
		if err := s.completeSet(parts.Entries, p); err != nil {
			return err
		}
		parts.Registered++
	}
	parts.Entries = append(slices.Clone(parts.Entries), s.result.Index)
	row, err := credential.Canonical(parts)
	if err != nil {
		return fmt.Errorf("parts of set %s: %w", p.Set, err)
	}
	s.put(prefixSetParts+signer, row)
	return nil
}

// completeSet puts the document together, of the parts in the log and the last one.
func (s *step) completeSet(before []uint64, last entry.SetRegistered) error {
	d := policy.SetDocument{Version: 1, Kind: policy.SetKind(last.Kind), Name: last.Name}
	for _, index := range before {
		part, err := readSetPart(s, index)
		if err != nil {
			return err
		}
		if !part.SameSet(last) {
			return refuse(ErrSet, "parts %d and %d of set %s say different things of the whole", part.Part, last.Part, last.Set)
		}
		d.Members = append(d.Members, part.Members...)
	}
	d.Members = append(d.Members, last.Members...)
	set, err := policy.NewSet(d)
	if err != nil {
		return refuse(ErrSet, "%v", err)
	}
	if set.Digest() != last.Set {
		return refuse(ErrSet, "the parts of set %s have the digest %s together", last.Set, set.Digest())
	}
	s.put(setKey(last.Set), set.Canonical())
	s.put(numbered(prefixSetOf, s.state.Sets), last.Set[:])
	s.state.Sets++
	return nil
}

// checkSets refuses a policy that names a set which is not there, or is of the other kind.
func (s *step) checkSets(p *policy.Policy) error {
	for _, use := range p.SetUses() {
		set, err := readSet(s, use.Digest)
		switch {
		case errors.Is(err, ErrAbsent):
			return refuse(ErrUnknown, "policy %s, %s: set %s is not on the chain", p.ID, use.Where, use.Digest)
		case err != nil:
			return err
		case set.Kind() != use.Kind:
			return refuse(ErrPolicy, "policy %s, %s: set %s is of kind %s, want %s", p.ID, use.Where, use.Digest, set.Kind(), use.Kind)
		}
	}
	return nil
}

// readSet is a registered set.
func readSet(r Reader, digest credential.Digest) (*policy.Set, error) {
	text, err := r.Get([]byte(setKey(digest)))
	if err != nil {
		return nil, fmt.Errorf("read set %s: %w", digest, err)
	}
	set, err := policy.ParseSetNamed(digest, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errDamaged)
	}
	return set, nil
}

func readSetParts(r Reader, signer string) (setParts, error) {
	var parts setParts
	row, err := r.Get([]byte(prefixSetParts + signer))
	if errors.Is(err, ErrAbsent) {
		return parts, nil
	}
	if err != nil {
		return parts, fmt.Errorf("read the sets of %s: %w", signer, err)
	}
	if err := credential.ParseCanonical(row, &parts); err != nil {
		return parts, fmt.Errorf("sets of %s: %w: %w", signer, err, errDamaged)
	}
	return parts, nil
}

// readSetPart reads the part of a set that an entry holds.
func readSetPart(r Reader, index uint64) (entry.SetRegistered, error) {
	raw, err := readEntry(r, index)
	if err != nil {
		return entry.SetRegistered{}, err
	}
	_, payload, err := parse(raw)
	if err != nil {
		return entry.SetRegistered{}, fmt.Errorf("entry %d in the store: %w", index, err)
	}
	part, ok := payload.(entry.SetRegistered)
	if !ok {
		return part, fmt.Errorf("entry %d is no part of a set: %w", index, errDamaged)
	}
	return part, nil
}
