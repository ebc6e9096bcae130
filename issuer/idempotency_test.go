package issuer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/issuer"
)

// named is a request to the admin API with an idempotency key.
func (a *agency) named(key, bearer, path, body string) answer {
	a.t.Helper()
	r := httptest.NewRequestWithContext(a.t.Context(), http.MethodPost, "/agencies/land/admin/v1"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	r.Header.Set("Idempotency-Key", key)
	return record(a.Handler(), r)
}

func (a *agency) titleBody(p *person, parcel string) string {
	return string(must(json.Marshal(a.title(p, parcel)))(a.t))
}

// count is how many rows of a table there are.
func (a *agency) count(table string) (n int) {
	a.t.Helper()
	if err := a.cfg.Store.Scan(table+"/", "", func(string, []byte) bool { n++; return true }); err != nil {
		a.t.Fatal(err)
	}
	return n
}

func TestIdempotencyKey(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	clerks, others := a.bearer(issuer.ScopeOffers), must(a.AdminToken("another clerk", []string{issuer.ScopeOffers}, time.Hour))(t)
	first := a.named(`"k-1"`, clerks, "/offers", a.titleBody(p, "1"))
	if first.status != http.StatusCreated || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", first.status, first.body)
	}
	again := a.named(`"k-1"`, clerks, "/offers", a.titleBody(p, "1"))
	if again.status != http.StatusCreated || string(again.body) != string(first.body) || again.header.Get("Idempotency-Replayed") != "true" || a.count("application") != 1 {
		t.Errorf("again: %d %v %s", again.status, again.header, again.body)
	}
	a.restart()
	if later := a.named("k-1", clerks, "/offers", a.titleBody(p, "1")); string(later.body) != string(first.body) {
		t.Errorf("after a restart: %d %s", later.status, later.body)
	}
	if other := a.named(`"k-1"`, clerks, "/offers", a.titleBody(p, "2")); other.status != http.StatusUnprocessableEntity || other.fields["code"] != "idempotency-key" {
		t.Errorf("another request: %d %s", other.status, other.body)
	}
	if other := a.named(`"k-1"`, others, "/offers", a.titleBody(p, "1")); other.status != http.StatusCreated || string(other.body) == string(first.body) {
		t.Errorf("another officer's key: %d %s", other.status, other.body)
	}
	a.clock.Advance(24*time.Hour + time.Second)
	a.restart() // purges at once
	eventually(t, "the key is forgotten", func() bool { return a.count("idempotent") == 0 })
	others = must(a.AdminToken("another clerk", []string{issuer.ScopeOffers}, time.Hour))(t)
	if late := a.named(`"k-1"`, others, "/offers", a.titleBody(p, "1")); late.status != http.StatusCreated || late.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("a day later: %d %s", late.status, late.body)
	}
	for _, bad := range []string{"", `"`, `"a`, `a b`, `"a b"`, `"a\"b"`, "é", strings.Repeat("k", 256), `"a", "b"`, "a;b"} {
		if got := a.named(bad, others, "/offers", a.titleBody(p, "1")); got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "Idempotency-Key") {
			t.Errorf("key %.40q: %d %s", bad, got.status, got.body)
		}
	}
}

// What was refused is carried out when it is asked again under the same key and can be.
func TestIdempotencyKeyAfterRefusal(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	bearer := a.bearer(issuer.ScopeRevoke)
	reinstate := func() answer {
		return a.named("r", bearer, "/credentials/"+c.ID+"/reinstate", `{"code":"issued-in-error"}`)
	}
	if got := reinstate(); got.status != http.StatusConflict {
		t.Fatalf("%d %s", got.status, got.body)
	}
	must(a.Suspend(t.Context(), clerk, c.ID, because("a test")))(t)
	first := reinstate()
	if first.status != http.StatusOK {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if got := reinstate(); string(got.body) != string(first.body) || got.status != http.StatusOK {
		t.Errorf("again: %d %s", got.status, got.body)
	}
}

// 64 clients with one key make one offer; those that are too early are told to ask again, and then all have the same.
func TestIdempotencyKeyRace(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	bearer, body := a.bearer(issuer.ScopeOffers), a.titleBody(p, "1")
	answers := make([]string, 64)
	var group sync.WaitGroup
	for n := range answers {
		group.Go(func() {
			for range 200 {
				got := a.named("race", bearer, "/offers", body)
				if got.status == http.StatusCreated {
					answers[n] = string(got.body)
					return
				}
				if got.status != http.StatusConflict || got.fields["code"] != "under-way" || got.header.Get("Retry-After") == "" {
					answers[n] = fmt.Sprintf("%d %s", got.status, got.body)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	group.Wait()
	for n, text := range answers {
		if text != answers[0] || text == "" {
			t.Fatalf("client %d got %q, client 0 %q", n, text, answers[0])
		}
	}
	if n := a.count("application"); n != 1 {
		t.Errorf("%d offers", n)
	}
}

// stopping stops for good at the n-th commit from now, as a process does that is killed.
type stopping struct {
	issuer.Store
	mu   sync.Mutex
	left int
}

func (s *stopping) Commit(rows map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		return errNetwork
	}
	s.left--
	return s.Store.Commit(rows)
}

// Wherever we stop, the request is not carried out twice.
func TestIdempotencyKeyAfterCrash(t *testing.T) {
	for stop := range 4 {
		a, p := newAgency(t), newPerson("Li Wei")
		bearer, body, store := a.bearer(issuer.ScopeOffers), a.titleBody(p, "1"), a.cfg.Store
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		cfg := a.cfg
		cfg.Store = &stopping{Store: store, left: stop}
		dying := &agency{Issuer: must(issuer.New(cfg))(t), t: t, cfg: cfg}
		first := dying.named("k", bearer, "/offers", body)
		a.restart()
		second := a.named("k", bearer, "/offers", body)
		third := a.named("k-2", bearer, "/offers", body)
		offers := a.count("application")
		switch stop {
		case 0: // nothing was written
			if first.status == http.StatusCreated || second.status != http.StatusCreated || offers != 2 {
				t.Errorf("stop %d: %d, %d, %d offers", stop, first.status, second.status, offers)
			}
		case 1, 2: // the key was taken; the offer was made, or not
			if first.status == http.StatusCreated || second.status != http.StatusUnprocessableEntity || !strings.Contains(string(second.body), "look whether it did") || offers != stop {
				t.Errorf("stop %d: %d, %d %s, %d offers", stop, first.status, second.status, second.body, offers)
			}
		default:
			if first.status != http.StatusCreated || string(second.body) != string(first.body) || offers != 2 {
				t.Errorf("stop %d: %d, %d %s, %d offers", stop, first.status, second.status, second.body, offers)
			}
		}
		if third.status != http.StatusCreated {
			t.Errorf("stop %d, another key: %d %s", stop, third.status, third.body)
		}
	}
}

// Answers that are kept say nothing of who was erased.
func TestIdempotencyKeyErased(t *testing.T) {
	a, p := newAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "91216000AB0026"))
	bearer := a.bearer(issuer.ScopeRevoke)
	if got := a.named("k", bearer, "/credentials/"+c.ID+"/revoke", `{"code":"issued-in-error"}`); got.status != http.StatusOK || !strings.Contains(string(got.body), "91216000AB0026") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if a.count("idempotent") != 1 {
		t.Fatal("nothing is kept: the test proves nothing")
	}
	if got := a.named("e", bearer, "/credentials/"+c.ID+"/erase", `{"code":"issued-in-error"}`); got.status != http.StatusNoContent {
		t.Fatalf("%d %s", got.status, got.body)
	}
	err := a.cfg.Store.Scan("", "", func(key string, value []byte) bool {
		for _, personal := range []string{"91216000AB0026", "Li Wei"} {
			if strings.Contains(string(value), personal) {
				t.Errorf("row of %s has %s", key, personal)
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Only what changes something takes a key, and the document says so.
func TestIdempotencyKeyDocumented(t *testing.T) {
	a := newAgency(t)
	got := a.call(call{method: http.MethodGet, path: "/agencies/land/admin/v1/openapi.json", bearer: a.bearer(issuer.ScopeOffers)})
	var document struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name string }
		}
	}
	if err := json.Unmarshal(got.body, &document); err != nil {
		t.Fatal(err)
	}
	has := func(path, method string) bool {
		for _, p := range document.Paths[path][method].Parameters {
			if p.Name == "Idempotency-Key" {
				return true
			}
		}
		return false
	}
	if !has("/offers", "post") || !has("/credentials/{id}/revoke", "post") || !has("/applications/{id}/approve", "post") || has("/credentials/search", "post") || has("/credentials", "get") {
		t.Errorf("%v", document.Paths)
	}
}
