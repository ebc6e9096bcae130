package ceremony

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
)

// contributorVariable makes the test binary a contributor in a process of its own: folder, then name. Whoever is called
// Liar lies.
const contributorVariable = "BULLA_CEREMONY_CONTRIBUTOR"

func TestMain(m *testing.M) {
	dir, name, contributor := strings.Cut(os.Getenv(contributorVariable), "\n")
	if !contributor {
		os.Exit(m.Run())
	}
	if err := contributeAs(dir, name); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// contributeAs contributes to a ceremony of the small circuits. The liar then changes a point of what was made, and the
// digest of it in the transcript, as a program of the liar's own would.
func contributeAs(dir, name string) error {
	c, err := open(dir, smallCircuits, nil)
	if err != nil {
		return err
	}
	line, err := c.Contribute(context.Background(), name)
	if err != nil || name != "Liar" {
		return err
	}
	phase := len(c.transcript.Phases)
	path := c.statePath(phase, line.Number)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	g1, _ := one()
	at := headerSize + len(name) + tau1 + 3*g1Size
	if phase == 2 {
		at = headerSize + len(name) + privateAt() + 4 + g1Size
	}
	copy(data[at:], g1)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	c.transcript.Phases[phase-1].Contributions[line.Number-1].Digest = credential.DigestOf(data)
	return c.save(os.Rename)
}

// contributor runs a contributor's process, and returns what it said.
func contributor(t *testing.T, dir, name string) (stderr string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), contributorVariable+"="+dir+"\n"+name)
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	return out.String(), err
}

// phaseOfFive has five contributors in processes of their own, each with a copy of the folder that the one before
// handed on. The third lies; the fourth refuses, the lie is named and dropped, and the others go on.
func phaseOfFive(t *testing.T, dir string, phase int) string {
	t.Helper()
	for _, name := range []string{"Ada", "Bo", "Liar", "Chi", "Dee"} {
		own := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(own, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		dir = own
		said, err := contributor(t, dir, name)
		if name == "Chi" {
			refusal := fmt.Sprintf("contribution 3 to phase %d, by \"Liar\"", phase)
			if err == nil || !strings.Contains(said, refusal) {
				t.Errorf("the contributor after the liar said %q, %v", said, err)
			}
			dropLiar(t, dir, phase)
			said, err = contributor(t, dir, name)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, said)
		}
	}
	return dir
}

func dropLiar(t *testing.T, dir string, phase int) {
	t.Helper()
	_, err := again(t, dir).Verify(t.Context())
	expectFault(t, err, phase, 3, "Liar", "")
	fault, err := again(t, dir).Drop(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expectFault(t, fault, phase, 3, "Liar", "")
}

// Five contributors in separate processes make keys, though one of them lies in each phase.
func TestFiveProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ceremony")
	beginSmall(t, dir)
	dir = phaseOfFive(t, dir, 1)
	next(t, dir)
	dir = phaseOfFive(t, dir, 2)
	transcript, err := again(t, dir).Finish(t.Context(), beacon(2))
	if err != nil {
		t.Fatal(err)
	}
	c := again(t, filepath.Join(dir, TranscriptFile))
	report, err := c.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !report.Finished || report.Transcript != transcript || report.KeyFiles != 4 {
		t.Errorf("report %+v", report)
	}
	for phase := range 2 {
		var names []string
		for _, line := range c.Transcript().Phases[phase].Contributions {
			names = append(names, line.Name)
		}
		if !slices.Equal(names, []string{"Ada", "Bo", "Chi", "Dee"}) {
			t.Errorf("phase %d has the contributors %q", phase+1, names)
		}
	}
}

// checkKeys loads the keys as a network does, proves and verifies.
func checkKeys(t *testing.T, dir string, transcript credential.Digest) {
	t.Helper()
	set, err := Keys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if set.Transcript() != transcript {
		t.Error("the keys are of another transcript")
	}
	vk, err := set.VerifyingKey(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := set.ProvingKey(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	prover, err := proving.New(proving.Config{Key: pk})
	if err != nil {
		t.Fatal(err)
	}
	public, private := circuitstest.RandomEnrolment(circuitstest.NewRand(1))
	proof, err := prover.ProveEnrolment(t.Context(), public, private)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifying.Verify(vk, public.Vector(), proof); err != nil {
		t.Error(err)
	}
	inputs := public.Vector()
	inputs[0], inputs[1] = inputs[1], inputs[0]
	if verifying.Verify(vk, inputs, proof) == nil {
		t.Error("swapped public inputs are accepted")
	}
	path, digest, err := set.ProvingKeyFile(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	if circuit, _ := circuits.Named(circuits.Enrolment); circuit.Digest != pk.Circuit().Digest {
		t.Error("the proving key is of another circuit")
	} else if _, err := keys.LoadProvingKey(path, circuit, digest); err != nil {
		t.Error(err)
	}
	if _, err := set.VerifyingKey("enrolment-0"); err == nil {
		t.Error("a verifying key of an unknown circuit")
	}
	if _, err := set.ProvingKey("enrolment-0"); err == nil {
		t.Error("a proving key of an unknown circuit")
	}
	if _, _, err := set.ProvingKeyFile("enrolment-0"); err == nil {
		t.Error("a file of an unknown circuit")
	}
}

// checkDamagedKeys changes, cuts and lengthens each key file: Keys takes none of them.
func checkDamagedKeys(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{verifyingFile(circuits.Enrolment), provingFile(circuits.Enrolment)} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Clone(data)
		changed[len(changed)/2] ^= 1
		for _, bad := range [][]byte{changed, data[:len(data)-1], append(bytes.Clone(data), 0)} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Keys(dir); err == nil {
				t.Errorf("%s of %d bytes, %d expected, is loaded", name, len(bad), len(data))
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Keys(dir); err != nil {
		t.Errorf("undamaged again: %v", err)
	}
}

// A ceremony for the enrolment circuit takes some ten seconds, one that has the presentation too takes minutes.
func TestPublishedCircuits(t *testing.T) {
	if testing.Short() {
		t.Skip("a ceremony for a published circuit takes seconds")
	}
	names := []string{circuits.Enrolment}
	soak := os.Getenv("BULLA_SOAK") != ""
	if soak {
		names = []string{circuits.Presentation, circuits.Enrolment}
	}
	dir := filepath.Join(t.TempDir(), "ceremony")
	began := time.Now()
	say := func(stage string) { t.Log(time.Since(began).Round(time.Millisecond), stage) }
	c, err := Init(dir, "published circuits", names, say)
	if err != nil {
		t.Fatal(err)
	}
	contributeTwice(t, c)
	if err := c.Next(t.Context(), beacon(1)); err != nil {
		t.Fatal(err)
	}
	contributeTwice(t, c)
	if _, err := Keys(dir); err == nil {
		t.Error("keys of a ceremony that is not finished")
	}
	transcript, err := c.Finish(t.Context(), beacon(2))
	if err != nil {
		t.Fatal(err)
	}
	checkKeys(t, dir, transcript)
	checkDamagedKeys(t, dir)
	if soak {
		checkPresentation(t, dir)
	}
}

func contributeTwice(t *testing.T, c *Ceremony) {
	t.Helper()
	for _, name := range []string{"Ada", "Bo"} {
		if _, err := c.Contribute(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
}

func checkPresentation(t *testing.T, dir string) {
	t.Helper()
	set, err := Keys(dir)
	if err != nil {
		t.Fatal(err)
	}
	vk, err := set.VerifyingKey(circuits.Presentation)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := set.ProvingKey(circuits.Presentation)
	if err != nil {
		t.Fatal(err)
	}
	prover, err := proving.New(proving.Config{Key: pk})
	if err != nil {
		t.Fatal(err)
	}
	public, private := circuitstest.RandomStatement(circuitstest.NewRand(1))
	proof, err := prover.ProvePresentation(t.Context(), public, private)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifying.Verify(vk, public.Vector(), proof); err != nil {
		t.Error(err)
	}
}
