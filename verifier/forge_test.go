package verifier_test

import (
	"math/big"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// forger is a verifying key whose secrets we kept, as a dishonest setup would: it proves anything in a millisecond. So
// most tests here need no prover, and still go through the check of the proof. It also shows what development keys are
// worth.
type forger struct {
	alpha, beta, gamma, delta fr.Element
	k                         []fr.Element
	key                       *keys.VerifyingKey
}

var theForger = sync.OnceValue(func() *forger {
	circuit, err := circuits.Named(circuits.Presentation)
	if err != nil {
		panic(err)
	}
	f := &forger{k: make([]fr.Element, circuit.PublicInputs+1)}
	next := uint64(1000)
	draw := func(e *fr.Element) { next = next*6364136223846793005 + 1442695040888963407; e.SetUint64(next) }
	for _, e := range []*fr.Element{&f.alpha, &f.beta, &f.gamma, &f.delta} {
		draw(e)
	}
	var vk groth16.VerifyingKey
	for i := range f.k {
		draw(&f.k[i])
		vk.G1.K = append(vk.G1.K, g1(f.k[i]))
	}
	vk.G1.Alpha, vk.G1.Beta, vk.G1.Delta = g1(f.alpha), g1(f.beta), g1(f.delta)
	vk.G2.Beta, vk.G2.Gamma, vk.G2.Delta = g2(f.beta), g2(f.gamma), g2(f.delta)
	if f.key, err = keys.NewVerifyingKey(circuit, &vk); err != nil {
		panic(err)
	}
	return f
})

func g1(e fr.Element) (p bn254.G1Affine) {
	p.ScalarMultiplicationBase(e.BigInt(new(big.Int)))
	return p
}

func g2(e fr.Element) (p bn254.G2Affine) {
	p.ScalarMultiplicationBase(e.BigInt(new(big.Int)))
	return p
}

// forge makes a proof of any public inputs: C = (ab - αβ - γ·Σ kᵢxᵢ) / δ.
func (f *forger) forge(public []credential.Element) []byte {
	var a, b, c, t fr.Element
	a.SetUint64(3)
	b.SetUint64(5)
	sum := f.k[0]
	for i, e := range public {
		x := e.Fr()
		t.Mul(&x, &f.k[i+1])
		sum.Add(&sum, &t)
	}
	c.Mul(&a, &b)
	t.Mul(&f.alpha, &f.beta)
	c.Sub(&c, &t)
	t.Mul(&sum, &f.gamma)
	c.Sub(&c, &t)
	c.Div(&c, &f.delta)
	ar, bs, krs := g1(a), g2(b), g1(c)
	x, y, z := ar.Bytes(), bs.Bytes(), krs.Bytes()
	return append(append(x[:], y[:]...), z[:]...)
}
