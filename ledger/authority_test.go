package ledger_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/store"
)

// begun is a machine after the opening and n leaves of the land registry.
func begun(t *testing.T, n int) (*chain, *ledger.Machine) {
	t.Helper()
	c := newChain(t)
	m, err := ledger.NewMachine(store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	entries := c.opening()
	if n > 0 {
		entries = append(entries, c.issue(landDID, n))
	}
	apply(t, m, entries...)
	c.begun = entries
	return c, m
}

func apply(t testing.TB, m *ledger.Machine, entries ...[]byte) {
	t.Helper()
	for i, raw := range entries {
		if _, err := m.Apply(raw); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
}

// spoil changes the first base64 digit behind the last place of a text in an entry.
func spoil(raw []byte, behind string) []byte {
	at := bytes.LastIndex(raw, []byte(behind)) + len(behind)
	if raw[at] == 'A' {
		raw[at] = 'B'
	} else {
		raw[at] = 'A'
	}
	return raw
}

func (c *chain) policy(change func(*policy.Policy)) entry.PolicyRegistered {
	c.t.Helper()
	p := policy.Policy{
		Version: 1, ID: "housing", Verifier: verifierDID, Name: credential.Text{English: "Housing aid"},
		Purpose: credential.Text{English: "Owners get no housing aid."}, RetentionDays: 30, FreshnessSeconds: 3600,
		Queries: []policy.Query{{
			ID: "title", Schema: c.land, Issuers: []string{landDID},
			Clauses: []policy.Clause{{Claim: "area", AtLeast: "500"}},
		}},
	}
	if change != nil {
		change(&p)
	}
	text, err := p.Canonical()
	if err != nil {
		c.t.Fatal(err)
	}
	return entry.PolicyRegistered{Policy: text}
}

func (c *chain) verifyingKey(name string) entry.VerifyingKey {
	return entry.VerifyingKey{
		Circuit: "presentation-1", CircuitDigest: credential.DigestOf([]byte("circuit")), KeyDigest: credential.DigestOf([]byte(name)),
		Transcript: credential.DigestOf([]byte("transcript")), NotAfter: c.time(1_000_000),
	}
}

// Every refusal, on a chain with three leaves of the land registry. Nothing may change, and a log that took the entry
// does not replay.
func TestRefusals(t *testing.T) {
	shared := int64(2)
	tests := []struct {
		name string
		raw  func(c *chain) []byte
		want error
	}{
		{"not an entry", func(c *chain) []byte { return []byte(`{}`) }, ledger.ErrMalformed},
		{"another chain", func(c *chain) []byte {
			c.genesis[0] ^= 1
			return c.issue(landDID, 1)
		}, ledger.ErrForeignGenesis},
		{"a second genesis", func(c *chain) []byte {
			g := c.founding
			g.Network = "other"
			e, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: g}, c.governance[:2]...)
			if err != nil {
				c.t.Fatal(err)
			}
			return e.Bytes()
		}, ledger.ErrSequence},
		{"a number too high", func(c *chain) []byte {
			return c.numbered(landDID, 7, entry.CredentialsRevoked{Leaves: []uint64{0}})
		}, ledger.ErrSequence},
		{"a used number for another payload", func(c *chain) []byte {
			return c.numbered(landDID, 0, entry.CredentialsRevoked{Leaves: []uint64{0}})
		}, ledger.ErrSequence},
		{"one governance key of two", func(c *chain) []byte {
			return c.with(entry.Governance, c.next[entry.Governance], entry.IssuerReinstated{DID: landDID}, c.governance[0])
		}, ledger.ErrAuthority},
		{"governance with a stranger's key", func(c *chain) []byte {
			return c.with(entry.Governance, c.next[entry.Governance], entry.IssuerSuspended{DID: landDID, Reason: "x"},
				c.governance[0], c.keys[landDID])
		}, ledger.ErrAuthority},
		{"governance with a good and a stranger's key too many", func(c *chain) []byte {
			return c.with(entry.Governance, c.next[entry.Governance], entry.IssuerSuspended{DID: landDID, Reason: "x"},
				c.governance[0], c.governance[1], c.keys[landDID])
		}, ledger.ErrAuthority},
		{"an agency signs for another", func(c *chain) []byte {
			return c.with(landDID, c.next[landDID], entry.CredentialsRevoked{Leaves: []uint64{0}}, c.keys[healthDID])
		}, ledger.ErrAuthority},
		{"a signature that does not verify", func(c *chain) []byte { return spoil(c.issue(landDID, 1), `"signature":"`) }, ledger.ErrAuthority},
		{"governance with one signature that does not verify", func(c *chain) []byte {
			return spoil(c.signed(entry.Governance, c.issuer("did:web:land.example", 1)), `"signature":"`)
		}, ledger.ErrAuthority},
		{"a seal that the operator did not sign", func(c *chain) []byte {
			return spoil(c.signed(entry.Operator, entry.Seal{Time: c.time(10)}), `"signature":"`)
		}, ledger.ErrAuthority},
		{"two signatures of an agency", func(c *chain) []byte {
			return c.with(landDID, c.next[landDID], entry.CredentialsRevoked{Leaves: []uint64{0}}, c.keys[landDID], c.keys[healthDID])
		}, ledger.ErrAuthority},
		{"an agency acts as governance", func(c *chain) []byte {
			return c.signed(landDID, entry.IssuerReinstated{DID: landDID})
		}, ledger.ErrAuthority},
		{"governance issues", func(c *chain) []byte { return c.issue(entry.Governance, 1) }, ledger.ErrAuthority},
		{"an agency seals", func(c *chain) []byte {
			return c.signed(landDID, entry.Seal{Time: c.time(10)})
		}, ledger.ErrAuthority},
		{"an unknown agency", func(c *chain) []byte {
			c.keys["did:web:fake.example"] = c.keys[landDID]
			return c.issue("did:web:fake.example", 1)
		}, ledger.ErrAuthority},
		{"a verifier issues", func(c *chain) []byte { return c.issue(verifierDID, 1) }, ledger.ErrAuthority},
		{"an issuer twice", func(c *chain) []byte {
			return c.signed(entry.Governance, c.issuer(landDID, 1))
		}, ledger.ErrConflict},
		{"an issuer with another's key", func(c *chain) []byte {
			p := c.issuer(landDID, 1)
			p.DID = "did:web:new.example"
			return c.signed(entry.Governance, p)
		}, ledger.ErrConflict},
		{"rotation to another's key", func(c *chain) []byte {
			return c.signed(entry.Governance, entry.IssuerRotated{DID: landDID, Keys: []jose.PublicKey{c.keys[entry.Operator].Public()}})
		}, ledger.ErrConflict},
		{"a verifier with a governance key", func(c *chain) []byte {
			p := c.verifier()
			p.Keys = []jose.PublicKey{c.governance[2].Public()}
			return c.signed(entry.Governance, p)
		}, ledger.ErrConflict},
		{"rotation of a stranger", func(c *chain) []byte {
			return c.signed(entry.Governance, entry.IssuerRotated{DID: "did:web:x", Keys: []jose.PublicKey{seeded(c.t, "x").Public()}})
		}, ledger.ErrUnknown},
		{"suspension of a stranger", func(c *chain) []byte {
			return c.signed(entry.Governance, entry.IssuerSuspended{DID: "did:web:x", Reason: "x"})
		}, ledger.ErrUnknown},
		{"reinstatement of who is not suspended", func(c *chain) []byte {
			return c.signed(entry.Governance, entry.IssuerReinstated{DID: landDID})
		}, ledger.ErrConflict},
		{"a schema for a stranger", func(c *chain) []byte {
			return c.signed(entry.Governance, entry.SchemaPublished{Schema: c.schema(), Issuers: []string{"did:web:x"}})
		}, ledger.ErrUnknown},
		{"a schema that is not the issuer's", func(c *chain) []byte { return c.issue(healthDID, 1) }, ledger.ErrPermission},
		{"a schema that is not there", func(c *chain) []byte {
			return c.signed(landDID, entry.CredentialsIssued{Schema: credential.ElementFromUint64(1), Commitments: c.commitments(1)})
		}, ledger.ErrUnknown},
		{"a leaf twice", func(c *chain) []byte {
			c.issued = 0
			return c.issue(landDID, 1)
		}, ledger.ErrDuplicateLeaf},
		{"a leaf twice in one entry", func(c *chain) []byte {
			same := c.commitments(1)[0]
			return c.signed(landDID, entry.CredentialsIssued{Schema: c.land, Commitments: []credential.Element{same, same}})
		}, ledger.ErrDuplicateLeaf},
		{"a leaf that was never issued", func(c *chain) []byte {
			return c.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{2, 3}})
		}, ledger.ErrUnknown},
		{"another issuer's leaf", func(c *chain) []byte {
			return c.signed(healthDID, entry.CredentialsRevoked{Leaves: []uint64{0}})
		}, ledger.ErrPermission},
		{"reinstatement of an active leaf", func(c *chain) []byte {
			return c.signed(landDID, entry.CredentialsReinstated{Leaves: []uint64{0}})
		}, ledger.ErrConflict},
		{"a policy of another verifier", func(c *chain) []byte {
			return c.signed(verifierDID, c.policy(func(p *policy.Policy) { p.Verifier = "did:web:x.example" }))
		}, ledger.ErrPolicy},
		{"a policy on an unknown schema", func(c *chain) []byte {
			return c.signed(verifierDID, c.policy(func(p *policy.Policy) { p.Queries[0].Schema = credential.ElementFromUint64(1) }))
		}, ledger.ErrUnknown},
		{"a policy on an unknown scope", func(c *chain) []byte {
			return c.signed(verifierDID, c.policy(func(p *policy.Policy) { p.Queries[0].Scope = &policy.Scope{Shared: &shared} }))
		}, ledger.ErrUnknown},
		{"a policy that is none", func(c *chain) []byte {
			return c.signed(verifierDID, entry.PolicyRegistered{Policy: []byte(`{"version":1}`)})
		}, ledger.ErrPolicy},
		{"a policy in another spelling", func(c *chain) []byte {
			text := bytes.Replace(c.policy(nil).Policy, []byte(`,"verifier"`), []byte(`,"several_persons":false,"verifier"`), 1)
			return c.signed(verifierDID, entry.PolicyRegistered{Policy: text})
		}, ledger.ErrPolicy},
		{"a scope of strangers", func(c *chain) []byte {
			return c.signed(entry.Governance, entry.ScopeRegistered{Service: "s", Consumer: landDID, Verifiers: []string{landDID}})
		}, ledger.ErrUnknown},
		{"a seal too early", func(c *chain) []byte {
			return c.signed(entry.Operator, entry.Seal{Time: c.time(9)})
		}, ledger.ErrSeal},
		{"audit records of a stranger", func(c *chain) []byte {
			return c.with(verifierDID, c.next[verifierDID], entry.AuditAnchored{Records: 1, Head: c.genesis}, c.keys[verifierDID])
		}, ledger.ErrAuthority},
		{"a seal with any root", func(c *chain) []byte {
			return c.signed(entry.Operator, entry.Seal{Time: c.time(10), Previous: c.genesis, Leaves: 3})
		}, ledger.ErrSeal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, m := begun(t, 3)
			if _, err := m.Changes(); err != nil {
				t.Fatal(err)
			}
			raw := test.raw(c)
			if _, err := m.Apply(raw); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			c.refusedOnBothSides(t, c.begun, raw, test.want)
			if after, err := m.Changes(); err != nil || len(after) > 0 {
				t.Errorf("a refused entry changed %d rows: %v", len(after), err)
			}
		})
	}
}

func TestSequenceErrorNamesTheNextNumber(t *testing.T) {
	c, m := begun(t, 3)
	_, err := m.Apply(c.numbered(landDID, 9, entry.CredentialsRevoked{Leaves: []uint64{0}}))
	var refusal *ledger.Refusal
	if !errors.As(err, &refusal) || refusal.Expected != 1 {
		t.Errorf("got %v, want the number 1", err)
	}
}

// The same payload with another signature is the same entry: ES256 signatures are malleable and not deterministic.
func TestReplayGivesTheOldResult(t *testing.T) {
	c, m := begun(t, 0)
	key, err := jose.Generate(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, c.signed(entry.Governance, entry.IssuerRotated{DID: landDID, Keys: []jose.PublicKey{key.Public()}, Quota: 100}))
	c.keys[landDID] = key
	payload := entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(2)}
	first, err := m.Apply(c.numbered(landDID, 0, payload))
	if err != nil {
		t.Fatal(err)
	}
	size := m.Size()
	again, err := m.Apply(c.numbered(landDID, 0, payload))
	if !errors.Is(err, ledger.ErrAlreadyLogged) || again != first || m.Size() != size {
		t.Errorf("again: %+v %v, first %+v", again, err, first)
	}
}

func TestIssuerStory(t *testing.T) {
	c, m := begun(t, 3)
	refused := func(raw []byte, want error) {
		t.Helper()
		if _, err := m.Apply(raw); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	next := func(p entry.Payload) []byte { return c.numbered(landDID, c.next[landDID], p) }

	apply(t, m, c.signed(entry.Governance, entry.IssuerSuspended{DID: landDID, Reason: "key lost"}))
	refused(next(entry.CredentialsRevoked{Leaves: []uint64{0}}), ledger.ErrSuspended)
	if issuer, ok := m.Registry().Issuer(landDID); !ok || !issuer.Suspended {
		t.Error("a suspended issuer must stay in the registry, marked")
	}
	apply(t, m, c.signed(entry.Governance, entry.IssuerReinstated{DID: landDID}))

	apply(t, m, c.signed(landDID, entry.CredentialsSuspended{Leaves: []uint64{0, 1}}))
	refused(next(entry.CredentialsSuspended{Leaves: []uint64{1, 2}}), ledger.ErrConflict)
	apply(t, m, c.signed(landDID, entry.CredentialsReinstated{Leaves: []uint64{1}}))
	apply(t, m, c.signed(landDID, entry.CredentialsRevoked{Leaves: []uint64{0, 1}}))
	refused(next(entry.CredentialsReinstated{Leaves: []uint64{0}}), ledger.ErrRevoked)
	refused(next(entry.CredentialsRevoked{Leaves: []uint64{1, 2}}), ledger.ErrRevoked)
	if live := m.Census().Live(c.land, []string{landDID}); live != 1 {
		t.Errorf("%d live leaves, want 1", live)
	}

	second := seeded(t, "second key")
	apply(t, m, c.signed(entry.Governance, entry.IssuerRotated{
		DID: landDID, Keys: []jose.PublicKey{c.keys[landDID].Public(), second.Public()}, Quota: 5,
	}))
	revoke := entry.CredentialsRevoked{Leaves: []uint64{2}}
	refused(c.with(landDID, c.next[landDID], revoke, c.keys[landDID], second), ledger.ErrAuthority) // one signature, not two

	old := c.keys[landDID]
	c.keys[landDID] = seeded(t, "new key")
	apply(t, m, c.signed(entry.Governance, entry.IssuerRotated{DID: landDID, Keys: []jose.PublicKey{c.keys[landDID].Public()}, Quota: 5}))
	refused(c.with(landDID, c.next[landDID], entry.CredentialsRevoked{Leaves: []uint64{2}}, old), ledger.ErrAuthority)
	refused(next(entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(3)}), ledger.ErrQuota)
	apply(t, m, c.issue(landDID, 2))
}

func TestVerifierStory(t *testing.T) {
	c, m := begun(t, 0)
	apply(t, m, c.signed(verifierDID, c.policy(nil)))
	first, _ := m.Registry().Policy(verifierDID, "housing")
	result, err := m.Apply(c.signed(verifierDID, c.policy(func(p *policy.Policy) { p.RetentionDays = 1 })))
	if err != nil {
		t.Fatal(err)
	}
	second, _ := m.Registry().Policy(verifierDID, "housing")
	if second.Entry != result.Index || second.Digest == first.Digest || len(m.Registry().Policies) != 1 {
		t.Errorf("a later registration must replace the digest: %+v then %+v", first, second)
	}
	scope, err := m.Apply(c.signed(entry.Governance, entry.ScopeRegistered{Service: "aid", Consumer: verifierDID, Verifiers: []string{verifierDID}}))
	if err != nil {
		t.Fatal(err)
	}
	index := int64(scope.Index)
	apply(t, m, c.signed(verifierDID, c.policy(func(p *policy.Policy) { p.Queries[0].Scope = &policy.Scope{Shared: &index} })))

	key := c.verifyingKey("one")
	apply(t, m, c.signed(entry.Governance, entry.VerifyingKeyListed{Key: key}))
	key.NotAfter--
	apply(t, m, c.signed(entry.Governance, entry.VerifyingKeyListed{Key: key}))
	if keys := m.Registry().VerifyingKeys; len(keys) != 1 || keys[0] != key {
		t.Errorf("listing a key again must change its end: %+v", keys)
	}
	key.CircuitDigest[0] ^= 1
	if _, err := m.Apply(c.signed(entry.Governance, entry.VerifyingKeyListed{Key: key})); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a listed key with another circuit: %v", err)
	}
}

func TestDevelopmentKeysOnlyOnDevChains(t *testing.T) {
	c := newChain(t)
	c.founding.Dev, c.founding.GridSeconds = false, 600
	e, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: c.founding}, c.governance[:2]...)
	if err != nil {
		t.Fatal(err)
	}
	c.genesis = e.Digest()
	m, err := ledger.NewMachine(store.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, e.Bytes())
	key := c.verifyingKey("dev")
	key.Transcript = credential.Digest{}
	if _, err := m.Apply(c.numbered(entry.Governance, 1, entry.VerifyingKeyListed{Key: key})); !errors.Is(err, ledger.ErrMalformed) {
		t.Errorf("a development key: %v", err)
	}
	apply(t, m, c.numbered(entry.Governance, 1, entry.VerifyingKeyListed{Key: c.verifyingKey("real")}))
}
