package ledger_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/ledger/entry"
)

const (
	origin      = "ledger.example/test"
	landDID     = "did:web:land.example"
	healthDID   = "did:web:health.example"
	verifierDID = "did:web:benefits.example"
)

// genesisTime is when test chains begin.
const genesisTime = credential.UnixTime(1_700_000_000)

// chain signs entries for tests, keeping count of sequence numbers. Its keys and commitments come from fixed seeds.
type chain struct {
	t          testing.TB
	genesis    credential.Digest
	founding   entry.Genesis
	first      []byte
	keys       map[string]*jose.SigningKey
	governance []*jose.SigningKey
	next       map[string]uint64
	logSigner  note.Signer
	logKey     string
	land       credential.Element // the schema
	issued     uint64
	begun      [][]byte // what the chain began with, for some tests
}

func seeded(t testing.TB, name string) *jose.SigningKey {
	t.Helper()
	d := credential.DigestOf([]byte(name))
	key, err := jose.FromSeed(d[:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// seedReader makes the log key of all test chains the same.
type seedReader struct{ b byte }

func (r *seedReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.b
	}
	return len(p), nil
}

// newChain is a dev chain, but for what change makes different.
func newChain(t testing.TB, change ...func(*entry.Genesis)) *chain {
	t.Helper()
	skey, vkey, err := note.GenerateKey(&seedReader{7}, origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	c := &chain{t: t, keys: make(map[string]*jose.SigningKey), next: make(map[string]uint64), logSigner: signer, logKey: vkey}
	for _, name := range []string{entry.Operator, landDID, healthDID, verifierDID} {
		c.keys[name] = seeded(t, name)
	}
	var governance []jose.PublicKey
	for _, name := range []string{"mayor", "auditor", "court"} {
		key := seeded(t, name)
		c.governance = append(c.governance, key)
		governance = append(governance, key.Public())
	}
	c.founding = entry.Genesis{
		Version: 1, Network: "test", Dev: true, Suite: entry.Suite, Origin: origin, LogKey: vkey,
		OperatorKey: c.keys[entry.Operator].Public(), GovernanceKeys: governance, GovernanceThreshold: 2,
		SealIntervalSeconds: 10, SealMaximumSeconds: 600, ClockSkewSeconds: 5, Time: genesisTime,
		VerifyingKeys: []entry.VerifyingKey{},
	}
	for _, f := range change {
		f(&c.founding)
	}
	e, err := entry.Sign(entry.Draft{Signer: entry.Governance, Payload: c.founding}, c.governance[:2]...)
	if err != nil {
		t.Fatal(err)
	}
	c.first, c.genesis = e.Bytes(), e.Digest()
	c.next[entry.Governance] = 1
	return c
}

func (c *chain) time(seconds int) credential.UnixTime {
	return genesisTime + credential.UnixTime(seconds)
}

// signed is the signer's next entry.
func (c *chain) signed(signer string, payload entry.Payload) []byte {
	c.t.Helper()
	raw := c.numbered(signer, c.next[signer], payload)
	c.next[signer]++
	return raw
}

// numbered is an entry of a signer with any number.
func (c *chain) numbered(signer string, sequence uint64, payload entry.Payload) []byte {
	c.t.Helper()
	keys := []*jose.SigningKey{c.keys[signer]}
	if signer == entry.Governance {
		keys = c.governance[:2]
	}
	return c.with(signer, sequence, payload, keys...)
}

// with is an entry signed by any keys.
func (c *chain) with(signer string, sequence uint64, payload entry.Payload, keys ...*jose.SigningKey) []byte {
	c.t.Helper()
	e, err := entry.Sign(entry.Draft{Genesis: c.genesis, Signer: signer, Sequence: sequence, Payload: payload}, keys...)
	if err != nil {
		c.t.Fatal(err)
	}
	return e.Bytes()
}

func (c *chain) issuer(did string, quota uint64) entry.IssuerRegistered {
	return entry.IssuerRegistered{
		DID: did, Name: credential.Text{English: strings.TrimPrefix(did, "did:web:")},
		Keys: []jose.PublicKey{c.keys[did].Public()}, Quota: quota, URL: "https://" + strings.TrimPrefix(did, "did:web:"),
	}
}

func (c *chain) schema() credential.Schema {
	return credential.Schema{
		Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister,
		Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}, {Name: "area", Type: credential.Integer}},
	}
}

func (c *chain) verifier() entry.VerifierRegistered {
	return entry.VerifierRegistered{
		DID: verifierDID, Name: credential.Text{English: "Benefits office"},
		Keys: []jose.PublicKey{c.keys[verifierDID].Public()}, ResponseURIs: []string{"https://benefits.example/"},
	}
}

// opening are the entries that every story begins with: genesis, two issuers, a schema of the land registry, a verifier.
func (c *chain) opening() [][]byte {
	c.t.Helper()
	schema := c.schema()
	id, err := schema.ID()
	if err != nil {
		c.t.Fatal(err)
	}
	c.land = id
	return [][]byte{
		c.first,
		c.signed(entry.Governance, c.issuer(landDID, 100_000)),
		c.signed(entry.Governance, c.issuer(healthDID, 5)),
		c.signed(entry.Governance, entry.SchemaPublished{Schema: schema, Issuers: []string{landDID}}),
		c.signed(entry.Governance, c.verifier()),
	}
}

// commitments are n that were never used before.
func (c *chain) commitments(n int) []credential.Element {
	out := make([]credential.Element, n)
	for i := range out {
		c.issued++
		out[i] = credential.F("test commitment", binary.BigEndian.AppendUint64(nil, c.issued))
	}
	return out
}

func (c *chain) issue(did string, n int) []byte {
	c.t.Helper()
	return c.signed(did, entry.CredentialsIssued{Schema: c.land, Commitments: c.commitments(n)})
}
