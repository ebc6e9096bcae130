package ledger_test

import (
	"errors"
	"testing"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
)

// A signature that was good when an entry was prepared counts for nothing once its key is withdrawn, and one whose key came
// later counts. A bad one never takes a turn.
func TestPreparedEntries(t *testing.T) {
	c := newChain(t)
	l := c.open(c.config())
	defer l.Close()
	prepare := func(raw []byte) *ledger.Prepared {
		t.Helper()
		p, err := l.Prepare(raw)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	rotate := func(key *jose.SigningKey) {
		t.Helper()
		c.submit(l, c.signed(entry.Governance, entry.IssuerRotated{DID: landDID, Keys: []jose.PublicKey{key.Public()}, Quota: 100}))
	}
	old, next := c.keys[landDID], seeded(t, "next")
	issued := entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(2)}
	sequence := c.next[landDID]
	byOld, byNext := prepare(c.with(landDID, sequence, issued, old)), prepare(c.with(landDID, sequence, issued, next))

	if byOld.Leaves() != 2 || byNext.Leaves() != 0 {
		t.Errorf("%d leaves computed for a known key, %d for an unknown one, want 2 and 0", byOld.Leaves(), byNext.Leaves())
	}

	rotate(next)
	if _, err := l.SubmitPrepared(t.Context(), byOld); !errors.Is(err, ledger.ErrAuthority) {
		t.Errorf("signed by a withdrawn key: %v, want %v", err, ledger.ErrAuthority)
	}
	receipt, err := l.SubmitPrepared(t.Context(), byNext)
	if err != nil || receipt.Leaves != 2 {
		t.Fatalf("signed by a key that came after it was prepared: %+v, %v", receipt, err)
	}
	if again, err := l.SubmitPrepared(t.Context(), byNext); !errors.Is(err, ledger.ErrAlreadyLogged) || again.Index != receipt.Index {
		t.Errorf("submitted twice: %+v, %v", again, err)
	}
	if _, err := l.Prepare(spoil(c.with(landDID, sequence+1, issued, next), `"signature":"`)); !errors.Is(err, ledger.ErrAuthority) {
		t.Errorf("bad signature: %v, want %v", err, ledger.ErrAuthority)
	}
}
