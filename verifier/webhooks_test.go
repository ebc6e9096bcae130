package verifier_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/store"
)

// loopback is where the receivers of tests are.
var loopback = egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true}

// hooked is a world whose webhooks go to loopback.
func hooked(t testing.TB) *world {
	w := newWorld(t)
	w.withHooks()
	return w
}

func (w *world) withHooks() {
	w.with(func(c *verifier.Config) {
		c.SessionKey, c.Egress, c.ReturnURIs = bytes.Repeat([]byte{7}, 32), loopback, []string{"https://shop.example/back/"}
	})
}

// running runs the verifier until the function it returns is called.
func (w *world) running() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	v := w.verifier
	go func() { ended <- v.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// told is a message as an application reads it.
type told struct {
	Type      string         `json:"type"`
	Timestamp string         `json:"timestamp"`
	Data      map[string]any `json:"data"`
}

// application receives webhooks. It checks signatures as the standard says, with no code of ours.
type application struct {
	*httptest.Server
	mu      sync.Mutex
	secrets []string        // each must have signed
	got     map[string]told // by identifier
	copies  int             // messages that came again
	errs    []error
	refuse  bool // with 503, after it was noted
}

func newApplication(t testing.TB) *application {
	a := &application{got: make(map[string]told)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 32<<10))
		a.mu.Lock()
		defer a.mu.Unlock()
		var m told
		id := r.Header.Get("Webhook-Id")
		if err = errors.Join(err, a.check(r.Header, body), json.Unmarshal(body, &m)); err != nil {
			a.errs = append(a.errs, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if before, ok := a.got[id]; ok {
			a.copies++
			if fmt.Sprint(before) != fmt.Sprint(m) {
				a.errs = append(a.errs, fmt.Errorf("message %s came as %v and as %v", id, before, m))
			}
		}
		a.got[id] = m
		if a.refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(func() {
		a.Close()
		for _, err := range a.errs {
			t.Error(err)
		}
	})
	return a
}

// check wants one signature for each secret.
func (a *application) check(header http.Header, body []byte) error {
	at, err := strconv.ParseInt(header.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("timestamp %d, %v", at, err)
	}
	var want []string
	for _, secret := range a.secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) < 24 {
			return fmt.Errorf("secret of %d bytes, %v", len(key), err)
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%d.%s", header.Get("Webhook-Id"), at, body)
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	if got := strings.Fields(header.Get("Webhook-Signature")); !slices.Equal(got, want) {
		return fmt.Errorf("%d signatures, not those of %d secrets", len(got), len(want))
	}
	return nil
}

func (a *application) signedBy(secrets ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secrets = secrets
}

// of are the messages about a session.
func (a *application) of(session string) (list []told) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.got {
		if m.Data["session"] == session {
			list = append(list, m)
		}
	}
	return list
}

func (a *application) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

// addHook adds an application's webhook over HTTP.
func (w *world) addHook(t *testing.T, client string, a *application, types ...string) outbox.Webhook {
	t.Helper()
	body, err := json.Marshal(map[string]any{"url": a.URL, "types": types})
	if err != nil {
		t.Fatal(err)
	}
	hook := decode[outbox.Webhook](t, w.hook(client, "POST", "", string(body)), http.StatusCreated)
	a.signedBy(hook.Secret)
	return hook
}

func (w *world) hook(client, method, path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	contentType := ""
	if body != "" {
		contentType = "application/json"
	}
	return w.call(method, "/v1/webhooks"+path, w.token(client, verifier.ScopeWebhooks), contentType, body)
}

// An application is told how each of its sessions ended, once, and no more than that; of those with a return URI not even how.
func TestWebhooks(t *testing.T) {
	w := hooked(t)
	me := w.resident(w.person())
	w.seal()
	app, stranger := newApplication(t), newApplication(t)
	w.addHook(t, "app", app)
	w.addHook(t, "other", stranger)
	w.running()
	start := func(returnURI string) (string, string) {
		t.Helper()
		s := must(w.verifier.StartWith(t.Context(), "app", verifier.Ask{Policy: "residence", ReturnURI: returnURI}))(t)
		return s.ID, s.RequestURI[len(publicURL+"/oid4vp/requests/"):]
	}
	verify := func(id string) {
		t.Helper()
		request := fetch(t, w.verifier, id)
		if err := w.respond(id, request, w.answer(request, me)); err != nil {
			t.Fatal(err)
		}
	}
	spoil := func(id string) {
		t.Helper()
		request := fetch(t, w.verifier, id)
		token := w.answer(request, me)
		token["residence"][0].N = request.Query.Credentials[0].Meta.Statement.Schema
		if err := w.respond(id, request, token); codeOf(err) == "ok" {
			t.Fatal("a spoilt answer is verified")
		}
	}
	decline := func(id string) {
		t.Helper()
		if got := codeOf(w.verifier.Respond(t.Context(), id, verifier.Response{State: fetch(t, w.verifier, id).State, Error: "access_denied"})); got != check.RefusedByHolder {
			t.Fatal(got)
		}
	}
	const shop = "https://shop.example/back/7"
	cases := map[string]struct {
		returnURI string
		do        func(id string)
		want      string
		state     any // of the payload
	}{
		"verified":               {"", verify, verifier.EventVerified, "verified"},
		"refused, then verified": {"", func(id string) { spoil(id); verify(id) }, verifier.EventVerified, "verified"},
		"declined":               {"", decline, verifier.EventRejected, "rejected"},
		"nobody answered":        {"", func(string) {}, verifier.EventExpired, "expired"},
		"not answered well":      {"", spoil, verifier.EventRejected, "rejected"},
		"one device, verified":   {shop, verify, verifier.EventEnded, nil},
		"one device, declined":   {shop, decline, verifier.EventEnded, nil},
		"one device, nobody":     {shop, func(string) {}, verifier.EventEnded, nil},
		"one device, not well":   {shop, spoil, verifier.EventEnded, nil},
		"refused sixteen times": {"", func(id string) {
			for range 16 {
				spoil(id)
			}
		}, verifier.EventRejected, "rejected"},
		"cancelled":                 {"", nil, verifier.EventCancelled, "cancelled"},
		"one device, and cancelled": {shop, nil, verifier.EventEnded, nil},
	}
	sessions := make(map[string]string)
	early := 0
	for name, c := range cases {
		if c.do == nil {
			s := must(w.verifier.StartWith(t.Context(), "app", verifier.Ask{Policy: "residence", ReturnURI: c.returnURI}))(t)
			if err := w.verifier.CancelPage(t.Context(), strings.TrimPrefix(s.PageURI, publicURL+verifier.PagePath+"/")); err != nil {
				t.Fatal(err)
			}
			sessions[name] = s.ID
			early++
			continue
		}
		session, id := start(c.returnURI)
		sessions[name] = session
		c.do(id)
		if !strings.Contains(name, "nobody") && !strings.Contains(name, "well") {
			early++
		}
	}
	eventually(t, "told of those that ended", func() bool { return app.count() == early })
	time.Sleep(50 * time.Millisecond)
	if got := app.count(); got != early {
		t.Errorf("%d messages, want %d: sessions that may still be answered are announced", got, early)
	}
	ended := w.clock.Now().Unix()
	w.clock.advance(6 * time.Minute)
	for range 3 { // who looks again finds nothing
		if _, err := w.verifier.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.advance(2 * time.Hour)
	if n := must(w.verifier.Purge(t.Context()))(t); n == 0 {
		t.Error("nothing was purged")
	}
	eventually(t, "told of all", func() bool { return app.count() >= len(cases) })
	for name, c := range cases {
		got := app.of(sessions[name])
		if len(got) != 1 {
			t.Errorf("%s: %d messages", name, len(got))
			continue
		}
		at := float64(ended)
		if strings.Contains(name, "nobody") || strings.Contains(name, "well") {
			at += 5 * 60 // the request's expiry, whenever it was noticed
		}
		want := map[string]any{"session": sessions[name], "policy": "residence", "ended_at": at}
		if c.state != nil {
			want["state"] = c.state
		}
		if m := got[0]; m.Type != c.want || fmt.Sprint(m.Data) != fmt.Sprint(want) {
			t.Errorf("%s: %s %v, want %s %v", name, m.Type, m.Data, c.want, want)
		}
	}
	if app.count() != len(cases) || stranger.count() != 0 {
		t.Errorf("%d messages, want %d; another application got %d", app.count(), len(cases), stranger.count())
	}
}

// slowRoots is a ledger that keeps whoever looks for a root, whichever it is.
type slowRoots struct {
	verifier.Ledger
	waiting atomic.Int32
	release chan struct{}
}

func (s *slowRoots) FindRoot(ctx context.Context, root credential.Element, freshness time.Duration) (client.SealAt, error) {
	s.waiting.Add(1)
	<-s.release
	return s.Ledger.FindRoot(ctx, root, freshness)
}

// Of a response and the expiry of its session one counts, and the application hears of that one, whoever of several processes
// notices it.
func TestExpiryWhileAnswered(t *testing.T) {
	w := hooked(t)
	me := w.resident(w.person())
	w.seal()
	slow := &slowRoots{Ledger: w.ledger, release: make(chan struct{})}
	app := newApplication(t)
	w.addHook(t, "app", app)
	w.with(func(c *verifier.Config) {
		c.SessionKey, c.Egress, c.Ledger = bytes.Repeat([]byte{7}, 32), loopback, slow
	})
	close(slow.release)
	for name, c := range map[string]struct {
		elsewhere bool
		want      string
	}{"the same process waits": {false, verifier.EventVerified}, "another does not": {true, verifier.EventExpired}} {
		started, request, id := w.begin("residence")
		slow.release = make(chan struct{})
		answered := make(chan error, 1)
		before := slow.waiting.Load()
		go func() { answered <- w.respond(id, request, w.answer(request, me)) }()
		eventually(t, "checked", func() bool { return slow.waiting.Load() > before })
		w.clock.advance(6 * time.Minute)
		other := w.verifier
		if c.elsewhere {
			cfg := w.config()
			cfg.SessionKey, cfg.Egress = bytes.Repeat([]byte{7}, 32), loopback
			other = must(verifier.New(cfg))(t)
		}
		for range 2 {
			if _, err := other.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		close(slow.release)
		err := <-answered
		if _, err := other.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		status := w.status(started.ID)
		if verified := codeOf(err) == "ok"; verified == c.elsewhere || verified != (status.State == verifier.Verified) || !status.Final {
			t.Errorf("%s: %s, %+v", name, codeOf(err), status)
		}
		stop := w.running()
		eventually(t, "told", func() bool { return len(app.of(started.ID)) > 0 })
		stop()
		if got := app.of(started.ID); len(got) != 1 || got[0].Type != c.want {
			t.Errorf("%s: told %v, want %s", name, got, c.want)
		}
		w.seal()
	}
}

// What was committed before a restart is sent after it, also what expired meanwhile.
func TestWebhooksOverRestarts(t *testing.T) {
	w := hooked(t)
	dir := t.TempDir()
	me := w.resident(w.person())
	w.seal()
	reopen := func() *store.Pebble {
		t.Helper()
		s := must(store.Open(store.Config{Dir: dir}))(t)
		w.store = s
		w.withHooks()
		return s
	}
	s := reopen()
	app := newApplication(t)
	w.addHook(t, "app", app)
	started, request, id := w.begin("residence") // nobody runs
	if err := w.respond(id, request, w.answer(request, me)); err != nil {
		t.Fatal(err)
	}
	waiting, _, _ := w.begin("residence")
	app.refuse = true
	s.Close()
	s = reopen()
	stop := w.running()
	eventually(t, "tried", func() bool { return len(app.of(started.ID)) == 1 })
	stop()
	s.Close()
	w.clock.advance(3 * time.Hour) // the other one would be purged, too
	s = reopen()
	defer s.Close()
	app.mu.Lock()
	app.refuse = false
	app.mu.Unlock()
	stop = w.running()
	eventually(t, "told of the expiry", func() bool { return len(app.of(waiting.ID)) == 1 })
	eventually(t, "told again under the same identifier", func() bool {
		app.mu.Lock()
		defer app.mu.Unlock()
		return app.copies > 0
	})
	stop()
	if got := app.of(waiting.ID); got[0].Type != verifier.EventExpired || len(app.of(started.ID)) != 1 || app.count() != 2 {
		t.Errorf("%v, and %d messages", got, app.count())
	}
}

// The store has nothing of webhooks in clear, a row opens in its own place only, and under another session key there are none.
func TestWebhookRowsAreSealed(t *testing.T) {
	w := hooked(t)
	w.seal()
	app := newApplication(t)
	hook := w.addHook(t, "app", app)
	started, page := w.pageOf(t)
	if err := w.verifier.CancelPage(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]byte)
	must(0, w.store.Each("hooks/", func(key string, value []byte) error { rows[key] = value; return nil }))(t)
	var endpoint, due string
	for key, value := range rows {
		for _, secret := range []string{hook.Secret, app.URL, started.ID, "residence", "cancelled", "app"} {
			if bytes.Contains(value, []byte(secret)) || strings.Contains(key, secret) {
				t.Errorf("row %s tells %q", key, secret)
			}
		}
		if strings.Contains(key, "/outbox/endpoint/") {
			endpoint = key
		} else {
			due = key
		}
	}
	if len(rows) != 2 || endpoint == "" || due == "" {
		t.Fatalf("%d rows", len(rows))
	}
	list := func(session byte) (n int, err error) {
		cfg := w.config()
		cfg.SessionKey, cfg.Egress = bytes.Repeat([]byte{session}, 32), loopback
		w.verifier, err = verifier.New(cfg)
		if err == nil {
			w.handler = w.verifier.Handler()
			n = len(decode[outbox.WebhookList](t, w.hook("app", "GET", "", ""), 200).Webhooks)
		}
		return n, err
	}
	for session, want := range map[byte]int{7: 1, 8: 0} {
		if n, err := list(session); err != nil || n != want {
			t.Errorf("under key %d: %d webhooks, want %d, %v", session, n, want, err)
		}
	}
	spoilt := bytes.Clone(rows[endpoint])
	spoilt[len(spoilt)-1] ^= 1
	for name, value := range map[string][]byte{"another row": rows[due], "a bit": spoilt, "cut off": rows[endpoint][:20], "nothing": {}} {
		if err := w.store.Commit(verifier.Batch{Set: map[string][]byte{endpoint: value}}); err != nil {
			t.Fatal(err)
		}
		if n, err := list(7); err == nil {
			t.Errorf("%s in the place of an endpoint: %d webhooks", name, n)
		}
	}
}

// Who may set webhooks, where, and how many; and those of one application are not there for another.
func TestWebhooksOverHTTP(t *testing.T) {
	w := hooked(t)
	w.seal()
	app := newApplication(t)
	hook := w.addHook(t, "app", app, verifier.EventCancelled, verifier.EventExpired)
	one := "/" + hook.ID
	if r := w.call("GET", "/v1/webhooks", w.token("app", verifier.ScopeWrite, verifier.ScopeRead), "", ""); r.Code != http.StatusForbidden {
		t.Errorf("without the scope: %d %s", r.Code, r.Body)
	}
	list := decode[outbox.WebhookList](t, w.hook("app", "GET", "", ""), 200)
	if len(list.Webhooks) != 1 || list.Webhooks[0].Secret != "" || len(list.Types) != 5 {
		t.Errorf("%+v", list)
	}
	for name, c := range map[string]struct {
		client, method, path, body string
		status                     int
		code                       string
	}{
		"another's log":        {"other", "GET", one + "/log", "", 404, "webhook_unknown"},
		"change another's":     {"other", "PATCH", one, `{"disabled":true}`, 404, "webhook_unknown"},
		"remove another's":     {"other", "DELETE", one, "", 404, "webhook_unknown"},
		"another's secret":     {"other", "POST", one + "/secret", "", 404, "webhook_unknown"},
		"retire another's":     {"other", "DELETE", one + "/secret/old", "", 404, "webhook_unknown"},
		"replay of nothing":    {"app", "POST", one + "/dead/msg_1/replay", "", 404, "webhook_unknown"},
		"a network of ours":    {"app", "POST", "", `{"url":"https://10.0.0.1/"}`, 400, "webhook"},
		"an unknown type":      {"app", "POST", "", `{"url":"https://example.org/","types":["session.created"]}`, 400, "webhook"},
		"change to a bad URL":  {"app", "PATCH", one, `{"url":"ftp://example.org/"}`, 400, "webhook"},
		"an unknown member":    {"app", "PATCH", one, `{"owner":"other"}`, 422, "malformed"},
		"another owner at add": {"app", "POST", "", `{"url":"https://example.org/","owner":"other"}`, 422, "malformed"},
		"no URL":               {"app", "POST", "", `{}`, 422, "malformed"},
		"too large":            {"app", "POST", "", `{"url":"` + strings.Repeat("x", 70<<10) + `"}`, 413, "too-large"},
	} {
		r := w.hook(c.client, c.method, c.path, c.body)
		if p := decode[struct{ Code string }](t, r, c.status); p.Code != c.code {
			t.Errorf("%s: %s", name, r.Body)
		}
	}
	w.running()
	cancel := func() string {
		t.Helper()
		started, page := w.pageOf(t)
		if err := w.verifier.CancelPage(t.Context(), page); err != nil {
			t.Fatal(err)
		}
		return started.ID
	}
	arrives := func(session string) {
		t.Helper()
		eventually(t, "arrives", func() bool { return len(app.of(session)) == 1 })
	}
	arrives(cancel())
	second := decode[outbox.Webhook](t, w.hook("app", "POST", one+"/secret", ""), 200)
	app.signedBy(second.Secret, hook.Secret) // under both
	arrives(cancel())
	if r := w.hook("app", "DELETE", one+"/secret/old", ""); r.Code != http.StatusNoContent {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	app.signedBy(second.Secret)
	arrives(cancel())
	if off := decode[outbox.Webhook](t, w.hook("app", "PATCH", one, `{"disabled":true}`), 200); !off.Disabled || off.URL != app.URL || len(off.Types) != 2 {
		t.Errorf("%+v", off)
	}
	missed := cancel()
	decode[outbox.Webhook](t, w.hook("app", "PATCH", one, `{"disabled":false,"types":[]}`), 200)
	arrives(cancel())
	if len(app.of(missed)) != 0 {
		t.Error("told of what happened while it was disabled")
	}
	log := decode[outbox.AttemptList](t, w.hook("app", "GET", one+"/log", ""), 200)
	if len(log.Attempts) != 4 || log.Attempts[0].Type != verifier.EventCancelled || log.Attempts[0].Status != 200 || len(log.Dead) != 0 {
		t.Errorf("%+v", log)
	}
	for i := range 7 {
		if r := w.hook("app", "POST", "", `{"url":"https://example.org/"}`); r.Code != http.StatusCreated {
			t.Fatalf("%d: %d %s", i, r.Code, r.Body)
		}
	}
	if r := w.hook("app", "POST", "", `{"url":"https://example.org/"}`); r.Code != http.StatusBadRequest {
		t.Errorf("the ninth: %d %s", r.Code, r.Body)
	}
	w.addHook(t, "other", newApplication(t)) // whose room is another
	if r := w.hook("app", "DELETE", one, ""); r.Code != http.StatusNoContent {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if list := decode[outbox.WebhookList](t, w.hook("app", "GET", "", ""), 200); len(list.Webhooks) != 7 {
		t.Errorf("%d webhooks are left", len(list.Webhooks))
	}
}

// A message that an endpoint wants no more is dead, and sent again when its application asks for that.
func TestWebhookReplay(t *testing.T) {
	w := hooked(t)
	w.seal()
	app := newApplication(t)
	gone := true
	var mu sync.Mutex
	door := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if gone {
			out.WriteHeader(http.StatusGone)
			return
		}
		app.Config.Handler.ServeHTTP(out, r)
	}))
	t.Cleanup(door.Close)
	hook := decode[outbox.Webhook](t, w.hook("app", "POST", "", fmt.Sprintf(`{"url":%q}`, door.URL)), http.StatusCreated)
	app.signedBy(hook.Secret)
	w.running()
	started, page := w.pageOf(t)
	if err := w.verifier.CancelPage(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	one := "/" + hook.ID
	var log outbox.AttemptList
	eventually(t, "given up", func() bool {
		log = decode[outbox.AttemptList](t, w.hook("app", "GET", one+"/log", ""), 200)
		return len(log.Dead) == 1
	})
	want := outbox.Counts{Failed: 1, GivenUp: 1, Endpoints: 1, Disabled: 1}
	eventually(t, "counted and disabled", func() bool { return w.verifier.WebhookCounts() == want })
	if !decode[outbox.WebhookList](t, w.hook("app", "GET", "", ""), 200).Webhooks[0].Disabled || log.Attempts[0].Status != http.StatusGone {
		t.Error("an endpoint that is gone is not disabled")
	}
	mu.Lock()
	gone = false
	mu.Unlock()
	decode[outbox.Webhook](t, w.hook("app", "PATCH", one, `{"disabled":false}`), 200)
	replay := one + "/dead/" + log.Dead[0].ID + "/replay"
	if r := w.hook("other", "POST", replay, ""); r.Code != http.StatusNotFound {
		t.Errorf("another replays it: %d", r.Code)
	}
	if r := w.hook("app", "POST", replay, ""); r.Code != http.StatusNoContent {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	eventually(t, "arrives", func() bool { return len(app.of(started.ID)) == 1 })
	app.mu.Lock()
	defer app.mu.Unlock()
	if _, ok := app.got[log.Dead[0].ID]; !ok {
		t.Error("it arrived under another identifier")
	}
}

// batches notes what is committed together.
type batches struct {
	verifier.Store
	list []verifier.Batch
}

func (b *batches) Commit(batch verifier.Batch) error {
	err := b.Store.Commit(batch)
	if err == nil {
		b.list = append(b.list, batch)
	}
	return err
}

// The message is in the very batch that ends the session: a power cut takes both or neither.
func TestEndAndMessageAreOneCommit(t *testing.T) {
	w := newWorld(t)
	noted := &batches{Store: w.store}
	w.store = noted
	w.withHooks()
	me := w.resident(w.person())
	w.seal()
	w.addHook(t, "app", newApplication(t))
	started, request, id := w.begin("subsidy")
	if err := w.respond(id, request, w.answer(request, me)); err != nil {
		t.Fatal(err)
	}
	waiting, _, _ := w.begin("residence")
	w.clock.advance(6 * time.Minute)
	must(w.verifier.Purge(t.Context()))(t)
	for _, session := range []string{started.ID, waiting.ID} {
		var last verifier.Batch
		for _, b := range noted.list {
			if _, ok := b.Set["session/"+session]; ok {
				last = b
			}
		}
		messages := 0
		for key := range last.Set {
			if strings.HasPrefix(key, "hooks/") && strings.Contains(key, "/outbox/due/") {
				messages++
			}
		}
		if messages != 1 || len(last.Same) != 1 || !slices.ContainsFunc(last.Delete, func(key string) bool { return strings.HasPrefix(key, "lapse/") }) {
			t.Errorf("the batch that ends a session has %d messages, %d conditions, deletes %d rows", messages, len(last.Same), len(last.Delete))
		}
	}
	left := 0
	must(0, w.store.Each("lapse/", func(string, []byte) error { left++; return nil }))(t)
	if left != 0 {
		t.Errorf("%d rows of expiry are left", left)
	}
}
