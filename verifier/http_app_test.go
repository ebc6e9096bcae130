package verifier_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/verifier"
)

// named sends a request with an idempotency key.
func (w *world) named(key, token, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/v1/sessions", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header["Idempotency-Key"] = strings.Split(key, "|")
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

// count is how many rows of the store begin with a prefix.
func (w *world) count(prefix string) (n int) {
	w.t.Helper()
	if err := w.store.Each(prefix, func(string, []byte) error { n++; return nil }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

const wanted = `{"policy":"residence"}`

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	app, other := w.token("app", verifier.ScopeWrite), w.token("other", verifier.ScopeWrite)
	first := w.named(`"k-1"`, app, wanted)
	if first.Code != http.StatusCreated || first.Header().Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	again := w.named(`k-1`, app, ` { "policy" : "residence" } `) // the same, with other spaces
	if again.Code != http.StatusCreated || again.Body.String() != first.Body.String() || again.Header().Get("Idempotency-Replayed") != "true" ||
		again.Header().Get("Location") != first.Header().Get("Location") || w.count("session/") != 1 {
		t.Errorf("again: %d %v %s", again.Code, again.Header(), again.Body)
	}
	w.start()
	if later := w.named("k-1", app, wanted); later.Body.String() != first.Body.String() {
		t.Errorf("after a restart: %d %s", later.Code, later.Body)
	}
	for _, body := range []string{`{"policy":"land"}`, `{"policy":"residence","lifetime_seconds":60}`} {
		if r := w.named("k-1", app, body); r.Code != http.StatusUnprocessableEntity || !strings.Contains(r.Body.String(), `"idempotency_key"`) {
			t.Errorf("another request: %d %s", r.Code, r.Body)
		}
	}
	if r := w.named("k-1", other, wanted); r.Code != http.StatusCreated || r.Body.String() == first.Body.String() {
		t.Errorf("another application's key: %d %s", r.Code, r.Body)
	}
	if r := w.named("k-2", app, `{"policy":"none"}`); r.Code != http.StatusNotFound {
		t.Errorf("%d", r.Code)
	}
	if r := w.named("k-2", app, wanted); r.Code != http.StatusCreated || r.Body.String() == first.Body.String() {
		t.Errorf("a key whose request was refused: %d %s", r.Code, r.Body)
	}
	for _, key := range []string{"", `"`, `"a`, "a b", "a,b", "a;b", "ключ", strings.Repeat("x", 256), "k-3|k-3"} {
		if r := w.named(key, app, wanted); r.Code != http.StatusBadRequest || !strings.Contains(r.Body.String(), `"malformed"`) {
			t.Errorf("key %q: %d %s", key, r.Code, r.Body)
		}
	}
}

// A day later the key is free, whether its row was purged or not.
func TestIdempotencyKeyEnds(t *testing.T) {
	for _, purged := range []bool{false, true} {
		w := newWorld(t)
		first := w.named("k", w.token("app", verifier.ScopeWrite), wanted)
		w.clock.advance(23 * time.Hour)
		w.seal()
		if _, err := w.verifier.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w.count("session/") != 0 {
			t.Fatal("the session is kept")
		}
		if r := w.named("k", w.token("app", verifier.ScopeWrite), wanted); r.Body.String() != first.Body.String() {
			t.Errorf("on the same day: %d %s", r.Code, r.Body)
		}
		w.clock.advance(time.Hour)
		w.seal()
		if purged {
			if _, err := w.verifier.Purge(t.Context()); err != nil || w.count("named/")+w.count("due-named/") != 0 {
				t.Errorf("%v, %d rows are left", err, w.count("named/"))
			}
		}
		second := w.named("k", w.token("app", verifier.ScopeWrite), wanted)
		if second.Code != http.StatusCreated || second.Body.String() == first.Body.String() {
			t.Errorf("a day later: %d %s", second.Code, second.Body)
		}
		if _, err := w.verifier.Purge(t.Context()); err != nil || w.count("named/") != 1 || w.count("due-named/") != 1 {
			t.Errorf("%v, %d rows, %d due", err, w.count("named/"), w.count("due-named/"))
		}
		if r := w.named("k", w.token("app", verifier.ScopeWrite), wanted); r.Body.String() != second.Body.String() {
			t.Errorf("and again: %d %s", r.Code, r.Body)
		}
	}
}

// One key many times at once is one session, in memory and on disk.
func TestIdempotencyKeyRace(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		app := w.token("app", verifier.ScopeWrite)
		bodies := make([]string, 32)
		together(len(bodies), func(i int) error {
			bodies[i] = w.named("k", app, wanted).Body.String()
			return nil
		})
		for _, body := range bodies {
			if body != bodies[0] || !strings.Contains(body, `"id"`) {
				t.Errorf("%s\n%s", bodies[0], body)
			}
		}
		if n := w.count("session/"); n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

// losing is a store whose first start of a session fails, before or after it is there.
type losing struct {
	verifier.Store
	applied, failed bool
}

func (l *losing) Commit(b verifier.Batch) error {
	if l.failed || len(b.Absent) < 3 {
		return l.Store.Commit(b)
	}
	l.failed = true
	if l.applied {
		if err := l.Store.Commit(b); err != nil {
			return err
		}
	}
	return errDisk
}

// Who lost the answer of a crash asks again, and there is one session.
func TestIdempotencyKeyAfterACrash(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w := newWorld(t)
		w.store = &losing{Store: w.store, applied: applied}
		w.start()
		app := w.token("app", verifier.ScopeWrite)
		if r := w.named("k", app, wanted); r.Code != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", r.Code, r.Body)
		}
		w.start()
		again := w.named("k", app, wanted)
		if again.Code != http.StatusCreated || (again.Header().Get("Idempotency-Replayed") != "") != applied || w.count("session/") != 1 {
			t.Errorf("applied %v: %d %s, %d sessions", applied, again.Code, again.Body, w.count("session/"))
		}
	}
}

// The document describes what is there: each operation with its scope, and each asks for it.
func TestOpenAPIDocument(t *testing.T) {
	w := newWorld(t)
	got := w.call("GET", "/v1/openapi.json", "", "", "")
	var document struct {
		OpenAPI string
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
			Security    []map[string][]string
		}
	}
	if err := json.Unmarshal(got.Body.Bytes(), &document); err != nil || document.OpenAPI != "3.1.0" || document.Servers[0].URL != "https://verify.example/bulla/v1" {
		t.Fatalf("%.300s: %v", got.Body, err)
	}
	powerless := w.token("app", "verifier:nothing")
	operations := make(map[string]bool)
	for path, item := range document.Paths {
		for method, op := range item {
			operations[op.OperationID] = true
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 || len(op.Security) != 1 || len(op.Security[0]["oauth2"]) != 1 {
				t.Errorf("%s %s: %+v", method, path, op)
				continue
			}
			asked := w.call(strings.ToUpper(method), "/v1"+strings.ReplaceAll(path, "{id}", "x"), powerless, "", "")
			if asked.Code != http.StatusForbidden || !strings.Contains(asked.Header().Get("WWW-Authenticate"), op.Security[0]["oauth2"][0]) {
				t.Errorf("%s %s without its scope: %d %s", method, path, asked.Code, asked.Body)
			}
		}
	}
	for _, name := range []string{"start-session", "read-session", "list-sessions", "cancel-session", "follow-session", "validate"} {
		if !operations[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if text := got.Body.String(); !strings.Contains(text, `"lifetime_seconds"`) || !strings.Contains(text, "Idempotency-Key") || !strings.Contains(text, "https://verify.example/bulla/oauth/token") {
		t.Errorf("%s", text)
	}
	for _, wrong := range []string{"octet-stream", `"ErrorDetail"`} {
		if strings.Contains(got.Body.String(), wrong) {
			t.Errorf("the document has %s", wrong)
		}
	}
	var schemas struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
				Required   []string
			}
		}
	}
	if err := json.Unmarshal(got.Body.Bytes(), &schemas); err != nil {
		t.Fatal(err)
	}
	if s := schemas.Components.Schemas; len(s["Status"].Properties["state"].Enum) != 7 || !slices.Contains(s["ErrorModel"].Required, "code") || !slices.Equal(s["SessionRequest"].Required, []string{"policy"}) {
		t.Errorf("schemas %+v", s)
	}
	page := w.call("GET", "/v1/docs", "", "", "")
	if page.Code != 200 || !strings.Contains(page.Body.String(), "/sessions/{id}") || strings.Contains(page.Body.String(), "<script") || page.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", page.Code, page.Body)
	}
}
