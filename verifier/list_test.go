package verifier_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/verifier"
)

// pages reads a list to its end.
func (w *world) pages(token, query string) (ids []string, pages int) {
	w.t.Helper()
	for next := ""; ; {
		r := w.call("GET", "/v1/sessions?"+query+"&after="+next, token, "", "")
		page := decode[sessionPage](w.t.(*testing.T), r, 200)
		if strings.Contains(r.Body.String(), `"result"`) {
			w.t.Errorf("a list has a result: %s", r.Body)
		}
		for _, s := range page.Sessions {
			ids = append(ids, s.ID)
		}
		pages++
		if next = page.Next; next == "" {
			return ids, pages
		}
	}
}

func TestListSessions(t *testing.T) {
	stores(t, func(t *testing.T, w *world) {
		app, other := w.token("app", verifier.ScopeRead, verifier.ScopeWrite), w.token("ap", verifier.ScopeRead)
		var all, land []string
		for i := range 7 {
			policy := "residence"
			if i%3 == 0 {
				policy = "land"
			}
			started := must(w.verifier.Start(t.Context(), "app", policy, time.Minute))(t)
			if all = append([]string{started.ID}, all...); policy == "land" {
				land = append([]string{started.ID}, land...)
			}
			w.clock.advance(time.Second)
		}
		if _, err := w.verifier.Start(t.Context(), "another", "land", 0); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]struct {
			ids   []string
			pages int
		}{
			"":                        {all, 1},
			"limit=3":                 {all, 3},
			"limit=7":                 {all, 1},
			"limit=1":                 {all, 7},
			"policy=land":             {land, 1},
			"policy=land&limit=2":     {land, 2},
			"policy=x":                {nil, 1},
			"state=created&limit=200": {all, 1},
			"state=verified":          {nil, 1},
		} {
			if ids, pages := w.pages(app, query); !slices.Equal(ids, want.ids) || pages != want.pages {
				t.Errorf("%q: %d pages of %v, want %d of %v", query, pages, ids, want.pages, want.ids)
			}
		}
		if ids, _ := w.pages(other, ""); len(ids) != 0 {
			t.Errorf("another application sees %v", ids)
		}
		// Sessions that begin meanwhile do not shift the pages.
		first := decode[sessionPage](t, w.call("GET", "/v1/sessions?limit=3", app, "", ""), 200)
		newest := must(w.verifier.Start(t.Context(), "app", "land", time.Minute))(t)
		second := decode[sessionPage](t, w.call("GET", "/v1/sessions?limit=3&after="+first.Next, app, "", ""), 200)
		if second.Sessions[0].ID != all[3] {
			t.Errorf("%+v", second)
		}
		if s := second.Sessions[0]; s.StartedAt == 0 || s.ExpiresAt != s.StartedAt+60 || s.Policy != "land" || s.State != verifier.Created || s.Final {
			t.Errorf("%+v", s)
		}
		for _, query := range []string{"limit=0", "limit=201", "limit=x", "state=open", "after=x", "after=" + first.Next + "x", "after=../" + first.Next[3:], "x=y"} {
			if r := w.call("GET", "/v1/sessions?"+query, app, "", ""); r.Code != 400 && r.Code != 422 || !strings.Contains(r.Body.String(), `"malformed"`) {
				t.Errorf("%s: %d %s", query, r.Code, r.Body)
			}
		}
		w.clock.advance(59 * time.Second) // the newest alone is open
		if ids, _ := w.pages(app, "state=expired"); !slices.Equal(ids, all) {
			t.Errorf("expired: %v", ids)
		}
		if ids, _ := w.pages(app, "state=created"); !slices.Equal(ids, []string{newest.ID}) {
			t.Errorf("open: %v", ids)
		}
		w.clock.advance(2 * time.Hour)
		if _, err := w.verifier.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.count("own/"); n != 0 {
			t.Errorf("%d rows are left of sessions that are not", n)
		}
	})
}

// A list does not tell of a session with a return URI what its code is needed for, by its states neither.
func TestListHidesWhatNeedsTheCode(t *testing.T) {
	w, me := encrypting(t)
	app := w.token("app", verifier.ScopeRead)
	for _, back := range []string{"", "https://shop.example/back/x"} {
		started := must(w.verifier.StartWith(t.Context(), "app", verifier.Ask{Policy: "residence", ReturnURI: back}))(t)
		id := started.RequestURI[strings.LastIndex(started.RequestURI, "/")+1:]
		request := fetch(t, w.verifier, id)
		if err := w.respondEncrypted(id, w.encrypted(request, w.answer(request, me))); err != nil {
			t.Fatal(err)
		}
		state := verifier.Verified
		if back != "" {
			state = verifier.Responded
		}
		ids, _ := w.pages(app, "state="+string(state))
		if !slices.Equal(ids, []string{started.ID}) {
			t.Errorf("%s: %v", state, ids)
		}
	}
}

// A list looks at a bounded number of sessions for one page.
func TestListIsBounded(t *testing.T) {
	w := newWorld(t)
	w.with(func(c *verifier.Config) { c.PlainResponses = true })
	for range 1100 {
		if _, err := w.verifier.Start(t.Context(), "app", "residence", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	app := w.token("app", verifier.ScopeRead)
	if ids, pages := w.pages(app, "state=verified"); len(ids) != 0 || pages != 2 {
		t.Errorf("%d sessions in %d pages", len(ids), pages)
	}
	if ids, pages := w.pages(app, "limit=200"); len(ids) != 1100 || pages != 6 {
		t.Errorf("%d sessions in %d pages", len(ids), pages)
	}
}
