package web

import (
	"errors"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/explore"
)

// Explorer serves pages about a chain to everybody: newest seals and entries, each of them, what issuers and verifiers did, who asks for
// what, a search, and a checker that recomputes proofs in the visitor's browser. What is searched for goes into no log, and by the form
// into no address.
//
//	/                                  overview; /live: its part that changes; /live/events: the same, whenever it did
//	/entries?kind&before  /seals?before  /issuers?after  /verifiers?after  /policies?after&verifier    lists
//	/entry/{index}[/raw]  /seal/{height}  /issuer/{did}  /verifier/{did}  /signer/{did}
//	/search                            POST q, or GET ?q
//	/check?entry                       the checker; /check/checkpoint, /check/proof?index&size, /check/consistency?old&size are what it fetches
type Explorer struct {
	chain  *explore.Index
	base   string
	logger *slog.Logger
	clock  func() time.Time
	files  map[string]asset

	followers *webapi.Places // with open overviews

	liveMu sync.Mutex
	lives  map[liveKey]livePart // what open overviews ask for all the time, made once
}

// NewExplorer makes the pages, mounted at the path base, as in /explore. A proxy may have taken off what comes before it.
func NewExplorer(chain *explore.Index, base string, logger *slog.Logger) *Explorer {
	x := &Explorer{chain: chain, base: base, logger: logger, clock: time.Now, files: make(map[string]asset), lives: make(map[liveKey]livePart), followers: webapi.NewPlaces(maxFollowers, maxFollowersPerClient)}
	for _, name := range []string{"icon.svg", "verification.css", "explore.css", "explore.js", "check.js", "proof.js"} {
		x.files[name] = loadAsset(name)
	}
	return x
}

// Handler answers at the base and below.
func (x *Explorer) Handler() http.Handler {
	mux := http.NewServeMux()
	for name, file := range x.files {
		mux.Handle("GET "+x.base+"/"+name, file)
	}
	mux.HandleFunc("GET "+x.base, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", path.Base(x.base)+"/") // relative, as a proxy may have taken the beginning of the path off
		w.WriteHeader(http.StatusMovedPermanently)
	})
	page := func(pattern string, show func(*explorerPage) error) {
		method, rest, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+x.base+rest, func(w http.ResponseWriter, r *http.Request) { x.serve(w, r, show) })
	}
	page("GET /{$}", (*explorerPage).overview)
	page("GET /entries", (*explorerPage).entries)
	page("GET /seals", (*explorerPage).seals)
	page("GET /entry/{index}", (*explorerPage).entry)
	page("GET /seal/{height}", (*explorerPage).seal)
	page("GET /issuers", (*explorerPage).issuers)
	page("GET /verifiers", (*explorerPage).verifiers)
	for _, role := range []string{"issuer", "verifier", "signer"} {
		page("GET /"+role+"/{did}", (*explorerPage).party)
	}
	page("GET /policies", (*explorerPage).policies)
	page("GET /search", (*explorerPage).search)
	page("POST /search", (*explorerPage).search)
	page("GET /check", (*explorerPage).check)
	page("GET /", func(*explorerPage) error { return explore.ErrAbsent })
	mux.HandleFunc("GET "+x.base+"/live", x.live)
	mux.HandleFunc("GET "+x.base+"/live/events", x.follow)
	mux.HandleFunc("GET "+x.base+"/entry/{index}/raw", x.raw)
	mux.HandleFunc("GET "+x.base+"/check/checkpoint", x.checkpoint)
	mux.HandleFunc("GET "+x.base+"/check/proof", x.inclusion)
	mux.HandleFunc("GET "+x.base+"/check/consistency", x.consistency)
	return mux
}

var errBadQuery = errors.New("the address is not one of ours")

// serve shows a page, or why there is none.
func (x *Explorer) serve(w http.ResponseWriter, r *http.Request, show func(*explorerPage) error) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	p, status := x.page(r), http.StatusOK
	err := show(p)
	switch {
	case errors.Is(err, explore.ErrAbsent), errors.Is(err, errBadQuery):
		p.name, p.Title, status = "explore-gone", p.T("explore.gone-title"), http.StatusNotFound
	case err != nil:
		x.logger.ErrorContext(r.Context(), "page of the chain", slog.Any("error", err))
		p.name, p.Title, status = "explore-down", p.T("explore.down-title"), http.StatusServiceUnavailable
	}
	protect(w.Header())
	if p.moved != "" && err == nil {
		w.Header().Set("Location", p.moved)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	body, err := p.render()
	if err != nil {
		x.logger.ErrorContext(r.Context(), "page of the chain", slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who asked may be gone
}

// refuse answers what a script asked for and there is not.
func (x *Explorer) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, explore.ErrAbsent) || errors.Is(err, errBadQuery) {
		http.NotFound(w, r)
		return
	}
	x.logger.ErrorContext(r.Context(), "answer of the explorer", slog.Any("error", err))
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}
