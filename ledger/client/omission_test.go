package client_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

func TestCheckReceipt(t *testing.T) {
	h, other := ledgertest.NewHost(t, nil), ledgertest.NewHost(t, nil)
	h.Issue("one", 1)
	h.Seal(ledgertest.Start + 10)
	receipt := h.Receipt(3)
	h.Issue("two", 1)
	h.Seal(ledgertest.Start + 20)
	c := h.Client(nil)
	raw, err := c.CheckReceipt(t.Context(), receipt)
	if err != nil || string(raw) != string(h.Entries[3]) {
		t.Fatalf("an honest receipt: %v", err)
	}

	accepted := entry.Receipt{Index: 3, Digest: receipt.Digest, Level: entry.LevelAccepted}
	if _, err := c.CheckReceipt(t.Context(), accepted); !errors.Is(err, client.ErrEmptyReceipt) {
		t.Errorf("a receipt without signature: %v", err)
	}
	for name, change := range map[string]func(*entry.Receipt){
		"another entry": func(r *entry.Receipt) { r.Digest[0] ^= 1 },
		"another index": func(r *entry.Receipt) { r.Index = 2 },
		"another proof": func(r *entry.Receipt) { r.Proof = r.Proof[1:] },
	} {
		changed := receipt
		change(&changed)
		if _, err := c.CheckReceipt(t.Context(), changed); !errors.Is(err, client.ErrTampered) || errors.Is(err, client.ErrOmitted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	changed := receipt
	changed.Checkpoint = strings.Replace(receipt.Checkpoint, "\n5\n", "\n6\n", 1)
	if _, err := c.CheckReceipt(t.Context(), changed); !errors.Is(err, client.ErrPolicy) {
		t.Errorf("another checkpoint: %v", err)
	}

	// The ledger now serves a history without the entry: longer, as long, or shorter.
	for _, n := range []int{0, 1, 40} {
		if n > 0 {
			for range n {
				other.Issue("other", 1)
			}
		}
		other.Seal(ledgertest.Start + 30 + credential.UnixTime(n))
		h.Tamper = func(path string, _ []byte) []byte {
			if body, ok := other.Answer(path); ok {
				return body
			}
			return []byte{}
		}
		h.Now = other.Now
		_, err := h.Client(nil).CheckReceipt(t.Context(), receipt)
		var omission *client.OmissionError
		if !errors.As(err, &omission) {
			t.Fatalf("%d other entries: %v", n, err)
		}
		if len(other.Entries) < 5 {
			if omission.Evidence != nil {
				t.Error("evidence from nothing")
			}
			continue
		}
		data := ledgertest.Must(omission.Evidence.Bytes())(t)
		if _, err := client.CheckEvidence(data, h.Founding.LogKey); err != nil {
			t.Errorf("%d other entries: %v", n, err)
		}
	}
}
