package office

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/web/console"
)

// ConsoleConfig is what the console of an agency needs besides the agency.
type ConsoleConfig struct {
	Name   credential.Text
	API    http.Handler  // the agency's, that the console asks
	SignIn *oauth.SignIn // at the agency's own provider; nil: there is none
	// Explorer is the URL of the chain's explorer, for links to entries; empty: there are none.
	Explorer string
	Clock    func() time.Time
	Logger   *slog.Logger
}

// WithConsole is an agency's handler and, at [console.Path], the pages of its officers.
func WithConsole(i *issuer.Issuer, handler http.Handler, cfg ConsoleConfig) (http.Handler, error) {
	gate, err := console.NewSignIn(console.SignInConfig{URL: i.URL(), Directory: i.Directory(), Provider: cfg.SignIn, Clock: cfg.Clock, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	c, err := console.New(console.Config{URL: i.URL(), Name: cfg.Name, API: cfg.API, Gate: gate, SignIn: gate, Explorer: cfg.Explorer, Clock: cfg.Clock, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	pages := c.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.Wants(r) {
			pages.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}), nil
}

// OfficerLinks makes links for the officers of an agency with its key store.
func OfficerLinks(cfg IssuerConfig, passphrase string) (officers.Links, error) {
	authority, err := IssuerAuthority(cfg, passphrase)
	if err != nil {
		return officers.Links{}, err
	}
	return officers.Links{URL: cfg.URL, Key: authority.Key, Clock: time.Now}, nil
}
