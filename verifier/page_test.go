package verifier_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/verifier"
)

// pageOf starts a session over HTTP and returns it with its page's id.
func (w *world) pageOf(t *testing.T) (verifier.Started, string) {
	t.Helper()
	app := w.token("app", verifier.ScopeWrite)
	started := decode[verifier.Started](t, w.call("POST", "/v1/sessions", app, "application/json", `{"policy":"residence"}`), http.StatusCreated)
	page, found := strings.CutPrefix(started.PageURI, "https://verify.example/bulla/verify/")
	if !found || strings.Contains(page, started.ID) || strings.Contains(started.RequestURI, page) {
		t.Fatalf("%+v", started)
	}
	return started, page
}

// A page says what is asked and how far it is, in both languages, and no result.
func TestVisit(t *testing.T) {
	w := newWorld(t)
	w.seal()
	started, page := w.pageOf(t)
	visit, err := w.verifier.Visit(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	if visit.State != verifier.Created || visit.Final || visit.RequestLink != started.RequestLink || visit.DID != bank || visit.Policy.ID != "residence" || visit.ExpiresAt.IsZero() {
		t.Errorf("%+v", visit)
	}
	for _, language := range []string{"en", "zh-CN"} {
		preview, err := w.verifier.PreviewPolicy(t.Context(), "residence", w.clock.Now(), language)
		if err != nil {
			t.Fatal(err)
		}
		q := preview.Queries[0] // is what people read
		if !slices.Equal(visit.Facts[language], q.Facts) || !slices.Equal(visit.Shown[language], q.Shown) || !slices.Equal(visit.Narrows[language], q.Narrows) || len(q.Narrows) != 5 ||
			len(visit.Linking[language]) != 1 || visit.Linking[language][0].Kind != policy.LinkedByNothing {
			t.Errorf("%s: %+v", language, visit)
		}
	}
	for _, other := range []string{"", "x", started.ID, strings.TrimPrefix(started.RequestURI, "https://verify.example/bulla/oid4vp/requests/")} {
		if _, err := w.verifier.Visit(t.Context(), other); !errors.Is(err, verifier.ErrAbsent) {
			t.Errorf("page %q: %v", other, err)
		}
		if err := w.verifier.CancelPage(t.Context(), other); !errors.Is(err, verifier.ErrAbsent) {
			t.Errorf("cancel %q: %v", other, err)
		}
	}
}

// Who cancels ends the session for the wallet and the application.
func TestCancelPage(t *testing.T) {
	w := newWorld(t)
	w.seal()
	started, page := w.pageOf(t)
	for range 2 {
		if err := w.verifier.CancelPage(t.Context(), page); err != nil {
			t.Fatal(err)
		}
	}
	progress, err := w.verifier.Progress(t.Context(), page)
	if err != nil || progress.State != verifier.Cancelled || !progress.Final {
		t.Errorf("%+v, %v", progress, err)
	}
	status, err := w.verifier.Status(t.Context(), "app", started.ID)
	if err != nil || status.State != verifier.Cancelled || !status.Final {
		t.Errorf("%+v, %v", status, err)
	}
	path := strings.TrimPrefix(started.RequestURI, "https://verify.example/bulla")
	if got := w.call("GET", path, "", "", ""); got.Code != http.StatusGone {
		t.Errorf("the request of a cancelled session: %d %s", got.Code, got.Body)
	}
}
