package statements

import (
	"fmt"
	"math/big"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

// The slots of the scene's credential.
const (
	area     = 0 // 742, as an integer
	since    = 1 // 19,000 days
	district = 2 // a text
	alive    = 3 // true
	absent   = 4
	smallest = 5  // 1
	greatest = 6  // 2^64 - 1
	last     = 15 // a text
)

const (
	encodedArea  = 1<<63 + 742
	encodedSince = 1<<63 + 19_000
	mostNumber   = 1<<64 - 1
	day          = 24 * 60 * 60
)

// scene is a statement in parts, before a case changes it.
type scene struct {
	credential *circuitstest.Credential
	active     *circuitstest.Tree
	request    circuitstest.Request
	districts  *tree.Set // has the credential's district
	elsewhere  *tree.Set // has not
}

// newScene is always the same: a credential in a tree in which all its siblings differ, and a request without clauses.
func newScene() *scene {
	r := circuitstest.NewRand(2024)
	c := circuitstest.RandomCredential(r)
	text := func(name string) credential.Element {
		e, err := credential.EncodeText(name)
		if err != nil {
			panic(err) // plain names encode
		}
		return e
	}
	c.Claims = [credential.Slots]credential.Element{
		area: credential.ElementFromUint64(encodedArea), since: credential.ElementFromUint64(encodedSince), district: text("440305"),
		alive: credential.ElementFromUint64(2), smallest: credential.ElementFromUint64(1),
		greatest: credential.ElementFromUint64(mostNumber), last: text("last slot"),
	}
	c.Envelope.ValidFrom = 1<<63 + 19_700*day
	c.Envelope.ValidUntil = 1<<63 + 20_065*day
	c.Envelope.SubjectKey = credential.Secret{Element: circuitstest.Element31(r)}
	c.Schema = credential.F("schema", []byte("vectors"))
	c.Issuer = credential.IssuerID("did:web:registry.example")
	c.Index = sceneIndex
	s := &scene{credential: c, active: crowd().Clone()}
	s.districts = set(text("440303"), text("440304"), text("440305"), text("440306"), text("440307"))
	s.elsewhere = set(text("440303"), text("440304"))
	s.request = circuitstest.Request{
		Issuers:   set(c.Issuer, credential.IssuerID("did:web:other.example"), credential.IssuerID("did:web:third.example")),
		Now:       c.Envelope.ValidFrom + 100*day + 12_345,
		Challenge: credential.F("challenge", []byte("vectors")), N: circuitstest.Element31(r),
	}
	return s
}

// sceneIndex has each position once a tile.
const sceneIndex = 0b_11_10_01_00_11_10_01_00

// crowd is a tree in which all siblings of the scene's leaf differ.
var crowd = sync.OnceValue(func() *circuitstest.Tree {
	r, t := circuitstest.NewRand(2023), circuitstest.NewTree()
	for level := range credential.ActiveDepth {
		for sibling := range uint64(tree.Arity - 1) {
			t.Set(sceneIndex^(sibling+1)<<(2*level), circuitstest.Element(r))
		}
	}
	return t
})

// scopes asks for pseudonym and subject tag.
func (s *scene) scopes() {
	s.request.Scope = credential.VerifierScope("did:web:benefits.example", "housing")
	s.request.SubjectScope = credential.SharedScope(credential.DigestOf([]byte("genesis")), 17)
}

// member asks for membership of a claim in a set.
func (s *scene) member(i int, mode credential.Mode, slot uint8, set *tree.Set) {
	s.request.Clauses.Memberships[i] = credential.Membership{Mode: mode, Slot: slot, Root: set.Root()}
	s.request.Sets[i] = set
}

// present enters the credential into the tree and answers the request.
func (s *scene) present() (presentation.Public, presentation.Private) {
	s.active.Set(s.credential.Index, s.credential.Leaf())
	return s.credential.Present(s.active, s.request)
}

func set(members ...credential.Element) *tree.Set {
	s, err := tree.NewSet(members)
	if err != nil {
		panic(err) // members are given above
	}
	return s
}

// next is the element after e.
func next(e credential.Element) credential.Element {
	x, one := e.Fr(), fr.One()
	x.Add(&x, &one)
	return credential.ElementFromFr(x)
}

// plusModulus is the second spelling of an element: the same residue, 32 bytes, at or above the modulus.
func plusModulus(e credential.Element) string {
	return fmt.Sprintf("%064x", new(big.Int).Add(e.BigInt(), fr.Modulus()))
}
