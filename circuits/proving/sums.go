package proving

import (
	"cmp"
	"slices"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits/internal/msm"
)

// The sums of a proof.
const (
	sumA = iota
	sumB
	sumKrs
	sumCount
)

// sums are the bases of a proof's three sums.
type sums struct {
	a, krs *msm.G1
	b      *msm.G2
	points [sumCount]int // of each
}

// newSums prepares a key's points. Precomputing is for the sums that profit: in Krs four times as many points share a bucket.
func newSums(key *groth16.ProvingKey, tables int) sums {
	a := slices.Concat(key.G1.A, []bn254.G1Affine{key.G1.Delta})
	b := slices.Concat(key.G2.B, []bn254.G2Affine{key.G2.Delta})
	krs := slices.Concat(key.G1.K, key.G1.Z, key.G1.B, []bn254.G1Affine{key.G1.Beta})
	return sums{
		a: msm.NewG1(a, tables), b: msm.NewG2(b, tables), krs: msm.NewG1(krs, 1),
		points: [...]int{sumA: len(a), sumB: len(b), sumKrs: len(krs)},
	}
}

// part is one part of one sum: what nobody shares further.
type part struct{ sum, number int }

// parts are all parts, those of the sums that are known first, and of the same the small ones last, so that all end together.
func (s *sums) parts() (all []part) {
	for _, of := range [...]struct{ sum, parts int }{{sumB, s.b.Parts()}, {sumKrs, s.krs.Parts()}, {sumA, s.a.Parts()}} {
		for i := range of.parts {
			all = append(all, part{of.sum, i})
		}
	}
	return all
}

// cost is about how long a part takes, in additions of the first group; one of the second takes three times as long.
func (s *sums) cost(p part) int {
	if p.sum == sumB {
		return 3 * s.points[sumB]
	}
	return s.points[p.sum]
}

// found are the parts that were computed. Different parts can be written at once.
type found struct {
	a, krs []bn254.G1Jac
	b      []bn254.G2Jac
}

func (s *sums) newFound() *found {
	return &found{make([]bn254.G1Jac, s.a.Parts()), make([]bn254.G1Jac, s.krs.Parts()), make([]bn254.G2Jac, s.b.Parts())}
}

// compute computes a part.
func (s *sums) compute(f *found, p part, scalars []msm.Scalar) {
	switch p.sum {
	case sumA:
		f.a[p.number] = s.a.Part(p.number, scalars)
	case sumB:
		f.b[p.number] = s.b.Part(p.number, scalars)
	case sumKrs:
		f.krs[p.number] = s.krs.Part(p.number, scalars)
	}
}

// add computes all parts of all sums, here and with helpers. What a helper fails at is computed here.
func (s *sums) add(scalars [sumCount]func() []fr.Element, helpers Helpers) *found {
	f := s.newFound()
	mine, theirs := s.divide(helpers)
	here := func(parts []part) {
		// The scalars of Krs come first, so that no processor waits for them.
		var halves [sumCount]func() []msm.Scalar
		for sum := range halves {
			halves[sum] = sync.OnceValue(func() []msm.Scalar { return msm.Split(scalars[sum]()) })
		}
		var tasks []func()
		if slices.ContainsFunc(parts, func(p part) bool { return p.sum == sumKrs }) {
			tasks = append(tasks, func() { halves[sumKrs]() })
		}
		for _, p := range parts {
			tasks = append(tasks, func() { s.compute(f, p, halves[p.sum]()) })
		}
		share(tasks)
	}
	waits := make([]func() []part, 0, len(theirs))
	for _, sum := range []int{sumB, sumA, sumKrs} { // the quotient of Krs takes time, in which helpers have something to do
		for helper, parts := range theirs {
			if numbers := ofSum(parts, sum); len(numbers) > 0 {
				waits = append(waits, s.ask(f, helpers, helper, sum, numbers, scalars[sum]()))
			}
		}
	}
	here(mine)
	var failed []part
	for _, wait := range waits {
		failed = append(failed, wait()...)
	}
	if len(failed) > 0 {
		here(failed)
	}
	return f
}

// quotientCost is what the quotient costs for each point of Krs, in additions of the first group.
const quotientCost = 2

// divide gives each part to who has least to do, the large ones first. We have the quotient to compute, too.
func (s *sums) divide(helpers Helpers) (mine []part, theirs [][]part) {
	all := s.parts()
	if helpers == nil || helpers.Count() == 0 {
		return all, nil
	}
	slices.SortStableFunc(all, func(a, b part) int { return cmp.Compare(s.cost(b), s.cost(a)) })
	theirs = make([][]part, helpers.Count())
	loads := make([]int, helpers.Count()+1)
	loads[0] = quotientCost * s.points[sumKrs]
	for _, p := range all {
		least := 0
		for who, load := range loads {
			if load < loads[least] {
				least = who
			}
		}
		if loads[least] += s.cost(p); least == 0 {
			mine = append(mine, p)
		} else {
			theirs[least-1] = append(theirs[least-1], p)
		}
	}
	return mine, theirs
}

func ofSum(parts []part, sum int) (numbers []int) {
	for _, p := range parts {
		if p.sum == sum {
			numbers = append(numbers, p.number)
		}
	}
	return numbers
}
