package gadget_test

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/std/math/bits"
	"github.com/consensys/gnark/test"
	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/gadget"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
)

var field = ecc.BN254.ScalarField()

// c4Circuit has one C4.
type c4Circuit struct {
	In  [4]frontend.Variable
	Out frontend.Variable `gnark:",public"`
}

func (c *c4Circuit) Define(api frontend.API) error {
	api.AssertIsEqual(gadget.C4(api, c.In[0], c.In[1], c.In[2], c.In[3]), c.Out)
	return nil
}

func TestC4AgreesWithNative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := circuitstest.NewRand(rapid.Uint64().Draw(t, "seed"))
		var in [4]credential.Element
		var c c4Circuit
		for i := range in {
			in[i] = circuitstest.Element(r)
			if r.IntN(4) == 0 {
				in[i] = credential.Element{}
			}
			c.In[i] = in[i].Fr()
		}
		out := credential.C4(in[0], in[1], in[2], in[3])
		c.Out = out.Fr()
		if err := test.IsSolved(new(c4Circuit), &c, field); err != nil {
			t.Fatal(err)
		}
		c.Out = circuitstest.Element(r).Fr()
		if test.IsSolved(new(c4Circuit), &c, field) == nil {
			t.Fatal("another output is accepted")
		}
	})
}

func TestCosts(t *testing.T) {
	for name, c := range map[string]struct {
		circuit frontend.Circuit
		want    int
	}{
		"C4":    {new(c4Circuit), gadget.C4Constraints + 1}, // and the comparison with the output
		"level": {new(pathCircuit), gadget.C4Constraints + 6 + 1},
		"bits":  {new(bitsCircuit), 65 + 1},
		"claim": {new(claimCircuit), 4 + 1 + 15 + 1},
	} {
		if got := compile(t, c.circuit).GetNbConstraints(); got != c.want {
			t.Errorf("%s costs %d constraints, want %d", name, got, c.want)
		}
	}
	if gadget.C4Constraints != 264 {
		t.Errorf("a C4 costs %d constraints, want 264", gadget.C4Constraints)
	}
}

// pathCircuit has one level.
type pathCircuit struct {
	Leaf, Root frontend.Variable `gnark:",public"`
	Path       [1]gadget.Level
}

func (c *pathCircuit) Define(api frontend.API) error {
	api.AssertIsEqual(gadget.Root(api, c.Leaf, c.Path[:]), c.Root)
	return nil
}

func TestPath(t *testing.T) {
	r := circuitstest.NewRand(1)
	for position := range uint64(tree.Arity) {
		leaf := circuitstest.Element(r)
		path := tree.Path{Index: position, Siblings: [][3]credential.Element{{circuitstest.Element(r), circuitstest.Element(r), circuitstest.Element(r)}}}
		c := pathCircuit{Leaf: leaf.Fr(), Root: path.Root(leaf).Fr()}
		gadget.AssignPath(c.Path[:], path, leaf)
		if err := test.IsSolved(new(pathCircuit), &c, field); err != nil {
			t.Errorf("position %d: %v", position, err)
		}
		c.Path[0].Position[0] = 1 - position&1
		if test.IsSolved(new(pathCircuit), &c, field) == nil {
			t.Errorf("position %d: the leaf is accepted at another position", position)
		}
	}
}

// A position bit that is no bit could select anything: (leaf - c0) / (c1 - c0) makes every leaf a child.
func TestPathBitsAreBoolean(t *testing.T) {
	r := circuitstest.NewRand(2)
	forged, member := circuitstest.Element(r), circuitstest.Element(r)
	path := tree.Path{Siblings: [][3]credential.Element{{circuitstest.Element(r), circuitstest.Element(r), circuitstest.Element(r)}}}
	c := pathCircuit{Leaf: forged.Fr(), Root: path.Root(member).Fr()}
	gadget.AssignPath(c.Path[:], path, member)
	x, c0, c1 := forged.Fr(), member.Fr(), path.Siblings[0][0].Fr()
	x.Sub(&x, &c0)
	c1.Sub(&c1, &c0)
	x.Div(&x, &c1)
	c.Path[0].Position[0] = x
	if solve(t, compile(t, new(pathCircuit)), &c) == nil {
		t.Error("a forged leaf is accepted by a position bit that is no bit")
	}
}

// bitsCircuit decomposes into 65 bits.
type bitsCircuit struct{ V frontend.Variable }

func (c *bitsCircuit) Define(api frontend.API) error {
	gadget.Bits(api, c.V, 65)
	return nil
}

func TestBits(t *testing.T) {
	system := compile(t, new(bitsCircuit))
	top := new(big.Int).Lsh(big.NewInt(1), 65)
	minusOne := new(big.Int).Sub(field, big.NewInt(1))
	for _, c := range []struct {
		v    *big.Int
		want bool
	}{
		{big.NewInt(0), true}, {new(big.Int).Sub(top, big.NewInt(1)), true}, {top, false}, {minusOne, false},
	} {
		if got := solve(t, system, &bitsCircuit{V: c.v}) == nil; got != c.want {
			t.Errorf("%v: accepted %v, want %v", c.v, got, c.want)
		}
	}
	// Lies: a sum that is right with bits that are not, bits of the number modulo 2^65, bits of another number.
	lies := map[string]solver.Hint{
		"no bits": func(_ *big.Int, in, out []*big.Int) error {
			for i := range out {
				out[i].SetInt64(0)
			}
			out[0].Set(in[0])
			return nil
		},
		"truncated": func(_ *big.Int, in, out []*big.Int) error {
			for i := range out {
				out[i].SetUint64(uint64(in[0].Bit(i)))
			}
			return nil
		},
		"other": func(_ *big.Int, in, out []*big.Int) error {
			for i := range out {
				out[i].SetUint64(1)
			}
			return nil
		},
	}
	for name, lie := range lies {
		id := solver.GetHintID(bits.GetHints()[1])
		if solve(t, system, &bitsCircuit{V: top}, solver.OverrideHint(id, lie)) == nil {
			t.Errorf("2^65 is accepted with the lie %q", name)
		}
	}
}

// claimCircuit selects a claim.
type claimCircuit struct {
	Claims    [credential.Slots]frontend.Variable
	Slot, Out frontend.Variable `gnark:",public"`
}

func (c *claimCircuit) Define(api frontend.API) error {
	api.AssertIsEqual(gadget.Claim(api, c.Claims, c.Slot), c.Out)
	return nil
}

func TestClaim(t *testing.T) {
	system := compile(t, new(claimCircuit))
	var c claimCircuit
	for i := range c.Claims {
		c.Claims[i] = 100 + i
	}
	for slot := range 20 {
		for _, out := range []int{100 + slot, 100, 101} {
			c.Slot, c.Out = slot, out
			want := slot < credential.Slots && out == 100+slot
			if got := solve(t, system, &c) == nil; got != want {
				t.Errorf("slot %d is %d: accepted %v, want %v", slot, out, got, want)
			}
		}
	}
}

func compile(t *testing.T, c frontend.Circuit) constraint.ConstraintSystem {
	t.Helper()
	system, err := frontend.Compile(field, r1cs.NewBuilder, c)
	if err != nil {
		t.Fatal(err)
	}
	return system
}

func solve(t *testing.T, system constraint.ConstraintSystem, assignment frontend.Circuit, options ...solver.Option) error {
	t.Helper()
	w, err := frontend.NewWitness(assignment, field)
	if err != nil {
		t.Fatal(err)
	}
	_, err = system.Solve(w, options...)
	return err
}
