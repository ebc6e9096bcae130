package cosign_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// submitter is the client of the reference witness, a program that is not ours.
type submitter struct {
	t   *testing.T
	in  *json.Encoder
	out *json.Decoder
}

// verdict is what that client made of the cosigner's answer.
type verdict struct {
	Outcome string
	Size    uint64
	Time    int64
}

// newSubmitter starts the program of testvectors/check/witness, which `make judges` names in BULLA_WITNESS.
func newSubmitter(t *testing.T, url, logKey, key string) *submitter {
	t.Helper()
	program := os.Getenv("BULLA_WITNESS")
	if program == "" {
		t.Skip("needs BULLA_WITNESS, the program of testvectors/check/witness: make judges runs it")
	}
	cmd := exec.Command(program, "submit", url, logKey, key)
	cmd.Stderr = os.Stderr
	in, out := ledgertest.Must(cmd.StdinPipe())(t), ledgertest.Must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // which ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("the submitter does not end in order: %v", err)
		}
	})
	return &submitter{t, json.NewEncoder(in), json.NewDecoder(out)}
}

// submit asks for the host's checkpoint as if the cosigner were at an old size.
func (s *submitter) submit(old int, h *ledgertest.Host, checkpoint []byte) (v verdict) {
	s.t.Helper()
	var proof [][]byte
	if old <= len(h.Entries) {
		for _, hash := range h.Proof(old) {
			proof = append(proof, slices.Clone(hash[:]))
		}
	}
	if err := s.in.Encode(map[string]any{"old": old, "proof": proof, "checkpoint": checkpoint}); err != nil {
		s.t.Fatal(err)
	}
	if err := s.out.Decode(&v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// The reference witness' client understands every answer of our cosigner, and its library verifies the cosignatures.
func TestForeignSubmitter(t *testing.T) {
	r := newRig(t)
	server := httptest.NewServer(r.cosigner.Handler())
	defer server.Close()
	s := newSubmitter(t, server.URL, r.host.Founding.LogKey, r.verifier)
	want := func(outcome string, size int, got verdict) {
		t.Helper()
		if got.Outcome != outcome || got.Size != uint64(size) {
			t.Errorf("outcome %q, size %d, want %q, %d", got.Outcome, got.Size, outcome, size)
		}
	}
	h, last := r.host, 0
	for i := range 4 {
		h.Issue("", 10)
		h.Seal(start + credential.UnixTime(10*i+10))
		begun := time.Now().Add(-time.Second).Unix()
		got := s.submit(last, h, h.Checkpoint)
		want("cosigned", 0, got)
		if got.Time < begun || got.Time > time.Now().Unix() {
			t.Errorf("cosignature %d is of %d", i, got.Time)
		}
		last = len(h.Entries)
		want("cosigned", 0, s.submit(last, h, h.Checkpoint)) // again
		want("stale", last, s.submit(0, h, h.Checkpoint))
	}
	want("old-size", 0, s.submit(last+1, h, h.Checkpoint))
	text := slices.Clone(h.Checkpoint)
	want("unknown-log", 0, s.submit(last, h, append([]byte("x"), text...)))
	text[len(ledgertest.Origin)+1] ^= 1 // a digit of the size
	want("signature", 0, s.submit(last, h, text))

	other := ledgertest.NewHost(t, nil)
	for i := range 4 {
		other.Issue("other", 10)
		other.Seal(start + credential.UnixTime(10*i+10))
	}
	want("root-mismatch", 0, s.submit(last, other, other.Checkpoint))
	other.Seal(start + 100)
	want("proof", 0, s.submit(last, other, other.Checkpoint))
}
