package issuer_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	groth16 "github.com/consensys/gnark/backend/groth16/bn254"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

const (
	landDID       = "did:web:land.example"
	townDID       = "did:web:town.example"
	sharedName    = "residents"
	parcelName    = "parcels"
	titleType     = "urn:bulla:schema:test-title:1"
	residenceType = "urn:bulla:schema:test-residence:1"
	agencyURL     = "https://agency.example/agencies/land"
)

var (
	genesis   = credential.DigestOf([]byte("test chain"))
	recordKey = bytes.Repeat([]byte{3}, 32)
	start     = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
)

func titleSchema() *credential.Schema {
	return &credential.Schema{
		Type: titleType, EnrolmentRegister: credential.IssuerRegister, SubjectRegister: parcelName,
		Display: &credential.Text{English: "Land title", Chinese: "不动产权证"},
		Claims: []credential.ClaimType{
			{Name: "parcel", Type: credential.String, Display: &credential.Text{English: "Parcel", Chinese: "宗地编号"}},
			{Name: "area", Type: credential.Integer},
			{Name: "price", Type: credential.Integer, Scale: 2, Optional: true},
			{Name: "since", Type: credential.Date, Optional: true},
			{Name: "entered", Type: credential.DateTime, Optional: true},
			{Name: "built", Type: credential.Boolean, Optional: true},
			{Name: "use", Type: credential.Enum, Values: []string{"farm", "house"}, Optional: true},
		},
	}
}

func residenceSchema() *credential.Schema {
	return &credential.Schema{
		Type: residenceType, EnrolmentRegister: sharedName, OnePerPerson: true,
		Claims: []credential.ClaimType{{Name: "district", Type: credential.String}},
	}
}

// fakeLedger takes entries and seals them at once, or as a test says. It exists to fail; TestOverLoopback has a real one.
type fakeLedger struct {
	mu      sync.Mutex
	entries [][]byte
	next    uint64
	submits int
	// before and after decide about a submission: before it is taken, and when it was.
	before, after func(*entry.Entry) error
	gate          chan struct{} // Await waits until it is closed; nil: open
	sealsOther    bool          // Await answers for another entry
}

func (l *fakeLedger) NextSequence(context.Context, string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next, nil
}

func (l *fakeLedger) Submit(_ context.Context, e *entry.Entry) (entry.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.submits++
	for n, old := range l.entries {
		if bytes.Equal(old, e.Bytes()) {
			if l.after != nil {
				if err := l.after(e); err != nil {
					return entry.Receipt{}, err
				}
			}
			return l.receipt(n), nil
		}
	}
	if l.before != nil {
		if err := l.before(e); err != nil {
			return entry.Receipt{}, err
		}
	}
	if e.Header().Sequence != l.next {
		return entry.Receipt{}, problem("sequence")
	}
	l.entries, l.next = append(l.entries, e.Bytes()), l.next+1
	if l.after != nil {
		if err := l.after(e); err != nil {
			return entry.Receipt{}, err
		}
	}
	return l.receipt(len(l.entries) - 1), nil
}

func (l *fakeLedger) receipt(n int) entry.Receipt {
	var first uint64
	for i, raw := range l.entries {
		e, _ := entry.Parse(raw)
		payload, _ := e.ParsePayload()
		issued, _ := payload.(entry.CredentialsIssued)
		if i == n {
			return entry.Receipt{
				Index: uint64(n), Digest: e.Digest(), FirstLeaf: first, Leaves: len(issued.Commitments), Level: entry.LevelSealed, Checkpoint: "fake",
			}
		}
		first += uint64(len(issued.Commitments))
	}
	panic("no such entry")
}

func (l *fakeLedger) Await(ctx context.Context, index uint64, _ entry.Level) (entry.Receipt, error) {
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return entry.Receipt{}, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.receipt(int(index))
	if l.sealsOther {
		r.Digest = credential.DigestOf(nil)
	}
	return r, nil
}

func (l *fakeLedger) set(change func(*fakeLedger)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *fakeLedger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

func problem(code string) error { return &client.Problem{Status: 422, Code: code} }

var errNetwork = errors.New("connection reset")

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// agency is an issuer under test with everything around it.
type agency struct {
	*issuer.Issuer
	t      testing.TB
	cfg    issuer.Config
	ledger *fakeLedger
	clock  *clock
	log    *logBuffer
	stop   func() error // of Run
}

// logBuffer collects what is logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// clerk is an officer.
const clerk issuer.Officer = "https://agency.example|clerk"

func because(note string) issuer.Reason { return issuer.Reason{Code: issuer.ReasonOther, Note: note} }

func signingKey(t testing.TB, name string) *jose.SigningKey {
	t.Helper()
	seed := credential.DigestOf([]byte(name))
	return must(jose.FromSeed(seed[:]))(t)
}

// newAgency is an agency that runs, until the test ends. It needs no proofs to be made.
func newAgency(t testing.TB, change ...func(*issuer.Config)) *agency {
	t.Helper()
	a := &agency{t: t, ledger: new(fakeLedger), clock: &clock{now: start}, log: new(logBuffer)}
	store := new(records.Memory)
	a.cfg = issuer.Config{
		DID: landDID, Name: credential.Text{English: "Land registry", Chinese: "不动产登记中心"}, URL: agencyURL, Genesis: genesis,
		Schemas:          []*credential.Schema{titleSchema(), residenceSchema()},
		Registers:        []*issuer.Register{must(issuer.NewRegister(issuer.RegisterConfig{Name: sharedName, Store: store, RecordKey: recordKey}))(t)},
		SubjectRegisters: []*issuer.SubjectRegister{must(issuer.NewSubjectRegister(parcelName, bytes.Repeat([]byte{9}, 32)))(t)},
		EnrolmentKey:     enrolmentKey(),
		Keys:             issuer.Keys{Signing: signingKey(t, landDID), Admin: signingKey(t, "admin"), Records: recordKey},
		Store:            store, Ledger: a.ledger, Clock: a.clock.Now, RetryPause: time.Millisecond, SealWait: 10 * time.Second,
		Logger: slog.New(slog.NewJSONHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&a.cfg)
	}
	a.restart()
	return a
}

// restart is what a process does that starts anew on the same records.
func (a *agency) restart() {
	a.t.Helper()
	if a.stop != nil {
		if err := a.stop(); err != nil {
			a.t.Fatal(err)
		}
	}
	a.Issuer = must(issuer.New(a.cfg))(a.t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	i := a.Issuer
	go func() { done <- i.Run(ctx) }()
	a.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	a.t.Cleanup(func() { a.stop() })
}

// enrolmentKeys are development keys of the enrolment circuit, made once in each run: it is so small that they take no
// longer than to load.
var enrolmentKeys = sync.OnceValues(func() (*keys.VerifyingKey, *proving.Prover) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	system, err := compiling.Compile(circuits.Enrolment)
	check(err)
	var pk groth16.ProvingKey
	var vk groth16.VerifyingKey
	check(groth16.Setup(system.R1CS, &pk, &vk))
	verifyingKey, err := keys.NewVerifyingKey(system.Circuit, &vk)
	check(err)
	data, err := keys.EncodeProvingKey(&pk, verifyingKey)
	check(err)
	provingKey, err := keys.ParseProvingKey(data, system.Circuit, credential.DigestOf(data))
	check(err)
	prover, err := proving.New(proving.Config{Key: provingKey})
	check(err)
	return verifyingKey, prover
})

func enrolmentKey() *keys.VerifyingKey {
	vk, _ := enrolmentKeys()
	return vk
}

func enrolmentProver() *proving.Prover {
	_, prover := enrolmentKeys()
	return prover
}

// person is somebody with a wallet.
type person struct {
	name     string
	master   credential.Secret
	blinding credential.Secret // of the next request
}

func newPerson(name string) *person {
	p := &person{name: name, master: credential.Secret{Element: credential.RandomElement()}}
	p.renew()
	return p
}

func (p *person) renew() { p.blinding = credential.Secret{Element: credential.RandomElement()} }

// statement is what an enrolment proof is about; tests change one member.
type statement struct {
	openid.EnrolmentChallenge
	register string
}

func (a *agency) statement(schema, nonce string) statement {
	register := landDID
	if schema == residenceType {
		register = sharedName
	}
	return statement{openid.EnrolmentChallenge{
		Genesis: a.cfg.Genesis, VerifyingKey: a.cfg.EnrolmentKey.Digest(), Audience: a.cfg.URL, Configuration: schema, Nonce: nonce,
	}, register}
}

func (p *person) prove(t testing.TB, s statement) openid.EnrolmentProof {
	t.Helper()
	scope := credential.EnrolmentScope(s.register)
	public := enrolment.Public{
		HolderCommitment: credential.HolderCommitment(p.master, p.blinding), RegisterScope: scope,
		Pseudonym: credential.Pseudonym(p.master, scope), Challenge: must(s.Element())(t),
	}
	proof := must(enrolmentProver().ProveEnrolment(t.Context(), public, enrolment.Private{Master: p.master, Blinding: p.blinding}))(t)
	return openid.EnrolmentProof{
		HolderCommitment: public.HolderCommitment, Pseudonym: public.Pseudonym, Nonce: s.Nonce,
		VerifyingKey: s.VerifyingKey, Proof: openid.EncodeBytes(proof),
	}
}

func (a *agency) title(p *person, parcel string) issuer.Application {
	return issuer.Application{
		Person: p.name, Schema: titleType, Claims: credential.Claims{"parcel": parcel, "area": "612"}, Subject: parcel, ValidUntil: "2030-01-01",
	}
}

func (a *agency) residence(p *person, from, until string) issuer.Application {
	return issuer.Application{
		Person: p.name, Schema: residenceType, Claims: credential.Claims{"district": "310101"}, ValidFrom: from, ValidUntil: until,
	}
}

// code makes an offer and reads the code in it.
func (a *agency) code(application issuer.Application) string {
	a.t.Helper()
	return codeOf(a.t, must(a.Offer(a.t.Context(), clerk, application))(a.t))
}

func codeOf(t testing.TB, offer issuer.Offer) string {
	t.Helper()
	parsed, _, err := openid.ParseOfferLink(offer.Link)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Grants.PreAuthorized.Code
}

// token makes an offer and redeems it.
func (a *agency) token(application issuer.Application) string {
	a.t.Helper()
	return must(a.Token(context.Background(), issuer.TokenRequest{Code: a.code(application), TxCode: ""}))(a.t).AccessToken
}

// ask asks for the credential of an access token.
func (a *agency) ask(p *person, token, schema string) (*openid.IssuedCredential, error) {
	a.t.Helper()
	return a.Issue(a.t.Context(), token, schema, p.prove(a.t, a.statement(schema, a.Nonce().Nonce)))
}

// issue goes the whole way.
func (a *agency) issue(p *person, application issuer.Application) (*openid.IssuedCredential, error) {
	a.t.Helper()
	p.renew()
	a.clock.Advance(time.Millisecond) // so that ids rise
	return a.ask(p, a.token(application), application.Schema)
}

func (a *agency) mustIssue(p *person, application issuer.Application) (*openid.IssuedCredential, issuer.Credential) {
	a.t.Helper()
	issued := must(a.issue(p, application))(a.t)
	return issued, a.newest()
}

// newest is the credential that was made last.
func (a *agency) newest() issuer.Credential {
	a.t.Helper()
	page, _, err := a.Credentials(clerk, issuer.List{Limit: issuer.MaxPage})
	if err != nil || len(page) == 0 {
		a.t.Fatalf("%d credentials, %v", len(page), err)
	}
	return slices.MaxFunc(page, func(x, y issuer.Credential) int { return strings.Compare(x.ID, y.ID) })
}

func wantRefusal(t testing.TB, err error, want *issuer.Refusal) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %s", err, want.Code)
	}
}

// eventually waits for something that another goroutine does.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
