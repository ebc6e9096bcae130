// Package gadget has the parts that the circuits are made of: C4, paths, selection, decomposition and zero tests. No part
// adds a commitment or a lookup argument, so that proofs stay plain Groth16. Field: the scalar field of BN254 only.
//
// Every hint used below is one of gnark's own (bits of a number, inverse or zero), and each hinted value is pinned by
// constraints in the same function; a lying prover finds no second value, with the one exception that IsZero states.
package gadget

import (
	"math/big"
	"sync"

	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/credential"
)

// C4Constraints is the cost of one C4: three for each S-box, 8 full rounds of four and 56 partial rounds of one.
const C4Constraints = 3 * (credential.C4FullRounds*credential.C4Width + credential.C4PartialRounds)

// C4 is credential.C4 in the circuit: the first lane of Poseidon2's permutation of (a, b, c, d), plus a. It only
// computes, so it is sound for all inputs.
func C4(api frontend.API, a, b, c, d frontend.Variable) frontend.Variable {
	p := permutation{api: api, constants: c4Constants(), state: [credential.C4Width]frontend.Variable{a, b, c, d}}
	p.run()
	return api.Add(p.state[0], a)
}

// constants are those of credential.C4Parameters, as gnark's frontend takes them.
type constants struct {
	roundKeys [][]*big.Int
	diagonal  [credential.C4Width]*big.Int // of the internal matrix, minus one
}

var c4Constants = sync.OnceValue(func() *constants {
	var c constants
	for _, keys := range credential.C4Parameters.RoundKeys {
		var round []*big.Int
		for i := range keys {
			round = append(round, keys[i].BigInt(new(big.Int)))
		}
		c.roundKeys = append(c.roundKeys, round)
	}
	for i := range c.diagonal {
		c.diagonal[i] = credential.C4Parameters.DiagM1[i].BigInt(new(big.Int))
	}
	return &c
})

// permutation follows https://eprint.iacr.org/2023/323, section 6. Additions and multiplications by constants are free:
// lanes are linear combinations until they enter an S-box.
type permutation struct {
	api       frontend.API
	constants *constants
	state     [credential.C4Width]frontend.Variable
}

func (p *permutation) run() {
	const half = credential.C4FullRounds / 2
	p.mixExternal()
	for round := range p.constants.roundKeys {
		p.addKeys(round)
		if round < half || round >= half+credential.C4PartialRounds {
			for lane := range p.state {
				p.sBox(lane)
			}
			p.mixExternal()
		} else {
			p.sBox(0)
			p.mixInternal()
		}
	}
}

func (p *permutation) addKeys(round int) {
	for lane, key := range p.constants.roundKeys[round] {
		p.state[lane] = p.api.Add(p.state[lane], key)
	}
}

// sBox raises a lane to the fifth power. The factor on the right lands in the proving key's G2 points, the dear ones:
// x² serves twice there, so x³ never does.
func (p *permutation) sBox(lane int) {
	x := p.state[lane]
	x2 := p.api.Mul(x, x)
	x3 := p.api.Mul(x, x2)
	p.state[lane] = p.api.Mul(x3, x2)
}

// mixExternal multiplies the state by
//
//	5 7 1 3
//	4 6 1 1
//	1 3 5 7
//	1 1 4 6
func (p *permutation) mixExternal() {
	s, api := p.state, p.api
	row := func(a, b, c, d int) frontend.Variable {
		return api.Add(api.Mul(s[0], a), api.Mul(s[1], b), api.Mul(s[2], c), api.Mul(s[3], d))
	}
	p.state = [credential.C4Width]frontend.Variable{row(5, 7, 1, 3), row(4, 6, 1, 1), row(1, 3, 5, 7), row(1, 1, 4, 6)}
}

// mixInternal multiplies the state by the matrix of ones plus the diagonal.
func (p *permutation) mixInternal() {
	s := p.state
	sum := p.api.Add(s[0], s[1], s[2], s[3])
	for lane := range p.state {
		p.state[lane] = p.api.Add(p.api.Mul(s[lane], p.constants.diagonal[lane]), sum)
	}
}
