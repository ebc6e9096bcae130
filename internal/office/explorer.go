package office

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/explore"
	"github.com/bulla-id/bulla/web"
)

// ExplorerPath is where the explorer of a chain is mounted.
const ExplorerPath = "/explore"

// explorerRate is how often one client may ask for pages of the explorer and what belongs to them.
var explorerRate = webapi.RateConfig{PerSecond: 20, Burst: 200}

// ExplorerParts is what an explorer is put together from.
type ExplorerParts struct {
	Dir     string // of its index
	Profile client.Profile
	// From is the ledger or mirror in this process that it reads; nil: it asks the profile's URL. It believes neither.
	From   http.Handler
	Logger *slog.Logger
}

// Explorer follows a chain and shows it to everybody.
type Explorer struct {
	index *explore.Index
	pages http.Handler
}

// Open takes up the explorer in a folder. Run makes it follow, and Close comes last.
func (p ExplorerParts) Open() (*Explorer, error) {
	cfg := explore.Config{Profile: p.Profile, Dir: p.Dir, Logger: p.Logger}
	if p.From != nil {
		cfg.HTTPClient = &http.Client{Transport: webapi.Within{Handler: p.From}}
	}
	index, err := explore.Open(cfg)
	if err != nil {
		return nil, err
	}
	pages := web.NewExplorer(index, ExplorerPath, p.Logger).Handler()
	return &Explorer{index, webapi.NewRate(explorerRate, time.Now).Handler(pages)}, nil
}

// Beside answers below [ExplorerPath], and lets next answer elsewhere.
func (e *Explorer) Beside(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == ExplorerPath || strings.HasPrefix(r.URL.Path, ExplorerPath+"/") {
			e.pages.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Run follows the chain until ctx ends. What goes wrong is logged, and the pages say so: it ends nobody else's work.
func (e *Explorer) Run(ctx context.Context) error { return e.index.Run(ctx) }

// Close closes the index. Run must have ended.
func (e *Explorer) Close() error { return e.index.Close() }

// ExplorerOf is the explorer of a ledger in this process, which demands the same cosigners as the ledger itself.
func ExplorerOf(log *ledger.Log, handler http.Handler, parts LedgerParts, logKey, dir string) (*Explorer, error) {
	genesis, err := log.Static().Object("/genesis")
	if err != nil {
		return nil, err
	}
	profile := client.Profile{
		Ledger: "http://ledger.invalid", Genesis: credential.DigestOf(genesis), Policy: client.Policy{LogKey: logKey, Threshold: parts.Threshold},
	}
	for _, c := range parts.Cosigners {
		profile.Policy.Cosigners = append(profile.Policy.Cosigners, c.Key)
	}
	return ExplorerParts{Dir: dir, Profile: profile, From: handler, Logger: parts.Logger}.Open()
}
