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

	"github.com/bulla-id/bulla/circuits/internal/msm"
)

// prepared is a proving key made ready for many proofs. With the wires w, the quotient h and fresh random r and s a proof is
//
//	Ar  = α + Σ w·A + r·δ
//	Bs  = β + Σ w·B + s·δ                          in the second group
//	Krs = Σ w·K + Σ h·Z + r·(β + Σ w·B) + s·Ar      over private wires for K
//
// which is what gnark computes, but for -r·s·δ and r·s·δ, which cancel. Each line is one sum of multiples of fixed bases.
type prepared struct {
	a, krs *msm.G1
	b      *msm.G2
	alpha  bn254.G1Affine
	beta   bn254.G2Affine

	absentA, absentB []bool // wires whose bases in A and B are at infinity: the key leaves those bases out
	public           int    // wires that K leaves out
	domain           *fft.Domain
}

// tables is how many tables of multiples are precomputed if that is wanted: with them a sum has two parts.
const tables = 5

// prepare takes some 10 ms and twice the memory of the key's points. Precomputing is for the sums that profit: in Krs four
// times as many points share a bucket.
func prepare(key *groth16.ProvingKey, public int, precompute bool) *prepared {
	tables := tables
	if !precompute {
		tables = 1
	}
	return &prepared{
		a:     msm.NewG1(slices.Concat(key.G1.A, []bn254.G1Affine{key.G1.Delta}), tables),
		b:     msm.NewG2(slices.Concat(key.G2.B, []bn254.G2Affine{key.G2.Delta}), tables),
		krs:   msm.NewG1(slices.Concat(key.G1.K, key.G1.Z, key.G1.B, []bn254.G1Affine{key.G1.Beta}), 1),
		alpha: key.G1.Alpha, beta: key.G2.Beta,
		absentA: key.InfinityA, absentB: key.InfinityB, public: public,
		domain: quotientDomain(key.Domain.Cardinality),
	}
}

// prove makes a proof of what the solver found. r and s make it zero-knowledge: they must be random and fresh.
func (p *prepared) prove(solution *cs.R1CSSolution, r, s fr.Element) *groth16.Proof {
	wires := []fr.Element(solution.W)
	scalarsA := sync.OnceValue(func() []msm.Scalar { return msm.Split(present(wires, p.absentA), []fr.Element{r}) })
	scalarsB := sync.OnceValue(func() []msm.Scalar { return msm.Split(present(wires, p.absentB), []fr.Element{s}) })
	scalarsKrs := sync.OnceValue(func() []msm.Scalar {
		h := quotient(solution.A, solution.B, solution.C, p.domain)
		timesR := present(wires, p.absentB)
		for i := range timesR {
			timesR[i].Mul(&timesR[i], &r)
		}
		return msm.Split(wires[p.public:], h, timesR, []fr.Element{r})
	})

	// The scalars of Krs come first, so that no processor waits for them; the small tasks last, so that all end together.
	tasks := []func(){func() { scalarsKrs() }}
	partsB := make([]bn254.G2Jac, p.b.Parts())
	for i := range partsB {
		tasks = append(tasks, func() { partsB[i] = p.b.Part(i, scalarsB()) })
	}
	partsKrs := make([]bn254.G1Jac, p.krs.Parts())
	for i := range partsKrs {
		tasks = append(tasks, func() { partsKrs[i] = p.krs.Part(i, scalarsKrs()) })
	}
	partsA := make([]bn254.G1Jac, p.a.Parts())
	for i := range partsA {
		tasks = append(tasks, func() { partsA[i] = p.a.Part(i, scalarsA()) })
	}
	share(tasks)

	ar, bs, krs := p.a.Sum(partsA), p.b.Sum(partsB), p.krs.Sum(partsKrs)
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
