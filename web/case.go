package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
)

// Cases is what the page of an application needs of an agency. The link is a secret of the person's: whoever has it may see how
// far the application is, and nothing of what is in it.
type Cases interface {
	// Case is how far an application is, or [ErrAbsent].
	Case(ctx context.Context, link string) (*Case, error)
}

// Case is an application, or another case of a person, as its page shows it.
type Case struct {
	Agency  credential.Text
	Title   credential.Text // of what it is about
	Kind    string          // as the agency calls it: issue, renew, …
	Version uint64          // rises with each step
	Steps   []CaseStep      // that were taken, the oldest first; at least one
	Ahead   []string        // states that come next if all goes well; none when it has ended
}

// CaseStep is a state that a case came into.
type CaseStep struct {
	State string // as the agency calls it
	At    time.Time
}

// State is the one that a case is in.
func (c *Case) State() string { return c.Steps[len(c.Steps)-1].State }

// Ended tells whether nothing will change any more.
func (c *Case) Ended() bool { return len(c.Ahead) == 0 }

// CasePages serves the page of each case at /{link}. The same address answers others with data and events: pages are for who
// accepts HTML, see [CasePages.Wants].
type CasePages struct {
	cases  Cases
	base   string // of the paths that it answers, without a slash at the end
	logger *slog.Logger
	page   *template.Template
	files  map[string]asset
}

// caseFiles is where the files of the pages are, below the base. No link is that short.
const caseFiles = "/files/"

// NewCasePages makes the pages, mounted at the path base, as in /progress.
func NewCasePages(cases Cases, base string, logger *slog.Logger) *CasePages {
	p := &CasePages{cases: cases, base: base, logger: logger, page: pages.Lookup("case.html"), files: make(map[string]asset)}
	for _, name := range []string{"icon.svg", "verification.css", "case.css", "case.js"} {
		p.files[name] = loadAsset(name)
	}
	return p
}

// Wants tells whether a request is for a page or one of its files.
func (p *CasePages) Wants(r *http.Request) bool {
	rest, ours := strings.CutPrefix(r.URL.Path, p.base+"/")
	if !ours || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	return strings.HasPrefix("/"+rest, caseFiles) || !strings.Contains(rest, "/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// Handler answers what Wants wants.
func (p *CasePages) Handler() http.Handler {
	mux := http.NewServeMux()
	for name, file := range p.files {
		mux.Handle("GET "+p.base+caseFiles+name, file)
	}
	mux.HandleFunc("GET "+p.base+"/{link}", p.show)
	return mux
}

// caseView is what the template gets.
type caseView struct {
	words
	*Case
	Language, Other           string
	Icon, Common, Own, Script string // addresses, relative to the page's
	Problem                   string // key of the texts, if there is nothing to show
}

func (p *CasePages) show(w http.ResponseWriter, r *http.Request) {
	language := languageOf(r)
	address := func(name string) string {
		return strings.TrimPrefix(caseFiles, "/") + name + "?v=" + p.files[name].Version()
	}
	view := caseView{
		words: words{language}, Language: language, Other: other(language),
		Icon: address("icon.svg"), Common: address("verification.css"), Own: address("case.css"), Script: address("case.js"),
	}
	status := http.StatusOK
	var err error
	view.Case, err = p.cases.Case(r.Context(), r.PathValue("link"))
	switch {
	case errors.Is(err, ErrAbsent):
		view.Problem, status = "case.gone", http.StatusNotFound
	case err != nil:
		p.logger.ErrorContext(r.Context(), "page of a case", slog.Any("error", err))
		view.Problem, status = "case.down", http.StatusServiceUnavailable
	}
	var page bytes.Buffer // whole or not at all
	if err := p.page.Execute(&page, view); err != nil {
		p.logger.ErrorContext(r.Context(), "page of a case", slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	protect(w.Header())
	w.Header().Set("Vary", "Accept")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// Past are the steps before the one that the case is in.
func (v caseView) Past() []CaseStep { return v.Steps[:len(v.Steps)-1] }

// Now is the step that the case is in.
func (v caseView) Now() CaseStep { return v.Steps[len(v.Steps)-1] }

// Good tells an end that is what the person wanted, or no end yet.
func (v caseView) Good() bool { return !slices.Contains([]string{"refused", "withdrawn"}, v.State()) }
