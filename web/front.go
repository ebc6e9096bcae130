package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/bulla-id/bulla/credential"
)

// Front is what the front door needs: agencies that offer a visitor credentials, and shops that ask for facts.
type Front interface {
	// Welcome makes offers for a new visitor, and names the visit.
	Welcome(ctx context.Context) (visit string, err error)
	// Offers are those of a visit, or [ErrAbsent].
	Offers(ctx context.Context, visit string) ([]Offer, error)
	// Apply files an application of a new visitor's, which clerks then decide on, and names it.
	Apply(ctx context.Context) (application string, err error)
	// Application is one that was filed, or [ErrAbsent].
	Application(ctx context.Context, application string) (*FiledApplication, error)
	// Ask begins a purchase at a shop, or returns [ErrAbsent].
	Ask(ctx context.Context, shop string) (purchase string, err error)
	// SignIn is an address that signs a visitor in at an agency's console, once, or [ErrAbsent].
	SignIn(agency, officer string) (address string, err error)
	// Purchase is how one stands, as the shop sees it, or [ErrAbsent].
	Purchase(ctx context.Context, shop, purchase string) (*Purchase, error)
}

// Offer is a credential that an agency offers.
type Offer struct {
	Agency credential.Text
	Title  credential.Text
	Link   string // openid-credential-offer:…
}

// FiledApplication is what a person has in hand after filing: the address to follow it at, and the offer of what comes of it.
type FiledApplication struct {
	Offer
	Status string // URL of the page that says how far it is
}

// Shop asks for a fact.
type Shop struct {
	ID    string
	Name  credential.Text
	Wants credential.Text
}

// Purchase is a session at a relying party, with what the party has learned.
type Purchase struct {
	RequestLink string // openid4vp:…
	Page        string // of the verification
	State       string // as the verifier calls it
	Final       bool
	Reason      *credential.Text // of the last refusal
	Holds       map[string][]string
	Hidden      map[string][]string // what was seen beyond that, and what was not
}

// Console is an agency's, with the invented officers that a visitor can be there.
type Console struct {
	ID       string
	Agency   credential.Text
	Officers []Staff
}

// Staff is an officer of a demo.
type Staff struct{ ID, Name, Role string }

// FrontConfig is what the front door leads to.
type FrontConfig struct {
	Front    Front
	Shops    []Shop
	Wallet   string // URL of the wallet's page; empty: there is none
	Explorer string // URL
	Consoles []Console
	Logger   *slog.Logger
}

// FrontDoor serves the first page of a demo, its tour and its shops.
type FrontDoor struct {
	cfg   FrontConfig
	page  *template.Template
	files map[string]asset
}

// NewFrontDoor makes the pages, at the root of an origin.
func NewFrontDoor(cfg FrontConfig) *FrontDoor {
	f := &FrontDoor{cfg: cfg, page: pages.Lookup("front.html"), files: make(map[string]asset)}
	for _, name := range []string{"icon.svg", "verification.css", "case.css", "front.css", "front.js"} {
		f.files[name] = loadAsset(name)
	}
	return f
}

// Handler answers all of the origin.
func (f *FrontDoor) Handler() http.Handler {
	mux := http.NewServeMux()
	for name, file := range f.files {
		mux.Handle("GET /files/"+name, file)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { f.show(w, r, frontView{Step: "door"}, nil) })
	mux.HandleFunc("POST /visits", func(w http.ResponseWriter, r *http.Request) {
		visit, err := f.cfg.Front.Welcome(r.Context())
		f.goTo(w, r, "visits/"+url.PathEscape(visit), err)
	})
	mux.HandleFunc("GET /visits/{visit}", func(w http.ResponseWriter, r *http.Request) {
		offers, err := f.cfg.Front.Offers(r.Context(), r.PathValue("visit"))
		f.show(w, r, frontView{Step: "visit", Offers: offers}, err)
	})
	mux.HandleFunc("POST /applications", func(w http.ResponseWriter, r *http.Request) {
		application, err := f.cfg.Front.Apply(r.Context())
		f.goTo(w, r, "applications/"+url.PathEscape(application), err)
	})
	mux.HandleFunc("GET /applications/{application}", func(w http.ResponseWriter, r *http.Request) {
		filed, err := f.cfg.Front.Application(r.Context(), r.PathValue("application"))
		f.show(w, r, frontView{Step: "application", Application: filed}, err)
	})
	mux.HandleFunc("GET /consoles/{agency}/{officer}", func(w http.ResponseWriter, r *http.Request) {
		address, err := f.cfg.Front.SignIn(r.PathValue("agency"), r.PathValue("officer"))
		if err != nil {
			f.show(w, r, frontView{Step: "door"}, err)
			return
		}
		protect(w.Header())
		http.Redirect(w, r, address, http.StatusSeeOther)
	})
	mux.HandleFunc("POST /shops/{shop}", func(w http.ResponseWriter, r *http.Request) {
		shop := r.PathValue("shop")
		purchase, err := f.cfg.Front.Ask(r.Context(), shop)
		f.goTo(w, r, "shops/"+url.PathEscape(shop)+"/"+url.PathEscape(purchase), err)
	})
	mux.HandleFunc("GET /shops/{shop}/{purchase}", func(w http.ResponseWriter, r *http.Request) {
		p, err := f.cfg.Front.Purchase(r.Context(), r.PathValue("shop"), r.PathValue("purchase"))
		view := frontView{Step: "shop", Purchase: p}
		for i, s := range f.cfg.Shops {
			if s.ID == r.PathValue("shop") {
				view.Shop = &f.cfg.Shops[i]
			}
		}
		if view.Shop == nil && err == nil {
			err = ErrAbsent
		}
		f.show(w, r, view, err)
	})
	return mux
}

// frontView is what the template gets.
type frontView struct {
	words
	Step             string // door, visit, application or shop
	Language, Other  string
	Shops            []Shop
	Offers           []Offer
	Application      *FiledApplication
	Consoles         []Console
	Shop             *Shop
	Purchase         *Purchase
	Wallet, Explorer string
	Problem          string // key of the texts
}

// InWallet is the address that opens a link in the wallet's page.
func (v frontView) InWallet(link string) string { return inWallet(v.Wallet, v.Language, link) }

// File is the address of a file.
func (v frontView) File(name string) string {
	return "/files/" + name + "?v=" + loadAsset(name).Version()
}

func (f *FrontDoor) goTo(w http.ResponseWriter, r *http.Request, path string, err error) {
	if err != nil {
		f.show(w, r, frontView{Step: "door"}, err)
		return
	}
	protect(w.Header())
	w.Header().Set("Location", "/"+path+"?lang="+languageOf(r))
	w.WriteHeader(http.StatusSeeOther)
}

func (f *FrontDoor) show(w http.ResponseWriter, r *http.Request, v frontView, err error) {
	language, status := languageOf(r), http.StatusOK
	v.words, v.Language, v.Other = words{language}, language, other(language)
	v.Shops, v.Wallet, v.Explorer, v.Consoles = f.cfg.Shops, f.cfg.Wallet, f.cfg.Explorer, f.cfg.Consoles
	switch {
	case errors.Is(err, ErrAbsent):
		v.Problem, status = "front.gone", http.StatusNotFound
	case err != nil:
		f.cfg.Logger.ErrorContext(r.Context(), "front door", slog.Any("error", err))
		v.Problem, status = "front.down", http.StatusServiceUnavailable
	}
	var page bytes.Buffer // whole or not at all
	if err := f.page.Execute(&page, v); err != nil {
		f.cfg.Logger.ErrorContext(r.Context(), "front door", slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	protect(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}
