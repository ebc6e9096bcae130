package proving

import (
	"math/big"
	"runtime"
	"slices"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/fft"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
	cs "github.com/consensys/gnark/constraint/bn254"
)

// prepared is a proving key made ready for many proofs. With the wires w, the quotient h and fresh random r and s a proof is
//
//	Ar  = α + Σ w·A + r·δ
//	Bs  = β + Σ w·B + s·δ                          in the second group
//	Krs = Σ w·K + Σ h·Z + r·(β + Σ w·B) + s·Ar      over private wires for K
//
// which is what gnark computes, but for -r·s·δ and r·s·δ, which cancel. Each line is one sum of multiples of fixed bases.
type prepared struct {
	sums
	alpha bn254.G1Affine
	beta  bn254.G2Affine

	absentA, absentB []bool // wires whose bases in A and B are at infinity: the key leaves those bases out
	public           int    // wires that K leaves out
	domain           *fft.Domain
}

// tables is how many tables of multiples are precomputed if that is wanted: with them a sum has two parts.
const tables = 5

// prepare takes some 10 ms and twice the memory of the key's points.
func prepare(key *groth16.ProvingKey, public int, precompute bool) *prepared {
	tables := tables
	if !precompute {
		tables = 1
	}
	return &prepared{
		sums: newSums(key, tables), alpha: key.G1.Alpha, beta: key.G2.Beta,
		absentA: key.InfinityA, absentB: key.InfinityB, public: public,
		domain: quotientDomain(key.Domain.Cardinality),
	}
}

// prove makes a proof of what the solver found. r and s make it zero-knowledge: they must be random and fresh.
func (p *prepared) prove(solution *cs.R1CSSolution, r, s fr.Element, helpers Helpers) *groth16.Proof {
	wires := []fr.Element(solution.W)
	scalars := [...]func() []fr.Element{
		sumA: sync.OnceValue(func() []fr.Element { return append(present(wires, p.absentA), r) }),
		sumB: sync.OnceValue(func() []fr.Element { return append(present(wires, p.absentB), s) }),
		sumKrs: sync.OnceValue(func() []fr.Element {
			h := quotient(solution.A, solution.B, solution.C, p.domain)
			timesR := present(wires, p.absentB)
			for i := range timesR {
				timesR[i].Mul(&timesR[i], &r)
			}
			return slices.Concat(wires[p.public:], h, timesR, []fr.Element{r})
		}),
	}
	found := p.add(scalars, helpers)
	ar, bs, krs := p.a.Sum(found.a), p.b.Sum(found.b), p.krs.Sum(found.krs)
	var proof groth16.Proof
	proof.Ar.FromJacobian(ar.AddMixed(&p.alpha))
	proof.Bs.FromJacobian(bs.AddMixed(&p.beta))
	proof.Krs.FromJacobian(krs.AddAssign(ar.ScalarMultiplication(&ar, s.BigInt(new(big.Int)))))
	return &proof
}

// present are the wires that are not absent.
func present(wires []fr.Element, absent []bool) []fr.Element {
	out := make([]fr.Element, 0, len(wires))
	for i, w := range wires {
		if !absent[i] {
			out = append(out, w)
		}
	}
	return out
}

// share does the tasks on all processors, starting them in their order.
func share(tasks []func()) {
	queue := make(chan func(), len(tasks))
	for _, task := range tasks {
		queue <- task
	}
	close(queue)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(tasks)) {
		workers.Go(func() {
			for task := range queue {
				task()
			}
		})
	}
	workers.Wait()
}
