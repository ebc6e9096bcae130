package policy

import (
	"fmt"

	"github.com/bulla-id/bulla/credential"
)

// MaxCarriedSets is how many different sets a policy can name and be provable still.
const MaxCarriedSets = MaxQueries * (1 + credential.Memberships)

// NamedSets are the digests of the sets that policies name, each once, in the order in which they are named first.
func NamedSets(policies ...*Policy) (digests []credential.Digest) {
	seen := make(map[credential.Digest]bool)
	for _, p := range policies {
		for _, use := range p.SetUses() {
			if !seen[use.Digest] {
				seen[use.Digest] = true
				digests = append(digests, use.Digest)
			}
		}
	}
	return digests
}

// CarriedSets are the sets that stand beside policies in a file which whoever reads it takes along, in place of a network:
// exactly those that the policies name, in the order of [NamedSets]. Each is held to its digest, and to the kind it is named as.
func CarriedSets(documents []SetDocument, policies ...*Policy) (Sets, error) {
	named := NamedSets(policies...)
	if len(documents) != len(named) {
		return nil, fmt.Errorf("%d sets are carried, the policies name %d", len(documents), len(named))
	}
	var list []*Set
	for i, d := range documents {
		set, err := NewSet(d)
		if err != nil {
			return nil, fmt.Errorf("carried set %d: %w", i+1, err)
		}
		if set.digest != named[i] {
			return nil, fmt.Errorf("carried set %d has the digest %s, want %s", i+1, set.digest, named[i])
		}
		list = append(list, set)
	}
	sets := SetsOf(list...)
	for _, p := range policies {
		if err := p.CheckSets(sets); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// Document is what the set was made of. Its members must not be changed.
func (s *Set) Document() SetDocument { return s.document }
