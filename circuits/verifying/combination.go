package verifying

import (
	"crypto/rand"
	"math/big"
	"runtime"
	"sync"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"
)

// coefficientSize is the length of a coefficient in bytes.
const coefficientSize = 16

// combinationHolds checks the sum of the proofs' equations, each times a fresh random coefficient ρ:
//
//	∏ e(ρᵢ·Aᵢ, Bᵢ) · e(−Σρᵢ·α, β) · e(−Σρᵢ·Lᵢ, γ) · e(−Σρᵢ·Cᵢ, δ) = 1, where Lᵢ = K₀ + Σⱼ xᵢⱼ·Kⱼ
//
// That is n+3 Miller loops and one final exponentiation, and Σρᵢ·Lᵢ is one multiplication of the key's points by
// Σᵢ ρᵢ·xᵢⱼ. All points have the prime order, so each equation that does not hold is off by a number d ≠ 0 in the
// exponent, and of the 2^128 values of its coefficient at most one makes the sum of all ρ·d vanish.
func combinationHolds(vk *groth16.VerifyingKey, entries []entry) bool {
	n := len(entries)
	coefficients := drawCoefficients(n)
	left, right := make([]bn254.G1Affine, n+3), make([]bn254.G2Affine, n+3)
	inParallel(n, func(i int) {
		left[i].ScalarMultiplication(&entries[i].proof.Ar, coefficients[i].BigInt(new(big.Int)))
		right[i] = entries[i].proof.Bs
	})

	scalars := combineInputs(entries, coefficients)
	left[n].ScalarMultiplication(&vk.G1.Alpha, scalars[0].BigInt(new(big.Int)))
	left[n+1] = multiply(vk.G1.K, scalars)
	thirds := make([]bn254.G1Affine, n)
	for i, e := range entries {
		thirds[i] = e.proof.Krs
	}
	left[n+2] = multiply(thirds, coefficients)
	right[n], right[n+1], right[n+2] = vk.G2.Beta, vk.G2.Gamma, vk.G2.Delta
	for i := n; i < n+3; i++ {
		left[i].Neg(&left[i])
	}
	return pairingIsOne(left, right)
}

// drawCoefficients draws n numbers below 2^128.
func drawCoefficients(n int) fr.Vector {
	random := make([]byte, n*coefficientSize)
	rand.Read(random) // never fails
	coefficients := make(fr.Vector, n)
	for i := range coefficients {
		coefficients[i].SetBytes(random[i*coefficientSize:][:coefficientSize])
	}
	return coefficients
}

// combineInputs is what the points K of the key are multiplied by: the sum of the coefficients, then for each public
// input the sum of coefficients times values.
func combineInputs(entries []entry, coefficients fr.Vector) fr.Vector {
	scalars := make(fr.Vector, 1+len(entries[0].inputs))
	for i, e := range entries {
		scalars[0].Add(&scalars[0], &coefficients[i])
		for j := range e.inputs {
			var product fr.Element
			product.Mul(&coefficients[i], &e.inputs[j])
			scalars[1+j].Add(&scalars[1+j], &product)
		}
	}
	return scalars
}

// multiply is the sum of points times scalars. There must be as many of each.
func multiply(points []bn254.G1Affine, scalars fr.Vector) (sum bn254.G1Affine) {
	if _, err := sum.MultiExp(points, scalars, ecc.MultiExpConfig{}); err != nil {
		panic("verifying: " + err.Error())
	}
	return sum
}

// pairingIsOne tells whether the product of the pairings is 1. Plain Miller loops: lines that were computed ahead for a
// key are shared, and gnark-crypto's check with such lines overwrites them.
func pairingIsOne(left []bn254.G1Affine, right []bn254.G2Affine) bool {
	parts := chunks(len(left))
	loops := make([]bn254.GT, len(parts))
	inParallel(len(parts), func(i int) {
		from, to := parts[i][0], parts[i][1]
		loop, err := bn254.MillerLoop(left[from:to], right[from:to])
		if err != nil {
			panic("verifying: " + err.Error())
		}
		loops[i] = loop
	})
	product := loops[0]
	for i := range loops[1:] {
		product.Mul(&product, &loops[1+i])
	}
	result := bn254.FinalExponentiation(&product)
	return result.IsOne()
}

// chunks cuts n > 0 things into one part for each processor, as [from, to) of about the same size.
func chunks(n int) [][2]int {
	count := min(n, runtime.GOMAXPROCS(0))
	parts := make([][2]int, count)
	for i := range parts {
		parts[i] = [2]int{n * i / count, n * (i + 1) / count}
	}
	return parts
}

// inParallel calls f for 0 to n-1, on all processors, and waits.
func inParallel(n int, f func(i int)) {
	if n == 0 {
		return
	}
	var all sync.WaitGroup
	for _, part := range chunks(n) {
		all.Go(func() {
			for i := part[0]; i < part[1]; i++ {
				f(i)
			}
		})
	}
	all.Wait()
}
