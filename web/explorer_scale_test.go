package web

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// TestExplorerScale measures pages of a long chain: BULLA_EXPLORE_ENTRIES says how long.
func TestExplorerScale(t *testing.T) {
	entries, err := strconv.Atoi(os.Getenv("BULLA_EXPLORE_ENTRIES"))
	if err != nil {
		t.Skip("BULLA_EXPLORE_ENTRIES is not set: nothing is measured")
	}
	x := newTown(t)
	x.govern(entry.IssuerRotated{DID: ledgertest.LandDID, Keys: []jose.PublicKey{x.Land.Public()}, Quota: 1 << 24})
	for at := ledgertest.Start + 6*3600; len(x.Entries) < entries; at += 600 {
		for n := range 50 {
			x.Issue(fmt.Sprint(n), 10)
		}
		x.Apply(entry.Operator, x.Operator, x.Draft(at))
	}
	x.Seal(ledgertest.Start + 100*24*3600)
	began := time.Now()
	x.sync()
	t.Logf("%d entries are indexed in memory in %s", len(x.Entries), time.Since(began).Round(time.Millisecond))
	for _, path := range []string{
		"/", "/live", "/entries", "/entries?kind=credentials-issued&before=50000", "/seals", "/issuers", "/issuer/" + ledgertest.LandDID, "/entry/50000", "/policies",
		"/search?q=70000", "/check", fmt.Sprintf("/check/proof?index=50000&size=%d", len(x.Entries)),
	} {
		var took []time.Duration
		for range 50 {
			began := time.Now()
			if answer, body := x.get(path, english); answer.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d %s", path, answer.StatusCode, body)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		t.Logf("%-45s %s in the middle, %s at most", path, took[25].Round(10*time.Microsecond), took[49].Round(10*time.Microsecond))
	}
}
