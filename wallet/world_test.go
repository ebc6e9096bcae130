package wallet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
)

const (
	civil = "did:web:civil.example"
	bank  = "did:web:bank.example"
)

var residence = credential.Schema{
	Type: "urn:bulla:schema:residence:1", EnrolmentRegister: "population", OnePerPerson: true,
	Display: &credential.Text{English: "Residence", Chinese: "居住证明"},
	Claims: []credential.ClaimType{
		{Name: "district", Type: credential.String, Display: &credential.Text{English: "District", Chinese: "区县"}},
		{Name: "since", Type: credential.Date, Display: &credential.Text{English: "Resident since", Chinese: "居住起始日"}},
		{Name: "rooms", Type: credential.Integer, Optional: true},
	},
}

var landTitle = credential.Schema{
	Type: "urn:bulla:schema:land-title:1", EnrolmentRegister: credential.IssuerRegister, SubjectRegister: "cadastre",
	Display: &credential.Text{English: "Land title", Chinese: "土地权证"},
	Claims: []credential.ClaimType{
		{Name: "parcel", Type: credential.String}, {Name: "commune", Type: credential.String}, {Name: "area", Type: credential.Integer},
	},
}

// The digests of verifying keys that the chain lists; no such keys exist, as twin provers make no real proofs.
var (
	presentationKey = credential.DigestOf([]byte("presentation key"))
	enrolmentKey    = credential.DigestOf([]byte("enrolment key"))
)

// twin is a prover that asks the twin and proves nothing.
type twin struct{}

func (twin) ProvePresentation(_ context.Context, public presentation.Public, private presentation.Private) ([]byte, error) {
	return make([]byte, openid.ProofSize), presentation.Holds(public, private)
}

func (twin) ProveEnrolment(_ context.Context, public enrolment.Public, private enrolment.Private) ([]byte, error) {
	return make([]byte, openid.ProofSize), enrolment.Holds(public, private)
}

func twins(_ context.Context, _ string, key credential.Digest) (wallet.Prover, error) {
	if key != presentationKey && key != enrolmentKey {
		return nil, errors.New("there is no such key")
	}
	return twin{}, nil
}

// world is a chain with an agency and a verifier in a few lines each, that tests make lie.
type world struct {
	t                *testing.T
	chain            *ledgertest.Chain
	writer           *client.Client
	server           *httptest.Server
	issuer, verifier *jose.SigningKey
	policies         map[string]*policy.Policy

	mu       sync.Mutex // guards what follows
	offers   map[string]offered
	issued   map[credential.Element]openid.IssuedCredential // by holder commitment
	tokens   map[string]string                              // code by token
	requests map[string]string                              // by path
	posts    []url.Values
	reply    http.HandlerFunc // to responses; nil: 200
	serial   int
	paths    []string // asked for

	// Lies.
	onIssuer func(*openid.IssuerMetadata)
	onServer func(*openid.ServerMetadata)
	onIssued func(*openid.IssuedCredential)
	onToken  http.HandlerFunc
	onPath   func(w http.ResponseWriter, r *http.Request) bool
}

type offered struct {
	schema      *credential.Schema
	claims      credential.Claims
	from, until time.Time
	subject     string
}

func newWorld(t *testing.T, change ...func(*entry.Genesis)) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("a chain takes seconds")
	}
	t.Parallel() // most of the time they wait for seals
	w := &world{
		t: t, offers: map[string]offered{}, issued: map[credential.Element]openid.IssuedCredential{}, tokens: map[string]string{},
		requests: map[string]string{}, policies: map[string]*policy.Policy{},
	}
	w.server = httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.server.Close)
	w.chain = ledgertest.New(t, append([]func(*entry.Genesis){listKeys}, change...)...)
	w.writer = w.chain.Client()
	w.issuer = w.chain.RegisterIssuer(civil, w.issuerURL())
	w.verifier = w.chain.RegisterVerifier(bank, w.server.URL+"/bank/")
	w.chain.PublishSchema(residence, civil)
	w.chain.PublishSchema(landTitle, civil)
	w.addPolicies()
	w.chain.Settle()
	return w
}

func listKeys(g *entry.Genesis) {
	for name, digest := range map[string]credential.Digest{circuits.Presentation: presentationKey, circuits.Enrolment: enrolmentKey} {
		c, err := circuits.Named(name)
		if err != nil {
			panic(err)
		}
		g.VerifyingKeys = append(g.VerifyingKeys, entry.VerifyingKey{
			Circuit: name, CircuitDigest: c.Digest, KeyDigest: digest, NotAfter: credential.UnixTimeOf(time.Now().Add(24 * time.Hour)),
		})
	}
	slices.SortFunc(g.VerifyingKeys, func(a, b entry.VerifyingKey) int { return strings.Compare(a.Circuit, b.Circuit) })
}

func (w *world) issuerURL() string { return w.server.URL + "/civil" }

func schemaID(s *credential.Schema) credential.Element {
	id, err := s.ID()
	if err != nil {
		panic(err)
	}
	return id
}

func (w *world) addPolicies() {
	resident := policy.Query{
		ID: "residence", Schema: schemaID(&residence), Issuers: []string{civil},
		Clauses: []policy.Clause{{Claim: "district", In: []string{"310101", "310104"}}, {Claim: "since", AtLeastAgo: "P2Y"}},
	}
	owner := policy.Query{
		ID: "land", Schema: schemaID(&landTitle), Issuers: []string{civil},
		Clauses: []policy.Clause{{Claim: "area", AtLeast: "500"}}, Disclose: []string{"commune"},
		SubjectScope: &policy.Scope{Service: "subsidy", Once: true},
	}
	resident.Scope = &policy.Scope{Service: "reader"}
	second := owner
	second.ID, second.Disclose, second.SubjectScope = "land2", nil, nil
	smaller := second
	smaller.Circuit = circuits.PresentationSmall // for which the chain lists no key
	w.addPolicy("smaller-land", smaller)
	w.addPolicy("residence", resident)
	w.addPolicy("land", owner)
	w.addPolicy("both", resident, owner)
	w.addPolicy("two-parcels", owner, second)
}

func (w *world) addPolicy(id string, queries ...policy.Query) {
	p := &policy.Policy{
		Version: 1, ID: id, Verifier: bank, Name: credential.Text{English: id}, Purpose: credential.Text{English: "a loan", Chinese: "贷款"},
		RetentionDays: 30, FreshnessSeconds: 600, Queries: queries,
	}
	w.policies[id] = p
	text := ledgertest.Must(p.Canonical())(w.t)
	w.chain.Submit(bank, entry.PolicyRegistered{Policy: text}, w.verifier)
}

// wallet makes a new person.
func (w *world) wallet(change ...func(*wallet.Config)) *wallet.Wallet {
	w.t.Helper()
	return w.walletOf(ledgertest.Must(wallet.CreateVault(w.vaultConfig()))(w.t), change...)
}

func (w *world) vaultConfig() wallet.VaultConfig {
	return wallet.VaultConfig{Storage: new(wallet.InMemory), Passphrase: "secret words", WorkFactor: 1, Genesis: w.chain.Genesis}
}

func (w *world) walletOf(vault *wallet.Vault, change ...func(*wallet.Config)) *wallet.Wallet {
	w.t.Helper()
	chain := w.chain.ClientConfig()
	chain.Memory = vault.Memory()
	cfg := wallet.Config{Vault: vault, Chain: ledgertest.Must(client.New(chain))(w.t), Provers: twins, Margin: time.Second}
	for _, f := range change {
		f(&cfg)
	}
	return ledgertest.Must(wallet.New(cfg))(w.t)
}

// offer makes an offer of a credential that is valid now.
func (w *world) offer(schema *credential.Schema, claims credential.Claims, change ...func(*offered)) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	o := offered{schema: schema, claims: claims, from: today.AddDate(-1, 0, 0), until: today.AddDate(1, 0, 0)}
	for _, f := range change {
		f(&o)
	}
	w.serial++
	code := fmt.Sprintf("code-%d", w.serial)
	w.offers[code] = o
	return ledgertest.Must(openid.CredentialOffer{
		CredentialIssuer: w.issuerURL(), ConfigurationIDs: []string{schema.Type},
		Grants: openid.Grants{PreAuthorized: openid.PreAuthorized{Code: code}},
	}.Link())(w.t)
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.paths = append(w.paths, r.URL.Path)
	lie := w.onPath
	w.mu.Unlock()
	if lie != nil && lie(rw, r) {
		return
	}
	switch path := r.URL.Path; {
	case path == "/.well-known/"+openid.IssuerWellKnown+"/civil":
		w.serveMetadata(rw)
	case path == "/.well-known/"+openid.ServerWellKnown+"/civil":
		m := openid.ServerMetadata{Issuer: w.issuerURL(), TokenEndpoint: w.issuerURL() + "/token"}
		if w.onServer != nil {
			w.onServer(&m)
		}
		answerJSON(rw, m)
	case path == "/civil/token":
		w.serveToken(rw, r)
	case path == "/civil/nonce":
		answerJSON(rw, openid.NonceResponse{Nonce: credential.RandomElement().String()})
	case path == "/civil/credential":
		w.serveCredential(rw, r)
	case path == "/bank/response":
		w.serveResponse(rw, r)
	default:
		w.mu.Lock()
		token, ok := w.requests[path]
		w.mu.Unlock()
		if !ok {
			http.NotFound(rw, r)
			return
		}
		fmt.Fprint(rw, token)
	}
}

func answerJSON(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(v)
}

func (w *world) serveMetadata(rw http.ResponseWriter) {
	m := openid.IssuerMetadata{
		CredentialIssuer: w.issuerURL(), CredentialEndpoint: w.issuerURL() + "/credential", NonceEndpoint: w.issuerURL() + "/nonce",
		Configurations: map[string]openid.CredentialConfiguration{},
	}
	for _, s := range []*credential.Schema{&residence, &landTitle} {
		m.Configurations[s.Type] = openid.CredentialConfiguration{
			Format: openid.Format, OnChain: &openid.OnChain{
				Type: s.Type, Schema: schemaID(s), Issuer: civil, Genesis: w.chain.Genesis,
				EnrolmentRegister: s.Register(civil), EnrolmentVerifyingKey: enrolmentKey,
			},
		}
	}
	if w.onIssuer != nil {
		w.onIssuer(&m)
	}
	answerJSON(rw, m)
}

func (w *world) serveToken(rw http.ResponseWriter, r *http.Request) {
	if w.onToken != nil {
		w.onToken(rw, r)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	code := r.PostFormValue("pre-authorized_code")
	if _, ok := w.offers[code]; !ok || slices.Contains(slices.Collect(values(w.tokens)), code) {
		rw.WriteHeader(http.StatusBadRequest)
		answerJSON(rw, openid.Error{Code: "invalid_grant"})
		return
	}
	token := "token." + code
	w.tokens[token] = code
	answerJSON(rw, openid.TokenResponse{AccessToken: token, TokenType: "Bearer", ExpiresIn: 600})
}

func values(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

func (w *world) serveCredential(rw http.ResponseWriter, r *http.Request) {
	var request openid.CredentialRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	code, ok := w.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		rw.WriteHeader(http.StatusUnauthorized)
		answerJSON(rw, openid.Error{Code: "invalid_token"})
		return
	}
	var proofs []openid.EnrolmentProof
	if err := credential.ParseStrict(request.Proofs[openid.ProofType], &proofs); err != nil || len(proofs) != 1 {
		http.Error(rw, "proofs", http.StatusBadRequest)
		return
	}
	holder := proofs[0].HolderCommitment
	if _, done := w.issued[holder]; !done {
		issued, err := w.issue(w.offers[code], holder)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		w.issued[holder] = *issued
	}
	issued := w.issued[holder]
	if w.onIssued != nil {
		text, _ := json.Marshal(issued) // a deep copy for the lie
		issued = openid.IssuedCredential{}
		if err := json.Unmarshal(text, &issued); err != nil {
			panic(err)
		}
		w.onIssued(&issued)
	}
	answerJSON(rw, openid.CredentialResponse{Credentials: []openid.CredentialItem{ledgertest.Must(openid.Item(issued))(w.t)}})
}

// issue puts a credential onto the chain, in a batch of two.
func (w *world) issue(o offered, holder credential.Element) (*openid.IssuedCredential, error) {
	issued := &openid.IssuedCredential{
		Version: 1, Genesis: w.chain.Genesis, Issuer: civil, Schema: *o.schema, HolderCommitment: holder, Claims: o.claims,
		ValidFrom: o.from.Format(time.DateOnly), ValidUntil: o.until.Format(time.DateOnly), Salt: credential.Secret{Element: credential.Random31()},
	}
	if o.schema.SubjectRegister != "" {
		issued.SubjectKey, _ = credential.SubjectKey(make([]byte, 32), o.schema.SubjectRegister, o.subject+"x")
	}
	commitment, _, err := issued.Commitment()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	next, err := w.writer.NextSequence(ctx, civil)
	if err != nil {
		return nil, err
	}
	e, err := entry.Sign(entry.Draft{Genesis: w.chain.Genesis, Signer: civil, Sequence: next, Payload: entry.CredentialsIssued{
		Schema: schemaID(o.schema), Commitments: []credential.Element{credential.RandomElement(), commitment},
	}}, w.issuer)
	if err != nil {
		return nil, err
	}
	accepted, err := w.writer.Submit(ctx, e)
	if err != nil {
		return nil, err
	}
	if issued.Receipt, err = w.writer.Await(ctx, accepted.Index, entry.LevelSealed); err != nil {
		return nil, err
	}
	issued.Leaf, issued.Entry = issued.Receipt.FirstLeaf+1, openid.EncodeBytes(e.Bytes())
	return issued, nil
}

// request makes a signed request for a policy; change may spoil it before signing. It returns the link.
func (w *world) request(id string, change ...func(*openid.RequestObject)) string {
	w.t.Helper()
	return w.requestSigned(id, w.verifier, openid.RequestKeyID(bank, w.verifier.Public().KeyID()), change...)
}

func (w *world) requestSigned(id string, key *jose.SigningKey, keyID string, change ...func(*openid.RequestObject)) string {
	w.t.Helper()
	o := w.object(id)
	for _, f := range change {
		f(o)
	}
	token := ledgertest.Must(jose.SignCompact(key, keyID, openid.RequestType, o))(w.t)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serial++
	path := fmt.Sprintf("/bank/request/%d", w.serial)
	w.requests[path] = token
	return openid.RequestLink(openid.ClientIDPrefix+bank, w.server.URL+path)
}

func (w *world) object(id string) *openid.RequestObject {
	w.t.Helper()
	p, now := w.policies[id], time.Now()
	text := ledgertest.Must(p.Canonical())(w.t)
	statements := ledgertest.Must(p.Resolve(now, func(id credential.Element) (*credential.Schema, error) {
		for _, s := range []*credential.Schema{&residence, &landTitle} {
			if schemaID(s) == id {
				return s, nil
			}
		}
		return nil, errors.New("unknown schema")
	}))(w.t)
	o := &openid.RequestObject{
		ClientID: openid.ClientIDPrefix + bank, ResponseType: "vp_token", ResponseMode: "direct_post", ResponseURI: w.server.URL + "/bank/response",
		Nonce: credential.RandomElement().String(), State: "state", Audience: openid.SelfIssued,
		IssuedAt: credential.UnixTimeOf(now), ExpiresAt: credential.UnixTimeOf(now.Add(5 * time.Minute)),
		ClientMetadata: openid.ClientMetadata{Formats: openid.OurFormats()},
		VerifierInfo:   []openid.VerifierInfo{{Format: openid.PolicyInfo, Data: text}},
	}
	for i, s := range statements {
		c := ledgertest.Must(circuits.Named(s.CircuitName()))(w.t)
		schema := &residence
		if p.Queries[i].Schema == schemaID(&landTitle) {
			schema = &landTitle
		}
		o.Query.Credentials = append(o.Query.Credentials, openid.CredentialQuery{
			ID: s.Query, Format: openid.Format,
			Meta: openid.Meta{TypeValues: []string{schema.Type}, Statement: s, Systems: []openid.System{{
				ID: "groth16", System: openid.ProofSystem, Circuit: c.Name, CircuitDigest: c.Digest, VerifyingKey: presentationKey,
			}}},
		})
	}
	return o
}

func (w *world) serveResponse(rw http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	w.mu.Lock()
	w.posts = append(w.posts, r.PostForm)
	reply := w.reply
	w.mu.Unlock()
	if reply != nil {
		reply(rw, r)
		return
	}
	answerJSON(rw, openid.DirectPostAnswer{RedirectURI: w.server.URL + "/bank/done"})
}

// posted takes what was sent to the verifier since the last call.
func (w *world) posted() []url.Values {
	w.mu.Lock()
	defer w.mu.Unlock()
	posts := w.posts
	w.posts = nil
	return posts
}

var (
	livesThere = credential.Claims{"district": "310101", "since": "2015-06-01"}
	smallPlot  = credential.Claims{"parcel": "AB 12", "commune": "Igny", "area": "620"}
)

func wantCode(t *testing.T, err error, code wallet.Code) {
	t.Helper()
	if got := wallet.CodeOf(err); got != code || err == nil {
		t.Errorf("error is %v, want the code %s", err, code)
	}
}
