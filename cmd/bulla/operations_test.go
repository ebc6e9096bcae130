package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/ceremony"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
)

// processVariable makes the test binary the program itself, for tests that need several processes. Its value names the
// ceremonies, by folder, that are taken as recomputed: those whose transcript the test made up.
const processVariable = "BULLA_TEST_REHEARSED"

// rehearse is the program with those ceremonies.
func rehearse(rehearsed string) {
	recompute := recomputeCeremony
	recomputeCeremony = func(ctx context.Context, dir string, progress func(string)) (credential.Digest, error) {
		for _, name := range strings.Fields(rehearsed) {
			if filepath.Base(dir) == name {
				return transcriptDigest(dir)
			}
		}
		return recompute(ctx, dir, progress)
	}
	main()
}

func transcriptDigest(dir string) (credential.Digest, error) {
	text, err := os.ReadFile(filepath.Join(dir, ceremony.TranscriptFile))
	if err != nil {
		return credential.Digest{}, err
	}
	t, err := ceremony.ParseTranscript(text)
	if err != nil {
		return credential.Digest{}, err
	}
	return t.Digest()
}

// block is a fenced block of the page.
type block struct {
	info, text string
	line       int
}

func blocksOf(t *testing.T, page string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for line := 1; scanner.Scan(); line++ {
		info, fence := strings.CutPrefix(scanner.Text(), "```")
		switch {
		case fence && open == nil:
			open = &block{info: info, line: line}
		case fence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += scanner.Text() + "\n"
		}
	}
	return blocks
}

// rehearsal runs the page in a folder, with processes of its own.
type rehearsal struct {
	t        *testing.T
	dir, bin string
	held     bool              // the ceremony is real: it is held here, or was before
	ports    map[string]string // of the page to free ones
	services map[string]service
	commands int
	out      bytes.Buffer // what all commands said
}

// One production chain from its ceremony to the end of its keys: every command of doc/operations.md, in order. Without
// BULLA_SOAK no ceremony is held: its keys are development keys, in a folder that only recomputing it would tell from that
// of a ceremony, or those of the folder that BULLA_CEREMONY names.
func TestOperationsPage(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a chain in processes of its own, with real proofs")
	}
	soak, finished := os.Getenv("BULLA_SOAK") != "", os.Getenv("BULLA_CEREMONY")
	r := &rehearsal{t: t, dir: t.TempDir(), bin: t.TempDir(), held: soak || finished != "", ports: make(map[string]string), services: make(map[string]service)}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(r.bin, "bulla")); err != nil {
		t.Fatal(err)
	}
	switch ceremony := filepath.Join(r.dir, "ceremony"); {
	case finished != "": // the folder of one that was held before
		if err := os.CopyFS(ceremony, os.DirFS(finished)); err != nil {
			t.Fatal(err)
		}
	case !soak:
		pretend(t, ceremony, circuitstest.Keys(t))
	}
	t.Cleanup(r.stop)
	for _, b := range blocksOf(t, "../../doc/operations.md") {
		kind, rest, _ := strings.Cut(b.info, " ")
		switch {
		case kind == "json":
			r.write(rest, b)
		case b.info == "sh ceremony" && (!soak || finished != ""):
		case b.info == "sh stopped":
			r.stop()
			r.run(b)
		case kind == "sh":
			r.run(b)
		default:
			t.Errorf("line %d: a block of the kind %q", b.line, b.info)
		}
	}
	for _, want := range []string{"library-card: verified, finally", "Resident since is", "the result is genuine", " is revoked\n", "Everything fits.", "Nothing is damaged",
		"open, 1 tags", "the older store is refused", "library-card is closed", "nobody is asked under a closed scope"} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("no command said %q", want)
		}
	}
	if strings.Contains(r.out.String(), "dev chain") {
		t.Error("a production chain calls itself a dev chain")
	}
	if want := 60; r.commands < want {
		t.Errorf("ran %d commands, want at least %d: does the page still say what to do?", r.commands, want)
	}
}

// pretend makes a folder that looks like that of a finished ceremony and has development keys: nobody contributed, so
// only verifying it would tell.
func pretend(t *testing.T, dir string, keys *setup.Development) {
	t.Helper()
	digest := func(text string) credential.Digest { return credential.DigestOf([]byte(text)) }
	plan := ceremony.Plan{Format: "bulla-ceremony", Version: 1, Title: "no ceremony"}
	var made []ceremony.Key
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range keys.Circuits() {
		circuit, err := circuits.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		domain := 2
		for domain < circuit.Constraints {
			domain *= 2
		}
		plan.Powers = max(plan.Powers, domain)
		plan.Circuits = append(plan.Circuits, ceremony.PlannedCircuit{
			Name: name, Digest: circuit.Digest, Constraints: circuit.Constraints, PublicInputs: circuit.PublicInputs, Domain: domain,
		})
		vk, err := keys.VerifyingKey(name)
		if err != nil {
			t.Fatal(err)
		}
		provingFile, provingDigest, err := keys.ProvingKeyFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".verifying"), vk.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(provingFile, filepath.Join(dir, name+".proving")); err != nil {
			t.Fatal(err)
		}
		made = append(made, ceremony.Key{Circuit: name, VerifyingKey: vk.Digest(), ProvingKey: provingDigest})
	}
	phase := func(start, beacon string) ceremony.Phase {
		return ceremony.Phase{Start: digest(start), Beacon: &ceremony.Beacon{Value: strings.Repeat(beacon, 32), Source: "a test"}, Contributions: []ceremony.Contribution{
			{Number: 1, Name: "Nobody", Previous: digest(start), Digest: digest(start + "1")},
			{Number: 2, Name: "No one", Previous: digest(start + "1"), Digest: digest(start + "2")},
		}}
	}
	transcript := ceremony.Transcript{Plan: plan, Phases: []ceremony.Phase{phase("one", "11"), phase("two", "22")}, Keys: made}
	text, err := credential.Canonical(transcript)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ceremony.TranscriptFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

var (
	address  = regexp.MustCompile(`127\.0\.0\.1:(88\d\d)`)
	serving  = regexp.MustCompile(`^bulla (serve|ledger cosign) .*--config (\S+)`)
	propose  = regexp.MustCompile(`propose verifying-key-listed --ceremony (\S+)`)
	commands = regexp.MustCompile(`\bbulla [a-z]`)
)

// free puts free ports in the place of the page's.
func (r *rehearsal) free(text string) string {
	return address.ReplaceAllStringFunc(text, func(at string) string {
		if r.ports[at] == "" {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				r.t.Fatal(err)
			}
			r.ports[at] = l.Addr().String()
			l.Close()
		}
		return r.ports[at]
	})
}

func (r *rehearsal) write(path string, b block) {
	if !json.Valid([]byte(b.text)) || path == "" {
		r.t.Fatalf("line %d: this is no JSON, or has no name", b.line)
	}
	if err := os.WriteFile(filepath.Join(r.dir, path), []byte(r.free(b.text)), 0o600); err != nil {
		r.t.Fatalf("line %d: %v", b.line, err)
	}
}

// run runs the lines of a block in one shell, but for services, which run on.
func (r *rehearsal) run(b block) {
	script := ""
	flush := func() {
		r.shell(b, script)
		script = ""
	}
	for line := range strings.Lines(b.text) {
		r.commands += len(commands.FindAllString(line, -1))
		line = r.free(line)
		if m := propose.FindStringSubmatch(line); m != nil && m[1] != "ceremony" {
			r.succeed(m[1])
		}
		if m := serving.FindStringSubmatch(line); m != nil {
			flush()
			r.serve(b, m[2], strings.TrimSpace(line))
			continue
		}
		script += quicker(line)
	}
	flush()
	for config, s := range r.services {
		r.await(config, s.url)
	}
}

// await waits as a person does who looks at a new service: until it is ready, and the ledger has published.
func (r *rehearsal) await(config, url string) {
	path := "/readyz"
	if strings.HasPrefix(config, "ledger/") {
		path = "/checkpoint"
	}
	if strings.HasPrefix(config, "audit/") { // ready once the ledger has published
		return
	}
	for range 300 {
		if response, err := http.Get(url + path); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.t.Fatalf("%s: nothing good at %s after half a minute", config, url+path)
}

// service is a process that serves.
type service struct {
	*exec.Cmd
	url string
}

// succeed makes the folder of another ceremony, with keys of its own.
func (r *rehearsal) succeed(name string) {
	keys, err := setup.Develop(r.t.Context(), r.t.TempDir(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	pretend(r.t, filepath.Join(r.dir, name), keys)
}

// quicker adds what a person would not: short waits, cheap passphrases, and yes.
func quicker(line string) string {
	line = strings.TrimSuffix(line, "\n")
	switch {
	case strings.HasPrefix(line, "bulla key make"), strings.HasPrefix(line, "bulla key passphrase"), strings.HasPrefix(line, "bulla issuer init"), strings.HasPrefix(line, "bulla wallet init"):
		line += " --work-factor 8"
	case strings.HasPrefix(line, "bulla ledger govern sign"), strings.HasPrefix(line, "bulla wallet present"):
		line += " --yes"
	case strings.HasPrefix(line, "bulla ledger govern propose genesis"):
		line += " --seal-interval 1s --grid 1s"
	}
	return line + "\n"
}

func (r *rehearsal) environment() []string {
	rehearsed := "ceremony ceremony-2028"
	if r.held {
		rehearsed = "ceremony-2028"
	}
	return append(os.Environ(), processVariable+"="+rehearsed, "PATH="+r.bin+":"+os.Getenv("PATH"), passphraseVariable+"=office", newPassphraseVariable+"=office", walletVariable+"=citizen",
		"LC_ALL=C", "BEACON1="+strings.Repeat("ab", 32), "BEACON2="+strings.Repeat("cd", 32), "BULLA_TOKEN=")
}

func (r *rehearsal) shell(b block, script string) {
	if script == "" {
		return
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Hour)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = r.dir, r.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("block at line %d: %v\n%s", b.line, err, out)
	}
	r.out.Write(out)
}

// serve starts a service and waits until it says that it serves; one that runs with that configuration is stopped first.
func (r *rehearsal) serve(b block, config, line string) {
	r.end(config)
	cmd := exec.Command("bash", "-c", "exec "+line)
	cmd.Dir, cmd.Env = r.dir, r.environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(said, " serves at ") {
		_ = cmd.Wait()
		r.t.Fatalf("block at line %d: %s: %q %v\n%s", b.line, line, said, err, &stderr)
	}
	go io.Copy(io.Discard, out)
	r.services[config] = service{cmd, strings.TrimSpace(said[strings.LastIndex(said, " "):])}
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("%s wrote:\n%s", line, &stderr)
		}
	})
}

// end interrupts a service, which must then end in order.
func (r *rehearsal) end(config string) {
	cmd, ok := r.services[config]
	if !ok {
		return
	}
	delete(r.services, config)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Errorf("%s: %v", config, err)
	}
	if err := cmd.Wait(); err != nil {
		r.t.Errorf("%s did not stop in order: %v", config, err)
	}
}

func (r *rehearsal) stop() {
	for config := range r.services {
		r.end(config)
	}
}
