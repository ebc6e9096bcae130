package issuer_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/statuslist"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
)

// A list is served to anybody, is cached, and is signed anew when a status changed or it is no longer young.
func TestStatusListEndpoint(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	for _, path := range []string{"/1", "/2", "/0", "/01", "/x", "/-1", "/1x", "/", "/18446744073709551616"} {
		if got := a.call(call{method: http.MethodGet, path: "/agencies/land/status-lists" + path}); got.status != http.StatusNotFound {
			t.Errorf("%s, which is no list: %d", path, got.status)
		}
	}
	_, c := a.mustIssue(p, a.title(p, "1"))
	_, text := a.mustCompanion(c.ID)
	uri := referenceOf(t, text).URI
	if uri != agencyURL+"/status-lists/1" {
		t.Fatalf("the list is at %s", uri)
	}
	first := a.list(uri)
	tag := first.header.Get("ETag")
	if first.header.Get("Cache-Control") != "public, max-age=60" || first.header.Get("Access-Control-Allow-Origin") != "*" || len(tag) != 45 {
		t.Errorf("%v", first.header)
	}
	token := must(statuslist.Verify(string(first.body), statuslist.Expected{URI: uri, Keys: a.issuerKeys(), Now: a.clock.Now()}))(t)
	if token.TTL != 5*time.Minute || !token.ExpiresAt.Equal(token.IssuedAt.Add(24*time.Hour)) || token.List.Capacity() != statuslist.Capacity || token.List.Bits() != 2 {
		t.Errorf("%+v", token)
	}
	conditional := func(tag string) answer {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/agencies/land/status-lists/1", nil)
		r.Header.Set("If-None-Match", tag)
		return record(a.Handler(), r)
	}
	if got := conditional(tag); got.status != http.StatusNotModified || len(got.body) != 0 || got.header.Get("ETag") != tag {
		t.Errorf("unchanged: %d, %d bytes", got.status, len(got.body))
	}
	a.mustCompanion(c.ID) // a new one is valid: nobody sees that it is there
	a.clock.Advance(4 * time.Minute)
	if again := a.list(uri); string(again.body) != string(first.body) {
		t.Error("signed again without need")
	}
	a.clock.Advance(time.Minute)
	aged := a.list(uri)
	if string(aged.body) == string(first.body) {
		t.Error("an old list is served")
	}
	must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
	if got := conditional(aged.header.Get("ETag")); got.status != http.StatusOK || string(got.body) == string(aged.body) {
		t.Errorf("a changed list: %d", got.status)
	}
	a.clock.Advance(-time.Hour) // a clock that was put right
	if got := a.status(text); got != statuslist.Suspended {
		t.Errorf("%s", got)
	}
	if got := a.call(call{method: http.MethodGet, path: "/agencies/land/status-lists/1?time=1"}); got.status != http.StatusNotImplemented {
		t.Errorf("a list of the past: %d", got.status)
	}
	for _, path := range []string{"/agencies/land/status-lists/1", "/.well-known/jwt-vc-issuer/agencies/land"} {
		asked := a.call(call{method: http.MethodOptions, path: path})
		if asked.status != http.StatusNoContent || asked.header.Get("Access-Control-Allow-Methods") != http.MethodGet {
			t.Errorf("a page that asks before: %d %v", asked.status, asked.header)
		}
	}
	if got := a.call(call{path: "/agencies/land/status-lists/1", body: "{}"}); got.status == http.StatusOK {
		t.Errorf("posted to: %d", got.status)
	}
}

// An agency that has no companions any more goes on serving the statuses of those that it issued.
func TestCompanionsEnded(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	_, text := a.mustCompanion(c.ID)
	a.cfg.Companions = nil
	a.restart()
	if _, got := a.offerCompanion(c.ID, `{}`); got.status != http.StatusConflict || got.fields["code"] != "no-companion" {
		t.Errorf("%d %s", got.status, got.body)
	}
	must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
	if got := a.status(text); got != statuslist.Suspended {
		t.Errorf("%s", got)
	}
}

// After a change of keys the old credentials verify by the old key, and the list by the new one.
func TestCompanionKeyChanged(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	before, text := a.mustCompanion(c.ID)
	old := a.cfg.Keys.Companion
	a.cfg.Keys.Companion, a.cfg.Keys.CompanionRetired = must(jose.Generate(jose.ES256))(t), []jose.PublicKey{old.Public()}
	a.restart()
	before.agency = a
	before.verify(text)
	after, fresh := a.mustCompanion(c.ID)
	after.verify(fresh)
	if a.status(text) != statuslist.Valid || a.status(fresh) != statuslist.Valid {
		t.Errorf("%s, %s", a.status(text), a.status(fresh))
	}
	kid := func(text string) string {
		header, _, err := jose.PeekCompact(text)
		if err != nil {
			t.Fatal(err)
		}
		return header.KeyID
	}
	current := a.cfg.Keys.Companion.Public().KeyID()
	if list := string(a.list(referenceOf(t, text).URI).body); kid(list) != current || kid(strings.SplitN(fresh, "~", 2)[0]) != current {
		t.Error("the old key still signs")
	}
}

// A list that is full is followed by another, and goes on saying what became of its credentials.
func TestStatusListFull(t *testing.T) {
	store := new(records.Memory)
	a, p := newCompanionAgency(t, func(c *issuer.Config) { c.Store = store }), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	_, first := a.mustCompanion(c.ID)
	full := must(json.Marshal(map[string]any{"current": 1, "taken": statuslist.Capacity / 8 * 7}))(t)
	if err := store.Commit(map[string][]byte{"status-lists": full}); err != nil {
		t.Fatal(err)
	}
	_, next := a.mustCompanion(c.ID)
	if referenceOf(t, first).URI != agencyURL+"/status-lists/1" || referenceOf(t, next).URI != agencyURL+"/status-lists/2" {
		t.Errorf("%+v, %+v", referenceOf(t, first), referenceOf(t, next))
	}
	must(a.Revoke(t.Context(), clerk, c.ID, because("r")))(t)
	if a.status(first) != statuslist.Invalid || a.status(next) != statuslist.Invalid {
		t.Errorf("%s, %s", a.status(first), a.status(next))
	}
}

// More lists than are kept in memory: each says what is true of its own.
func TestManyStatusLists(t *testing.T) {
	store := new(records.Memory)
	a, p := newCompanionAgency(t, func(c *issuer.Config) { c.Store = store }), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	var texts []string
	for n := range 20 {
		current := must(json.Marshal(map[string]any{"current": n + 1, "taken": 0}))(t)
		if err := store.Commit(map[string][]byte{"status-lists": current}); err != nil {
			t.Fatal(err)
		}
		_, text := a.mustCompanion(c.ID)
		texts = append(texts, text)
	}
	for _, want := range []statuslist.Status{statuslist.Valid, statuslist.Suspended} {
		if want == statuslist.Suspended {
			must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
		}
		for _, text := range texts {
			if got := a.status(text); got != want {
				t.Errorf("%s: %s, want %s", referenceOf(t, text).URI, got, want)
			}
		}
	}
}

// putBack is what becomes of an agency whose records are put back to an earlier day, and which goes on although the chain has more.
func (a *agency) putBack(store *records.Memory, since func()) {
	a.t.Helper()
	rows := func() map[string][]byte {
		all := map[string][]byte{}
		if err := store.Scan("", "", func(key string, value []byte) bool { all[key] = value; return true }); err != nil {
			a.t.Fatal(err)
		}
		return all
	}
	backup := rows()
	since()
	if err := a.stop(); err != nil {
		a.t.Fatal(err)
	}
	old := rows()
	for key := range old {
		old[key] = backup[key] // nil: it was not there
	}
	maps.Copy(old, backup)
	if err := store.Commit(old); err != nil {
		a.t.Fatal(err)
	}
	a.restart()
	eventually(a.t, "the issuer is ready", a.Ready)
}

// Where an old backup was taken up, companions that it does not know are invalid: nobody could ever revoke them.
func TestCompanionsLost(t *testing.T) {
	store := new(records.Memory)
	a, p := newCompanionAgency(t, func(c *issuer.Config) { c.Store, c.AcceptLoss = store, true }), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	_, known := a.mustCompanion(c.ID)
	var lost string
	a.putBack(store, func() {
		_, lost = a.mustCompanion(c.ID)
		a.mustIssue(p, a.title(p, "2")) // which the chain has
		if a.status(lost) != statuslist.Valid {
			t.Error("not valid before")
		}
	})
	if a.status(known) != statuslist.Valid || a.status(lost) != statuslist.Invalid {
		t.Errorf("%s, %s", a.status(known), a.status(lost))
	}
	_, fresh := a.mustCompanion(c.ID)
	if referenceOf(t, fresh).URI != agencyURL+"/status-lists/1001" || a.status(fresh) != statuslist.Valid {
		t.Errorf("%+v is %s", referenceOf(t, fresh), a.status(fresh))
	}
}

// The same where the backup is of before the first companion: its list is not there, and is not begun anew.
func TestFirstCompanionLost(t *testing.T) {
	store := new(records.Memory)
	a, p := newCompanionAgency(t, func(c *issuer.Config) { c.Store, c.AcceptLoss = store, true }), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	var lost string
	a.putBack(store, func() {
		_, lost = a.mustCompanion(c.ID)
		a.mustIssue(p, a.title(p, "2"))
	})
	_, fresh := a.mustCompanion(c.ID)
	if got := a.list(referenceOf(t, lost).URI); got.status != http.StatusNotFound || referenceOf(t, fresh).URI != agencyURL+"/status-lists/1001" {
		t.Errorf("%d, %+v", got.status, referenceOf(t, fresh))
	}
}

// Readers of lists, wallets and clerks do not disturb each other, and the last word is the last change.
func TestStatusListsAtOnce(t *testing.T) {
	a, p := newCompanionAgency(t), newPerson("Li Wei")
	_, c := a.mustIssue(p, a.title(p, "1"))
	_, text := a.mustCompanion(c.ID)
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					a.StatusList(1)
				}
			}
		})
	}
	for range 5 {
		must(a.Suspend(t.Context(), clerk, c.ID, because("r")))(t)
		if got := a.status(text); got != statuslist.Suspended {
			t.Errorf("%s", got)
		}
		must(a.Reinstate(t.Context(), clerk, c.ID, because("r")))(t)
		if got := a.status(text); got != statuslist.Valid {
			t.Errorf("%s", got)
		}
	}
	close(stop)
	group.Wait()
}
