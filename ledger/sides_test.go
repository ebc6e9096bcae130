package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
)

// listed is a log that somebody hands over as it is.
type listed [][]byte

// Entry implements [ledger.Source].
func (l listed) Entry(index uint64) ([]byte, error) {
	if index >= uint64(len(l)) {
		return nil, ledger.ErrAbsent
	}
	return l[index], nil
}

// refusedOnBothSides checks that a log with those entries refuses one more when it is submitted, and that a log that
// took it anyway does not replay, for the same reason.
func (c *chain) refusedOnBothSides(t *testing.T, entries [][]byte, bad []byte, want error) {
	t.Helper()
	cfg := c.config()
	if err := ledger.Found(cfg, entries[0]); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, raw := range entries[1:] {
		if _, err := l.Submit(t.Context(), raw); err != nil {
			t.Fatalf("entry %d before: %v", i+1, err)
		}
	}
	_, err = l.Submit(t.Context(), bad)
	var refusal *ledger.Refusal
	if !errors.Is(err, want) || !errors.As(err, &refusal) || refusal.Detail == "" {
		t.Errorf("submitted: %v, want %v with a reason", err, want)
	}
	if err := l.Ready(); err != nil {
		t.Errorf("a refused entry stopped the log: %v", err)
	}
	if size := l.Status().Entries; size != uint64(len(entries)) {
		t.Errorf("%d entries in the log, want %d", size, len(entries))
	}
	_, err = ledger.Replay(t.Context(), listed(append(slices.Clip(entries), bad)), nil)
	if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("entry %d: ", len(entries))) {
		t.Errorf("replayed: %v, want %v at entry %d", err, want, len(entries))
	}
}

// takenOnBothSides checks the neighbour that differs in one thing only.
func (c *chain) takenOnBothSides(t *testing.T, entries [][]byte, good []byte) {
	t.Helper()
	report, err := ledger.Replay(t.Context(), listed(append(slices.Clip(entries), good)), nil)
	if err != nil || report.Size != uint64(len(entries))+1 {
		t.Errorf("the good neighbour: %v", err)
	}
}

// Who may do what: for each rule the entry that breaks it and a neighbour that keeps it, at submission and at replay.
func TestAuthorityOnBothSides(t *testing.T) {
	suspend := entry.IssuerSuspended{DID: healthDID, Reason: "audit"}
	type story func(c *chain) (before [][]byte, good, bad []byte)
	tests := []struct {
		rule  string
		want  error
		story story
	}{
		{"k of n: too few", ledger.ErrAuthority, func(c *chain) ([][]byte, []byte, []byte) {
			n := c.next[entry.Governance]
			return nil, c.with(entry.Governance, n, suspend, c.governance[0], c.governance[2]), c.with(entry.Governance, n, suspend, c.governance[2])
		}},
		{"k of n: all may sign, a stranger may not", ledger.ErrAuthority, func(c *chain) ([][]byte, []byte, []byte) {
			n := c.next[entry.Governance]
			return nil, c.with(entry.Governance, n, suspend, c.governance...),
				c.with(entry.Governance, n, suspend, c.governance[0], c.governance[1], seeded(c.t, "stranger"))
		}},
		{"k of n: signatures are over one payload", ledger.ErrAuthority, func(c *chain) ([][]byte, []byte, []byte) {
			n := c.next[entry.Governance]
			good := c.with(entry.Governance, n, suspend, c.governance[:2]...)
			other := c.with(entry.Governance, n, entry.IssuerSuspended{DID: healthDID, Reason: "other"}, c.governance[:2]...)
			return nil, good, swapPayload(c, good, other)
		}},
		{"rotation: the old key ends", ledger.ErrAuthority, func(c *chain) ([][]byte, []byte, []byte) {
			old, key := c.keys[landDID], seeded(c.t, "new key")
			before := [][]byte{c.issue(landDID, 2)} // signed with the old key; stays valid at replay
			before = append(before, c.signed(entry.Governance, entry.IssuerRotated{DID: landDID, Keys: []jose.PublicKey{key.Public()}, Quota: 9}))
			c.keys[landDID] = key
			revoke := entry.CredentialsRevoked{Leaves: []uint64{0}}
			return before, c.numbered(landDID, 1, revoke), c.with(landDID, 1, revoke, old)
		}},
		{"suspended issuers do nothing", ledger.ErrSuspended, func(c *chain) ([][]byte, []byte, []byte) {
			before := [][]byte{c.issue(landDID, 1), c.signed(entry.Governance, entry.IssuerSuspended{DID: landDID, Reason: "x"})}
			reinstate := c.signed(entry.Governance, entry.IssuerReinstated{DID: landDID})
			return before, reinstate, c.numbered(landDID, 1, entry.CredentialsRevoked{Leaves: []uint64{0}})
		}},
		{"suspended issuers do not issue", ledger.ErrSuspended, func(c *chain) ([][]byte, []byte, []byte) {
			before := [][]byte{c.signed(entry.Governance, suspend), c.signed(entry.Governance, entry.IssuerReinstated{DID: healthDID}),
				c.signed(entry.Governance, entry.IssuerSuspended{DID: landDID, Reason: "x"})}
			return before, c.signed(entry.Governance, entry.IssuerReinstated{DID: landDID}), c.issue(landDID, 1)
		}},
		{"a schema is for the issuers it names", ledger.ErrPermission, func(c *chain) ([][]byte, []byte, []byte) {
			return nil, c.issue(landDID, 1), c.issue(healthDID, 1)
		}},
		{"a quota is a limit", ledger.ErrQuota, func(c *chain) ([][]byte, []byte, []byte) {
			both := entry.SchemaPublished{Schema: c.schema(), Issuers: []string{healthDID, landDID}}
			before := [][]byte{c.signed(entry.Governance, both), c.issue(healthDID, 3)}
			return before, c.numbered(healthDID, 1, entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(2)}),
				c.numbered(healthDID, 1, entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(3)})
		}},
		{"revoked does not free quota", ledger.ErrQuota, func(c *chain) ([][]byte, []byte, []byte) {
			both := entry.SchemaPublished{Schema: c.schema(), Issuers: []string{healthDID, landDID}}
			before := [][]byte{c.signed(entry.Governance, both), c.issue(healthDID, 5), c.signed(healthDID, entry.CredentialsRevoked{Leaves: []uint64{0}})}
			return before, c.numbered(healthDID, 2, entry.CredentialsRevoked{Leaves: []uint64{1}}), c.numbered(healthDID, 2, entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(1)})
		}},
		{"numbers have no gap", ledger.ErrSequence, func(c *chain) ([][]byte, []byte, []byte) {
			p := entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(1)}
			return nil, c.numbered(landDID, 0, p), c.numbered(landDID, 1, p)
		}},
		{"a number is used once", ledger.ErrSequence, func(c *chain) ([][]byte, []byte, []byte) {
			before := [][]byte{c.issue(landDID, 1)}
			p := entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(1)}
			return before, c.numbered(landDID, 1, p), c.numbered(landDID, 0, p)
		}},
		{"the same entry again", ledger.ErrAlreadyLogged, func(c *chain) ([][]byte, []byte, []byte) {
			first := c.issue(landDID, 1)
			return [][]byte{first}, c.issue(landDID, 1), first
		}},
		{"the same payload under the next number", ledger.ErrDuplicateLeaf, func(c *chain) ([][]byte, []byte, []byte) {
			p := entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(2)}
			return [][]byte{c.signed(landDID, p)}, c.issue(landDID, 1), c.numbered(landDID, 1, p)
		}},
		{"an audit log only grows", ledger.ErrConflict, func(c *chain) ([][]byte, []byte, []byte) {
			anchor := func(n uint64) entry.AuditAnchored { return entry.AuditAnchored{Records: n, Head: c.genesis} }
			return [][]byte{c.signed(landDID, anchor(7))}, c.numbered(landDID, 1, anchor(8)), c.numbered(landDID, 1, anchor(7))
		}},
		{"a leaf once revoked does not come back", ledger.ErrRevoked, func(c *chain) ([][]byte, []byte, []byte) {
			before := [][]byte{c.issue(landDID, 2), c.signed(landDID, entry.CredentialsSuspended{Leaves: []uint64{0, 1}}),
				c.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{0}})}
			return before, c.numbered(landDID, 3, entry.CredentialsReinstated{Leaves: []uint64{1}}), c.numbered(landDID, 3, entry.CredentialsReinstated{Leaves: []uint64{0}})
		}},
		{"an entry is for one chain", ledger.ErrForeignGenesis, func(c *chain) ([][]byte, []byte, []byte) {
			p := entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(1)}
			good := c.numbered(landDID, 0, p)
			here := c.genesis
			c.genesis = credential.DigestOf([]byte("another chain"))
			bad := c.numbered(landDID, 0, p)
			c.genesis = here
			return nil, good, bad
		}},
	}
	for _, test := range tests {
		t.Run(test.rule, func(t *testing.T) {
			c := newChain(t)
			entries := c.opening()
			before, good, bad := test.story(c)
			entries = append(entries, before...)
			c.refusedOnBothSides(t, entries, bad, test.want)
			c.takenOnBothSides(t, entries, good)
		})
	}
}

// swapPayload puts the payload of one entry under the signatures of another.
func swapPayload(c *chain, signed, other []byte) []byte {
	c.t.Helper()
	payload := func(raw []byte) string {
		_, rest, _ := strings.Cut(string(raw), `"payload":"`)
		text, _, _ := strings.Cut(rest, `"`)
		return text
	}
	return []byte(strings.Replace(string(signed), payload(signed), payload(other), 1))
}
