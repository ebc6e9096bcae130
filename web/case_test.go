package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/web/browsertest"
)

// cases are cases by link, which change while a browser looks; those of a running agency are tested in internal/office.
type cases struct {
	mu      sync.Mutex
	list    map[string]Case
	err     error
	changed chan struct{} // closed and replaced
}

func newCases() *cases {
	return &cases{changed: make(chan struct{}), list: map[string]Case{"link": {
		Agency: credential.Text{English: "Civil <i>affairs</i>", Chinese: "民政局"}, Title: credential.Text{English: "Residence", Chinese: "居住证"}, Kind: "issue", Version: 1,
		Steps: []CaseStep{{"submitted", time.Unix(1_800_000_000, 0)}}, Ahead: []string{"in-review", "approved", "issued"},
	}}}
}

func (c *cases) Case(_ context.Context, link string) (*Case, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if found, ok := c.list[link]; ok {
		return &found, nil
	}
	return nil, ErrAbsent
}

// step takes the case into a state.
func (c *cases) step(state string, ahead ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.list["link"]
	next.Version++
	next.Steps = append(slices.Clone(next.Steps), CaseStep{state, time.Unix(1_800_000_000, 0).Add(time.Duration(next.Version) * time.Hour)})
	next.Ahead = ahead
	c.list["link"] = next
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *cases) now() (uint64, chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list["link"].Version, c.changed
}

// serve has the pages and, as an agency has at the same address, events.
func (c *cases) serve(t *testing.T, events bool) *httptest.Server {
	t.Helper()
	pages := NewCasePages(c, "/a/progress", slog.New(slog.DiscardHandler))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case pages.Wants(r):
			pages.Handler().ServeHTTP(w, r)
		case events && r.Header.Get("Accept") == "text/event-stream":
			w.Header().Set("Content-Type", "text/event-stream")
			for {
				version, changed := c.now()
				fmt.Fprintf(w, "id: %d\nevent: progress\ndata: {}\n\n", version)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-changed:
				case <-r.Context().Done():
					return
				}
			}
		default:
			w.WriteHeader(http.StatusTeapot) // not ours
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestCasePage(t *testing.T) {
	c := newCases()
	s := c.serve(t, false)
	for language, want := range map[string][]string{
		"en":    {`<html lang="en">`, "Civil &lt;i&gt;affairs", "Residence", "Application for a credential", "Received", "Being reviewed", "still to come", "2027-01-15 08:00 UTC"},
		"zh-CN": {`<html lang="zh-CN">`, "民政局", "居住证", "凭证申请", "已受理", "审核中", "尚未进行"},
	} {
		response, page := get(t, s.URL+"/a/progress/link?lang="+language, "Accept", "text/html,*/*")
		if response.StatusCode != http.StatusOK || !strings.Contains(response.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || response.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: %s %v", language, response.Status, response.Header)
		}
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: the page has no %q", language, text)
			}
		}
		for _, name := range []string{"icon.svg", "verification.css", "case.css", "case.js"} {
			if !strings.Contains(page, `"files/`+name+"?v=") {
				t.Errorf("%s: the page does not refer to %s", language, name)
			}
			if response, _ := get(t, s.URL+"/a/progress/files/"+name); response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", name, response.Status)
			}
		}
	}
}

// Who asks for data gets no page, and neither does a path that is none of a page's.
func TestCasePageIsForBrowsers(t *testing.T) {
	s := newCases().serve(t, false)
	for _, ask := range [][2]string{{"/a/progress/link", "application/json"}, {"/a/progress/link", "text/event-stream"}, {"/a/progress/link/x", "text/html"}, {"/progress/link", "text/html"}} {
		if response, _ := get(t, s.URL+ask[0], "Accept", ask[1]); response.StatusCode != http.StatusTeapot {
			t.Errorf("%s: %s", ask, response.Status)
		}
	}
	response, err := http.Post(s.URL+"/a/progress/link", "text/html", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusTeapot {
		t.Errorf("posted: %s", response.Status)
	}
}

func TestCasePageEnds(t *testing.T) {
	c := newCases()
	s := c.serve(t, false)
	if response, page := get(t, s.URL+"/a/progress/other?lang=en", "Accept", "text/html"); response.StatusCode != http.StatusNotFound || !strings.Contains(page, "There is no such application") {
		t.Errorf("%s %s", response.Status, page)
	}
	c.step("refused")
	if _, page := get(t, s.URL+"/a/progress/link?lang=en", "Accept", "text/html"); strings.Contains(page, "still to come") || strings.Contains(page, "case.js") || !strings.Contains(page, `class="current bad"`) {
		t.Errorf("a case that ended: %s", page)
	}
	c.err = errors.New("the records say secret things")
	if response, page := get(t, s.URL+"/a/progress/link", "Accept", "text/html"); response.StatusCode != http.StatusServiceUnavailable || strings.Contains(page, "secret") {
		t.Errorf("%s %s", response.Status, page)
	}
}

// The page follows its case without being loaded again.
func TestCasePageInBrowser(t *testing.T) {
	b := browsertest.Open(t)
	for _, language := range browsertest.Languages {
		c := newCases()
		s := c.serve(t, true)
		says := func(state string) {
			t.Helper()
			b.Until(`document.getElementById("now").textContent === ` + quoted(texts["case.state."+state].In(language)))
		}
		b.Open(s.URL + "/a/progress/link?lang=" + language)
		browsertest.Evaluate[bool](b, "window.loadedOnce = true")
		b.Until(`!document.getElementById("live").hidden`)
		c.step("in-review", "approved", "issued")
		says("in-review")
		b.Until(`document.querySelectorAll(".timeline .past").length === 1 && document.querySelectorAll(".timeline .ahead").length === 2`)
		c.step("approved", "issued")
		c.step("issued")
		says("issued")
		b.Until(`window.loadedOnce && document.getElementById("live").hidden && document.querySelectorAll(".timeline li").length === 4`)
	}
	b.WantNoErrors()
}

// In each of its states the page is accessible in both languages, schemes and widths.
func TestCaseStatesInBrowser(t *testing.T) {
	b := browsertest.Open(t)
	for state, ahead := range map[string][]string{"submitted": {"in-review", "approved", "issued"}, "approved": {"issued"}, "issued": nil, "refused": nil} {
		c := newCases()
		if state != "submitted" {
			c.step(state, ahead...)
		}
		b.Open(c.serve(t, true).URL + "/a/progress/link")
		b.Look("case, "+state, state == "approved", nil)
	}
	b.Open(newCases().serve(t, true).URL + "/a/progress/other")
	b.Look("case, gone", false, nil)
}
