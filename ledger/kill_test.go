package ledger_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// The environment of a test process that is to be killed.
const (
	killedFolder = "BULLA_TEST_KILLED_FOLDER"
	killedSince  = "BULLA_TEST_KILLED_SINCE" // when the parent began, in Unix milliseconds: the chain's clock
)

// onDisk is a ledger in a folder of the system. Its clock goes fifty times as fast, so that seals come five times a second.
func (c *chain) onDisk(dir string, since time.Time) (ledger.Config, *store.Pebble, error) {
	cfg := c.config()
	cfg.Now = func() time.Time { return genesisTime.Time().Add(50 * time.Since(since)) }
	p, err := store.Open(store.Config{Dir: filepath.Join(dir, "store"), Logger: quiet})
	if err != nil {
		return cfg, nil, err
	}
	cfg.Store = p
	cfg.Register, err = store.NewFileRegister(filepath.Join(dir, "register", "signed"), nil)
	return cfg, p, err
}

// loud tells the parent of each signature before it exists.
type loud struct {
	note.Signer
	out *sync.Mutex
}

func (l loud) Sign(text []byte) ([]byte, error) {
	l.out.Lock()
	fmt.Printf("sign %s\n", hex.EncodeToString(text))
	l.out.Unlock()
	return l.Signer.Sign(text)
}

// TestKilledChild is no test: it is the process that [TestSIGKILL] kills. An issuer and a verifier send as fast as they can.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killedFolder)
	if dir == "" {
		t.Skip("started by TestSIGKILL only")
	}
	since, err := strconv.ParseInt(os.Getenv(killedSince), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	c, out := newChain(t), new(sync.Mutex)
	cfg, _, err := c.onDisk(dir, time.UnixMilli(since))
	if err != nil {
		t.Fatal(err)
	}
	cfg.LogSigner = loud{cfg.LogSigner, out}
	if err := ledger.Found(cfg, c.first); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	plenty := entry.IssuerRotated{DID: landDID, Keys: []jose.PublicKey{c.keys[landDID].Public()}, Quota: 1 << 40}
	for _, raw := range append(c.opening()[1:], c.signed(entry.Governance, plenty)) {
		if _, err := l.Submit(t.Context(), raw); err != nil && !errors.Is(err, ledger.ErrAlreadyLogged) {
			t.Fatal(err)
		}
	}
	send := func(signer string, next func(number uint64) []byte) {
		for {
			number, err := l.NextSequence(signer)
			if err != nil {
				t.Error(err)
				return
			}
			receipt, err := l.Submit(t.Context(), next(number))
			if err != nil {
				t.Error(err)
				return
			}
			out.Lock()
			fmt.Printf("ack %d %s %d\n", receipt.Index, signer, number)
			out.Unlock()
		}
	}
	go send(verifierDID, func(number uint64) []byte {
		return c.numbered(verifierDID, number, c.policy(func(p *policy.Policy) { p.RetentionDays = 1 + int(number%300) }))
	})
	send(landDID, func(number uint64) []byte {
		c.issued = 3 * number
		return c.numbered(landDID, number, entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(3)})
	})
}

// A process under load is killed again and again, each time at another moment.
func TestSIGKILL(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir, since, h := t.TempDir(), time.Now(), newHistory(t)
	acks := make(map[string]string) // index to signer and number
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for range sample(4, 400) {
		before := len(acks)
		child := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
		child.Env = append(os.Environ(), killedFolder+"="+dir, fmt.Sprintf("%s=%d", killedSince, since.UnixMilli()))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.AfterFunc(time.Minute, func() { child.Process.Kill() })
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // what was cut off was not said
			}
			fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
			switch {
			case fields[0] == "sign" && len(fields) == 2:
				text, err := hex.DecodeString(fields[1])
				if err != nil {
					t.Fatal(err)
				}
				h.record(string(text))
			case fields[0] == "ack" && len(fields) == 3:
				if len(acks) == before {
					time.AfterFunc(time.Duration(rng.IntN(400))*time.Millisecond, func() { child.Process.Kill() })
				}
				acks[fields[1]] = fields[2]
			default:
				rest, _ := io.ReadAll(lines)
				t.Fatalf("the process says %s%s", line, rest)
			}
		}
		deadline.Stop()
		var exit *exec.ExitError
		if err := child.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the process ended by itself: %v", err)
		}
		if len(acks) == before {
			t.Fatal("nothing was acknowledged in this round")
		}
		h.check()
	}
	c := newChain(t)
	cfg, p, err := c.onDisk(dir, since)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	cfg.LogSigner = &life{cfg.LogSigner, h, always}
	l, err := ledger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	h.check()
	report, err := ledger.VerifyStore(t.Context(), p, cfg.Register, nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, who := range acks {
		index, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		e, err := entry.Parse(mustEntry(t, p, index))
		if err != nil || fmt.Sprintf("%s %d", e.Header().Signer, e.Header().Sequence) != who {
			t.Errorf("entry %d was acknowledged as %s and is another: %v", index, who, err)
		}
	}
	t.Logf("%d entries, %d acknowledged and heard of, %d seals, %d signatures", report.Size, len(acks), report.Seals, len(h.roots))
}

// Yesterday's folder is put back under today's register, and beside it the register alone, and both.
func TestYesterdaysFolder(t *testing.T) {
	dir := t.TempDir()
	day := func(c *chain, entries int) (ledger.Config, *store.Pebble) {
		t.Helper()
		cfg, p, err := c.onDisk(dir, time.Now().Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		l := c.open(cfg)
		for range entries {
			c.submit(l, c.issue(landDID, 2))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return cfg, p
	}
	c := newChain(t)
	_, p := day(c, 10)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	backup := t.TempDir()
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_, p = day(c, 10)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	restore := func(part string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(backup, part))); err != nil {
			t.Fatal(err)
		}
	}
	try := func() error {
		t.Helper()
		cfg, p, err := c.onDisk(dir, time.Now().Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		l, err := ledger.Open(cfg)
		if err == nil {
			l.Close()
		}
		return err
	}
	if err := try(); err != nil {
		t.Fatalf("today's folder: %v", err)
	}
	restore("store")
	if err := try(); err == nil || !strings.Contains(err.Error(), "entries are lost") || !strings.Contains(err.Error(), "bulla ledger rebuild") {
		t.Errorf("yesterday's store under today's register: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "register", "signed")); err != nil {
		t.Fatal(err)
	}
	if err := try(); err == nil || !strings.Contains(err.Error(), "Put it back") {
		t.Errorf("without register: %v", err)
	}
	// Both of yesterday open: only those who saw today's checkpoints can know, so a cosigner must be asked.
	restore("register")
	if err := try(); err != nil {
		t.Errorf("yesterday's store and register: %v", err)
	}
}
