package credential_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/credential"
)

// referenceC4 is Poseidon2 of width 4 in plain integers, as section 5 of the paper has it: the external matrix before
// the first round and after each full one, the internal one after each partial one.
func referenceC4(in [4]*big.Int) *big.Int {
	p, parameters := fr.Modulus(), credential.C4Parameters
	external := [4][4]int64{{5, 7, 1, 3}, {4, 6, 1, 1}, {1, 3, 5, 7}, {1, 1, 4, 6}}
	multiply := func(entry func(i, j int) *big.Int, v [4]*big.Int) (out [4]*big.Int) {
		for i := range out {
			out[i] = new(big.Int)
			for j := range v {
				out[i].Add(out[i], new(big.Int).Mul(entry(i, j), v[j]))
			}
			out[i].Mod(out[i], p)
		}
		return out
	}
	full := func(i, j int) *big.Int { return big.NewInt(external[i][j]) }
	partial := func(i, j int) *big.Int {
		if i == j {
			diagonal := parameters.DiagM1[i].BigInt(new(big.Int))
			return diagonal.Add(diagonal, big.NewInt(1))
		}
		return big.NewInt(1)
	}
	state := multiply(full, in)
	for round, keys := range parameters.RoundKeys {
		isPartial := round >= 4 && round < 4+56
		for i := range state {
			if isPartial && i > 0 {
				break
			}
			state[i] = new(big.Int).Add(state[i], keys[i].BigInt(new(big.Int)))
			state[i].Exp(state[i], big.NewInt(5), p)
		}
		if isPartial {
			state = multiply(partial, state)
		} else {
			state = multiply(full, state)
		}
	}
	return state[0].Mod(state[0].Add(state[0], in[0]), p)
}

func TestC4AgainstPlainIntegers(t *testing.T) {
	if n := len(credential.C4Parameters.RoundKeys); n != 8+56 {
		t.Fatalf("%d rounds", n)
	}
	rapid.Check(t, func(t *rapid.T) {
		var in [4]credential.Element
		var ints [4]*big.Int
		for i := range in {
			in[i] = element().Draw(t, "lane")
			ints[i] = in[i].BigInt()
		}
		if got, want := credential.C4(in[0], in[1], in[2], in[3]), referenceC4(ints); got.BigInt().Cmp(want) != 0 {
			t.Fatalf("C4 is %s, want %x", got.Hex(), want)
		}
	})
}

// The values come from npm's @zkpassport/poseidon2 0.6.2: permute(input)[0] + input[0] mod p.
func TestC4AgainstAnotherLibrary(t *testing.T) {
	top := func(below int64) credential.Element {
		return fromInt(t, new(big.Int).Sub(fr.Modulus(), big.NewInt(below)))
	}
	small := credential.ElementFromUint64
	tests := []struct {
		in   [4]credential.Element
		want string
	}{
		{[4]credential.Element{}, "18dfb8dc9b82229cff974efefc8df78b1ce96d9d844236b496785c698bc6732e"},
		{[4]credential.Element{small(1), small(2), small(3), small(4)}, "224785a48a72c75e2cbb698143e71d5d41bd89a2b9a7185871e39a54ce5785b2"},
		{[4]credential.Element{top(1), top(2), top(3), top(4)}, "041167116d1cdfa95d266357d735e3a0dfa74b1bd02b315b443ba290659978c5"},
	}
	for _, test := range tests {
		if got := credential.C4(test.in[0], test.in[1], test.in[2], test.in[3]); got.Hex() != test.want {
			t.Errorf("C4 of %v is %s, want %s", test.in, got.Hex(), test.want)
		}
	}
}

func TestFLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.StringN(1, 60, 255).Draw(t, "tag")
		data := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")
		var message bytes.Buffer
		message.WriteByte(byte(len(tag)))
		message.WriteString(tag)
		if err := binary.Write(&message, binary.BigEndian, uint64(len(data))); err != nil {
			t.Fatal(err)
		}
		message.Write(data)
		sum := sha256.Sum256(message.Bytes())
		want := new(big.Int).SetBytes(sum[:31])
		if got := credential.F(tag, data); got.BigInt().Cmp(want) != 0 || !got.Fits31() {
			t.Fatalf("F(%q, %x) is %s, want %x", tag, data, got.Hex(), want)
		}
	})
}

func TestFRefusesTagsWithoutLength(t *testing.T) {
	for _, tag := range []string{"", string(make([]byte, 256))} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a tag of %d bytes is accepted", len(tag))
				}
			}()
			credential.F(tag, nil)
		}()
	}
}

// Two uses of C4 with one tag could stand in for each other.
func TestTagsAreDistinct(t *testing.T) {
	tags := map[string]credential.Element{
		"HOLDER": credential.TagHolder, "CRED": credential.TagCred, "LEAF": credential.TagLeaf, "LINK": credential.TagLink,
		"ITEM": credential.TagItem, "PSEUDONYM": credential.TagPseudonym, "SUBJECT": credential.TagSubject,
	}
	seen := make(map[credential.Element]string)
	for name, tag := range tags {
		if tag != credential.F("tag", []byte(name)) || tag.IsZero() {
			t.Errorf("tag %s is not F(\"tag\", name)", name)
		}
		if other, twice := seen[tag]; twice {
			t.Errorf("tags %s and %s are the same", name, other)
		}
		seen[tag] = name
	}
}

func TestHashIsOfCanonicalJSON(t *testing.T) {
	got, err := credential.Hash("x", map[string]any{"b": 1, "a": "é<"})
	if want := credential.F("x", []byte(`{"a":"é<","b":1}`)); err != nil || got != want {
		t.Errorf("hash %s, %v, want %s", got, err, want)
	}
	if _, err := credential.Hash("x", "e\u0301"); err == nil {
		t.Error("text that is not in NFC is hashed")
	}
}
