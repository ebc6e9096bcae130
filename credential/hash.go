package credential

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/poseidon2"
)

// The shape of C4: Poseidon2 over BN254 with the reference constants for width 4 (HorizenLabs), which gnark-crypto
// carries. Source: https://eprint.iacr.org/2023/323.
const (
	C4Width         = 4
	C4FullRounds    = 8
	C4PartialRounds = 56
)

// C4Parameters are the round keys and matrix of C4, shared by the native code and the circuit gadget.
var C4Parameters = poseidon2.NewParameters(C4Width, C4FullRounds, C4PartialRounds)

var c4 = poseidon2.NewPermutation(C4Width, C4FullRounds, C4PartialRounds)

// C4 is the one compression function inside circuits: the first lane of the permutation of (a, b, c, d), plus a.
// It is safe for concurrent use.
func C4(a, b, c, d Element) Element {
	state := [C4Width]fr.Element{a.v, b.v, c.v, d.v}
	if err := c4.Permutation(state[:]); err != nil {
		panic(err) // only a wrong width fails
	}
	state[0].Add(&state[0], &a.v)
	return Element{state[0]}
}

// F maps bytes to a field element below 2^248: the first 31 bytes of
// SHA-256(u8 length of tag ‖ tag ‖ u64be length ‖ bytes). The tag separates domains. More than one value goes in as
// canonical JSON ([Hash]), never concatenated.
func F(tag string, data []byte) Element {
	if len(tag) == 0 || len(tag) > 255 {
		panic("credential: domain tag must have 1 to 255 bytes")
	}
	h := sha256.New()
	h.Write([]byte{byte(len(tag))})
	h.Write([]byte(tag))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(data))))
	h.Write(data)
	return ElementFrom31([31]byte(h.Sum(nil)[:31]))
}

// Hash is F over the canonical JSON of value.
func Hash(tag string, value any) (Element, error) {
	data, err := Canonical(value)
	if err != nil {
		return Element{}, err
	}
	return F(tag, data), nil
}

// The tags of C4's uses. Nodes of trees and the claims root carry none: their depth is fixed.
var (
	TagHolder    = F("tag", []byte("HOLDER"))
	TagCred      = F("tag", []byte("CRED"))
	TagLeaf      = F("tag", []byte("LEAF"))
	TagLink      = F("tag", []byte("LINK"))
	TagItem      = F("tag", []byte("ITEM"))
	TagPseudonym = F("tag", []byte("PSEUDONYM"))
	TagSubject   = F("tag", []byte("SUBJECT"))
)

// The tags of F's uses.
const (
	tagIssuer    = "issuer"
	tagSchema    = "schema"
	tagClaim     = "claim"
	tagScope     = "scope"
	tagChallenge = "challenge"
	tagClient    = "client"
)
