package verifier_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// event is one that a server sent.
type event struct {
	id     string
	status verifier.Status
}

// follower reads events over a connection of its own.
type follower struct {
	t        testing.TB
	response *http.Response
	events   chan event // closed at the end
}

func follow(t testing.TB, server, path, token, after string) *follower {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, server+path, nil))(t)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "text/event-stream")
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	client := &http.Client{Transport: new(http.Transport)}
	response := must(client.Do(r))(t)
	f := &follower{t, response, make(chan event, 100)}
	t.Cleanup(f.leave)
	go f.read()
	return f
}

func (f *follower) leave() { f.response.Body.Close() }

func (f *follower) read() {
	defer close(f.events)
	var e event
	for lines := bufio.NewScanner(f.response.Body); lines.Scan(); {
		switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
		case "id":
			e.id = value
		case "data":
			_ = json.Unmarshal([]byte(value), &e.status) // a test sees that it is empty
		case "":
			if e.id != "" {
				f.events <- e
			}
			e = event{}
		}
	}
}

// next waits for an event; ok is false at the end.
func (f *follower) next() (e event, ok bool) {
	f.t.Helper()
	select {
	case e, ok = <-f.events:
		return e, ok
	case <-time.After(20 * time.Second):
		f.t.Fatal("no event")
	}
	return e, false
}

// expect wants an event for each state, and then the end if the last is final.
func (f *follower) expect(states ...verifier.State) (last event) {
	f.t.Helper()
	for _, want := range states {
		e, ok := f.next()
		if !ok || e.status.State != want || e.id == "" {
			f.t.Fatalf("got %+v, %v, want %s", e, ok, want)
		}
		last = e
	}
	if last.status.Final {
		f.ends()
	}
	return last
}

func (f *follower) ends() {
	f.t.Helper()
	if e, ok := f.next(); ok {
		f.t.Fatalf("got %+v after the end", e)
	}
}

// quiet wants no event for a while.
func (f *follower) quiet() {
	f.t.Helper()
	select {
	case e, ok := <-f.events:
		f.t.Fatalf("got %+v, %v", e, ok)
	case <-time.After(300 * time.Millisecond):
	}
}

// impatience is how long a request may take to arrive, and an answer that is no stream to leave.
const impatience = time.Second

// served is the verifier over HTTP, which looks often.
func (w *world) served() string {
	w.t.Helper()
	w.verifier.Follow(time.Millisecond, 8, 4)
	server := httptest.NewUnstartedServer(w.handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = impatience, impatience
	server.Start()
	w.t.Cleanup(server.CloseClientConnections)
	w.t.Cleanup(server.Close)
	return server.URL
}

func requestID(started *verifier.Started) string {
	return started.RequestURI[strings.LastIndex(started.RequestURI, "/")+1:]
}

func TestFollowSession(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		me := w.resident(w.person())
		w.seal()
		server, app := w.served(), w.token("app", verifier.ScopeRead)
		started := must(w.verifier.Start(t.Context(), "app", "residence", 0))(t)
		path := "/v1/sessions/" + started.ID
		f := follow(t, server, path+"/events", app, "")
		if got := f.response.Header.Get("Content-Type"); f.response.StatusCode != 200 || got != "text/event-stream" {
			t.Fatalf("%d %s", f.response.StatusCode, got)
		}
		created := f.expect(verifier.Created)
		late := follow(t, server, path+"/events", app, created.id) // it has seen that
		request := fetch(t, w.verifier, requestID(started))
		f.expect(verifier.Fetched)
		wrong := w.answer(request, me)
		wrong["residence"][0].Link = wrong["residence"][0].Item
		if err := w.respond(requestID(started), request, wrong); codeOf(err) != check.ProofInvalid {
			t.Fatal(err)
		}
		f.expect(verifier.Responded, verifier.Rejected)
		time.Sleep(impatience + 200*time.Millisecond)
		if err := w.respond(requestID(started), request, w.answer(request, me)); err != nil {
			t.Fatal(err)
		}
		last := f.expect(verifier.Responded, verifier.Verified)
		late.expect(verifier.Fetched, verifier.Responded, verifier.Rejected, verifier.Responded, verifier.Verified)
		if last.status.Result == "" || last.status.ID != started.ID {
			t.Errorf("%+v", last)
		}
		read := w.call("GET", path, app, "", "")
		if read.Header().Get("ETag") != `"`+last.id+`"` {
			t.Errorf("event %s, entity tag %s", last.id, read.Header().Get("ETag"))
		}
		if again := follow(t, server, path+"/events", app, last.id); again.response.StatusCode != http.StatusNoContent {
			t.Errorf("nothing more comes: %d", again.response.StatusCode)
		}
		follow(t, server, path+"/events", app, "").expect(verifier.Verified)
		if total, sessions, clients := w.verifier.Followers(); total+sessions+clients != 0 {
			soon(t, func() bool { total, sessions, clients = w.verifier.Followers(); return total+sessions+clients == 0 })
		}
	})
}

// soon waits until something holds.
func soon(t testing.TB, holds func() bool) {
	t.Helper()
	for range 200 {
		if holds() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("it does not come about")
}

// The clock ends a session, and the holder, and the application.
func TestFollowToTheEnd(t *testing.T) {
	w := newWorld(t)
	w.seal()
	server, app := w.served(), w.token("app", verifier.ScopeRead, verifier.ScopeWrite)
	for name, c := range map[string]struct {
		end  func(started *verifier.Started, request *openid.RequestObject)
		want []verifier.State
	}{
		"declined": {func(s *verifier.Started, r *openid.RequestObject) {
			_ = w.verifier.Respond(t.Context(), requestID(s), verifier.Response{State: r.State, Error: "access_denied"})
		}, []verifier.State{verifier.Responded, verifier.Rejected}},
		"cancelled": {func(s *verifier.Started, _ *openid.RequestObject) {
			w.call("POST", "/v1/sessions/"+s.ID+"/cancel", app, "", "")
		}, []verifier.State{verifier.Cancelled}},
		"expired": {func(*verifier.Started, *openid.RequestObject) { w.clock.advance(time.Minute) }, []verifier.State{verifier.Expired}},
		"by another process": {func(s *verifier.Started, _ *openid.RequestObject) {
			other := must(verifier.New(w.config()))(t)
			if _, err := other.Cancel(t.Context(), "app", s.ID); err != nil {
				t.Error(err)
			}
		}, []verifier.State{verifier.Cancelled}},
	} {
		t.Run(name, func(t *testing.T) {
			started := must(w.verifier.Start(t.Context(), "app", "residence", time.Minute))(t)
			request := fetch(t, w.verifier, requestID(started))
			f := follow(t, server, "/v1/sessions/"+started.ID+"/events", app, "")
			f.expect(verifier.Fetched)
			c.end(started, request)
			if e := f.expect(c.want...); !e.status.Final {
				t.Errorf("%+v", e)
			}
		})
	}
}

// What needs the response code is not told without it: no state, no result, no end before the request's own.
func TestFollowNeedsTheCode(t *testing.T) {
	w, me := encrypting(t)
	server, app := w.served(), w.token("app", verifier.ScopeRead)
	started := must(w.verifier.StartWith(t.Context(), "app", verifier.Ask{Policy: "residence", ReturnURI: "https://shop.example/back/x"}))(t)
	path := "/v1/sessions/" + started.ID + "/events"
	f := follow(t, server, path, app, "")
	f.expect(verifier.Created)
	request := fetch(t, w.verifier, requestID(started))
	form := url.Values{"response": {w.encrypted(request, w.answer(request, me))}}.Encode()
	answer := decode[openid.DirectPostAnswer](t, w.call("POST", "/oid4vp/responses/"+requestID(started), "", formType, form), 200)
	code := must(url.Parse(answer.RedirectURI))(t).Query().Get("response_code")
	responded := f.expect(verifier.Fetched, verifier.Responded)
	f.quiet()
	if responded.status.Result != "" || responded.status.Final {
		t.Errorf("%+v", responded)
	}
	again := follow(t, server, path, app, "")
	if e := again.expect(verifier.Responded); e.id != responded.id || e.status.Result != "" {
		t.Errorf("%+v, before %+v", e, responded)
	}
	if e := follow(t, server, path+"?response_code="+code, app, responded.id).expect(verifier.Verified); e.status.Result == "" {
		t.Errorf("with the code: %+v", e)
	}
	if r := follow(t, server, path+"?response_code=x", app, ""); r.response.StatusCode != http.StatusForbidden {
		t.Errorf("a made-up code: %d", r.response.StatusCode)
	}
	f.quiet()
	w.clock.advance(time.Hour / 2)
	f.ends()
	again.ends()
	if r := follow(t, server, path, app, responded.id); r.response.StatusCode != http.StatusNoContent {
		t.Errorf("nothing more comes without the code: %d", r.response.StatusCode)
	}
}

func TestFollowRefused(t *testing.T) {
	w := newWorld(t)
	server, app, other := w.served(), w.token("app", verifier.ScopeRead), w.token("other", verifier.ScopeRead)
	started := must(w.verifier.Start(t.Context(), "app", "residence", 0))(t)
	path := "/v1/sessions/" + started.ID + "/events"
	for name, c := range map[string]struct {
		path, token string
		status      int
	}{
		"another application": {path, other, 404}, "no such session": {"/v1/sessions/x/events", app, 404}, "no token": {path, "", 401},
		"another scope": {path, w.token("app", verifier.ScopeWrite), 403}, "an unknown parameter": {path + "?x=y", app, 422},
	} {
		if f := follow(t, server, c.path, c.token, ""); f.response.StatusCode != c.status || f.response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", name, f.response.StatusCode, f.response.Header)
		}
	}
	// An id that is none, or of another time, is the beginning.
	for _, after := range []string{"x", strings.Repeat("A", 43)} {
		f := follow(t, server, path, app, after)
		f.expect(verifier.Created)
		f.leave()
	}
	soon(t, func() bool { total, _, _ := w.verifier.Followers(); return total == 0 })
	// There are 8 places, and 4 for one application.
	var list []*follower
	for range 4 {
		f := follow(t, server, path, app, "")
		f.expect(verifier.Created)
		list = append(list, f)
	}
	if f := follow(t, server, path, app, ""); f.response.StatusCode != http.StatusTooManyRequests || f.response.Header.Get("Retry-After") == "" {
		t.Errorf("a fifth: %d", f.response.StatusCode)
	}
	theirs := must(w.verifier.Start(t.Context(), "other", "residence", 0))(t)
	for range 4 {
		f := follow(t, server, "/v1/sessions/"+theirs.ID+"/events", other, "")
		f.expect(verifier.Created)
		list = append(list, f)
	}
	third := must(w.verifier.Start(t.Context(), "third", "residence", 0))(t)
	if f := follow(t, server, "/v1/sessions/"+third.ID+"/events", w.token("third", verifier.ScopeRead), ""); f.response.StatusCode != http.StatusServiceUnavailable || f.response.Header.Get("Retry-After") == "" {
		t.Errorf("a ninth: %d", f.response.StatusCode)
	}
	// Who leaves makes room; who does not keep up is dropped.
	list[0].leave()
	soon(t, func() bool { total, _, _ := w.verifier.Followers(); return total == 7 })
	w.verifier.Tell(theirs.ID, 100_000)
	for _, f := range list[4:] {
		f.ends()
	}
	soon(t, func() bool {
		total, sessions, clients := w.verifier.Followers()
		return total == 3 && sessions == 1 && clients == 1
	})
}

// A follower that lost its verifier resumes at the next one, and a verifier that stops ends its streams at once.
func TestFollowOverARestart(t *testing.T) {
	w := newWorld(t)
	w.seal()
	app := w.token("app", verifier.ScopeRead)
	started := must(w.verifier.Start(t.Context(), "app", "residence", 0))(t)
	path := "/v1/sessions/" + started.ID + "/events"
	var now atomic.Pointer[http.Handler]
	now.Store(&w.handler)
	serve := func() (string, func()) {
		l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- webapi.Serve(ctx, l, *now.Load()) }()
		return "http://" + l.Addr().String(), func() {
			t.Helper()
			began := time.Now()
			if stop(); errors.Join(<-done) != nil || time.Since(began) > 3*time.Second {
				t.Errorf("it took %s to stop", time.Since(began))
			}
		}
	}
	server, stop := serve()
	f := follow(t, server, path, app, "")
	created := f.expect(verifier.Created)
	stop()
	f.ends()
	fetch(t, w.verifier, requestID(started)) // while nobody follows
	w.start()
	now.Store(&w.handler)
	server, stop = serve()
	defer stop()
	fetched := follow(t, server, path, app, created.id).expect(verifier.Fetched)
	f = follow(t, server, path, app, fetched.id)
	f.quiet()
	if _, err := w.verifier.Cancel(t.Context(), "app", started.ID); err != nil {
		t.Fatal(err)
	}
	f.expect(verifier.Cancelled)
}

// The entity tag is another whenever the answer is, and the same as long as it is.
func TestEntityTag(t *testing.T) {
	w, me := encrypting(t)
	app := w.token("app", verifier.ScopeRead)
	started := must(w.verifier.StartWith(t.Context(), "app", verifier.Ask{Policy: "residence", ReturnURI: "https://shop.example/back/x", Lifetime: time.Minute}))(t)
	path := "/v1/sessions/" + started.ID
	seen := make(map[string]string) // answers by tag
	read := func(query, known string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+query, nil)
		r.Header.Set("Authorization", "Bearer "+app)
		if known != "" {
			r.Header.Set("If-None-Match", known)
		}
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, r)
		return out
	}
	changed := func(step, query string) string {
		t.Helper()
		r := read(query, "")
		tag := r.Header().Get("ETag")
		if _, twice := seen[tag]; twice || r.Code != 200 || len(tag) != 45 || r.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", step, r.Code, tag)
		}
		seen[tag] = r.Body.String()
		final := strings.Contains(r.Body.String(), `"final":true`)
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if again := read(query, known); again.Code != http.StatusNotModified || again.Body.Len() != 0 || again.Header().Get("ETag") != tag || (again.Header().Get("Retry-After") == "") != final {
				t.Errorf("%s: If-None-Match %s: %d %s %v", step, known, again.Code, again.Body, again.Header())
			}
		}
		for other := range seen {
			if other != tag && read(query, other).Code != 200 {
				t.Errorf("%s: the tag of %s is taken for this one", step, seen[other])
			}
		}
		return tag
	}
	changed("created", "")
	request := fetch(t, w.verifier, requestID(started))
	changed("fetched", "")
	wrong := w.answer(request, me)
	wrong["residence"][0].Link = wrong["residence"][0].Item
	if err := w.respondEncrypted(requestID(started), w.encrypted(request, wrong)); codeOf(err) != check.ProofInvalid {
		t.Fatal(err)
	}
	rejected := changed("rejected", "")
	if err := w.respondEncrypted(requestID(started), w.encrypted(request, w.answer(request, me))); err != nil {
		t.Fatal(err)
	}
	changed("verified, without the code", "")
	code := must(url.Parse(must(w.verifier.Redirect(t.Context(), requestID(started), true))(t)))(t).Query().Get("response_code")
	changed("verified", "?response_code="+code)
	if r := read("?response_code=x", rejected); r.Code != 403 {
		t.Errorf("a made-up code with a tag: %d", r.Code)
	}
	started = must(w.verifier.Start(t.Context(), "app", "residence", time.Minute))(t)
	path = "/v1/sessions/" + started.ID
	changed("another session", "")
	w.clock.advance(time.Minute)
	changed("expired by the clock", "")
}

// While a response is checked the tag is that of "responded".
func TestEntityTagWhileResponding(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	started, request, id := w.begin("residence")
	held := &holding{Ledger: w.ledger, entered: make(chan bool), leave: make(chan bool)}
	w.with(func(c *verifier.Config) { c.Ledger = held })
	app := w.token("app", verifier.ScopeRead)
	before := w.call("GET", "/v1/sessions/"+started.ID, app, "", "").Header().Get("ETag")
	done := make(chan error, 1)
	go func() { done <- w.respond(id, request, w.answer(request, me)) }()
	<-held.entered
	during := w.call("GET", "/v1/sessions/"+started.ID, app, "", "")
	if !strings.Contains(during.Body.String(), `"responded"`) || during.Header().Get("ETag") == before {
		t.Errorf("%s %s", during.Body, during.Header().Get("ETag"))
	}
	close(held.leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// holding is a ledger that makes the first who looks for a root wait.
type holding struct {
	verifier.Ledger
	entered, leave chan bool
}

func (h *holding) FindRoot(ctx context.Context, root credential.Element, freshness time.Duration) (client.SealAt, error) {
	select {
	case h.entered <- true:
	case <-h.leave:
	}
	<-h.leave
	return h.Ledger.FindRoot(ctx, root, freshness)
}

func TestCancelSession(t *testing.T) {
	w := newWorld(t)
	me := w.resident(w.person())
	w.seal()
	app, other := w.token("app", verifier.ScopeWrite), w.token("other", verifier.ScopeWrite)
	started, request, id := w.begin("subsidy")
	path := "/v1/sessions/" + started.ID + "/cancel"
	if r := w.call("POST", path, other, "", ""); r.Code != 404 {
		t.Errorf("another application: %d", r.Code)
	}
	if r := w.call("POST", path, w.token("app", verifier.ScopeRead), "", ""); r.Code != 403 {
		t.Errorf("a reader: %d", r.Code)
	}
	for range 2 {
		if s := decode[verifier.Status](t, w.call("POST", path, app, "", ""), 200); s.State != verifier.Cancelled || !s.Final || s.ID != started.ID {
			t.Errorf("%+v", s)
		}
	}
	if got := codeOf(w.respond(id, request, w.answer(request, me))); got != check.SessionAnswered {
		t.Errorf("a response to it: %s", got)
	}
	if w.status(started.ID).State != verifier.Cancelled || w.count("tag/") != 0 {
		t.Errorf("%+v", w.status(started.ID))
	}
	answered, request, id := w.begin("subsidy")
	if err := w.respond(id, request, w.answer(request, me)); err != nil {
		t.Fatal(err)
	}
	expired := must(w.verifier.Start(t.Context(), "app", "residence", time.Minute))(t)
	w.clock.advance(time.Minute)
	for _, id := range []string{answered.ID, expired.ID} {
		before := w.status(id)
		if p := decode[struct{ Code string }](t, w.call("POST", "/v1/sessions/"+id+"/cancel", app, "", ""), 409); p.Code != "session_ended" || w.status(id).State != before.State {
			t.Errorf("%+v: %+v", before, p)
		}
	}
	w.clock.advance(time.Hour / 2) // cancelled stays so until it is dropped
	if s := decode[verifier.Status](t, w.call("POST", path, app, "", ""), 200); s.State != verifier.Cancelled {
		t.Errorf("%+v", s)
	}
}

// Of who cancels and who answers at the same moment one wins, and everybody is told the same.
func TestCancelRacesAnswer(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		var people []*held
		for range 24 {
			people = append(people, w.resident(w.person()))
		}
		w.seal()
		app := w.token("app", verifier.ScopeWrite)
		won := make(map[string]int)
		for i, me := range people {
			started, request, id := w.begin("subsidy")
			_, page, _ := strings.Cut(started.PageURI, "/verify/")
			token := w.answer(request, me)
			tags := w.count("tag/")
			cancels := make([]int, 2)
			codes := together(4, func(n int) error {
				switch n {
				case 0:
					return w.respond(id, request, token)
				case 1:
					time.Sleep(time.Duration(i) * 300 * time.Microsecond) // so that both win at times
					return w.verifier.CancelPage(t.Context(), page)
				default:
					time.Sleep(time.Duration(i) * 300 * time.Microsecond)
					cancels[n-2] = w.call("POST", "/v1/sessions/"+started.ID+"/cancel", app, "", "").Code
					return nil
				}
			})
			state, consumed := w.status(started.ID).State, w.count("tag/")-tags
			verified := state == verifier.Verified && consumed == 1 && slices.Equal(cancels, []int{409, 409}) && codes["ok"] == 4
			cancelled := state == verifier.Cancelled && consumed == 0 && slices.Equal(cancels, []int{200, 200}) && codes["ok"] == 3 && codes[check.SessionAnswered] == 1
			if verified == cancelled {
				t.Fatalf("%s, %d tags, cancels %v, %v", state, consumed, cancels, codes)
			}
			won[fmt.Sprint(state)]++
		}
		t.Logf("%v", won)
	})
}
