package wallet

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
)

// A policy may name sets by their digests: of issuers, or of values. The wallet takes them from the verifier that asks, each
// time anew. The ledger has them, too, but its host would learn what is asked here and now; and whether a wallet asks for
// a set, or had it, would tell both that it was here before. That a set is on the chain follows from the policy being
// there: the chain takes no policy before its sets.

// maxKeptSets bounds the sets that a vault keeps, in bytes of their members.
const maxKeptSets = 256 << 10

// fetchSet gets the set of a digest from below an address.
type fetchSet func(setsURI string, digest credential.Digest) (*policy.Set, error)

func (w *Wallet) fetchSets(ctx context.Context) fetchSet {
	return func(setsURI string, digest credential.Digest) (*policy.Set, error) {
		text, err := w.http.fetch(ctx, call{
			method: http.MethodGet, address: setsURI + digest.String(), accept: "application/json", limit: policy.MaxSetSize,
		})
		if err != nil {
			return nil, err
		}
		set, err := policy.ParseSetNamed(digest, text)
		if err != nil {
			return nil, refuse(CodeAnswer, err, "set %s of the policy", digest)
		}
		return set, nil
	}
}

// loadSets gets every set that the policy names. They are at the verifier's registered address: it knows that it asks.
func (r *Request) loadSets(fetch fetchSet) error {
	if len(r.policy.SetUses()) == 0 {
		return nil
	}
	at, err := parseAddress(r.setsURI)
	if err != nil {
		return err
	}
	response, err := parseAddress(r.object.ResponseURI)
	if err != nil || !sameOrigin(at, response) || at.RawQuery != "" {
		return refuse(CodeAddress, err, "sets at %.200q are not at the address of %s", r.setsURI, r.verifier.DID)
	}
	return r.takeSets(func(digest credential.Digest) (*policy.Set, error) { return fetch(r.setsURI, digest) })
}

// takeSets gets the sets that the policy names, each once.
func (r *Request) takeSets(get policy.Sets) error {
	digests := policy.NamedSets(r.policy)
	if len(digests) > policy.MaxCarriedSets {
		return refuse(CodeUnprovable, nil, "the policy names %d sets, at most %d can be proven", len(digests), policy.MaxCarriedSets)
	}
	if len(digests) == 0 {
		return nil
	}
	var list []*policy.Set
	for _, digest := range digests {
		set, err := get(digest)
		if err != nil {
			return err
		}
		list = append(list, set)
	}
	r.sets = policy.SetsOf(list...)
	if err := r.policy.CheckSets(r.sets); err != nil {
		return refuse(CodeUnprovable, err, "sets of the policy")
	}
	return nil
}

// SetExplanation is a set that a query names, whole: a sentence that says "one of 2,978" is checked by reading all of them.
type SetExplanation struct {
	Digest   credential.Digest `json:"digest"`
	Kind     policy.SetKind    `json:"kind"`
	Name     string            `json:"name"`
	Members  []string          `json:"members"`
	Accepted int               `json:"accepted,omitempty"` // of a set of issuers: how many are in good standing
}

// setsOf are the sets that a query names.
func (r *Request) setsOf(q *query, language string) (list []SetExplanation, err error) {
	add := func(digest credential.Digest, accepted int) {
		if digest.IsZero() || err != nil {
			return
		}
		var set *policy.Set
		if set, err = r.sets(digest); err == nil {
			list = append(list, SetExplanation{digest, set.Kind(), set.Name().In(language), set.Members(), accepted})
		}
	}
	add(q.statement.IssuerSet, len(q.issuers))
	for i := range q.statement.Clauses {
		add(q.statement.Clauses[i].InSet, 0)
	}
	return list, err
}

// keptSets are those that the vault keeps, so that what a verifier learned can be told, and compared, when it asks again.
func (d *document) keptSets() policy.Sets {
	var list []*policy.Set
	for _, kept := range d.Sets {
		if set, err := policy.NewSet(kept); err == nil { // validated when the document was read
			list = append(list, set)
		}
	}
	return policy.SetsOf(list...)
}

// either looks in one place, then in another.
func either(first, second policy.Sets) policy.Sets {
	return func(digest credential.Digest) (*policy.Set, error) {
		if first != nil {
			if set, err := first(digest); err == nil {
				return set, nil
			}
		}
		return second(digest)
	}
}

// keepSets keeps the sets that revealed facts name, the newest first, as far as there is room, and drops all others.
func (d *document) keepSets(sets policy.Sets) {
	sets = either(sets, d.keptSets())
	var kept []policy.SetDocument
	var seen []credential.Digest
	room := maxKeptSets
	for _, fact := range slices.Backward(d.Revealed) {
		for _, c := range fact.Clauses {
			if c.InSet.IsZero() || slices.Contains(seen, c.InSet) {
				continue
			}
			seen = append(seen, c.InSet)
			set, err := sets(c.InSet)
			if err != nil || len(set.Canonical()) > room {
				continue
			}
			room -= len(set.Canonical())
			kept = append(kept, policy.SetDocument{Version: 1, Kind: set.Kind(), Name: set.Name(), Members: set.Members()})
		}
	}
	d.Sets = kept
}

func (d *document) validateSets() error {
	size := 0
	for i, kept := range d.Sets {
		set, err := policy.NewSet(kept)
		if err != nil {
			return fmt.Errorf("set %d in the vault: %w", i+1, err)
		}
		if size += len(set.Canonical()); size > maxKeptSets {
			return fmt.Errorf("vault has sets of %d bytes, at most %d", size, maxKeptSets)
		}
	}
	return nil
}
