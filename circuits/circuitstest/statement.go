// Package circuitstest builds statements for tests: credentials, active trees in memory, and presentations of random
// shape, all from a seeded source, so that a failure can be repeated. Only tests and the
// generator of the test vectors import it. What a seed gives must not change, as kept vectors were made from it.
package circuitstest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// NewRand is a seeded source.
func NewRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0xb0117a)) }

// Element is a uniform field element, up to a bias nobody can see.
func Element(r *rand.Rand) credential.Element {
	var b [48]byte
	for i := 0; i < len(b); i += 8 {
		binary.BigEndian.PutUint64(b[i:], r.Uint64())
	}
	var v fr.Element
	v.SetBytes(b[:])
	return credential.ElementFromFr(v)
}

// Element31 is a random element of 31 bytes.
func Element31(r *rand.Rand) credential.Element {
	b := Element(r).Bytes()
	return credential.ElementFrom31([31]byte(b[1:]))
}

// Tree is an active tree in memory.
type Tree struct {
	root   credential.Element
	tiles  map[credential.Element][]byte
	leaves map[uint64]credential.Element
	paths  map[uint64]tree.Path // those computed under this root
}

// NewTree is an empty active tree.
func NewTree() *Tree {
	return &Tree{
		root:   tree.EmptyRoots[credential.ActiveDepth],
		tiles:  make(map[credential.Element][]byte),
		leaves: make(map[uint64]credential.Element),
		paths:  make(map[uint64]tree.Path),
	}
}

// Clone is a copy that changes alone.
func (t *Tree) Clone() *Tree {
	return &Tree{t.root, maps.Clone(t.tiles), maps.Clone(t.leaves), maps.Clone(t.paths)}
}

// Root is the root of the tree as it is now.
func (t *Tree) Root() credential.Element { return t.root }

// Tile reads a tile, also of earlier states.
func (t *Tree) Tile(_ int, name credential.Element) ([]byte, error) {
	data, ok := t.tiles[name]
	if !ok {
		return nil, fmt.Errorf("there is no tile %s", name)
	}
	return data, nil
}

// Set puts a leaf at an index; 0 empties it. It panics if the index is beyond the tree.
func (t *Tree) Set(index uint64, leaf credential.Element) {
	t.SetAll(map[uint64]credential.Element{index: leaf})
}

// SetAll puts several leaves at once.
func (t *Tree) SetAll(leaves map[uint64]credential.Element) {
	changes := make(map[uint64]credential.Element)
	for index, leaf := range leaves {
		if t.leaves[index] != leaf {
			changes[index], t.leaves[index] = leaf, leaf
		}
	}
	if len(changes) == 0 {
		return
	}
	update, err := tree.UpdateActive(t.Tile, t.root, changes)
	if err != nil {
		panic(err)
	}
	t.root = update.Root
	maps.Copy(t.tiles, update.Tiles)
	clear(t.paths)
}

// Path leads from the leaf at an index to the root.
func (t *Tree) Path(index uint64) tree.Path {
	path, ok := t.paths[index]
	if !ok {
		var err error
		if path, _, err = tree.ActivePath(t.Tile, t.root, index); err != nil {
			panic(err)
		}
		t.paths[index] = path
	}
	return tree.Path{Index: path.Index, Siblings: slices.Clone(path.Siblings)}
}

// Credential is a credential as the holder knows it.
type Credential struct {
	Schema   credential.Element
	Issuer   credential.Element
	Master   credential.Secret
	Blinding credential.Secret
	Claims   [credential.Slots]credential.Element
	Envelope credential.Envelope
	Index    uint64 // of its leaf
}

// Numbers is how many slots of a random credential hold numbers; the others hold texts.
const Numbers = 8

// day is a day as validity bounds count.
const day = 24 * 60 * 60

// RandomCredential has a claim in most slots: numbers in the first [Numbers], texts in the others.
func RandomCredential(r *rand.Rand) *Credential {
	c := &Credential{
		Schema:   Element31(r),
		Issuer:   Element31(r),
		Master:   credential.Secret{Element: Element(r)},
		Blinding: credential.Secret{Element: Element(r)},
		Index:    r.Uint64N(tree.Capacity),
	}
	for slot := range c.Claims {
		switch {
		case r.IntN(5) == 0: // absent
		case slot < Numbers:
			c.Claims[slot] = credential.ElementFromUint64(Number(r))
		default:
			c.Claims[slot] = Element31(r)
		}
	}
	from := uint64(1)<<63 + day*(10_000+r.Uint64N(10_000))
	c.Envelope = credential.Envelope{
		ValidFrom:  from,
		ValidUntil: from + day*r.Uint64N(5_000),
		Salt:       credential.Secret{Element: Element31(r)},
	}
	if r.IntN(2) == 0 {
		c.Envelope.SubjectKey = credential.Secret{Element: Element31(r)}
	}
	return c
}

// Number is a random encoded number: mostly near 2^63, where real ones are, else anywhere, or at the edges.
func Number(r *rand.Rand) uint64 {
	switch r.IntN(8) {
	case 0:
		return 1
	case 1:
		return 1<<64 - 1
	case 2, 3:
		return max(1, r.Uint64())
	}
	return 1<<63 - 1000 + r.Uint64N(2000)
}

// Leaf is the credential's leaf.
func (c *Credential) Leaf() credential.Element {
	p := presentation.Private{Master: c.Master, Blinding: c.Blinding, Claims: c.Claims, Envelope: c.Envelope, Issuer: c.Issuer}
	return p.Leaf(c.Schema)
}

// Request is what a verifier asks, with the sets behind its membership clauses (nil where the clause is off).
type Request struct {
	Shape        *credential.Shape // of the circuit; nil: the whole one
	Issuers      *tree.Set
	Now          uint64
	Clauses      credential.Clauses
	Sets         [credential.Memberships]*tree.Set
	Challenge    credential.Element
	N            credential.Element
	Scope        credential.Element
	SubjectScope credential.Element
}

// Present answers a request with a credential whose leaf is in the tree. The statement is the honest one, whether it
// holds or not.
func (c *Credential) Present(active *Tree, request Request) (presentation.Public, presentation.Private) {
	public := presentation.Public{
		Shape: request.Shape, Root: active.Root(), Schema: c.Schema, IssuerSet: request.Issuers.Root(), Now: request.Now, Clauses: request.Clauses,
		Challenge: request.Challenge, N: request.N,
		Link: credential.Link(c.Master, request.Challenge, request.N), Item: credential.Item(c.Blinding, request.Challenge, request.N),
		Scope: request.Scope, Pseudonym: credential.Pseudonym(c.Master, request.Scope),
		SubjectScope: request.SubjectScope, SubjectTag: credential.SubjectTag(c.Envelope.SubjectKey, request.SubjectScope),
	}
	private := presentation.Private{
		Master: c.Master, Blinding: c.Blinding, Claims: c.Claims, Envelope: c.Envelope, Issuer: c.Issuer,
		ActivePath: active.Path(c.Index), IssuerPath: path(request.Issuers, c.Issuer),
	}
	for i, clause := range request.Clauses.Memberships {
		if request.Sets[i] != nil {
			private.SetPaths[i] = path(request.Sets[i], c.Claims[clause.Slot%credential.Slots])
		}
	}
	return public, private
}

// path is the member's path, or any.
func path(set *tree.Set, member credential.Element) tree.Path {
	if p, err := set.Path(member); err == nil {
		return p
	}
	return set.AnyPath()
}
