package explore_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/rows"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// What one issuer did is counted by the hour in which it was sealed, and what was live holds from each hour to the next that has news.
func TestHoursOfIssuer(t *testing.T) {
	r := newRig(t)
	land := func(p entry.Payload) { r.Apply(ledgertest.LandDID, r.Land, p) }
	r.Issue("a", 10)
	r.Seal(start + 10)
	land(entry.CredentialsSuspended{Leaves: []uint64{1, 2, 3}})
	r.Seal(start + 20)
	r.sync() // counts that wait for their seal outlive a batch
	land(entry.CredentialsReinstated{Leaves: []uint64{2}})
	r.sync()
	land(entry.CredentialsRevoked{Leaves: []uint64{3, 4}}) // one of them was not live before
	r.Seal(start + 3*3600)
	r.Issue("b", 5)
	r.Seal(start + 5*3600)
	r.Seal(start + 6*3600) // nothing of the issuer's
	r.Issue("c", 7)        // not sealed
	r.sync()
	want := []string{
		"10 issued, 3 suspended, 0 reinstated, 0 revoked, 7 live", "0 issued, 0 suspended, 0 reinstated, 0 revoked, 7 live", "0 issued, 0 suspended, 0 reinstated, 0 revoked, 7 live",
		"0 issued, 0 suspended, 1 reinstated, 2 revoked, 7 live", "0 issued, 0 suspended, 0 reinstated, 0 revoked, 7 live", "5 issued, 0 suspended, 0 reinstated, 0 revoked, 12 live",
		"0 issued, 0 suspended, 0 reinstated, 0 revoked, 12 live",
	}
	for limit := 1; limit <= len(want)+1; limit++ {
		of := ledgertest.Must(r.index.HoursOf(ledgertest.LandDID, start.Time(), limit))(t)
		expected := want[max(len(want)-limit, 0):]
		if len(of) != len(expected) {
			t.Fatalf("%d hours, want %d", len(of), len(expected))
		}
		for i, c := range of {
			got := fmt.Sprintf("%d issued, %d suspended, %d reinstated, %d revoked, %d live",
				c.By[explore.CountIssued], c.By[explore.CountSuspended], c.By[explore.CountReinstated], c.By[explore.CountRevoked], c.Live)
			if got != expected[i] || c.By[explore.IssuedOf+r.Schema.String()] != c.By[explore.CountIssued] {
				t.Errorf("at most %d hours, %s: %s, %v; want %s", limit, c.From, got, c.By, expected[i])
			}
		}
	}
	nobody := ledgertest.Must(r.index.HoursOf("did:web:nobody.example", start.Time(), 3))(t)
	if len(nobody) != 3 || nobody[2].Live != 0 || len(nobody[2].By) != 0 {
		t.Errorf("nobody: %+v", nobody)
	}
	if later := ledgertest.Must(r.index.HoursOf(ledgertest.LandDID, start.Time().Add(24*time.Hour), 3))(t); later != nil {
		t.Errorf("after the newest seal: %+v", later)
	}
}

// Rows that another version wrote are not read as if they were ours: the index is made again from the chain.
func TestOtherVersionIsMadeAgain(t *testing.T) {
	for _, state := range []string{
		`{"version":1,"size":3,"leaves":0,"live":0,"seals":1,"last_seal":{"height":0,"index":2,"time":0},"seal_digest":"","totals":{},"unsealed":{},"issuers":1,"verifiers":0,"policies":0}`,
		`{"something":"else","version":99}`,
	} {
		r := newRig(t)
		r.fill()
		r.sync()
		if err := r.index.Close(); err != nil {
			t.Fatal(err)
		}
		db := ledgertest.Must(rows.Open(rows.Config{Dir: filepath.Join("index", "rows"), FS: r.fs}))(t)
		err := db.Commit(rows.Batch{Set: map[string][]byte{"s": []byte(state), "g of another version": {1}}})
		if err != nil || db.Close() != nil {
			t.Fatal(err)
		}
		r.open()
		if h := r.index.Head(); h.Size != 0 || h.Checkpoint != "" {
			t.Errorf("%.20s is taken for ours: %+v", state, h)
		}
		r.sync()
		r.check()
	}
}

// Who waits is woken by new entries, and by nothing else.
func TestChanged(t *testing.T) {
	r := newRig(t)
	r.Seal(start + 10)
	r.sync()
	changed := r.index.Changed()
	r.sync()
	select {
	case <-changed:
		t.Error("nothing is new")
	default:
	}
	r.Issue("a", 1)
	r.Seal(start + 20)
	r.sync()
	select {
	case <-changed:
	default:
		t.Error("new entries woke nobody")
	}
}
