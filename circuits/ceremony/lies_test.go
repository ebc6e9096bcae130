package ceremony

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"

	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/credential"
)

// forge changes a contribution that was made honestly, and the transcript with it, as its contributor could.
func forge(t testing.TB, c *Ceremony, phase, number int, lie func(data []byte) []byte) {
	t.Helper()
	path := c.statePath(phase, number)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = lie(bytes.Clone(data))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c.transcript.Phases[phase-1].Contributions[number-1].Digest = credential.DigestOf(data)
	if err := c.save(os.Rename); err != nil {
		t.Fatal(err)
	}
}

// expectFault checks that the error blames one contribution, and says why.
func expectFault(t *testing.T, err error, phase, number int, name, reason string) {
	t.Helper()
	var fault *Fault
	if !errors.As(err, &fault) {
		t.Errorf("%v, want a fault", err)
		return
	}
	if fault.Phase != phase || fault.Number != number || fault.Name != name || !strings.Contains(fault.Reason.Error(), reason) {
		t.Errorf("%v\nwant contribution %d to phase %d, by %q: … %s …", err, number, phase, name, reason)
	}
}

// Where the parts of a state of phase 1 are, after the header, for n powers.
const (
	tauProof   = 0
	alphaProof = proofSize
	betaProof  = 2 * proofSize
	count      = 3 * proofSize
	beta2      = count + 8
	tau1       = beta2 + g2Size // from τ on
)

func tau2(n int) int      { return tau1 + (2*n-2)*g1Size }
func betaTau(n int) int   { return tau2(n) + (n-1)*g2Size }
func alphaTau(n int) int  { return betaTau(n) + n*g1Size }
func challenge(n int) int { return alphaTau(n) + n*g1Size } // with the byte before it

// one is the generator, which is a valid point but hardly ever the right one.
func one() (g1, g2 []byte) {
	_, _, a, b := bn254.Generators()
	x, y := a.Bytes(), b.Bytes()
	return x[:], y[:]
}

// outside is a point on the twist that is not in the subgroup.
func outside(t testing.TB) []byte {
	t.Helper()
	_, _, _, g2 := bn254.Generators()
	for x := uint64(1); x < 1000; x++ {
		data := make([]byte, g2Size)
		binary.BigEndian.PutUint64(data[g2Size-8:], x)
		data[0] |= 0b10 << 6
		p := g2
		if _, err := p.SetBytes(data); err != nil && strings.Contains(err.Error(), "subgroup") {
			return data
		}
	}
	t.Fatal("no point outside the subgroup was found")
	return nil
}

// unreduced is the generator, its coordinate 1 written as 1 plus the modulus.
func unreduced() []byte {
	g1, _ := one()
	x := new(big.Int).Add(fp.Modulus(), big.NewInt(1)).FillBytes(make([]byte, g1Size))
	x[0] |= g1[0] & 0b11 << 6
	return x
}

func put(at int, part []byte) func([]byte) []byte {
	return func(data []byte) []byte { copy(data[at:], part); return data }
}

func swap(a, b, size int) func([]byte) []byte {
	return func(data []byte) []byte {
		x := bytes.Clone(data[a : a+size])
		copy(data[a:], data[b:b+size])
		copy(data[b:], x)
		return data
	}
}

// Every lie in phase 1 is refused by the next contributor, who names the liar; so does verify.
func TestLiesAboutPowers(t *testing.T) {
	const n = 8
	g1, g2 := one()
	infinity := append([]byte{0b01 << 6}, make([]byte, g2Size-1)...)
	h := headerSize + len("Liar")
	lies := map[string]struct {
		lie    func([]byte) []byte
		reason string
	}{
		"truncated":               {func(b []byte) []byte { return b[:len(b)-1] }, "bytes, want"},
		"empty":                   {func([]byte) []byte { return nil }, "bytes, want"},
		"trailing byte":           {func(b []byte) []byte { return append(b, 0) }, "bytes, want"},
		"other magic":             {put(0, []byte("B")), "no state file"},
		"other version":           {put(8, []byte{2}), "version 2"},
		"of another phase":        {put(9, []byte{2}), "phase 2"},
		"another number":          {put(13, []byte{7}), "contribution 7"},
		"of another ceremony":     {put(14, make([]byte, 32)), "another ceremony"},
		"another predecessor":     {put(46, make([]byte, 32)), "built on"},
		"another name":            {put(headerSize, []byte("Lyra")), "another name"},
		"changed power of τ":      {swap(h+tau1+3*g1Size, h+tau1+4*g1Size, g1Size), "pairing mismatch"},
		"last power of τ":         {put(h+tau2(n)-g1Size, g1), "pairing mismatch"},
		"changed power of τ2":     {swap(h+tau2(n)+g2Size, h+tau2(n)+2*g2Size, g2Size), "pairing mismatch"},
		"changed α power":         {swap(h+alphaTau(n)+g1Size, h+alphaTau(n)+2*g1Size, g1Size), "pairing mismatch"},
		"last α power":            {put(h+challenge(n)-g1Size, g1), "pairing mismatch"},
		"changed β power":         {put(h+betaTau(n)+5*g1Size, g1), "pairing mismatch"},
		"τ of nobody":             {put(h+tau1, g1), "to τ"},
		"α of nobody":             {put(h+alphaTau(n), g1), "to α"},
		"β of nobody":             {put(h+betaTau(n), g1), "to β"},
		"β2 of nobody":            {put(h+beta2, g2), "to β"},
		"broken proof for τ":      {put(h+tauProof+g1Size, g2), "to τ"},
		"broken proof for α":      {swap(h+alphaProof+g1Size, h+betaProof+g1Size, g2Size), "to α"},
		"other factor":            {put(h+betaProof, g1), "to β"},
		"zero factor":             {put(h+tauProof, infinity[:g1Size]), "to τ"},
		"τ = 0":                   {put(h+tau1, infinity[:g1Size]), "to τ"},
		"more powers":             {put(h+count, binary.BigEndian.AppendUint64(nil, n+1)), "9 powers"},
		"memory bomb":             {put(h+count, binary.BigEndian.AppendUint64(nil, 1<<60)), "powers, want"},
		"other challenge":         {put(h+challenge(n)+5, []byte{1, 2, 3}), "challenge does not match"},
		"no challenge":            {put(h+challenge(n), []byte{0}), "challenge of 0 bytes"},
		"outside the subgroup":    {put(h+tau2(n)+g2Size, outside(t)), "subgroup"},
		"proof outside of it":     {put(h+tauProof+g1Size, outside(t)), "subgroup"},
		"not on the curve":        {put(h+tau1, append([]byte{0b10 << 6}, append(make([]byte, 30), 4)...)), "read points"},
		"unreduced coordinate":    {put(h+tau1, unreduced()), "read points"},
		"uncompressed":            {func(b []byte) []byte { b[h+tau1] &= 0x3f; return b }, "points"},
		"infinity of other kinds": {put(h+tau1, append(infinity[:g1Size-1:g1Size-1], 1)), "points"},
	}
	folder := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, folder)
	contribute(t, folder, "Ada", "Liar")
	for name, l := range lies {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			forge(t, again(t, dir), 1, 2, l.lie)
			before, _ := os.ReadFile(filepath.Join(dir, TranscriptFile))
			_, err := again(t, dir).Contribute(t.Context(), "Chi")
			expectFault(t, err, 1, 2, "Liar", l.reason)
			if after, _ := os.ReadFile(filepath.Join(dir, TranscriptFile)); !bytes.Equal(before, after) {
				t.Error("the transcript changed")
			}
			_, err = again(t, dir).Verify(t.Context())
			expectFault(t, err, 1, 2, "Liar", l.reason)
			expectFault(t, again(t, dir).Next(t.Context(), beacon(1)), 1, 2, "Liar", l.reason)
		})
	}
}

// Where the parts of a circuit's state of phase 2 are.
func privateAt() int                          { return 2 + g1Size }
func multiplesAt(s *compiling.System) int     { return privateAt() + 4 + privateWires(s)*g1Size }
func delta2At(s *compiling.System) int        { return multiplesAt(s) + 4 + (domain(s.Circuit)-1)*g1Size }
func deltaProofAt(s *compiling.System) int    { return delta2At(s) + g2Size }
func challengeByteAt(s *compiling.System) int { return deltaProofAt(s) + proofSize }

// The same for phase 2, in the second of two circuits.
func TestLiesAboutCircuits(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, folder)
	contribute(t, folder, "Ada", "Bo")
	next(t, folder)
	contribute(t, folder, "Ada", "Liar")
	c := again(t, folder)
	s := c.systems[1]
	hdr := header{name: "Liar", number: 2}
	h := hdr.size() + hdr.circuitSize(c.systems[0])
	g1, g2 := one()
	huge := []byte{0xff, 0xff, 0xff, 0xff}
	lies := map[string]struct {
		lie    func([]byte) []byte
		reason string
	}{
		"truncated":           {func(b []byte) []byte { return b[:len(b)-1] }, "bytes, want"},
		"trailing byte":       {func(b []byte) []byte { return append(b, 0) }, "bytes, want"},
		"commitments":         {put(h, []byte{0xff, 0xff}), "commitments"},
		"private memory bomb": {put(h+privateAt(), huge), "private wires"},
		"other memory bomb":   {put(h+multiplesAt(s), huge), "multiples"},
		"changed wire":        {put(h+privateAt()+4, g1), "to δ"},
		"changed multiple":    {swap(h+multiplesAt(s)+4, h+multiplesAt(s)+4+g1Size, g1Size), "to δ"},
		"changed last one":    {put(h+delta2At(s)-g1Size, g1), "to δ"},
		"δ of nobody":         {put(h+2, g1), "to δ"},
		"δ2 of nobody":        {put(h+delta2At(s), g2), "to δ"},
		"other factor":        {put(h+deltaProofAt(s), g1), "to δ"},
		"broken proof":        {put(h+deltaProofAt(s)+g1Size, g2), "to δ"},
		"other challenge":     {put(h+challengeByteAt(s)+1, []byte{1, 2, 3}), "challenge does not match"},
		"no challenge":        {put(h+challengeByteAt(s), []byte{0}), "challenge of 0"},
		"outside the group":   {put(h+delta2At(s), outside(t)), "subgroup"},
	}
	for name, l := range lies {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			forge(t, again(t, dir), 2, 2, l.lie)
			_, err := again(t, dir).Contribute(t.Context(), "Chi")
			expectFault(t, err, 2, 2, "Liar", l.reason)
			_, err = again(t, dir).Verify(t.Context())
			expectFault(t, err, 2, 2, "Liar", l.reason)
		})
	}
}

// Somebody hands on the state they got, or builds on an older one and so leaves others out.
func TestReusedStates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	contribute(t, dir, "Ada", "Bo", "Liar")
	read := func(number, skip int) []byte {
		data, err := os.ReadFile(again(t, dir).statePath(1, number))
		if err != nil {
			t.Fatal(err)
		}
		return data[skip:]
	}
	honest := read(3, 0)
	forge(t, again(t, dir), 1, 3, func(data []byte) []byte { // Bo's state under the liar's header
		return append(data[:headerSize+len("Liar")], read(2, headerSize+len("Bo"))...)
	})
	_, err := again(t, dir).Contribute(t.Context(), "Chi")
	expectFault(t, err, 1, 3, "Liar", "challenge does not match")

	forge(t, again(t, dir), 1, 3, func([]byte) []byte { // on Ada's state, leaving Bo out, and saying the contrary
		c := again(t, dir)
		s, err := c.readState(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		s.contribute()
		data, err := encodeState(header{1, 3, c.transcript.Plan.digest(), c.transcript.Phases[0].digest(2), "Liar"}, s)
		if err != nil {
			t.Fatal(err)
		}
		return data
	})
	_, err = again(t, dir).Verify(t.Context())
	expectFault(t, err, 1, 3, "Liar", "challenge does not match")

	forge(t, again(t, dir), 1, 3, func([]byte) []byte { return honest })
	if _, err := again(t, dir).Verify(t.Context()); err != nil {
		t.Errorf("the honest state: %v", err)
	}
	c := again(t, dir) // and openly: the transcript itself says what it builds on
	c.transcript.Phases[0].Contributions[2].Previous = c.transcript.Phases[0].digest(1)
	if err := c.save(os.Rename); err != nil {
		t.Fatal(err)
	}
	_, err = again(t, dir).Verify(t.Context())
	expectFault(t, err, 1, 3, "Liar", "built on")
}

// Two liars in a row get past the next contributor, who looks at one, but not past the end of the phase. What builds on
// a lie is dropped with it, and nothing that is good.
func TestDrop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	contribute(t, dir, "Ada", "Bo", "Liar")
	if _, err := again(t, dir).Drop(t.Context()); err == nil {
		t.Error("a good contribution was dropped")
	}
	c := again(t, dir)
	g1, _ := one()
	forge(t, c, 1, 3, put(headerSize+len("Liar")+tau1+3*g1Size, g1))
	data, err := os.ReadFile(c.statePath(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.decodeState(header{1, 3, c.transcript.Plan.digest(), c.transcript.Phases[0].digest(2), "Liar"}, data)
	if err != nil {
		t.Fatal(err)
	}
	s.contribute() // the accomplice builds on the lie
	h := header{1, 4, c.transcript.Plan.digest(), c.transcript.Phases[0].last(), "Mob"}
	if data, err = encodeState(h, s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.statePath(1, 4), data, 0o600); err != nil {
		t.Fatal(err)
	}
	lines := &c.transcript.Phases[0].Contributions
	*lines = append(*lines, Contribution{4, "Mob", h.previous, credential.DigestOf(data)})
	if err := c.save(os.Rename); err != nil {
		t.Fatal(err)
	}
	expectFault(t, again(t, dir).Next(t.Context(), beacon(1)), 1, 3, "Liar", "pairing mismatch")
	fault, err := again(t, dir).Drop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expectFault(t, fault, 1, 3, "Liar", "pairing mismatch")
	if n := len(again(t, dir).transcript.Phases[0].Contributions); n != 2 {
		t.Errorf("%d contributions are left, want 2", n)
	}
	contribute(t, dir, "Chi")
	next(t, dir)
}

// gnark reads points that are not compressed, and a contribution without a challenge: together they have the right length,
// and where the length of the challenge belongs may stand a byte of a coordinate that looks like it.
func TestSecondSpelling(t *testing.T) {
	const n = 8
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	contribute(t, dir, "Liar")
	c := again(t, dir)
	data, err := os.ReadFile(c.statePath(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, _, g1, _ := bn254.Generators()
	p := g1
	raw := p.RawBytes()
	for raw[g1Size] != challengeSize {
		p.Add(&p, &g1)
		raw = p.RawBytes()
	}
	h, _ := c.expected(1, 1)
	forged := append(bytes.Clone(data[:h.size()+challenge(n)-g1Size]), append(raw[:], 0)...)
	if len(forged) != len(data) {
		t.Fatalf("%d bytes, want %d", len(forged), len(data))
	}
	if _, err := c.decodeState(h, forged); err == nil || !strings.Contains(err.Error(), "not in the form") {
		t.Errorf("%v", err)
	}
}
