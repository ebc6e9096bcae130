package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// Limits of a set.
const (
	MaxSetSize    = 256 << 10 // bytes of canonical JSON
	MaxSetMembers = MaxIssuers
	maxMember     = 1000 // bytes
)

// SetKind says what the members of a set are.
type SetKind string

// The kinds of sets.
const (
	IssuerSet SetKind = "issuers" // DIDs
	ValueSet  SetKind = "values"  // values of a claim, as written in credentials
)

// SetDocument is a list of issuers or of claim values that stands on the chain by itself, so that policies name it by its
// digest where it is too long to stand in them.
type SetDocument struct {
	Version int             `json:"version"` // 1
	Kind    SetKind         `json:"kind"`
	Name    credential.Text `json:"name"`    // for people
	Members []string        `json:"members"` // ascending as bytes, each once
}

// Set is a document that was checked, with its digest. It never changes and is safe for concurrent use.
type Set struct {
	document SetDocument
	text     []byte // canonical
	digest   credential.Digest

	mu    sync.Mutex
	trees map[setUse]*tree.Set // of the values, by the claim that they are compared with
	last  issuerTree           // of the issuers
}

// issuerTree is the tree over those issuers that were in good standing when it was asked for last.
type issuerTree struct {
	depth int
	good  []string
	tree  *tree.Set
}

// setUse is a claim of a schema: what a value encodes to depends on its type.
type setUse struct {
	schema credential.Element
	slot   int
}

// maxTrees bounds the trees that a set keeps.
const maxTrees = 4

// NewSet checks a document. The caller must not change its members afterwards.
func NewSet(d SetDocument) (*Set, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	text, err := credential.Canonical(d)
	if err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	if len(text) > MaxSetSize {
		return nil, fmt.Errorf("set of %d bytes, at most %d", len(text), MaxSetSize)
	}
	return &Set{document: d, text: text, digest: credential.DigestOf(text), trees: make(map[setUse]*tree.Set)}, nil
}

// ParseSet reads a set document, formatted freely or not.
func ParseSet(text []byte) (*Set, error) {
	if len(text) > 4*MaxSetSize {
		return nil, fmt.Errorf("set of %d bytes, at most %d", len(text), 4*MaxSetSize)
	}
	var d SetDocument
	if err := credential.ParseStrict(text, &d); err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	return NewSet(d)
}

// ParseSetNamed reads the set document of a digest, from whoever has it.
func ParseSetNamed(digest credential.Digest, text []byte) (*Set, error) {
	if len(text) > MaxSetSize {
		return nil, fmt.Errorf("set of %d bytes, at most %d", len(text), MaxSetSize)
	}
	if got := credential.DigestOf(text); got != digest {
		return nil, fmt.Errorf("set %s: what was read has the digest %s", digest, got)
	}
	var d SetDocument
	if err := credential.ParseCanonical(text, &d); err != nil {
		return nil, fmt.Errorf("set %s: %w", digest, err)
	}
	return NewSet(d)
}

func (d *SetDocument) validate() error {
	switch {
	case d.Version != 1:
		return fmt.Errorf("set: version %d, want 1", d.Version)
	case d.Kind != IssuerSet && d.Kind != ValueSet:
		return fmt.Errorf("set of kind %.100q, want %s or %s", d.Kind, IssuerSet, ValueSet)
	case len(d.Members) == 0 || len(d.Members) > MaxSetMembers:
		return fmt.Errorf("set of %d members, want 1 to %d", len(d.Members), MaxSetMembers)
	}
	if err := validateText(d.Name); err != nil {
		return fmt.Errorf("set: name: %w", err)
	}
	for i, m := range d.Members {
		if i > 0 && d.Members[i-1] >= m {
			return fmt.Errorf("set: members must be ascending, each once; not so at %.100q", m)
		}
		if err := d.Kind.validateMember(m); err != nil {
			return fmt.Errorf("set: member %.100q: %w", m, err)
		}
	}
	return nil
}

// validateMember takes what a policy may list. Whether values fit a claim is for Compile, which knows the schema.
func (k SetKind) validateMember(m string) error {
	switch {
	case m == "" || len(m) > maxMember:
		return fmt.Errorf("%d bytes, want 1 to %d", len(m), maxMember)
	case k == ValueSet:
		return credential.ValidateLine(m)
	case !strings.HasPrefix(m, "did:") || !credential.ValidName(m):
		return errors.New("is not a DID")
	}
	return nil
}

// Digest names the set: the SHA-256 of its canonical form.
func (s *Set) Digest() credential.Digest { return s.digest }

// Canonical is the RFC 8785 form.
func (s *Set) Canonical() []byte { return slices.Clone(s.text) }

// Kind says what the members are.
func (s *Set) Kind() SetKind { return s.document.Kind }

// Name is for people.
func (s *Set) Name() credential.Text { return s.document.Name }

// Members are ascending, each there once. They must not be changed.
func (s *Set) Members() []string { return s.document.Members }

// Has tells whether m is a member.
func (s *Set) Has(m string) bool {
	_, found := slices.BinarySearch(s.document.Members, m)
	return found
}

// Split cuts the members into lists of at most that many bytes of JSON each, as the ledger takes them in parts.
func (s *Set) Split(size int) [][]string {
	var parts [][]string
	left := 0
	for i, m := range s.document.Members {
		length := 6*len(m) + len(`"",`) // a character that JSON escapes takes at most six
		if strings.IndexFunc(m, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }) < 0 {
			length = len(m) + len(`"",`)
		}
		if i == 0 || length > left {
			parts, left = append(parts, nil), size
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], m)
		left -= length
	}
	return parts
}

// MarshalJSON writes the document.
func (s *Set) MarshalJSON() ([]byte, error) { return json.Marshal(s.document) }

// Sets looks sets up by digest; it returns an error for one that it does not have. nil has none.
type Sets func(digest credential.Digest) (*Set, error)

// SetsOf looks among those at hand.
func SetsOf(list ...*Set) Sets {
	return func(digest credential.Digest) (*Set, error) {
		for _, s := range list {
			if s.digest == digest {
				return s, nil
			}
		}
		return nil, fmt.Errorf("set %s is not at hand", digest)
	}
}

// get finds a set and holds it to what it was asked for.
func (sets Sets) get(digest credential.Digest, kind SetKind) (*Set, error) {
	if sets == nil {
		return nil, fmt.Errorf("set %s is not at hand", digest)
	}
	s, err := sets(digest)
	switch {
	case err != nil:
		return nil, err
	case s.digest != digest:
		return nil, fmt.Errorf("set %s was asked for, %s was found", digest, s.digest)
	case s.document.Kind != kind:
		return nil, fmt.Errorf("set %s is of kind %s, want %s", digest, s.document.Kind, kind)
	}
	return s, nil
}

// SetUse is a set that a policy names, and as what.
type SetUse struct {
	Digest credential.Digest
	Kind   SetKind
	Where  string // query and clause, for people
}

// SetUses are the sets that the policy names, in the order of its queries; one that it names twice stands there twice.
func (p *Policy) SetUses() []SetUse {
	var uses []SetUse
	for _, q := range p.Queries {
		if !q.IssuerSet.IsZero() {
			uses = append(uses, SetUse{q.IssuerSet, IssuerSet, fmt.Sprintf("query %q", q.ID)})
		}
		for i, c := range q.Clauses {
			if !c.InSet.IsZero() {
				uses = append(uses, SetUse{c.InSet, ValueSet, fmt.Sprintf("query %q, clause %d on %q", q.ID, i+1, c.Claim)})
			}
		}
	}
	return uses
}

// CheckSets tells whether every set that the policy names is there, and of the kind it is named as.
func (p *Policy) CheckSets(sets Sets) error {
	for _, use := range p.SetUses() {
		if _, err := sets.get(use.Digest, use.Kind); err != nil {
			return fmt.Errorf("policy %s, %s: %w", p.ID, use.Where, err)
		}
	}
	return nil
}

// Accepted are the issuers that the statement accepts, ascending: those it lists, or those of the set it names. They must
// not be changed.
func (s *Statement) Accepted(sets Sets) ([]string, error) {
	if s.IssuerSet.IsZero() {
		return s.Issuers, nil
	}
	set, err := sets.get(s.IssuerSet, IssuerSet)
	if err != nil {
		return nil, fmt.Errorf("query %.100q: accepted issuers: %w", s.Query, err)
	}
	return set.document.Members, nil
}

// Values are the values that the clause admits: those it lists, or those of the set it names; none for other forms. They
// must not be changed.
func (c *Clause) Values(sets Sets) ([]string, error) {
	if c.InSet.IsZero() {
		return c.In, nil
	}
	set, err := sets.get(c.InSet, ValueSet)
	if err != nil {
		return nil, err
	}
	return set.document.Members, nil
}

// issuerTree is the tree over the issuers in good standing; it refuses those that the statement does not accept. That of a
// set is kept: it changes only when one of its issuers comes or goes.
func (s *Statement) issuerTree(depth int, c Context) (*tree.Set, error) {
	if s.IssuerSet.IsZero() {
		return treeOfIssuers(c.Trees, depth, s.Issuers, c.Issuers)
	}
	set, err := c.Sets.get(s.IssuerSet, IssuerSet)
	if err != nil {
		return nil, err
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.last.depth == depth && slices.Equal(set.last.good, c.Issuers) {
		return set.last.tree, nil
	}
	made, err := treeOfIssuers(nil, depth, set.document.Members, c.Issuers)
	if err == nil {
		set.last = issuerTree{depth, slices.Clone(c.Issuers), made}
	}
	return made, err
}

func treeOfIssuers(trees *tree.Sets, depth int, accepted, good []string) (*tree.Set, error) {
	ids := make([]credential.Element, 0, len(good))
	for _, did := range good {
		if _, found := slices.BinarySearch(accepted, did); !found {
			return nil, fmt.Errorf("issuer %s is not accepted", did)
		}
		ids = append(ids, credential.IssuerID(did))
	}
	set, err := trees.Of(depth, ids)
	if err != nil {
		return nil, fmt.Errorf("issuers in good standing: %w", err)
	}
	return set, nil
}

// valueTree is the tree over the values of a clause. That of a set is kept: hashing thousands of values takes long, and
// the same policy is compiled again for each request and response.
func (c *Clause) valueTree(sets Sets, trees *tree.Sets, use setUse, claim credential.ClaimType) (*tree.Set, error) {
	if c.InSet.IsZero() {
		return treeOf(trees, c.In, claim)
	}
	set, err := sets.get(c.InSet, ValueSet)
	if err != nil {
		return nil, err
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	if kept, ok := set.trees[use]; ok {
		return kept, nil
	}
	made, err := treeOf(nil, set.document.Members, claim)
	if err != nil {
		return nil, fmt.Errorf("set %s: %w", set.digest, err)
	}
	if len(set.trees) >= maxTrees {
		clear(set.trees)
	}
	set.trees[use] = made
	return made, nil
}

func treeOf(trees *tree.Sets, values []string, claim credential.ClaimType) (*tree.Set, error) {
	members := make([]credential.Element, 0, len(values))
	for _, v := range values {
		e, err := claim.Encode(v)
		if err != nil {
			return nil, fmt.Errorf("value %.100q: %w", v, err)
		}
		members = append(members, e)
	}
	set, err := trees.Of(credential.SetDepth, members)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnprovable, err)
	}
	return set, nil
}
