package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	gnark "github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/frontend"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/fuzztest"
)

// The keys of a ceremony prove and verify, and verify follows them from the beginning.
func TestCeremony(t *testing.T) {
	dir := finishedSmall(t)
	c := again(t, dir)
	report, err := c.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(dir, TranscriptFile))
	if err != nil {
		t.Fatal(err)
	}
	if !report.Finished || report.KeyFiles != 4 || report.Transcript != credential.DigestOf(file) {
		t.Errorf("report %+v", report)
	}
	if n := len(c.Transcript().Phases[1].Contributions); n != 3 {
		t.Errorf("%d contributions to phase 2", n)
	}
	for i, y := range []any{"18446744073709551616", 256} { // 2^64 and 2^8
		proveSmall(t, c, i, y)
	}
}

// proveSmall proves with the keys of a small circuit that y is a power of 2.
func proveSmall(t *testing.T, c *Ceremony, circuit int, y any) {
	t.Helper()
	system := c.systems[circuit]
	pk, vk := gnark.NewProvingKey(ecc.BN254), gnark.NewVerifyingKey(ecc.BN254)
	for name, key := range map[string]io.ReaderFrom{provingFile(system.Circuit.Name): pk, verifyingFile(system.Circuit.Name): vk} {
		data, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := key.ReadFrom(bytes.NewReader(data)); err != nil || int(n) != len(data) {
			t.Fatalf("%s: %d of %d bytes, %v", name, n, len(data), err)
		}
	}
	w, err := frontend.NewWitness(&small{X: 2, Y: y}, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := gnark.Prove(system.R1CS, pk, w)
	if err != nil {
		t.Fatal(err)
	}
	public, err := w.Public()
	if err != nil {
		t.Fatal(err)
	}
	if err := gnark.Verify(proof, vk, public); err != nil {
		t.Error(err)
	}
}

// What happens out of order is refused, and changes nothing.
func TestOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	ctx := t.Context()
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	_, err := initialise(dir, "again", []string{"small-1"}, smallCircuits, nil)
	refused("a second init", err)
	refused("next without contributions", again(t, dir).Next(ctx, beacon(1)))
	contribute(t, dir, "Ada")
	refused("next after one contribution", again(t, dir).Next(ctx, beacon(1)))
	_, err = again(t, dir).Contribute(ctx, "Ada")
	refused("a name twice", err)
	for _, name := range []string{"", " Bo", "Bo\n", "e\u0301", "\xff", strings.Repeat("x", maxName+1)} {
		_, err = again(t, dir).Contribute(ctx, name)
		refused("the name "+name, err)
	}
	contribute(t, dir, "Bo")
	_, err = again(t, dir).Finish(ctx, beacon(1))
	refused("finish in phase 1", err)
	for _, bad := range []Beacon{{}, {"00", "short"}, {beacon(1).Value, ""}, {strings.ToUpper(beacon(0xab).Value), "upper case"}, {strings.Repeat("ab", 65), "long"}} {
		refused("the beacon of "+bad.Source, again(t, dir).Next(ctx, bad))
	}
	next(t, dir)
	refused("a second next", again(t, dir).Next(ctx, beacon(2)))
	contribute(t, dir, "Ada", "Bo")
	_, err = again(t, dir).Finish(ctx, beacon(1))
	refused("the beacon of phase 1 again", err)
	if left, _ := filepath.Glob(filepath.Join(dir, "small-*")); len(left) != 0 {
		t.Errorf("keys %v of a ceremony that is not finished", left)
	}
	if report, err := again(t, dir).Verify(ctx); err != nil || report.Finished {
		t.Errorf("before the end: %+v, %v", report, err)
	}
	if _, err = again(t, dir).Finish(ctx, beacon(2)); err != nil {
		t.Fatal(err)
	}
	_, err = again(t, dir).Contribute(ctx, "Chi")
	refused("a contribution after the end", err)
	_, err = again(t, dir).Finish(ctx, beacon(3))
	refused("a second end", err)
	_, err = again(t, dir).Drop(ctx)
	refused("drop after the end", err)
}

// Two contributors who start from one state cannot both be next.
func TestTwoAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	first, second := again(t, dir), again(t, dir)
	if _, err := first.Contribute(t.Context(), "Ada"); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Contribute(t.Context(), "Bo"); err == nil || !strings.Contains(err.Error(), "faster") {
		t.Errorf("%v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) != 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	contribute(t, dir, "Bo")
}

func TestCancelled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	contribute(t, dir, "Ada", "Bo")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := again(t, dir).Contribute(ctx, "Chi"); !errors.Is(err, context.Canceled) {
		t.Errorf("contribute: %v", err)
	}
	if err := again(t, dir).Next(ctx, beacon(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("next: %v", err)
	}
	if _, err := again(t, dir).Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("verify: %v", err)
	}
	if n := len(again(t, dir).Transcript().Phases[0].Contributions); n != 2 {
		t.Errorf("%d contributions", n)
	}
}

// Whatever is changed in a finished transcript, verify finds it, or the transcript is not well formed any more.
func TestChangedTranscript(t *testing.T) {
	folder := finishedSmall(t)
	wrong := credential.DigestOf([]byte("wrong"))
	cases := map[string]struct {
		change        func(*Transcript)
		phase, number int
		name, reason  string
	}{
		"title":             {func(t *Transcript) { t.Plan.Title = "another" }, 1, 0, "", "follows as"},
		"start of phase 1":  {func(t *Transcript) { t.Phases[0].Start = wrong }, 1, 0, "", "follows as"},
		"digest":            {func(t *Transcript) { t.Phases[0].Contributions[1].Digest = wrong }, 1, 2, "Bo", "has the digest"},
		"previous":          {func(t *Transcript) { t.Phases[0].Contributions[1].Previous = wrong }, 1, 2, "Bo", "built on"},
		"name":              {func(t *Transcript) { t.Phases[1].Contributions[0].Name = "Eve" }, 2, 1, "Eve", "bytes"},
		"name as long":      {func(t *Transcript) { t.Phases[1].Contributions[1].Name = "Eve" }, 2, 2, "Eve", "another name"},
		"first beacon":      {func(t *Transcript) { *t.Phases[0].Beacon = beacon(7) }, 2, 0, "", "follows as"},
		"start of phase 2":  {func(t *Transcript) { t.Phases[1].Start = wrong }, 2, 0, "", "follows as"},
		"second beacon":     {func(t *Transcript) { *t.Phases[1].Beacon = beacon(7) }, 0, 0, "", "keys of small-2"},
		"verifying key":     {func(t *Transcript) { t.Keys[1].VerifyingKey = wrong }, 0, 0, "", "keys of small-1"},
		"proving key":       {func(t *Transcript) { t.Keys[1].ProvingKey = wrong }, 0, 0, "", "keys of small-1"},
		"contributor's end": {func(t *Transcript) { t.Phases[1].Contributions = t.Phases[1].Contributions[:2] }, 0, 0, "", "keys of small-2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			opened := again(t, folder)
			changed := opened.transcript
			if err := credential.ParseCanonical(canonical(t, &opened.transcript), &changed); err != nil {
				t.Fatal(err)
			}
			c.change(&changed)
			opened.transcript = changed
			_, err := opened.Verify(t.Context())
			expectFault(t, err, c.phase, c.number, c.name, c.reason)
		})
	}
}

func canonical(t testing.TB, transcript *Transcript) []byte {
	t.Helper()
	data, err := credential.Canonical(transcript)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A file that is missing is not somebody's fault, a key that differs is one.
func TestFiles(t *testing.T) {
	dir := finishedSmall(t)
	c := again(t, dir)
	if err := os.Remove(filepath.Join(dir, verifyingFile("small-1"))); err != nil {
		t.Fatal(err)
	}
	if report, err := c.Verify(t.Context()); err != nil || report.KeyFiles != 3 {
		t.Errorf("without a key file: %+v, %v", report, err)
	}
	if err := os.Truncate(filepath.Join(dir, provingFile("small-1")), 100); err != nil {
		t.Fatal(err)
	}
	_, err := c.Verify(t.Context())
	expectFault(t, err, 0, 0, "", "small-1.proving")
	if err := os.Remove(c.statePath(2, 2)); err != nil {
		t.Fatal(err)
	}
	var fault *Fault
	if _, err = c.Verify(t.Context()); !errors.Is(err, os.ErrNotExist) || errors.As(err, &fault) {
		t.Errorf("without a state file: %v", err)
	}
}

func TestTranscriptRefused(t *testing.T) {
	opened := again(t, finishedSmall(t))
	data := canonical(t, &opened.transcript)
	if _, err := ParseTranscript(data); err != nil {
		t.Fatal(err)
	}
	contribution := Contribution{Number: 1, Name: "Ada"}
	for name, change := range map[string]func(*Transcript){
		"format":                   func(t *Transcript) { t.Plan.Format = "other" },
		"version":                  func(t *Transcript) { t.Plan.Version = 2 },
		"no title":                 func(t *Transcript) { t.Plan.Title = "" },
		"no circuits":              func(t *Transcript) { t.Plan.Circuits = []PlannedCircuit{} },
		"circuit twice":            func(t *Transcript) { t.Plan.Circuits[1].Name = t.Plan.Circuits[0].Name },
		"domain no power of two":   func(t *Transcript) { t.Plan.Circuits[1].Domain = 5 },
		"domain too small":         func(t *Transcript) { t.Plan.Circuits[0].Domain = 4 },
		"domain too large":         func(t *Transcript) { t.Plan.Circuits[0].Domain, t.Plan.Powers = 2*maxDomain, 2*maxDomain },
		"fewer powers":             func(t *Transcript) { t.Plan.Powers /= 2 },
		"no phases":                func(t *Transcript) { t.Phases = []Phase{} },
		"three phases":             func(t *Transcript) { t.Phases = append(t.Phases, t.Phases[1]) },
		"phase 2 without beacon 1": func(t *Transcript) { t.Phases[0].Beacon = nil },
		"beacon 1 without phase 2": func(t *Transcript) { t.Phases, t.Keys = t.Phases[:1], []Key{} },
		"keys without beacon 2":    func(t *Transcript) { t.Phases[1].Beacon = nil },
		"beacon 2 without keys":    func(t *Transcript) { t.Keys = []Key{} },
		"keys of one circuit":      func(t *Transcript) { t.Keys = t.Keys[:1] },
		"keys in another order":    func(t *Transcript) { t.Keys[0], t.Keys[1] = t.Keys[1], t.Keys[0] },
		"one beacon":               func(t *Transcript) { t.Phases[1].Beacon.Value = t.Phases[0].Beacon.Value },
		"one contributor":          func(t *Transcript) { t.Phases[0].Contributions = t.Phases[0].Contributions[:1] },
		"a contributor twice":      func(t *Transcript) { t.Phases[0].Contributions[1].Name = "Ada" },
		"another order":            func(t *Transcript) { t.Phases[0].Contributions[0].Number = 2 },
		"hidden name":              func(t *Transcript) { t.Phases[0].Contributions[0].Name = "A\u202eda" },
		"no source":                func(t *Transcript) { t.Phases[0].Beacon.Source = "" },
		"too many contributions": func(t *Transcript) {
			for i := range maxContributions + 1 {
				contribution.Number, contribution.Name = i+1, fmt.Sprint(i)
				t.Phases[0].Contributions = append(t.Phases[0].Contributions[:i:i], contribution)
			}
		},
	} {
		var changed Transcript
		if err := credential.ParseCanonical(data, &changed); err != nil {
			t.Fatal(err)
		}
		change(&changed)
		if _, err := ParseTranscript(canonical(t, &changed)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "space": append([]byte(" "), data...), "trailing": append(bytes.Clone(data), '\n'),
		"other member": append([]byte(`{"a":1,`), data[1:]...), "large": make([]byte, maxTranscript+1),
	} {
		if _, err := ParseTranscript(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Only the circuits that this program has.
func TestOtherCircuits(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	if _, err := initialise(dir, "a test", []string{"small-3"}, smallCircuits, nil); err == nil {
		t.Error("an unknown circuit")
	}
	if _, err := initialise(dir, "a test", []string{"small-1", "small-1"}, smallCircuits, nil); err == nil {
		t.Error("a circuit twice")
	}
	if _, err := initialise(dir, "a test", nil, smallCircuits, nil); err == nil {
		t.Error("no circuit")
	}
	c := beginSmall(t, dir)
	if _, err := Open(dir, nil); err == nil {
		t.Error("a circuit that is not published")
	}
	c.transcript.Plan.Circuits[0].Digest = credential.Digest{1}
	if err := c.save(os.Rename); err != nil {
		t.Fatal(err)
	}
	if _, err := open(dir, smallCircuits, nil); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("a circuit of the same name: %v", err)
	}
}

func FuzzParseTranscript(f *testing.F) {
	c := again(f, finishedSmall(f))
	f.Add(canonical(f, &c.transcript))
	for _, long := range fuzztest.Long(canonical(f, &c.transcript)) {
		f.Add(long)
	}
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := ParseTranscript(data)
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if !bytes.Equal(canonical(t, &parsed), data) {
			t.Error("accepted a second spelling")
		}
	})
}

// FuzzState: what is accepted is canonical, nothing panics or allocates without bound, and no change of an honest
// contribution passes for it.
func FuzzState(f *testing.F) {
	dir := finishedSmall(f)
	c := again(f, dir)
	for phase := 1; phase <= 2; phase++ {
		data, err := os.ReadFile(c.statePath(phase, 2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(phase == 2, data)
	}
	f.Fuzz(func(t *testing.T, second bool, data []byte) {
		phase := 1
		if second {
			phase = 2
		}
		h, digest := c.expected(phase, 2)
		var s state
		var err error
		fuzztest.Bounded(t, 1<<20, func() { s, err = c.decodeState(h, data) })
		if err != nil {
			fuzztest.Refused(t, err)
			return
		}
		if again, err := encodeState(h, s); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("accepted a second spelling: %v", err)
		}
		before, err := c.readState(phase, 1)
		if err != nil {
			t.Fatal(err)
		}
		if before.verify(s) == nil && credential.DigestOf(data) != digest {
			t.Error("a contribution without a contributor")
		}
	})
}
