package counter_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/counter"
)

const bank = "did:web:bank.example"

var title = credential.Schema{
	Type: "urn:bulla:schema:title:1", EnrolmentRegister: credential.IssuerRegister,
	Claims: []credential.ClaimType{{Name: "parcel", Type: credential.String}},
}

// world is a live chain with a bank, and somebody with a title. Seals are 10 and 20 seconds after its start.
type world struct {
	t       *testing.T
	host    *ledgertest.Host
	bank    *jose.SigningKey
	counter *jose.SigningKey
	now     time.Time
	active  *circuitstest.Tree
	titles  [2]*circuitstest.Credential
}

func newWorld(t *testing.T, change ...func(*entry.Genesis)) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("makes development keys and real proofs")
	}
	key := circuitstest.VerifyingKey(t, circuits.Presentation)
	h := ledgertest.NewHost(t, func(g *entry.Genesis) {
		g.VerifyingKeys = []entry.VerifyingKey{{
			Circuit: circuits.Presentation, CircuitDigest: key.Circuit(), KeyDigest: key.Digest(), NotAfter: ledgertest.Start + 1_000_000,
			Transcript: credential.DigestOf([]byte("a ceremony")),
		}}
		for _, f := range change {
			f(g)
		}
	})
	w := &world{t: t, host: h, bank: ledgertest.Key(t, "bank"), counter: ledgertest.Key(t, "counter"), active: circuitstest.NewTree()}
	h.Apply(entry.Governance, h.Governance, entry.VerifierRegistered{
		DID: bank, Name: credential.Text{English: "Bank"}, Keys: []jose.PublicKey{ledgertest.Key(t, "older").Public(), w.bank.Public()},
		ResponseURIs: []string{"https://bank.example/"},
	})
	w.register("owner", func(*policy.Query) {})
	w.register("reader", func(q *policy.Query) {
		q.Disclose, q.Scope = []string{"parcel"}, &policy.Scope{Service: "reading-room"}
	})
	w.registerSets()
	rand := circuitstest.NewRand(3)
	var commitments []credential.Element
	for i := range w.titles {
		c := &circuitstest.Credential{
			Schema: h.Schema, Issuer: credential.IssuerID(ledgertest.LandDID), Master: credential.Secret{Element: circuitstest.Element(rand)},
			Blinding: credential.Secret{Element: circuitstest.Element(rand)}, Index: uint64(i),
			Claims: ledgertest.Must(title.Encode(credential.Claims{"parcel": "912160000A0001"}))(t),
			Envelope: credential.Envelope{
				ValidFrom: credential.EncodeTime((ledgertest.Start - 1_000_000).Time()), ValidUntil: credential.EncodeTime((ledgertest.Start + 1_000_000).Time()),
				Salt: credential.Secret{Element: circuitstest.Element31(rand)},
			},
		}
		w.titles[i] = c
		w.active.Set(c.Index, c.Leaf())
		commitments = append(commitments, credential.Commitment(credential.HolderCommitment(c.Master, c.Blinding), credential.ClaimsRoot(c.Claims), c.Envelope.Root()))
	}
	h.Apply(ledgertest.LandDID, h.Land, entry.CredentialsIssued{Schema: h.Schema, Commitments: commitments})
	h.Seal(ledgertest.Start + 10)
	h.Seal(ledgertest.Start + 20)
	w.at(30)
	return w
}

// at sets the clock of everybody, in seconds after the chain's start.
func (w *world) at(seconds int) {
	w.now = (ledgertest.Start + credential.UnixTime(seconds)).Time()
	w.host.Now = ledgertest.Start + credential.UnixTime(seconds)
}

// register registers a policy by which titles are asked for.
func (w *world) register(id string, change func(*policy.Query)) {
	w.t.Helper()
	q := policy.Query{ID: "title", Schema: w.host.Schema, Issuers: []string{ledgertest.LandDID}, Clauses: []policy.Clause{{Claim: "parcel", Present: true}}}
	change(&q)
	p := &policy.Policy{
		Version: 1, ID: id, Verifier: bank, Name: credential.Text{English: id}, Purpose: credential.Text{English: "test"},
		FreshnessSeconds: 600, Queries: []policy.Query{q},
	}
	w.host.Apply(bank, w.bank, entry.PolicyRegistered{Policy: ledgertest.Must(p.Canonical())(w.t)})
}

// registries and parcels are sets that the policy "sets" names.
var registries, parcels = mustSet(policy.IssuerSet, registryDIDs(2978)...), mustSet(policy.ValueSet, "912160000A0001", "912160000A0002")

func registryDIDs(n int) []string {
	dids := []string{ledgertest.LandDID}
	for i := range n - 1 {
		dids = append(dids, fmt.Sprintf("did:web:%06d.registry.example", 110101+i))
	}
	slices.Sort(dids)
	return dids
}

func mustSet(kind policy.SetKind, members ...string) *policy.Set {
	s, err := policy.NewSet(policy.SetDocument{Version: 1, Kind: kind, Name: credential.Text{English: "Set of " + string(kind)}, Members: members})
	if err != nil {
		panic(err)
	}
	return s
}

// registerSets puts two sets onto the chain, and a policy that names them.
func (w *world) registerSets() {
	w.t.Helper()
	for _, s := range []*policy.Set{registries, parcels} {
		parts := s.Split(32 << 10)
		for i, members := range parts {
			w.host.Apply(bank, w.bank, entry.SetRegistered{Set: s.Digest(), Kind: string(s.Kind()), Name: s.Name(), Part: i, Parts: len(parts), Members: members})
		}
	}
	w.register("sets", func(q *policy.Query) {
		q.Issuers, q.IssuerSet = nil, registries.Digest()
		q.Clauses = []policy.Clause{{Claim: "parcel", InSet: parcels.Digest()}}
	})
}

func (w *world) pass(name string, change ...func(*openid.CounterPass)) string {
	w.t.Helper()
	pass := openid.CounterPass{
		Genesis: w.host.Genesis, Verifier: bank, Counter: name, Key: w.counter.Public(), IssuedAt: ledgertest.Start, NotAfter: ledgertest.Start + 86400,
	}
	for _, f := range change {
		f(&pass)
	}
	return ledgertest.Must(openid.SignCounterPass(w.bank, pass))(w.t)
}

// config is a counter that is synchronised now.
func (w *world) config(name string) counter.Config {
	w.t.Helper()
	cfg := w.host.Config()
	return counter.Config{
		Profile: checkpoint.Profile{Genesis: cfg.Genesis, Policy: cfg.Policy}, Pass: w.pass(name), Key: w.counter,
		Copy:          ledgertest.Must(verifier.CounterCopy(w.t.Context(), w.host.Client(nil), bank, w.now))(w.t),
		VerifyingKeys: [][]byte{circuitstest.VerifyingKey(w.t, circuits.Presentation).Bytes()},
		Memory:        ledgertest.Must(counter.OpenFolder(w.t.TempDir()))(w.t), Clock: func() time.Time { return w.now },
	}
}

func (w *world) open(name string) *counter.Counter {
	w.t.Helper()
	return ledgertest.Must(counter.New(w.config(name)))(w.t)
}

// answer is what a wallet without scruples shows, with a real proof. change may spoil it.
func (w *world) answer(link, policyID string, c *circuitstest.Credential, change ...func(*openid.CounterAnswer)) string {
	w.t.Helper()
	ask := ledgertest.Must(openid.ParseCounterAsk(link))(w.t)
	chain := w.host.Client(nil)
	view := ledgertest.Must(chain.Update(w.t.Context()))(w.t)
	registered, _ := view.Registry.Policy(bank, policyID)
	p := ledgertest.Must(policy.Parse(ledgertest.Must(chain.RegisteredPolicy(w.t.Context(), view, registered))(w.t)))(w.t)
	object := ledgertest.Must(ask.Object(p, view.Registry))(w.t)
	q := object.Query.Credentials[0]
	disclosed := credential.Claims{}
	if len(p.Queries[0].Disclose) > 0 {
		disclosed["parcel"] = "912160000A0001"
	}
	compiled := ledgertest.Must(q.Meta.Statement.Compile(policy.Context{
		Genesis: w.host.Genesis, Schema: &title, Sets: policy.SetsOf(registries, parcels), Issuers: []string{ledgertest.LandDID}, Disclosed: disclosed,
	}))(w.t)
	public, private := c.Present(w.active, circuitstest.Request{
		Issuers: compiled.Issuers, Now: compiled.Now, Clauses: compiled.Clauses, Sets: compiled.Sets, Scope: compiled.Scope,
		Challenge: ledgertest.Must(ask.Challenge(w.host.Genesis, object.Query.Credentials))(w.t), N: credential.Random31(),
	})
	proof := ledgertest.Must(circuitstest.Prover(w.t, circuits.Presentation, true).ProvePresentation(w.t.Context(), public, private))(w.t)
	packed := ledgertest.Must(openid.PackCounterAnswer(ask.Request.Nonce, object.Query.Credentials, openid.VPToken{q.ID: {{
		Proof: openid.EncodeBytes(proof), Root: public.Root, N: public.N, Link: public.Link, Item: public.Item, Pseudonym: public.Pseudonym, Disclosed: disclosed,
	}}}))(w.t)
	for _, f := range change {
		f(packed)
	}
	return ledgertest.Must(packed.Text())(w.t)
}
