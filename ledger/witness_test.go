package ledger_test

import (
	"bytes"
	"os"
	"testing"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// TestForeignWitness asks a C2SP tlog-witness of somebody else, such as litewitness of filippo.io/torchwood, for
// cosignatures. BULLA_WITNESS_URL and BULLA_WITNESS_KEY name it; it must be fresh, and know the log of package ledgertest,
// whose key the test logs when they are missing.
func TestForeignWitness(t *testing.T) {
	h := ledgertest.NewHost(t, nil)
	url, key := os.Getenv("BULLA_WITNESS_URL"), os.Getenv("BULLA_WITNESS_KEY")
	if url == "" {
		t.Skipf("needs a witness that knows the log %s with the key %s", ledgertest.Origin, h.Founding.LogKey)
	}
	verifier := ledgertest.Must(cosignature.NewVerifierForCosignatureV1(key))(t)
	ask := func(w *ledger.HTTPCosigner) {
		t.Helper()
		lines := ledgertest.Must(w.Cosign(t.Context(), ledger.CosignRequest{
			Checkpoint: h.Checkpoint, Size: uint64(len(h.Entries)),
			Prove: func(old uint64) ([]tlog.Hash, error) { return h.Proof(int(old)), nil },
		}))(t)
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
	}
}
