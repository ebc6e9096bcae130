package explore

import (
	"fmt"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Policy is a registered policy: who asks for what, and why.
type Policy struct {
	Index  uint64 // of its newest registration
	Seal   *SealRef
	Policy *policy.Policy
}

// Policies is up to limit policies of a verifier, or of all if it is empty, ascending, all behind after (verifier, 0, id); and whether
// there are more.
func (x *Index) Policies(verifier, after string, limit int) (list []*Policy, more bool, err error) {
	prefix := prefixPolicy
	if verifier != "" {
		prefix = policyKey(verifier, "")
	}
	keys, more, err := x.keys(prefix, after, limit)
	for _, key := range keys {
		did, id := split(prefix[len(prefixPolicy):] + key)
		p, err := x.Policy(did, id)
		if err != nil {
			return nil, false, err
		}
		list = append(list, p)
	}
	return list, more, err
}

// Policy is a verifier's policy as registered last, or [ErrAbsent].
func (x *Index) Policy(verifier, id string) (*Policy, error) {
	index, err := x.number(policyKey(verifier, id))
	if err != nil {
		return nil, err
	}
	return x.PolicyAt(index)
}

// PolicyAt is the policy that an entry registered, or [ErrAbsent].
func (x *Index) PolicyAt(index uint64) (*Policy, error) {
	e, err := x.Entry(index)
	if err != nil {
		return nil, err
	}
	registered, ok := e.Payload.(entry.PolicyRegistered)
	if !ok {
		return nil, ErrAbsent
	}
	p, err := policy.Parse(registered.Policy)
	if err != nil {
		return nil, fmt.Errorf("policy in entry %d: %w", index, err)
	}
	return &Policy{Index: index, Seal: e.Seal, Policy: p}, nil
}

// Explain says in a language what each query of a policy proves and shows, with relative dates as of now.
func (x *Index) Explain(p *policy.Policy, now time.Time, language string) ([]policy.Explanation, error) {
	statements, err := p.Resolve(now, x.Schema)
	if err != nil {
		return nil, err
	}
	var out []policy.Explanation
	for i := range statements {
		schema, err := x.Schema(statements[i].Schema)
		if err != nil {
			return nil, err
		}
		name := func(did string) string { return x.Name(did, language) }
		e, err := statements[i].Explain(policy.Context{Schema: schema, Sets: x.Set}, name, language)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// Schema is a schema as published last, or [ErrAbsent].
func (x *Index) Schema(id credential.Element) (*credential.Schema, error) {
	index, err := x.number(elementKey(prefixSchema, id))
	if err != nil {
		return nil, err
	}
	e, err := x.Entry(index)
	if err != nil {
		return nil, err
	}
	p, ok := e.Payload.(entry.SchemaPublished)
	if !ok {
		return nil, fmt.Errorf("entry %d publishes no schema: the index is damaged", index)
	}
	return &p.Schema, nil
}

// keptSets is how many sets are kept in memory. They never change, and one can have 256 KiB.
const keptSets = 16

// Set is a set that policies name, or [ErrAbsent].
func (x *Index) Set(digest credential.Digest) (*policy.Set, error) {
	x.setsMu.Lock()
	set := x.sets[digest]
	x.setsMu.Unlock()
	if set != nil {
		return set, nil
	}
	set, err := x.readSet(digest)
	if err != nil {
		return nil, err
	}
	x.setsMu.Lock()
	defer x.setsMu.Unlock()
	if len(x.sets) >= keptSets {
		clear(x.sets)
	}
	x.sets[digest] = set
	return set, nil
}

// readSet puts a set together from its parts.
func (x *Index) readSet(digest credential.Digest) (*policy.Set, error) {
	d := policy.SetDocument{Version: 1}
	for part := 0; part < entry.MaxSetParts; part++ {
		index, err := x.number(setKey(digest, part))
		if err != nil {
			return nil, err
		}
		e, err := x.Entry(index)
		if err != nil {
			return nil, err
		}
		p, ok := e.Payload.(entry.SetRegistered)
		if !ok {
			return nil, fmt.Errorf("entry %d has no part of a set: the index is damaged", index)
		}
		d.Kind, d.Name, d.Members = policy.SetKind(p.Kind), p.Name, append(d.Members, p.Members...)
		if part+1 == p.Parts {
			break
		}
	}
	set, err := policy.NewSet(d)
	if err != nil {
		return nil, err
	}
	if set.Digest() != digest {
		return nil, fmt.Errorf("set %s has another digest: the index is damaged", digest)
	}
	return set, nil
}
