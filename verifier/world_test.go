package verifier_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/store"
)

const (
	bank       = "did:web:bank.example"
	civil      = "did:web:civil.example"
	civilNorth = "did:web:civil-north.example"
	registry   = "did:web:land.example"
	day        = 24 * time.Hour
)

// world is a chain in memory with agencies, people and one verifier.
type world struct {
	t      testing.TB
	rand   *rand.Rand
	clock  *clock
	ledger *ledgerInMemory
	active *circuitstest.Tree
	leaves uint64

	signing, results *jose.SigningKey
	store            verifier.Store
	key              *keys.VerifyingKey
	prove            func(presentation.Public, presentation.Private) ([]byte, error)
	access           *jose.SigningKey
	authority        *webapi.Authority
	verifier         *verifier.Verifier
	handler          http.Handler

	stranger *held // somebody else's title, where a test needs one
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newWorld has a forged key: see forger.
func newWorld(t testing.TB) *world {
	f := theForger()
	return newWorldWith(t, f.key, func(public presentation.Public, _ presentation.Private) ([]byte, error) {
		return f.forge(public.Vector()), nil
	})
}

func newWorldWith(t testing.TB, key *keys.VerifyingKey, prove func(presentation.Public, presentation.Private) ([]byte, error)) *world {
	t.Helper()
	w := &world{
		t: t, rand: circuitstest.NewRand(7), clock: &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)},
		active: circuitstest.NewTree(), signing: newKey(t, 1), results: newKey(t, 2), store: store.NewMemory(), key: key, prove: prove,
	}
	w.ledger = &ledgerInMemory{clock: w.clock, genesis: entry.Genesis{Dev: true, SealIntervalSeconds: 1}, hash: credential.DigestOf([]byte("genesis"))}
	w.ledger.registry = w.firstRegistry()
	w.seal()
	w.access = newKey(t, 3)
	w.authority = verifier.Authority("https://verify.example/bulla", w.access, w.clock.Now)
	w.start()
	return w
}

func newKey(t testing.TB, seed byte) *jose.SigningKey {
	t.Helper()
	key, err := jose.FromSeed(append(make([]byte, 31), seed))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) config() verifier.Config {
	return verifier.Config{
		DID: bank, PublicURL: "https://verify.example/bulla/", SigningKey: w.signing, ResultKey: w.results, Policies: policies(),
		VerifyingKeys: [][]byte{w.key.Bytes()}, Ledger: w.ledger, Store: w.store, AccessKey: w.access, Clock: w.clock.Now,
		PlainResponses: true, // most tests here are about what is in a response
	}
}

// start makes the verifier, or makes it anew over the same store.
func (w *world) start() {
	w.t.Helper()
	v, err := verifier.New(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	w.verifier, w.handler = v, v.Handler()
}

var residence = credential.Schema{
	Type: "urn:bulla:schema:residence:1", EnrolmentRegister: "population", OnePerPerson: true,
	Claims: []credential.ClaimType{{Name: "district", Type: credential.String}, {Name: "since", Type: credential.Date}},
}

var title = credential.Schema{
	Type: "urn:bulla:schema:land-title:1", EnrolmentRegister: credential.IssuerRegister, SubjectRegister: "cadastre",
	Claims: []credential.ClaimType{
		{Name: "parcel", Type: credential.String}, {Name: "commune", Type: credential.String}, {Name: "area", Type: credential.Integer},
	},
}

func schemaID(s credential.Schema) credential.Element {
	id, err := s.ID()
	if err != nil {
		panic(err)
	}
	return id
}

func policies() []*policy.Policy {
	resident := policy.Query{
		ID: "residence", Schema: schemaID(residence), Issuers: []string{civilNorth, civil},
		Clauses: []policy.Clause{{Claim: "district", In: []string{"310101", "310104"}}, {Claim: "since", AtLeastAgo: "P2Y"}},
	}
	owner := policy.Query{
		ID: "land", Schema: schemaID(title), Issuers: []string{registry},
		Clauses: []policy.Clause{{Claim: "area", AtLeast: "500"}}, Disclose: []string{"commune"},
	}
	make := func(id string, queries ...policy.Query) *policy.Policy {
		return &policy.Policy{
			Version: 1, ID: id, Verifier: bank, Name: credential.Text{English: id}, Purpose: credential.Text{English: "test", Chinese: "测试"},
			RetentionDays: 30, FreshnessSeconds: 600, Queries: queries,
		}
	}
	subsidy, pledge, reader := resident, owner, resident
	subsidy.Scope = &policy.Scope{Service: "subsidy", Once: true}
	pledge.SubjectScope = &policy.Scope{Service: "pledge", Once: true}
	reader.Scope = &policy.Scope{Service: "reader"}
	first, second := subsidy, subsidy
	first.ID, second.ID = "first", "second"
	couple := make("couple", first, second)
	couple.SeveralPersons = true
	return []*policy.Policy{
		make("residence", resident), make("land", owner), make("both", resident, owner), couple,
		make("subsidy", subsidy), make("pledge", pledge), make("reader", reader),
	}
}

func (w *world) firstRegistry() entry.Registry {
	r := entry.Registry{
		Genesis: w.ledger.hash,
		Issuers: []entry.RegisteredIssuer{
			{DID: civilNorth, Name: credential.Text{English: "Civil Affairs North"}}, {DID: civil, Name: credential.Text{English: "Civil Affairs", Chinese: "民政局"}},
			{DID: registry, Name: credential.Text{English: "Land Registry"}},
		},
		Schemas: []entry.RegisteredSchema{
			{ID: schemaID(residence), Schema: residence, Issuers: []string{civilNorth, civil}}, {ID: schemaID(title), Schema: title, Issuers: []string{registry}},
		},
		Verifiers: []entry.RegisteredVerifier{{
			DID: bank, Name: credential.Text{English: "Bank"}, Keys: []jose.PublicKey{w.signing.Public()}, ResponseURIs: []string{"https://verify.example/bulla/"},
		}},
		VerifyingKeys: []entry.VerifyingKey{{
			Circuit: circuits.Presentation, CircuitDigest: w.key.Circuit(), KeyDigest: w.key.Digest(), NotAfter: credential.UnixTimeOf(w.clock.Now().Add(365 * day)),
		}},
	}
	for i, p := range policies() {
		digest, err := p.Digest()
		if err != nil {
			w.t.Fatal(err)
		}
		r.Policies = append(r.Policies, entry.RegisteredPolicy{Verifier: bank, ID: p.ID, Digest: digest, Entry: uint64(10 + i)})
	}
	return r
}

// ledgerInMemory answers as ledger/client does.
type ledgerInMemory struct {
	clock    *clock
	genesis  entry.Genesis
	hash     credential.Digest
	registry entry.Registry // of the next seal

	mu         sync.Mutex
	seals      []client.SealAt
	registries map[credential.Digest]*entry.Registry
	down       error
}

// seal closes a block with the tree and the registry as they are.
func (w *world) seal() {
	w.t.Helper()
	l := w.ledger
	text, err := credential.Canonical(l.registry)
	if err != nil {
		w.t.Fatal(err)
	}
	var copied entry.Registry
	if err := json.Unmarshal(text, &copied); err != nil {
		w.t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seal := entry.Seal{Height: uint64(len(l.seals)), Time: credential.UnixTimeOf(w.clock.Now()), ActiveRoot: w.active.Root(), Registry: credential.DigestOf(text)}
	l.seals = append(l.seals, client.SealAt{Seal: seal, Time: seal.Time.Time()})
	if l.registries == nil {
		l.registries = make(map[credential.Digest]*entry.Registry)
	}
	l.registries[seal.Registry] = &copied
}

func (l *ledgerInMemory) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err
}

func (l *ledgerInMemory) Update(context.Context) (*client.View, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return nil, l.down
	}
	last := l.seals[len(l.seals)-1]
	return &client.View{GenesisHash: l.hash, Genesis: l.genesis, Seal: last.Seal, Registry: l.registries[last.Seal.Registry]}, nil
}

func (l *ledgerInMemory) FindRoot(_ context.Context, root credential.Element, freshness time.Duration) (client.SealAt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return client.SealAt{}, l.down
	}
	for i := len(l.seals) - 1; i >= 0; i-- {
		if s := l.seals[i]; s.Seal.ActiveRoot == root {
			if age := s.Age(l.clock.Now()); age > freshness {
				return s, &client.RootTooOldError{Age: age, Freshness: freshness}
			}
			return s, nil
		}
	}
	return client.SealAt{}, client.ErrRootUnknown
}

func (l *ledgerInMemory) RegistryAt(_ context.Context, seal entry.Seal) (*entry.Registry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.registries[seal.Registry], l.down
}

// held is a credential with what its wallet knows.
type held struct {
	*circuitstest.Credential
	schema credential.Schema
	claims credential.Claims
}

func (w *world) person() credential.Secret {
	return credential.Secret{Element: circuitstest.Element(w.rand)}
}

// issue puts a credential onto the chain; it is in effect at the next seal.
func (w *world) issue(person credential.Secret, issuer string, schema credential.Schema, claims credential.Claims) *held {
	w.t.Helper()
	slots, err := schema.Encode(claims)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &circuitstest.Credential{
		Schema: schemaID(schema), Issuer: credential.IssuerID(issuer), Master: person,
		Blinding: credential.Secret{Element: circuitstest.Element(w.rand)}, Claims: slots, Index: w.leaves,
		Envelope: credential.Envelope{
			ValidFrom: credential.EncodeTime(w.clock.Now().Truncate(day).Add(-30 * day)), ValidUntil: credential.EncodeTime(w.clock.Now().Truncate(day).Add(300 * day)),
			Salt: credential.Secret{Element: circuitstest.Element31(w.rand)},
		},
	}
	if schema.SubjectRegister != "" {
		if c.Envelope.SubjectKey, err = credential.SubjectKey(make([]byte, 32), schema.SubjectRegister, claims["parcel"].(string)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.leaves++
	w.active.Set(c.Index, c.Leaf())
	return &held{c, schema, claims}
}

func (w *world) resident(person credential.Secret) *held {
	return w.issue(person, civil, residence, credential.Claims{"district": "310104", "since": "2020-05-01"})
}

func (w *world) owner(person credential.Secret, parcel string) *held {
	return w.issue(person, registry, title, credential.Claims{"parcel": parcel, "commune": "91216", "area": "742"})
}

// begin starts a session and fetches its request, as application and wallet do.
func (w *world) begin(policyID string) (*verifier.Started, *openid.RequestObject, string) {
	w.t.Helper()
	started, err := w.verifier.Start(w.t.Context(), "app", policyID, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	id := started.RequestURI[len("https://verify.example/bulla/oid4vp/requests/"):]
	return started, fetch(w.t, w.verifier, id), id
}

// fetch is what a wallet does first.
func fetch(t testing.TB, v *verifier.Verifier, requestID string) *openid.RequestObject {
	t.Helper()
	token, err := v.Request(t.Context(), requestID)
	if err != nil {
		t.Fatal(err)
	}
	_, payload, err := jose.PeekCompact(token)
	if err != nil {
		t.Fatal(err)
	}
	request, err := openid.ParseRequestObject(payload)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// answer is what a wallet without scruples sends: a presentation for each query, whether the statement holds or not.
func (w *world) answer(request *openid.RequestObject, credentials ...*held) openid.VPToken {
	w.t.Helper()
	token := openid.VPToken{}
	challenge, err := request.Challenge(w.ledger.hash)
	if err != nil {
		w.t.Fatal(err)
	}
	n := circuitstest.Element31(w.rand)
	for i, q := range request.Query.Credentials {
		token[q.ID] = []openid.Presentation{w.present(q, credentials[i], challenge, n)}
	}
	return token
}

func (w *world) present(q openid.CredentialQuery, c *held, challenge, n credential.Element) openid.Presentation {
	w.t.Helper()
	s := q.Meta.Statement
	at, err := w.ledger.FindRoot(w.t.Context(), w.active.Root(), day)
	if err != nil {
		w.t.Fatal(err)
	}
	issuers, err := w.ledger.registries[at.Seal.Registry].InGoodStanding(s.Schema, s.Issuers)
	if err != nil {
		w.t.Fatal(err)
	}
	disclosed := credential.Claims{}
	for _, name := range s.Disclose {
		disclosed[name] = c.claims[name]
	}
	compiled, err := s.Compile(policy.Context{Genesis: w.ledger.hash, Schema: &c.schema, Issuers: issuers, Disclosed: disclosed})
	if err != nil {
		w.t.Fatal(err)
	}
	public, private := c.Present(w.active, circuitstest.Request{
		Issuers: compiled.Issuers, Now: compiled.Now, Clauses: compiled.Clauses, Sets: compiled.Sets, Challenge: challenge, N: n,
		Scope: compiled.Scope, SubjectScope: compiled.SubjectScope,
	})
	proof, err := w.prove(public, private)
	if err != nil {
		w.t.Fatal(err)
	}
	return openid.Presentation{
		System: q.Meta.Systems[0].ID, Proof: openid.EncodeBytes(proof), Root: public.Root, N: n, Link: public.Link, Item: public.Item,
		Pseudonym: public.Pseudonym, SubjectTag: public.SubjectTag, Disclosed: disclosed,
	}
}

func encode(t testing.TB, token openid.VPToken) []byte {
	t.Helper()
	text, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// respond posts a token.
func (w *world) respond(id string, request *openid.RequestObject, token openid.VPToken) error {
	return w.verifier.Respond(w.t.Context(), id, verifier.Response{State: request.State, Token: encode(w.t, token)})
}

// codeOf is the code of a refusal, "ok" for none, and the error itself for one that is no refusal.
func codeOf(err error) check.Code {
	var refusal *check.Refusal
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refusal):
		return refusal.Code
	}
	return check.Code(err.Error())
}

func (w *world) status(id string) *verifier.Status {
	w.t.Helper()
	status, err := w.verifier.Status(w.t.Context(), "app", id)
	if err != nil {
		w.t.Fatal(err)
	}
	return status
}

func (w *world) keys() []*keys.VerifyingKey { return []*keys.VerifyingKey{w.key} }

func keysOf(w *world) jose.LookUp { return jose.Keys(w.results.Public()) }
