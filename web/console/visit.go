package console

import (
	"bytes"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/web/internal/page"
)

// visit is one request to the console. Its session is nil before somebody has signed in.
type visit struct {
	c        *Console
	w        http.ResponseWriter
	r        *http.Request
	language string
	session  *Session
	at       string // path below the console's where the page that answers a form can be opened; empty: the request's own
}

// navigation is what the bar leads to, for those who have the scope. Its texts are console.nav.KEY.
var navigation = []navigationItem{
	{"overview", "/overview", issuer.ScopeCredentials},
	{"applications", "/applications", issuer.ScopeReadCases},
	{"credentials", "/credentials", issuer.ScopeCredentials},
	{"imports", "/imports", issuer.ScopeFile},
	{"audit", "/audit", issuer.ScopeAudit},
	{"enrolments", "/enrolments", issuer.ScopeEnrolments},
	{"keys", "/keys", issuer.ScopeKeys},
	{"officers", "/officers", issuer.ScopeOfficers},
}

type navigationItem struct{ key, path, scope string }

// link is one of the navigation, as the template shows it.
type link struct {
	Key, Path string
	Current   bool
}

// frame is what surrounds a page's own template.
type frame struct {
	view
	Title   string // key of the texts
	Content template.HTML
	Session *Session
	Links   []link
	Agency  credential.Text
}

// view is what each template of a page gets; Data is the page's own.
type view struct {
	page.Words
	base    string
	Path    string // of this page, with its query but for the language
	Other   string // language
	Once    string // names what the page's form does
	Problem *Problem
	Done    string // key of the texts: what was just done
	Data    any
	files   map[string]page.Asset
	session *Session
}

// To is the address of a path below the console's.
func (v view) To(path string) string { return v.base + path }

// File is the address of a file.
func (v view) File(name string) string {
	return v.base + "/files/" + name + "?v=" + v.files[name].Version()
}

// May tells whether the officer has a scope of the admin API.
func (v view) May(scope string) bool { return v.session != nil && v.session.may(scope) }

// InOther is this page's address in the other language.
func (v view) InOther() string {
	separator := "?"
	if strings.Contains(v.Path, "?") {
		separator = "&"
	}
	return v.Path + separator + "lang=" + v.Other
}

// WithoutAfter is this page's address with its list from the beginning.
func (v view) WithoutAfter() string {
	path, query, _ := strings.Cut(v.Path, "?")
	asked, err := url.ParseQuery(query)
	if err != nil {
		return path
	}
	asked.Del("after")
	return path + "?" + asked.Encode()
}

// Says is a problem in the page's language; the API's own words where we have none.
func (v view) Says(p *Problem) string {
	if _, ok := texts["console.problem."+p.Code]; ok || p.Detail == "" {
		return v.T("console.problem." + p.Code)
	}
	return p.Detail
}

// show answers with a page.
func (v *visit) show(name string, data any) error { return v.render(http.StatusOK, name, data, nil) }

// showAgain answers with a page whose form was refused: a problem of the API is shown beside what was entered. Other errors are returned.
func (v *visit) showAgain(name string, data any, err error) error {
	var problem *Problem
	if !errors.As(err, &problem) {
		return err
	}
	return v.render(problem.Status, name, data, problem)
}

// fail answers with a page that says what went wrong.
func (v *visit) fail(err error) {
	problem := v.problemOf(err)
	if problem.Status == http.StatusUnauthorized {
		v.toSignIn()
		return
	}
	if v.at == "" && v.r.Method != http.MethodGet {
		v.at = "/" // the address of a form cannot be opened
	}
	if err := v.render(problem.Status, "problem", nil, problem); err != nil {
		v.c.cfg.Logger.ErrorContext(v.r.Context(), "page of the console", slog.Any("error", err))
		http.Error(v.w, "the page cannot be shown", http.StatusInternalServerError)
	}
}

// problemOf is what people are told of an error. One that is no refusal is logged.
func (v *visit) problemOf(err error) *Problem {
	var problem *Problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &tooLarge):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Code: "too-large"}
	}
	v.c.cfg.Logger.ErrorContext(v.r.Context(), "page of the console", slog.String("path", v.r.Pattern), slog.Any("error", err))
	return &Problem{Status: http.StatusInternalServerError, Code: "internal"}
}

// goTo leads to another page, and says there what was done: a key of the texts below console.done, or nothing.
func (v *visit) goTo(path, done string) error {
	target := v.c.base + path
	if done != "" {
		target += "?done=" + url.QueryEscape(done)
	}
	http.Redirect(v.w, v.r, target, http.StatusSeeOther)
	return nil
}

// toSignIn leads to the page of that name, which leads back here.
func (v *visit) toSignIn() {
	target := v.c.base + "/sign-in"
	if v.r.Method == http.MethodGet {
		target += "?next=" + url.QueryEscape(strings.TrimPrefix(v.r.URL.RequestURI(), v.c.base))
	}
	http.Redirect(v.w, v.r, target, http.StatusSeeOther)
}

// view is what a template gets.
func (v *visit) view(data any, problem *Problem) view {
	words := page.Words{Language: v.language, Texts: texts}
	query := v.r.URL.Query()
	done := query.Get("done")
	query.Del("lang")
	query.Del("done")
	own := v.r.URL.Path
	if len(query) > 0 {
		own += "?" + query.Encode()
	}
	if v.at != "" {
		own = v.c.base + v.at
	}
	about := view{
		Words: words, base: v.c.base, Path: own, Other: page.Other(v.language), Once: webapi.RandomID(), Problem: problem, Data: data,
		files: v.c.files, session: v.session,
	}
	if _, ok := texts["console.done."+done]; ok {
		about.Done = "console.done." + done
	}
	return about
}

// render answers with the template of a page in its frame, whole or not at all. The page's title is the text console.title.NAME.
func (v *visit) render(status int, name string, data any, problem *Problem) error {
	about := v.view(data, problem)
	var content, whole bytes.Buffer
	if err := v.c.templates.ExecuteTemplate(&content, name, about); err != nil {
		return err
	}
	f := frame{view: about, Title: "console.title." + name, Content: template.HTML(content.String()), Session: v.session, Links: v.links(), Agency: v.c.cfg.Name}
	if err := v.c.templates.ExecuteTemplate(&whole, "frame", f); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(whole.Bytes()) // who asked may be gone
	return nil
}

func (v *visit) links() (list []link) {
	for _, item := range navigation {
		if v.session != nil && v.session.may(item.scope) {
			list = append(list, link{item.key, v.c.base + item.path, strings.HasPrefix(v.r.URL.Path, v.c.base+item.path)})
		}
	}
	return list
}

// languageCookie remembers the language that an officer chose.
const languageCookie = "bulla-language"

// languageOf is the language to answer in: what the address asks for, else what was chosen before, else what the browser prefers.
func languageOf(r *http.Request) string {
	if chosen, err := r.Cookie(languageCookie); err == nil && r.URL.Query().Get("lang") == "" {
		if chosen.Value == page.English || chosen.Value == page.Chinese {
			return chosen.Value
		}
	}
	return page.LanguageOf(r)
}

func rememberLanguage(w http.ResponseWriter, r *http.Request, base string) {
	if chosen := r.URL.Query().Get("lang"); chosen == page.English || chosen == page.Chinese {
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: chosen, Path: base + "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: 365 * 24 * 3600})
	}
}

// passed is what one template hands to another: the page, and what to show of it.
type passed struct {
	Page view
	It   any
}

func pass(page view, it any) passed { return passed{page, it} }

// moment is a time for machines and people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
