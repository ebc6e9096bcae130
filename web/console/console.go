// Package console has the pages of an agency's officers. They are a face of the issuer's admin API and have no rights of their own: each
// page asks that API with a token of the officer who looks, so that scopes, the four eyes and the audit trail are one place's work, and
// whatever a page can do a program can do.
package console

import (
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/web/internal/page"
)

//go:embed all:assets
var assets embed.FS

// Path is where the console is, below the agency's URL.
const Path = "/console"

// APIPath is where the admin API is, below the agency's URL.
const APIPath = "/admin/v1"

// maxForm bounds what a form sends, in bytes. Files have a bound of their own.
const maxForm = 256 << 10

// Config is what the console needs.
type Config struct {
	URL    string // of the agency
	Name   credential.Text
	API    http.Handler // the agency's, asked in this process
	Gate   Gate
	SignIn *SignIn // that has pages here; nil: officers sign in elsewhere
	Clock  func() time.Time
	Logger *slog.Logger
	// Explorer is the URL of the chain's explorer, for links to entries. Empty: there are none.
	Explorer string
}

// Console serves the pages.
type Console struct {
	cfg       Config
	base      string // path of the console, without a slash at the end
	api       api
	templates *template.Template
	files     map[string]page.Asset
	mux       *http.ServeMux
	jobs      jobs
}

// New makes the pages of an agency.
func New(cfg Config) (*Console, error) {
	at, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	c := &Console{cfg: cfg, base: strings.TrimSuffix(at.Path, "/") + Path, files: make(map[string]page.Asset), mux: http.NewServeMux()}
	c.api = newAPI(cfg.API, strings.TrimSuffix(at.Path, "/")+APIPath)
	if c.templates, err = template.New("").Funcs(template.FuncMap{"pass": pass, "moment": moment, "day": day, "enrolment": enrolment}).ParseFS(assets, "assets/*.html"); err != nil {
		return nil, err
	}
	names, err := fs.Glob(assets, "assets/*.*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if short := strings.TrimPrefix(name, "assets/"); !strings.HasSuffix(short, ".html") {
			c.files[short] = page.Load(assets, name)
			c.mux.Handle("GET "+c.base+"/files/"+short, c.files[short])
		}
	}
	c.mountPages()
	return c, nil
}

// Handler answers all below the console's path. What another site's page sends is refused.
func (c *Console) Handler() http.Handler {
	ours := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Protect(w.Header())
		if r.URL.Path == c.base {
			http.Redirect(w, r, c.base+"/", http.StatusSeeOther)
			return
		}
		if err := ours.Check(r); err != nil {
			(&visit{c: c, w: w, r: r, language: languageOf(r)}).fail(&Problem{Status: http.StatusForbidden, Code: "other-site"})
			return
		}
		c.mux.ServeHTTP(w, r)
	})
}

// Wants tells whether a request is for the console.
func (c *Console) Wants(r *http.Request) bool {
	return r.URL.Path == c.base || strings.HasPrefix(r.URL.Path, c.base+"/")
}

// handler answers an officer who is signed in and has the page's scope. Its error becomes a page that says it.
type handler func(v *visit) error

// page mounts one: a method and a path below the console's, as in "GET /applications/{id}". No scope: whoever is signed in.
func (c *Console) page(pattern, scope string, answer handler) {
	method, path, _ := strings.Cut(pattern, " ")
	c.mux.HandleFunc(method+" "+c.base+path, func(w http.ResponseWriter, r *http.Request) {
		v := &visit{c: c, w: w, r: r, language: languageOf(r)}
		rememberLanguage(w, r, c.base)
		session, err := c.cfg.Gate.Session(r)
		if errors.Is(err, ErrSignedOut) {
			v.toSignIn()
			return
		}
		if v.session = session; err == nil && scope != "" && !session.may(scope) {
			err = &Problem{Status: http.StatusForbidden, Code: "scope"}
		}
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, bound(path))
			err = answer(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// bound is how many bytes may be sent to a path.
func bound(path string) int64 {
	if path == "/imports" {
		return maxUpload
	}
	return maxForm
}

// mountPages mounts all pages.
func (c *Console) mountPages() {
	c.page("GET /{$}", "", (*visit).home)
	c.mountOverview()
	c.mountApplications()
	c.mountFiling()
	c.mountCredentials()
	c.mountEnrolments()
	c.mountImports()
	c.mountAudit()
	c.mountKeys()
	c.mountOfficers()
	if c.cfg.SignIn != nil {
		c.mountSignIn(c.cfg.SignIn)
	}
}

// home leads to the first page that the officer may see.
func (v *visit) home() error {
	for _, item := range navigation {
		if v.session.may(item.scope) {
			return v.goTo(item.path, "")
		}
	}
	return &Problem{Status: http.StatusForbidden, Code: "scope"}
}
