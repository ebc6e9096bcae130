package verifying_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
)

var update = flag.Bool("update", false, "make the enrolment proof in testdata anew, with development keys")

// sample is a proof that is kept, so that its form stays what it was.
type sample struct {
	vk     *keys.VerifyingKey
	public []credential.Element
	proof  []byte
}

func files() []string {
	return []string{"testdata/enrolment-1.verifying", "testdata/enrolment-1.public.json", "testdata/enrolment-1.proof"}
}

func load(t testing.TB) sample {
	t.Helper()
	if *update {
		write(t)
	}
	var data [3][]byte
	for i, name := range files() {
		var err error
		if data[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	vk, err := keys.ParseVerifyingKey(data[0])
	if err != nil {
		t.Fatal(err)
	}
	s := sample{vk: vk, proof: data[2]}
	if err := json.Unmarshal(data[1], &s.public); err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t testing.TB) {
	t.Helper()
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
	proof, err := circuitstest.Prover(t, circuits.Enrolment, false).ProveEnrolment(t.Context(), public, private)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := json.Marshal(public.Vector())
	if err != nil {
		t.Fatal(err)
	}
	vk := circuitstest.VerifyingKey(t, circuits.Enrolment)
	for i, data := range [][]byte{vk.Bytes(), inputs, proof} {
		if err := os.MkdirAll(filepath.Dir(files()[i]), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files()[i], data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGoodProof(t *testing.T) {
	s := load(t)
	if err := verifying.Verify(s.vk, s.public, s.proof); err != nil {
		t.Error(err)
	}
	if len(s.proof) != 128 || verifying.ProofSize != 128 {
		t.Errorf("a proof has %d bytes, want 128", len(s.proof))
	}
}

// No bit of a proof can be flipped.
func TestEveryBitCounts(t *testing.T) {
	s := load(t)
	step := 1
	if testing.Short() {
		step = 11
	}
	for bit := 0; bit < 8*len(s.proof); bit += step {
		changed := bytes.Clone(s.proof)
		changed[bit/8] ^= 0x80 >> (bit % 8)
		err := verifying.Verify(s.vk, s.public, changed)
		if !errors.Is(err, verifying.ErrProofInvalid) && !errors.Is(err, verifying.ErrProofMalformed) {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}

func TestWrongPublicInputs(t *testing.T) {
	s := load(t)
	for i := range s.public {
		changed := append([]credential.Element(nil), s.public...)
		changed[i] = credential.ElementFromUint64(1)
		if err := verifying.Verify(s.vk, changed, s.proof); !errors.Is(err, verifying.ErrProofInvalid) {
			t.Errorf("public input %d: %v, want ErrProofInvalid", i, err)
		}
	}
	// A public input plus the modulus is the same number to the field. It does not even become an element.
	for _, e := range s.public {
		alias := new(big.Int).Add(e.BigInt(), fr.Modulus())
		if _, err := credential.ParseElement(alias.FillBytes(make([]byte, 32))); !errors.Is(err, credential.ErrNotCanonical) {
			t.Errorf("a public input plus the modulus: %v", err)
		}
	}
}

// "The proof is bad" and "I could not check" are different errors.
func TestCouldNotCheck(t *testing.T) {
	s := load(t)
	for name, err := range map[string]error{
		"no key":           verifying.Verify(nil, s.public, s.proof),
		"too few inputs":   verifying.Verify(s.vk, s.public[1:], s.proof),
		"too many inputs":  verifying.Verify(s.vk, append(s.public[:4:4], credential.Element{}), s.proof),
		"no public inputs": verifying.Verify(s.vk, nil, s.proof),
	} {
		if err == nil || errors.Is(err, verifying.ErrProofInvalid) || errors.Is(err, verifying.ErrProofMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	s := load(t)
	with := func(at int, part []byte) []byte {
		out := bytes.Clone(s.proof)
		copy(out[at:], part)
		return out
	}
	infinity := make([]byte, 64)
	infinity[0] = 0b01 << 6
	_, _, g1, _ := bn254.Generators()
	raw := g1.RawBytes()
	var full bytes.Buffer // gnark's encoding with its trailer
	gnark := new(groth16.Proof)
	if err := unmarshal(gnark, s.proof); err != nil {
		t.Fatal(err)
	}
	if _, err := gnark.WriteTo(&full); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(full.Bytes(), s.proof) {
		t.Error("a proof is not the beginning of gnark's encoding")
	}
	for name, proof := range map[string][]byte{
		"empty":                 nil,
		"short":                 s.proof[:127],
		"trailing byte":         append(bytes.Clone(s.proof), 0),
		"gnark's trailer":       full.Bytes(),
		"infinity in Ar":        with(0, infinity[:32]),
		"infinity in Bs":        with(32, infinity),
		"infinity in Krs":       with(96, infinity[:32]),
		"uncompressed":          with(0, raw[:]),
		"x plus the modulus":    with(0, aliasG1(t)),
		"outside the subgroup":  with(32, outsideSubgroup(t)),
		"x off the curve":       with(0, offCurve()),
		"zeros":                 make([]byte, 128),
		"infinity with garbage": with(0, append([]byte{0b01 << 6}, s.proof[1:32]...)),
	} {
		if err := verifying.Verify(s.vk, s.public, proof); !errors.Is(err, verifying.ErrProofMalformed) {
			t.Errorf("%s: %v, want ErrProofMalformed", name, err)
		}
	}
}

func unmarshal(p *groth16.Proof, data []byte) error {
	_, err1 := p.Ar.SetBytes(data[:32])
	_, err2 := p.Bs.SetBytes(data[32:96])
	_, err3 := p.Krs.SetBytes(data[96:])
	return errors.Join(err1, err2, err3)
}

// aliasG1 is the generator's encoding, whose x is 1, with x plus the base field's modulus.
func aliasG1(t *testing.T) []byte {
	t.Helper()
	_, _, g1, _ := bn254.Generators()
	b := g1.Bytes()
	alias := new(big.Int).Add(g1.X.BigInt(new(big.Int)), fp.Modulus()).FillBytes(make([]byte, 32))
	alias[0] |= b[0] & 0xc0
	return alias
}

// outsideSubgroup is a point of the twist that is not in the subgroup of prime order.
func outsideSubgroup(t *testing.T) []byte {
	t.Helper()
	for x := uint64(1); x < 100; x++ {
		var b [64]byte
		b[0], b[63] = 0b10<<6, byte(x)
		var p bn254.G2Affine
		if err := bn254.NewDecoder(bytes.NewReader(b[:]), bn254.NoSubgroupChecks()).Decode(&p); err == nil && p.IsOnCurve() && !p.IsInSubGroup() {
			return b[:]
		}
	}
	t.Fatal("no point of the twist found")
	return nil
}

// offCurve is an x without a y.
func offCurve() []byte {
	for x := byte(2); ; x++ {
		b := make([]byte, 32)
		b[0], b[31] = 0b10<<6, x
		if _, err := new(bn254.G1Affine).SetBytes(b); err != nil {
			return b
		}
	}
}

// A re-randomised proof is as good as the first: which is why proof bytes are no replay key.
func TestRerandomisedProofVerifies(t *testing.T) {
	s := load(t)
	p := new(groth16.Proof)
	if err := unmarshal(p, s.proof); err != nil {
		t.Fatal(err)
	}
	factor := big.NewInt(12345)
	p.Ar.ScalarMultiplication(&p.Ar, factor)
	p.Bs.ScalarMultiplication(&p.Bs, new(big.Int).ModInverse(factor, fr.Modulus()))
	ar, bs, krs := p.Ar.Bytes(), p.Bs.Bytes(), p.Krs.Bytes()
	if err := verifying.Verify(s.vk, s.public, bytes.Join([][]byte{ar[:], bs[:], krs[:]}, nil)); err != nil {
		t.Error(err)
	}
}

// Neither the proof's bytes nor the inputs can make Verify panic, or accept what is not the sample re-randomised.
func FuzzVerify(f *testing.F) {
	s := load(f)
	f.Add(s.proof, byte(0))
	f.Add(s.proof[:96], byte(1))
	f.Add(make([]byte, 128), byte(2))
	f.Fuzz(func(t *testing.T, proof []byte, change byte) {
		public := append([]credential.Element(nil), s.public...)
		if change != 0 {
			public[int(change)%len(public)] = credential.ElementFromUint64(uint64(change))
		}
		err := verifying.Verify(s.vk, public, proof)
		if err == nil && (change != 0 || !bytes.Equal(proof, s.proof)) {
			t.Fatalf("accepted %x with change %d", proof, change)
		}
		if err != nil && !errors.Is(err, verifying.ErrProofInvalid) && !errors.Is(err, verifying.ErrProofMalformed) {
			t.Fatalf("could not check: %v", err)
		}
	})
}

// A relying party links neither our prover nor the circuits' sources.
func TestLinksNoProver(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	const ours = "github.com/bulla-id/bulla/circuits/"
	for _, forbidden := range []string{
		ours + "proving", ours + "compiling", ours + "setup", ours + "gadget", ours + "presentation", ours + "enrolment",
		"github.com/consensys/gnark/frontend/cs/r1cs", "github.com/consensys/gnark/test",
	} {
		if strings.Contains(string(out)+"\n", forbidden+"\n") {
			t.Errorf("verifying links %s", forbidden)
		}
	}
}
