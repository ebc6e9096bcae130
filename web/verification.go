package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/web/internal/page"
)

// ErrAbsent is what a role returns for a page that there is not.
var ErrAbsent = errors.New("there is no such page")

// Visits is what the page of a verification needs of a verifier. The page's id is a secret of the person's browser: whoever has
// it may see the request and its state, and cancel it, but never the result.
type Visits interface {
	// Visit is what is asked, and what became of it, or [ErrAbsent].
	Visit(ctx context.Context, page string) (*Visit, error)
	// Progress is the part of a visit that changes, which pages ask for each second, or [ErrAbsent].
	Progress(ctx context.Context, page string) (*Progress, error)
	// Cancel ends a visit that has no end yet; one that has stays as it is.
	Cancel(ctx context.Context, page string) error
}

// Visit is a request as its page shows it.
type Visit struct {
	Verifier      credential.Text
	DID           string
	Policy        credential.Text
	Purpose       credential.Text
	Facts         map[string][]string   // by language: what is proven
	Shown         map[string][]string   // by language: what is seen, and whether visits can be linked
	Narrows       map[string][]Narrowed // by language: what the answer narrows down
	Linking       map[string][]Linking  // by language: by what the person is recognised again
	RetentionDays int
	RequestLink   string
	ExpiresAt     time.Time
	Dev           bool
	Progress
}

// Narrowed is one thing that an answer narrows down.
type Narrowed struct {
	Text    string
	Flagged bool // the person should notice
}

// Linking is a sign: by what a visit can be linked to others.
type Linking struct {
	Kind string // as policies call it
	Text string
}

// Progress is how far a visit is.
type Progress struct {
	State  string // as the verifier calls it
	Final  bool
	Reason *credential.Text // of the last refusal
	Sites  []string         // origins of sites that may be told how it ended
}

// Verification serves the page of each verification at /{id}, its state at /{id}/state, and the script of the button that opens it at
// /button.js.
type Verification struct {
	visits Visits
	base   string // of the paths that it answers, without a slash at the end
	wallet string // URL of a wallet's page; empty: people bring their own
	logger *slog.Logger
	page   *template.Template
	files  map[string]asset
}

// NewVerification makes the pages, mounted at the path base, as in /verify. A proxy may have taken off what comes before it. wallet is the
// URL of a wallet's page that requests may be opened in, or empty.
func NewVerification(visits Visits, base, wallet string, logger *slog.Logger) *Verification {
	v := &Verification{visits: visits, base: base, wallet: wallet, logger: logger, page: pages.Lookup("verification.html"), files: make(map[string]asset)}
	for _, name := range []string{"icon.svg", "verification.css", "verification.js", "button.js"} {
		v.files[name] = loadAsset(name)
	}
	return v
}

// Handler answers below the base.
func (v *Verification) Handler() http.Handler {
	mux := http.NewServeMux()
	for name, file := range v.files {
		mux.Handle("GET "+v.base+"/"+name, file)
	}
	mux.HandleFunc("GET "+v.base+"/{id}", v.show)
	mux.HandleFunc("GET "+v.base+"/{id}/state", v.state)
	mux.HandleFunc("POST "+v.base+"/{id}/cancel", v.cancel)
	return mux
}

// view is what the template gets.
type view struct {
	words
	*Visit
	Page, Language, Other string
	Code                  template.URL // of the request, as an image
	Link                  template.URL // openid4vp:, which templates would not let through
	InWallet              string       // address that opens the request in the wallet's page; empty: there is none
	Icon, Style, Script   string       // addresses, relative to the page's
	Problem               string       // key of the texts, if there is nothing to show
}

func (v *Verification) view(r *http.Request) view {
	language := languageOf(r)
	address := func(name string) string { return name + "?v=" + v.files[name].Version() }
	return view{
		words: words{language}, Page: r.PathValue("id"), Language: language, Other: other(language),
		Icon: address("icon.svg"), Style: address("verification.css"), Script: address("verification.js"),
	}
}

func (v *Verification) show(w http.ResponseWriter, r *http.Request) {
	view, status := v.view(r), http.StatusOK
	visit, err := v.visits.Visit(r.Context(), view.Page)
	if err == nil {
		view.Visit = visit
		err = view.draw(v.wallet)
	}
	switch {
	case errors.Is(err, ErrAbsent):
		view.Problem, status = "verify.gone", http.StatusNotFound
	case err != nil:
		v.logger.ErrorContext(r.Context(), "page of a verification", slog.Any("error", err))
		view.Problem, status = "verify.down", http.StatusServiceUnavailable
	}
	var page bytes.Buffer // whole or not at all
	if err := v.page.Execute(&page, view); err != nil {
		v.logger.ErrorContext(r.Context(), "page of a verification", slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	protect(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// draw makes the code of a request that can still be answered, and the address that opens it in a wallet's page.
func (v *view) draw(wallet string) error {
	if v.Final {
		return nil
	}
	link, err := url.Parse(v.RequestLink)
	if err != nil || link.Scheme != "openid4vp" {
		return errors.New("the request's link is none of ours")
	}
	v.Link, v.InWallet = template.URL(v.RequestLink), inWallet(wallet, v.Language, v.RequestLink)
	v.Code, err = page.CodeURL(v.RequestLink)
	return err
}

// progress is what the page's script asks for again and again.
type progress struct {
	State  string   `json:"state"`
	Final  bool     `json:"final"`
	Text   string   `json:"text"`
	Reason string   `json:"reason,omitempty"`
	Sites  []string `json:"sites,omitempty"`
}

func (v *Verification) state(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	visit, err := v.visits.Progress(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, ErrAbsent):
		w.WriteHeader(http.StatusNotFound)
		return
	case err != nil:
		v.logger.ErrorContext(r.Context(), "state of a verification", slog.Any("error", err))
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	words := words{languageOf(r)}
	p := progress{State: visit.State, Final: visit.Final, Text: words.T("state." + visit.State), Sites: visit.Sites}
	if visit.Reason != nil {
		p.Reason = words.Text(*visit.Reason)
	}
	body, err := json.Marshal(p)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// cancel ends the visit and shows its page. Who has the page's address is the person: there is no cookie that another site could use.
func (v *Verification) cancel(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	page := r.PathValue("id")
	if err := v.visits.Cancel(r.Context(), page); err != nil && !errors.Is(err, ErrAbsent) {
		v.logger.ErrorContext(r.Context(), "cancel a verification", slog.Any("error", err))
		w.Header().Set("Retry-After", "2")
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	// Relative, as a proxy may have taken the beginning of the path off.
	w.Header().Set("Location", "../"+url.PathEscape(page)+"?lang="+languageOf(r))
	w.WriteHeader(http.StatusSeeOther)
}
