package verifier_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/verifier/check"
)

// An application reads the log of its own sessions; who keeps the verifier reads all of it.
func TestHTTPLog(t *testing.T) {
	w := newWorld(t)
	for i := range 6 {
		if _, err := w.verifier.Start(t.Context(), []string{"app", "other"}[i%2], "residence", 0); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.advance(2 * time.Hour)
	w.purge()
	w.clock.advance(time.Second)
	for _, c := range []struct {
		client string
		scopes []string
		path   string
		want   int
	}{
		{"app", []string{verifier.ScopeLog}, "/v1/log", 3},
		{"nobody", []string{verifier.ScopeLog}, "/v1/log", 0},
		{"office", []string{verifier.ScopeLog, verifier.ScopeLogAll}, "/v1/log?limit=1000", 7},
		{"office", []string{verifier.ScopeLog, verifier.ScopeLogAll}, fmt.Sprintf("/v1/log?since=%d", w.clock.Now().Unix()), 0},
	} {
		page := decode[verifier.LogPage](t, w.call("GET", c.path, w.token(c.client, c.scopes...), "", ""), 200)
		if len(page.Entries) != c.want || page.Next != "" {
			t.Errorf("%s %s: %+v", c.client, c.path, page)
		}
	}
	app := w.token("app", verifier.ScopeLog)
	first := decode[verifier.LogPage](t, w.call("GET", "/v1/log?limit=2", app, "", ""), 200)
	second := decode[verifier.LogPage](t, w.call("GET", "/v1/log?limit=2&after="+first.Next, app, "", ""), 200)
	if len(first.Entries) != 2 || len(second.Entries) != 1 || second.Next != "" {
		t.Errorf("%+v, %+v", first, second)
	}
	for path, want := range map[string]int{"?limit=0": 422, "?limit=1001": 422, "?limit=x": 422, "?since=-1": 422, "?after=x": 400, "?after=session/": 400} {
		if p := decode[webapi.Problem](t, w.call("GET", "/v1/log"+path, app, "", ""), want); p.Code != "malformed" {
			t.Errorf("%s: %+v", path, p)
		}
	}
	for _, scopes := range [][]string{{verifier.ScopeRead, verifier.ScopeWrite}, {verifier.ScopeLogAll}} {
		if r := w.call("GET", "/v1/log", w.token("app", scopes...), "", ""); r.Code != http.StatusForbidden {
			t.Errorf("%v: %d", scopes, r.Code)
		}
	}
}

func TestHTTPScopes(t *testing.T) {
	w := newWorld(t)
	keeper := w.token("office", verifier.ScopeScopes, verifier.ScopeClose)
	type list struct{ Scopes []verifier.CountedScope }
	if got := decode[list](t, w.call("GET", "/v1/scopes", keeper, "", ""), 200); len(got.Scopes) != 2 || !got.Scopes[1].Open {
		t.Fatalf("%+v", got)
	}
	close := func(body string, want int) string {
		r := w.call("POST", "/v1/scopes/close", keeper, "application/json", body)
		if r.Code != want {
			t.Errorf("%s: %d %s", body, r.Code, r.Body)
		}
		return r.Body.String()
	}
	for _, body := range []string{`{}`, `{"scope":""}`, `{"scope":"subsidy"}`, `[]`, `{"scope":"` + subsidy.String() + `","why":"restored"}`} {
		close(body, 400)
	}
	if body := close(`{"scope":"`+strings.Repeat("A", 42)+`E"}`, 404); !strings.Contains(body, "scope_unknown") {
		t.Error(body)
	}
	if body := close(`{"scope":"`+subsidy.String()+`"}`, 200); !strings.Contains(body, `"open":false`) || !strings.Contains(body, `"why":"operator"`) {
		t.Error(body)
	}
	app := w.token("app", verifier.ScopeWrite)
	if p := decode[webapi.Problem](t, w.call("POST", "/v1/sessions", app, "application/json", `{"policy":"subsidy"}`), 409); p.Code != string(check.ScopeClosed) {
		t.Errorf("%+v", p)
	}
	if r := w.call("POST", "/v1/scopes/close", w.token("office", verifier.ScopeScopes), "application/json", `{"scope":"`+subsidy.String()+`"}`); r.Code != http.StatusForbidden {
		t.Errorf("who may only look closes: %d", r.Code)
	}
}

func TestHTTPBackup(t *testing.T) {
	w := newWorld(t)
	keeper := w.token("office", verifier.ScopeBackups)
	if p := decode[webapi.Problem](t, w.call("POST", "/v1/backups", keeper, "", ""), 409); p.Code != "no_backups" {
		t.Errorf("%+v", p)
	}
	var names []string
	var fails error
	cfg := w.config()
	cfg.Backup = func(name string) error {
		names = append(names, name)
		if r := w.call("POST", "/v1/backups", keeper, "", ""); r.Code != http.StatusServiceUnavailable {
			t.Errorf("two at a time: %d", r.Code)
		}
		return fails
	}
	v, err := verifier.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = v.Handler()
	if c := decode[verifier.Copied](t, w.call("POST", "/v1/backups", keeper, "", ""), 201); c.Name != "20261122T120000Z" || len(names) != 1 || names[0] != c.Name {
		t.Errorf("%+v, %q", c, names)
	}
	fails = errors.New("disk is full")
	if r := w.call("POST", "/v1/backups", keeper, "", ""); r.Code != http.StatusServiceUnavailable || strings.Contains(r.Body.String(), "disk") {
		t.Errorf("%d %s", r.Code, r.Body)
	}
	if r := w.call("POST", "/v1/backups", w.token("app", verifier.ScopeWrite), "", ""); r.Code != http.StatusForbidden {
		t.Errorf("%d", r.Code)
	}
}
