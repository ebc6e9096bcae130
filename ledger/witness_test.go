package ledger_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// Witnesses of C2SP tlog-witness that are not ours: the program of testvectors/check/witness runs them, and `make judges`
// names it in BULLA_WITNESS.
var foreign = []string{"reference", "litewitness"}

// startWitness runs a foreign witness that knows the log with that key, until the test ends.
func startWitness(t *testing.T, kind, logKey string) (url, key string) {
	t.Helper()
	program := os.Getenv("BULLA_WITNESS")
	if program == "" {
		t.Skip("needs BULLA_WITNESS, the program of testvectors/check/witness: make judges runs it")
	}
	cmd := exec.Command(program, kind, logKey) // no context: killed, it would leave the witness that it started
	cmd.Stderr = os.Stderr
	in, out := ledgertest.Must(cmd.StdinPipe())(t), ledgertest.Must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // which ends it
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s does not end in order: %v", kind, err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	url, key, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	if err != nil || !ok {
		t.Fatalf("%s says %q: %v", kind, line, err)
	}
	return url, key
}

// Foreign witnesses take our requests, and refuse what they must.
func TestForeignWitness(t *testing.T) {
	for _, kind := range foreign {
		t.Run(kind, func(t *testing.T) { foreignWitness(t, kind) })
	}
}

func foreignWitness(t *testing.T, kind string) {
	h, other := ledgertest.NewHost(t, nil), ledgertest.NewHost(t, nil)
	url, key := startWitness(t, kind, h.Founding.LogKey)
	verifier := ledgertest.Must(cosignature.NewVerifierForCosignatureV1(key))(t)
	request := func(h *ledgertest.Host) ledger.CosignRequest {
		return ledger.CosignRequest{
			Checkpoint: h.Checkpoint, Size: uint64(len(h.Entries)),
			Prove: func(old uint64) ([]tlog.Hash, error) { return h.Proof(int(old)), nil },
		}
	}
	ask := func(w *ledger.HTTPCosigner) {
		t.Helper()
		lines := ledgertest.Must(w.Cosign(t.Context(), request(h)))(t)
		if _, err := note.Open(append(bytes.Clone(h.Checkpoint), lines...), note.VerifierList(verifier)); err != nil {
			t.Fatalf("%d entries: %v", len(h.Entries), err)
		}
	}
	same := ledger.NewHTTPCosigner(url, nil)
	for i := range 5 {
		h.Issue("", 3)
		h.Seal(ledgertest.Start + credential.UnixTime(10*i+10))
		ask(same)
		ask(same)                             // the same checkpoint again
		ask(ledger.NewHTTPCosigner(url, nil)) // which does not know the witness's size: 409 tells it
		other.Issue("other", 3)
		other.Seal(ledgertest.Start + credential.UnixTime(10*i+10))
		if size, err := same.SignedSize(t.Context(), request(other)); !errors.Is(err, ledger.ErrForked) {
			t.Errorf("asked about another tree, it says %d, %v", size, err)
		}
		for _, w := range []*ledger.HTTPCosigner{same, ledger.NewHTTPCosigner(url, nil)} {
			if lines, err := w.Cosign(t.Context(), request(other)); err == nil {
				t.Errorf("it cosigned another tree of %d entries: %s", len(other.Entries), lines)
			}
		}
	}
	small := ledgertest.NewHost(t, nil)
	small.Seal(ledgertest.Start + 10)
	size, err := ledger.NewHTTPCosigner(url, nil).SignedSize(t.Context(), request(small))
	if err != nil || size != uint64(len(h.Entries)) {
		t.Errorf("asked how far it is, it says %d, want %d: %v", size, len(h.Entries), err)
	}
}

// A log publishes under the cosignatures of foreign witnesses, and they remember what it signed.
func TestLogWithForeignWitnesses(t *testing.T) {
	c := newChain(t)
	cfg := c.config()
	var clock hands
	cfg.Now = clock.now
	verifiers := []note.Verifier{ledgertest.Must(note.NewVerifier(c.logKey))(t)}
	for _, kind := range foreign {
		url, key := startWitness(t, kind, c.logKey)
		cfg.Cosigners = append(cfg.Cosigners, ledger.TrustedCosigner{Key: key, Cosigner: ledger.NewHTTPCosigner(url, nil)})
		verifiers = append(verifiers, ledgertest.Must(cosignature.NewVerifierForCosignatureV1(key))(t))
	}
	cfg.Threshold = len(foreign)
	l := c.open(cfg)
	before := ledgertest.Must(cfg.Register.Read())(t)
	rows := allRows(t, cfg.Store)
	for range 3 {
		clock.seconds.Add(10)
		receipt := c.submit(l, c.issue(landDID, 1))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		receipt = ledgertest.Must(l.Receipt(ctx, receipt.Index, entry.LevelSealed))(t)
		cancel()
		n, err := note.Open([]byte(receipt.Checkpoint), note.VerifierList(verifiers...))
		if err != nil || receipt.Level != entry.LevelSealed || len(n.Sigs) != len(verifiers) {
			t.Fatalf("%+v: %v", receipt, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	yesterday := cfg
	yesterday.Store, yesterday.Register = harmed(t, rows, "", nil), &memoryRegister{content: before}
	if l, err := ledger.Open(yesterday); err == nil || !strings.Contains(err.Error(), "were put back together") {
		t.Errorf("it opens: %v", err)
		l.Close()
	}
	if err := c.open(cfg).Close(); err != nil {
		t.Error(err)
	}
}
