package keys_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	gnark "github.com/consensys/gnark/backend/groth16"
	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// The layout of a verifying key: where its parts begin.
const (
	header  = 42
	g1      = 32
	g2      = 64
	alpha   = header
	beta1   = alpha + g1
	beta2   = beta1 + g1
	gamma   = beta2 + g2
	delta1  = gamma + g2
	delta2  = delta1 + g1
	counter = delta2 + g2
	k       = counter + 4
)

// kept is the verifying key of the enrolment circuit that verifying's tests keep.
func kept(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("../verifying/testdata/enrolment-1.verifying")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestVerifyingKey(t *testing.T) {
	data := kept(t)
	vk, err := keys.ParseVerifyingKey(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(vk.Bytes(), data) || vk.Digest() != credential.DigestOf(data) {
		t.Error("a verifying key does not keep its bytes")
	}
	circuit, err := circuits.Named(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	if vk.Circuit() != circuit.Digest || vk.Name() != circuit.Name || vk.PublicInputs() != 4 {
		t.Errorf("key of %s, %d public inputs", vk.Name(), vk.PublicInputs())
	}
	again, err := keys.NewVerifyingKey(circuit, vk.Groth16())
	if err != nil || !bytes.Equal(again.Bytes(), data) {
		t.Errorf("the key does not become itself: %v", err)
	}
	// gnark reads the same points from what follows our header.
	theirs := gnark.NewVerifyingKey(ecc.BN254)
	if _, err := theirs.ReadFrom(bytes.NewReader(data[header:])); err != nil {
		t.Fatal(err)
	}
	if !theirs.(*groth16.VerifyingKey).G1.K[4].Equal(&vk.Groth16().G1.K[4]) {
		t.Error("gnark reads another key")
	}
}

func TestVerifyingKeyRefused(t *testing.T) {
	data := kept(t)
	edit := func(at int, part ...byte) []byte {
		out := bytes.Clone(data)
		copy(out[at:], part)
		return out
	}
	infinity := make([]byte, g2)
	infinity[0] = 0b01 << 6
	presentation, err := circuits.Named(circuits.Presentation)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"empty":                  nil,
		"header only":            data[:header],
		"other magic":            edit(0, 'B'),
		"other version":          edit(8, 2),
		"a proving key":          edit(9, 2),
		"unknown circuit":        edit(10, 1, 2, 3),
		"of another circuit":     edit(10, presentation.Digest[:]...),
		"short":                  data[:len(data)-1],
		"trailing byte":          append(bytes.Clone(data), 0),
		"alpha at infinity":      edit(alpha, infinity[:g1]...),
		"beta at infinity":       edit(beta2, infinity...),
		"gamma at infinity":      edit(gamma, infinity...),
		"delta at infinity":      edit(delta2, infinity...),
		"beta of another secret": edit(beta1, data[alpha:alpha+g1]...),
		"delta of another":       edit(delta1, data[alpha:alpha+g1]...),
		"uncompressed alpha":     edit(alpha, data[alpha]&0x3f),
		"more inputs":            edit(counter, binary.BigEndian.AppendUint32(nil, 6)...),
		"memory bomb":            edit(counter, 0xff, 0xff, 0xff, 0xff),
		"a commitment":           edit(len(data)-1, 1),
		"a committed input":      edit(len(data)-5, 1),
		"too long":               append(bytes.Clone(data), make([]byte, keys.MaxVerifyingKey)...),
	}
	for i := range 5 {
		cases["K at infinity "+string(rune('0'+i))] = edit(k+i*g1, infinity[:g1]...)
	}
	for name, c := range cases {
		if _, err := keys.ParseVerifyingKey(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzParseVerifyingKey: whatever is accepted is canonical, and nothing panics or allocates without bound.
func FuzzParseVerifyingKey(f *testing.F) {
	data := kept(f)
	f.Add(data)
	f.Add(data[:header])
	f.Fuzz(func(t *testing.T, data []byte) {
		vk, err := keys.ParseVerifyingKey(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		circuit, err := circuits.WithDigest(vk.Circuit())
		if err != nil {
			t.Fatal(err)
		}
		again, err := keys.NewVerifyingKey(circuit, vk.Groth16())
		if err != nil || !bytes.Equal(again.Bytes(), data) {
			t.Fatalf("accepted a second spelling: %v", err)
		}
	})
}

// In the real keys no public input has its point at infinity: each one is in a constraint.
func TestEveryPublicInputIsConstrained(t *testing.T) {
	for _, circuit := range circuits.Published() {
		vk := circuitstest.VerifyingKey(t, circuit.Name).Groth16()
		if len(vk.G1.K) != circuit.PublicInputs+1 {
			t.Errorf("%s: %d points, want %d", circuit.Name, len(vk.G1.K), circuit.PublicInputs+1)
		}
		seen := make(map[bn254.G1Affine]int)
		for i, p := range vk.G1.K {
			if p.IsInfinity() {
				t.Errorf("%s: public input %d is in no constraint", circuit.Name, i-1)
			}
			if j, ok := seen[p]; ok {
				t.Errorf("%s: public inputs %d and %d are interchangeable", circuit.Name, j-1, i-1)
			}
			seen[p] = i
		}
	}
}

func TestProvingKeyIsPinned(t *testing.T) {
	d := circuitstest.Keys(t)
	path, digest, err := d.ProvingKeyFile(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	enrolment, _ := circuits.Named(circuits.Enrolment)
	presentation, _ := circuits.Named(circuits.Presentation)
	pk, err := keys.ParseProvingKey(data, enrolment, digest)
	if err != nil {
		t.Fatal(err)
	}
	if pk.Circuit() != enrolment || pk.VerifyingKey() != circuitstest.VerifyingKey(t, circuits.Enrolment).Digest() {
		t.Error("the proving key belongs to another circuit or verifying key")
	}
	if _, err := keys.ParseProvingKey(data, presentation, digest); !errors.Is(err, keys.ErrWrongKey) {
		t.Errorf("as a key of another circuit: %v", err)
	}
	changed := bytes.Clone(data)
	changed[len(changed)/2] ^= 1
	if _, err := keys.ParseProvingKey(changed, enrolment, digest); !errors.Is(err, keys.ErrWrongKey) {
		t.Errorf("changed: %v", err)
	}
	// A pinned file that is nonsense is refused too, though then we pinned nonsense.
	for _, nonsense := range [][]byte{nil, data[:header], data[:header+10], data[:len(data)/2], append(bytes.Clone(data), 0)} {
		if _, err := keys.ParseProvingKey(nonsense, enrolment, credential.DigestOf(nonsense)); err == nil {
			t.Errorf("%d bytes are taken as a proving key", len(nonsense))
		}
	}
}

func TestLoadProvingKeyBoundsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, keys.MaxProvingKey+1); err != nil { // a hole: it takes no space
		t.Fatal(err)
	}
	_, err := keys.LoadProvingKey(path, circuits.Circuit{}, credential.Digest{})
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
	if _, err := keys.LoadProvingKey(path+"s", circuits.Circuit{}, credential.Digest{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}
