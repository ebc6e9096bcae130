// Package msm computes sums of multiples of fixed points, Σ kᵢ·Pᵢ, in both groups of BN254: the bucket method of
// Pippenger, in affine coordinates with shared inversions, over scalars halved by the curve's endomorphism. A sum falls
// apart into parts that share nothing, so that callers can spread them over processors.
//
// It is not constant in time, and neither is gnark-crypto.
package msm

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
)

// Bases are fixed points of one group: P is its affine, J its Jacobian form. They are immutable and safe for concurrent
// use.
//
// A scalar has windows of some bits. If the points times 2^(bits of the windows 0 … i) are in a table, window i needs no
// buckets of its own: it shares those of window 0. With t tables every t-th part of the windows does; the sums of the
// parts are what callers spread.
type Bases[P, J any, PP affine[P], PJ jacobian[P, J]] struct {
	tables   [][]P // each has each point times its power of two, then the endomorphism of each
	width    int   // of a window, in bits
	parts    int   // of a sum
	newAdder func() adder[P]
}

type affine[P any] interface {
	*P
	Neg(*P) *P
}

type jacobian[P, J any] interface {
	*J
	AddMixed(*P) *J
	AddAssign(*J) *J
	DoubleAssign() *J
}

// G1 and G2 are bases in the two groups.
type (
	G1 = Bases[bn254.G1Affine, bn254.G1Jac, *bn254.G1Affine, *bn254.G1Jac]
	G2 = Bases[bn254.G2Affine, bn254.G2Jac, *bn254.G2Affine, *bn254.G2Jac]
)

// NewG1 prepares points of the subgroup. One table takes some 50 ns and 128 bytes a point, every other one up to 20 µs.
func NewG1(points []bn254.G1Affine, tables int) *G1 {
	b := &G1{newAdder: func() adder[bn254.G1Affine] { return new(adderG1) }}
	beta := cubeRootOfOne()
	b.prepare(points, tables, func(p *bn254.G1Affine) { p.X.Mul(&p.X, &beta) })
	return b
}

// NewG2 prepares points of the subgroup, which takes twice the memory and thrice the time of the other group.
func NewG2(points []bn254.G2Affine, tables int) *G2 {
	b := &G2{newAdder: func() adder[bn254.G2Affine] { return new(adderG2) }}
	beta := cubeRootOfOne()
	beta.Square(&beta)
	b.prepare(points, tables, func(p *bn254.G2Affine) { p.X.MulByElement(&p.X, &beta) })
	return b
}

func (b *Bases[P, J, PP, PJ]) prepare(points []P, tables int, endomorphism func(*P)) {
	b.width = width(len(points), tables)
	b.parts = parts(b.width, tables)
	for range (windows(b.width) + b.parts - 1) / b.parts {
		table := append(make([]P, 0, 2*len(points)), points...)
		if len(b.tables) > 0 {
			b.double(table, b.width*b.parts)
		}
		points = table
		for _, p := range table {
			endomorphism(&p)
			table = append(table, p)
		}
		b.tables = append(b.tables, table)
	}
}

// double doubles the points some times.
func (b *Bases[P, J, PP, PJ]) double(points []P, times int) {
	var workers sync.WaitGroup
	for share := range slices.Chunk(points, len(points)/runtime.GOMAXPROCS(0)+1) {
		workers.Go(func() {
			adder, same, batch := b.newAdder(), make([]P, chunk), make([]pair[P], chunk)
			for part := range slices.Chunk(share, chunk) {
				for i := range part {
					batch[i] = pair[P]{&part[i], &same[i]}
				}
				for range times {
					copy(same, part)
					adder.add(batch[:len(part)])
				}
			}
		})
	}
	workers.Wait()
}

// cubeRootOfOne is the β for which (βx, y) = λ·(x, y) in the first group. In the second it is β².
func cubeRootOfOne() (beta fp.Element) {
	return *must(beta.SetString("2203960485148121921418603742825762020974279258880205651966"))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// width is the one that costs least: every window adds 2n points, and every part two more and something a bucket.
func width(n, tables int) int {
	best, least := 0, 0
	for c := 3; c <= 16; c++ {
		if cost := windows(c)*2*n + parts(c, tables)*3<<(c-1); best == 0 || cost < least {
			best, least = c, cost
		}
	}
	return best
}

// windows covers 127 bits and the sign.
func windows(width int) int { return (128 + width - 1) / width }

func parts(width, tables int) int { return (windows(width) + tables - 1) / tables }

// Parts is how many parts a sum has.
func (b *Bases[P, J, PP, PJ]) Parts() int { return b.parts }

// Part is one part of the sum, there being one scalar for each base.
func (b *Bases[P, J, PP, PJ]) Part(part int, scalars []Scalar) J {
	n := len(scalars)
	if 2*n != len(b.tables[0]) {
		panic(fmt.Sprintf("%d scalars for %d bases", n, len(b.tables[0])/2))
	}
	w := newWork[P, J, PP, PJ](b.newAdder(), b.width)
	for i, window := 0, part; window < windows(b.width); i, window = i+1, window+b.parts {
		d := newDigits(b.width, window)
		w.add(b.tables[i][:n], scalars, 0, d)
		w.add(b.tables[i][n:], scalars, 1, d)
	}
	return w.weigh()
}

// Sum puts the parts together.
func (b *Bases[P, J, PP, PJ]) Sum(parts []J) J {
	var sum J
	for i := len(parts) - 1; i >= 0; i-- {
		for range b.width {
			PJ(&sum).DoubleAssign()
		}
		PJ(&sum).AddAssign(&parts[i])
	}
	return sum
}
