package console_test

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/wallet"
	"github.com/bulla-id/bulla/web/console"
)

// Officers that tests sign in as, by what the audit trail calls them, and their roles.
var officers = map[string]string{"chen": "clerk", "lin": "clerk", "wang": "approver", "zhao": "approver", "sun": "auditor", "zhou": "key-custodian"}

const (
	landDID   = "did:web:land.example"
	titleType = "urn:bulla:schema:land-title:1"
)

func titleSchema() *credential.Schema {
	return &credential.Schema{
		Type: titleType, EnrolmentRegister: credential.IssuerRegister,
		Display: &credential.Text{English: "Land title", Chinese: "不动产权证"},
		Claims: []credential.ClaimType{
			{Name: "parcel", Type: credential.String, Display: &credential.Text{English: "Parcel", Chinese: "宗地编号"}},
			{Name: "area", Type: credential.Integer, Display: &credential.Text{English: "Area", Chinese: "面积"}},
			{Name: "since", Type: credential.Date, Optional: true, Display: &credential.Text{English: "Owner since", Chinese: "登记日期"}},
			{Name: "use", Type: credential.Enum, Values: []string{"farm", "house"}, Optional: true},
		},
	}
}

// office is an agency that runs on a real chain, and its console.
type office struct {
	t      *testing.T
	chain  *ledgertest.Chain
	issuer *issuer.Issuer
	server *httptest.Server            // of the agency, with its console
	view   atomic.Pointer[client.View] // that the agency has of the chain
}

// newOffice makes one whose credentials need two approvals.
func newOffice(t *testing.T) *office { return newOfficeLogging(t, t.Output()) }

func newOfficeLogging(t *testing.T, log io.Writer) *office {
	t.Helper()
	if testing.Short() {
		t.Skip("a chain takes seconds")
	}
	t.Parallel() // most of the time they wait for seals
	vk := circuitstest.VerifyingKey(t, circuits.Enrolment)
	o := &office{t: t, chain: ledgertest.New(t, listKey(vk))}
	var answer http.Handler
	o.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer.ServeHTTP(w, r) }))
	t.Cleanup(o.server.Close)
	signing := o.chain.RegisterIssuer(landDID, o.server.URL)
	o.chain.PublishSchema(*titleSchema(), landDID)
	o.chain.Settle()
	name := credential.Text{English: "Land registry", Chinese: "不动产登记中心"}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	o.issuer = ledgertest.Must(issuer.New(issuer.Config{
		DID: landDID, Name: name, URL: o.server.URL, Genesis: o.chain.Genesis, Schemas: []*credential.Schema{titleSchema()},
		EnrolmentKey: vk, Keys: issuer.Keys{Signing: signing, Admin: ledgertest.Key(t, "admin"), Records: bytes.Repeat([]byte{3}, issuer.RecordKeySize)},
		Store: new(records.Memory), Ledger: o.chain.Client(), View: o.view.Load, Approvals: map[string]int{titleType: 2}, Logger: logger,
	}))(t)
	pages := ledgertest.Must(console.New(console.Config{
		URL: o.server.URL, Name: name, API: o.issuer.Handler(), Gate: gate{o.issuer}, Clock: time.Now, Logger: logger,
	}))(t)
	handler := o.issuer.Handler()
	answer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/become" { // for browsers
			http.SetCookie(w, &http.Cookie{Name: officerCookie, Value: r.URL.Query().Get("officer"), Path: "/"})
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `<!doctype html><title>test</title><link rel="icon" href="data:,">`)
			return
		}
		if pages.Wants(r) {
			pages.Handler().ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.issuer.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return o
}

// gate lets in who says who they are: how officers sign in has tests of its own.
type gate struct{ issuer *issuer.Issuer }

const officerCookie = "test-officer"

func (g gate) Session(r *http.Request) (*console.Session, error) {
	who, err := r.Cookie(officerCookie)
	if err != nil || officers[who.Value] == "" {
		return nil, console.ErrSignedOut
	}
	return &console.Session{Officer: g.issuer.URL() + "|officer:" + who.Value, Name: "Officer " + who.Value, Scopes: issuer.Roles[officers[who.Value]], Until: time.Now().Add(time.Hour)}, nil
}

func (g gate) Token(_ context.Context, s *console.Session) (string, error) {
	return g.issuer.AdminToken(strings.TrimPrefix(s.Officer, g.issuer.URL()+"|"), s.Scopes, time.Minute)
}

func (g gate) SignOut(w http.ResponseWriter, _ *http.Request) error {
	http.SetCookie(w, &http.Cookie{Name: officerCookie, MaxAge: -1})
	return nil
}

// officer is somebody at the console, without scripts.
type officer struct {
	o      *office
	client *http.Client
}

func (o *office) officer(name string) *officer {
	jar := ledgertest.Must(cookiejar.New(nil))(o.t)
	at := ledgertest.Must(url.Parse(o.server.URL))(o.t)
	jar.SetCookies(at, []*http.Cookie{{Name: officerCookie, Value: name}})
	return &officer{o, &http.Client{Jar: jar}}
}

// get opens a page below the console's path, in English unless the path says otherwise, and returns its status and its HTML.
func (f *officer) get(path string) (int, string) {
	f.o.t.Helper()
	return f.answer(f.client.Get(f.o.server.URL + console.Path + path))
}

// post sends a form.
func (f *officer) post(path string, form url.Values) (int, string) {
	f.o.t.Helper()
	return f.answer(f.client.PostForm(f.o.server.URL+console.Path+path, form))
}

func (f *officer) answer(response *http.Response, err error) (int, string) {
	f.o.t.Helper()
	if err != nil {
		f.o.t.Fatal(err)
	}
	defer response.Body.Close()
	text := ledgertest.Must(io.ReadAll(response.Body))(f.o.t)
	return response.StatusCode, string(text)
}

var tags = regexp.MustCompile(`(?s)<[^>]*>`)

// seen is what a page says to people.
func seen(page string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
}

// holder is a wallet that takes offers of the office.
func (o *office) holder() *wallet.Wallet {
	o.t.Helper()
	vault := ledgertest.Must(wallet.CreateVault(wallet.VaultConfig{Storage: new(wallet.InMemory), Passphrase: "secret words", WorkFactor: 1, Genesis: o.chain.Genesis}))(o.t)
	chain := o.chain.ClientConfig()
	chain.Memory = vault.Memory()
	return ledgertest.Must(wallet.New(wallet.Config{Vault: vault, Chain: ledgertest.Must(client.New(chain))(o.t), Provers: enrolmentProver(o.t), Margin: time.Second}))(o.t)
}

// enrolmentProver is one with development keys, which are made once on a machine.
func enrolmentProver(t *testing.T) wallet.Provers {
	prover := circuitstest.Prover(t, circuits.Enrolment, false)
	return func(_ context.Context, circuit string, _ credential.Digest) (wallet.Prover, error) {
		if circuit != circuits.Enrolment {
			return nil, errors.New("only enrolments are proven here")
		}
		return prover, nil
	}
}

func listKey(vk *keys.VerifyingKey) func(*entry.Genesis) {
	return func(g *entry.Genesis) {
		g.VerifyingKeys = []entry.VerifyingKey{{
			Circuit: circuits.Enrolment, CircuitDigest: vk.Circuit(), KeyDigest: vk.Digest(), NotAfter: credential.UnixTimeOf(time.Now().Add(24 * time.Hour)),
		}}
	}
}
