package verifying_test

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
)

// forge is a setup whose secrets are known, so that it proves anything at once: proofs for tests that need many. To a
// verifier they are like any other.
type forge struct {
	alpha, beta, gamma, delta fr.Element
	k                         fr.Vector
	vk                        *keys.VerifyingKey
	rand                      *rand.Rand
}

func newForge(t testing.TB, name string, seed uint64) *forge {
	t.Helper()
	circuit, err := circuits.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	f := &forge{rand: circuitstest.NewRand(seed), k: make(fr.Vector, circuit.PublicInputs+1)}
	var key groth16.VerifyingKey
	for _, secret := range []*fr.Element{&f.alpha, &f.beta, &f.gamma, &f.delta} {
		*secret = f.secret()
	}
	key.G1.Alpha, key.G1.Beta, key.G1.Delta = g1(f.alpha), g1(f.beta), g1(f.delta)
	key.G2.Beta, key.G2.Gamma, key.G2.Delta = g2(f.beta), g2(f.gamma), g2(f.delta)
	for i := range f.k {
		f.k[i] = f.secret()
		key.G1.K = append(key.G1.K, g1(f.k[i]))
	}
	if f.vk, err = keys.NewVerifyingKey(circuit, &key); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *forge) secret() fr.Element { return circuitstest.Element(f.rand).Fr() }

// item is a good proof of random public inputs.
func (f *forge) item() verifying.Item {
	public := make([]credential.Element, f.vk.PublicInputs())
	for i := range public {
		public[i] = circuitstest.Element(f.rand)
	}
	a, b := f.secret(), f.secret()
	// c = (a·b − α·β − γ·L) / δ, where L = k₀ + Σ xⱼ·kⱼ
	sum := f.k[0]
	for i, x := range public {
		var term fr.Element
		x := x.Fr()
		sum.Add(&sum, term.Mul(&x, &f.k[i+1]))
	}
	var c, term fr.Element
	c.Mul(&a, &b)
	c.Sub(&c, term.Mul(&f.alpha, &f.beta))
	c.Sub(&c, term.Mul(&f.gamma, &sum))
	c.Div(&c, &f.delta)
	return verifying.Item{Public: public, Proof: encode(&groth16.Proof{Ar: g1(a), Bs: g2(b), Krs: g1(c)})}
}

func (f *forge) items(n int) []verifying.Item {
	items := make([]verifying.Item, n)
	for i := range items {
		items[i] = f.item()
	}
	return items
}

func g1(s fr.Element) (p bn254.G1Affine) {
	p.ScalarMultiplicationBase(s.BigInt(new(big.Int)))
	return p
}

func g2(s fr.Element) (p bn254.G2Affine) {
	p.ScalarMultiplicationBase(s.BigInt(new(big.Int)))
	return p
}

func encode(p *groth16.Proof) []byte {
	a, b, c := p.Ar.Bytes(), p.Bs.Bytes(), p.Krs.Bytes()
	return append(append(a[:], b[:]...), c[:]...)
}

// decode reads a proof that is known to be good.
func decode(proof []byte) *groth16.Proof {
	p := new(groth16.Proof)
	if err := unmarshal(p, proof); err != nil {
		panic(err)
	}
	return p
}
