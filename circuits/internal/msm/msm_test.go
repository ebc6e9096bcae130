package msm

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

func sum[P, J any, PP affine[P], PJ jacobian[P, J]](b *Bases[P, J, PP, PJ], scalars []fr.Element) J {
	split := Split(scalars)
	parts := make([]J, b.Parts())
	for i := range parts {
		parts[i] = b.Part(i, split)
	}
	return b.Sum(parts)
}

// lambda is the eigenvalue of the endomorphism.
var lambda, _ = new(big.Int).SetString("4407920970296243842393367215006156084916469457145843978461", 10)

// The halves are below 2^127, make up the scalar again, and leave small ones alone.
func TestSplit(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 127)
	scalars := append(specialScalars(), randomScalars(rand.New(rand.NewPCG(1, 1)), 20_000)...)
	for i, s := range Split(scalars) {
		var k, got big.Int
		scalars[i].BigInt(&k)
		for h, x := range s {
			value := new(big.Int).SetUint64(x.magnitude.hi)
			value.Lsh(value, 64).Add(value, new(big.Int).SetUint64(x.magnitude.lo))
			if value.Cmp(limit) >= 0 {
				t.Fatalf("%v: half %d has %d bits", &k, h, value.BitLen())
			}
			if x.negative {
				value.Neg(value)
			}
			if h == 1 {
				value.Mul(value, lambda)
			}
			got.Add(&got, value)
		}
		if k.BitLen() <= 64 && (got.Cmp(&k) != 0 || !s[1].magnitude.isZero()) {
			t.Fatalf("%v is not left alone", &k)
		}
		if got.Mod(&got, fr.Modulus()).Cmp(&k) != 0 {
			t.Fatalf("%v becomes %v", &k, &got)
		}
	}
}

// Against gnark-crypto: random points and scalars, and those for which additions are not what they usually are.
func TestSums(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{0, 1, 2, 3, 17, 300, 2000} {
		points1, points2 := randomPoints(r, n)
		special := specialScalars()
		one := make([]fr.Element, n)
		mixed := randomScalars(r, n)
		for i := range mixed {
			one[i].SetOne()
			if r.IntN(2) == 0 {
				mixed[i] = special[r.IntN(len(special))]
			}
		}
		equal := make([]fr.Element, n) // all points in the same buckets
		for i := range equal {
			equal[i] = mixed[0]
			equal[i].SetUint64(0x0123456789abcdef)
		}
		same1, same2 := make([]bn254.G1Affine, n), make([]bn254.G2Affine, n) // one point, its negative, and infinity
		for i := range n {
			switch r.IntN(4) {
			case 0:
				same1[i], same2[i] = points1[0], points2[0]
			case 1:
				same1[i].Neg(&points1[0])
				same2[i].Neg(&points2[0])
			case 2:
				same1[i], same2[i] = points1[i], points2[i]
			}
		}
		for name, scalars := range map[string][]fr.Element{
			"random": randomScalars(r, n), "zero": make([]fr.Element, n), "one": one, "mixed": mixed, "equal": equal,
		} {
			compare(t, name, points1, points2, scalars)
			compare(t, name+" scalars of colliding points", same1, same2, scalars)
		}
	}
}

func compare(t *testing.T, name string, points1 []bn254.G1Affine, points2 []bn254.G2Affine, scalars []fr.Element) {
	t.Helper()
	var want1 bn254.G1Jac
	var want2 bn254.G2Jac
	if len(scalars) > 0 {
		if _, err := want1.MultiExp(points1, scalars, ecc.MultiExpConfig{}); err != nil {
			t.Fatal(err)
		}
		if _, err := want2.MultiExp(points2, scalars, ecc.MultiExpConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tables := range []int{1, 3, 50} {
		if len(scalars) > 300 && tables > 3 {
			continue // as well tested, but slow
		}
		if got := sum(NewG1(points1, tables), scalars); !got.Equal(&want1) {
			t.Errorf("%s, %d points, %d tables: another sum in G1 than gnark-crypto's", name, len(scalars), tables)
		}
		if got := sum(NewG2(points2, tables), scalars); !got.Equal(&want2) {
			t.Errorf("%s, %d points, %d tables: another sum in G2 than gnark-crypto's", name, len(scalars), tables)
		}
	}
}

func TestAnotherNumberOfScalars(t *testing.T) {
	points, _ := randomPoints(rand.New(rand.NewPCG(3, 3)), 3)
	defer func() {
		if recover() == nil {
			t.Error("two scalars for three bases")
		}
	}()
	NewG1(points, 1).Part(0, make([]Scalar, 2))
}

func specialScalars() []fr.Element {
	out := make([]fr.Element, 0, 600)
	for i := range uint64(20) {
		var x fr.Element
		x.SetUint64(i)
		out = append(out, x)
		out = append(out, *x.Neg(&x))
	}
	var power, root, multiple fr.Element
	power.SetOne()
	root.SetBigInt(lambda)
	for range fr.Bits {
		out = append(out, power, *multiple.Mul(&power, &root))
		power.Double(&power)
	}
	return out
}

func randomScalars(r *rand.Rand, n int) []fr.Element {
	out := make([]fr.Element, n)
	for i := range out {
		var bytes [48]byte
		for j := range bytes {
			bytes[j] = byte(r.Uint32())
		}
		out[i].SetBytes(bytes[:])
	}
	return out
}

func randomPoints(r *rand.Rand, n int) ([]bn254.G1Affine, []bn254.G2Affine) {
	_, _, g1, g2 := bn254.Generators()
	scalars := randomScalars(r, n)
	return bn254.BatchScalarMultiplicationG1(&g1, scalars), bn254.BatchScalarMultiplicationG2(&g2, scalars)
}

const benchmarkPoints = 10_000

func BenchmarkG1(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	points, _ := randomPoints(r, benchmarkPoints)
	scalars := randomScalars(r, benchmarkPoints)
	bases := NewG1(points, 1)
	b.Run("msm", func(b *testing.B) {
		for b.Loop() {
			sum(bases, scalars)
		}
	})
	b.Run("gnark", func(b *testing.B) {
		for b.Loop() {
			new(bn254.G1Jac).MultiExp(points, scalars, ecc.MultiExpConfig{NbTasks: 1})
		}
	})
}

func BenchmarkG2(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	_, points := randomPoints(r, benchmarkPoints)
	scalars := randomScalars(r, benchmarkPoints)
	bases := NewG2(points, 1)
	b.Run("msm", func(b *testing.B) {
		for b.Loop() {
			sum(bases, scalars)
		}
	})
	b.Run("gnark", func(b *testing.B) {
		for b.Loop() {
			new(bn254.G2Jac).MultiExp(points, scalars, ecc.MultiExpConfig{NbTasks: 1})
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	scalars := randomScalars(rand.New(rand.NewPCG(5, 5)), benchmarkPoints)
	for b.Loop() {
		Split(scalars)
	}
}
