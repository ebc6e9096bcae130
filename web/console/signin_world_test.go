package console_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	directory "github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/web/console"
)

// away is a ledger that does not answer: officers sign in all the same.
type away struct{ issuer.Ledger }

func (away) NextSequence(context.Context, string) (uint64, error) {
	return 0, errors.New("nobody answers")
}

func (away) Submit(context.Context, *entry.Entry) (entry.Receipt, error) {
	return entry.Receipt{}, errors.New("nobody answers")
}

// desk is an agency whose officers sign in as they really do.
type desk struct {
	t      *testing.T
	url    string // by a host name, as passkeys need one
	issuer *issuer.Issuer
	passed atomic.Int64
}

func (d *desk) now() time.Time          { return time.Now().Add(time.Duration(d.passed.Load())) }
func (d *desk) pass(span time.Duration) { d.passed.Add(int64(span)) }

// newDesk makes one; at gives it a URL for the address of its server.
func newDesk(t *testing.T, provider func(d *desk) *oauth.SignIn) *desk {
	t.Helper()
	d := &desk{t: t}
	var answer http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	d.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	vk := circuitstest.VerifyingKey(t, circuits.Enrolment)
	name := credential.Text{English: "Land registry", Chinese: "不动产登记中心"}
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	d.issuer = ledgertest.Must(issuer.New(issuer.Config{
		DID: landDID, Name: name, URL: d.url, Genesis: credential.DigestOf([]byte("chain")), Schemas: []*credential.Schema{titleSchema()},
		EnrolmentKey: vk, Keys: issuer.Keys{Signing: ledgertest.Key(t, "signing"), Admin: ledgertest.Key(t, "admin"), Records: bytes.Repeat([]byte{3}, issuer.RecordKeySize)},
		Store: new(records.Memory), Ledger: away{}, Clock: d.now, Logger: logger,
	}))(t)
	cfg := console.SignInConfig{URL: d.url, Directory: d.issuer.Directory(), Clock: d.now, Logger: logger}
	if provider != nil {
		cfg.Provider = provider(d)
	}
	gate := ledgertest.Must(console.NewSignIn(cfg))(t)
	pages := ledgertest.Must(console.New(console.Config{URL: d.url, Name: name, API: d.issuer.Handler(), Gate: gate, SignIn: gate, Clock: d.now, Logger: logger}))(t)
	answer = pages.Handler()
	return d
}

// link signs in as an officer, who joins by it if need be.
func (d *desk) link(id, name string, roles ...string) string {
	d.t.Helper()
	return ledgertest.Must(d.issuer.Directory().Links().SignIn(directory.Officer{ID: id, Name: name, Roles: roles}))(d.t)
}

func (d *desk) invitation(id, name string, roles ...string) string {
	d.t.Helper()
	return ledgertest.Must(d.issuer.Directory().Links().Invitation(directory.Officer{ID: id, Name: name, Roles: roles}))(d.t)
}

// visitor is a browser without scripts, that follows no redirect.
type visitor struct {
	d      *desk
	client *http.Client
}

func (d *desk) visitor() *visitor {
	return &visitor{d, &http.Client{
		Jar:           ledgertest.Must(cookiejar.New(nil))(d.t),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// reply is an answer with its page.
type reply struct {
	*http.Response
	page string
}

func (v *visitor) do(method, path, kind, body string, headers ...string) reply {
	v.d.t.Helper()
	request := ledgertest.Must(http.NewRequest(method, v.d.url+console.Path+path, strings.NewReader(body)))(v.d.t)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.d.t.Fatal(err)
	}
	defer response.Body.Close()
	return reply{response, string(ledgertest.Must(io.ReadAll(response.Body))(v.d.t))}
}

func (v *visitor) get(path string) reply { v.d.t.Helper(); return v.do(http.MethodGet, path, "", "") }

func (v *visitor) post(path string, form url.Values, headers ...string) reply {
	v.d.t.Helper()
	return v.do(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode(), headers...)
}

// signIn signs in by a link, as who has no scripts does.
func (v *visitor) signIn(link string) reply {
	v.d.t.Helper()
	return v.post("/sign-in/link", url.Values{"link": {link}, "confirmed": {"yes"}})
}

// wantSignedIn fails the test unless the visitor sees a page of theirs.
func (v *visitor) wantSignedIn(yes bool) {
	v.d.t.Helper()
	if r := v.get("/passkeys"); (r.StatusCode == http.StatusOK) != yes {
		v.d.t.Errorf("signed in: want %t: %s", yes, r.Status)
	}
}
