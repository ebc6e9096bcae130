package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
)

// Explorer serves pages about a chain to everybody: newest seals and entries, each of them, what issuers and verifiers did, who asks for
// what, a search, and a checker that recomputes proofs in the visitor's browser. What is searched for goes into no log, and by the form
// into no address.
//
//	/                                  overview; /live: its part that changes
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

	liveMu sync.Mutex
	lives  map[liveKey]livePart // what open overviews ask for all the time, made once
}

// liveKey tells the live parts of overviews apart.
type liveKey struct {
	language string
	chosen   bool // by the address, so that links keep it
}

// livePart is the live part of the overview at a size of the index.
type livePart struct {
	size uint64
	body []byte
	tag  string
}

// NewExplorer makes the pages, mounted at the path base, as in /explore. A proxy may have taken off what comes before it.
func NewExplorer(chain *explore.Index, base string, logger *slog.Logger) *Explorer {
	x := &Explorer{chain: chain, base: base, logger: logger, clock: time.Now, files: make(map[string]asset), lives: make(map[liveKey]livePart)}
	for _, name := range []string{"icon.svg", "verification.css", "explore.css", "explore.js", "check.js", "proof.js"} {
		x.files[name] = loadAsset(name)
	}
	return x
}

// How many entries a list shows, and how many policies, which take more to put into words.
const (
	pageSize   = 25
	policySize = 10
)

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
	mux.HandleFunc("GET "+x.base+"/entry/{index}/raw", x.raw)
	mux.HandleFunc("GET "+x.base+"/check/checkpoint", x.checkpoint)
	mux.HandleFunc("GET "+x.base+"/check/proof", x.inclusion)
	mux.HandleFunc("GET "+x.base+"/check/consistency", x.consistency)
	return mux
}

// explorerPage is one page for one visitor; templates see it.
type explorerPage struct {
	words
	Language, Other string
	Head            *explore.Head
	Title           string
	Here            string // the part of the navigation that it belongs to
	Data            any
	Content         template.HTML

	x       *Explorer
	request *http.Request
	root    string // address of the overview, relative to the page
	name    string // of the template
	moved   string // address to go to instead
}

func (x *Explorer) page(r *http.Request) *explorerPage {
	language := languageOf(r)
	p := &explorerPage{words: words{language}, Language: language, Other: other(language), Head: x.chain.Head(), x: x, request: r}
	rest := strings.TrimPrefix(r.URL.EscapedPath(), x.base+"/")
	p.root = "./" + strings.Repeat("../", strings.Count(rest, "/"))
	return p
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

// render puts the content into the frame that all pages have.
func (p *explorerPage) render() ([]byte, error) {
	content, err := p.part(p.name)
	if err != nil {
		return nil, err
	}
	p.Content = template.HTML(content) // escaped by its own template
	return p.part("explore.html")
}

func (p *explorerPage) part(name string) ([]byte, error) {
	var out bytes.Buffer
	err := pages.ExecuteTemplate(&out, name, p)
	return out.Bytes(), err
}

// Link is the address of a page of ours, relative to this one, in the language that was chosen. Parts are path elements; a last one
// that begins with ? is a query.
func (p *explorerPage) Link(parts ...any) string {
	var elements []string
	query := url.Values{}
	for _, part := range parts {
		text := message.NewPrinter(language.Und).Sprint(part)
		if number, ok := part.(uint64); ok {
			text = strconv.FormatUint(number, 10)
		}
		if q, ok := strings.CutPrefix(text, "?"); ok {
			query, _ = url.ParseQuery(q) // ours
			continue
		}
		elements = append(elements, url.PathEscape(text))
	}
	if chosen := p.request.URL.Query().Get("lang"); chosen == p.Language {
		query.Set("lang", chosen)
	}
	address := p.root + strings.Join(elements, "/")
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// Switch is the address of this page in the other language.
func (p *explorerPage) Switch() string {
	query := p.request.URL.Query()
	query.Del("q") // what was searched for is nobody's matter
	query.Set("lang", p.Other)
	return "?" + query.Encode()
}

// Asset is the address of a file of ours.
func (p *explorerPage) Asset(name string) string {
	return p.root + name + "?v=" + p.x.files[name].Version()
}

// N is a number with separators.
func (p *explorerPage) N(n any) string {
	return message.NewPrinter(language.Make(p.Language)).Sprint(n)
}

// Stamp is a time for people and, in datetime, for machines.
func (p *explorerPage) Stamp(t any) template.HTML {
	var at time.Time
	switch v := t.(type) {
	case credential.UnixTime:
		at = v.Time()
	case time.Time:
		at = v.UTC()
	}
	return template.HTML(`<time datetime="` + at.Format(time.RFC3339) + `">` + at.Format("2006-01-02 15:04:05") + " UTC</time>")
}

// number reads a number of the query; absent is the default.
func (p *explorerPage) number(name string, byDefault uint64) (uint64, error) {
	text := p.request.URL.Query().Get(name)
	if text == "" {
		return byDefault, nil
	}
	return parseNumber(text)
}

func parseNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 53)
	if err != nil {
		return 0, errBadQuery
	}
	return n, nil
}

// newest are the parts of the overview that change.
type newest struct {
	Seals, Entries []entryRow
}

func (p *explorerPage) newest() (n newest, err error) {
	seals, _, err := p.x.chain.Seals(p.Head.Seals, 6)
	if err != nil {
		return n, err
	}
	entries, _, err := p.x.chain.List(explore.Work, p.Head.Size, 10)
	if err != nil {
		return n, err
	}
	return newest{p.rows(seals), p.rows(entries)}, nil
}

// overview is the first page.
func (p *explorerPage) overview() error {
	n, err := p.newest()
	if err != nil {
		return err
	}
	charts, err := p.charts()
	if err != nil {
		return err
	}
	p.name, p.Title, p.Here = "explore-overview", p.T("explore.title"), "overview"
	p.Data = struct {
		newest
		Charts *charted
	}{n, charts}
	return nil
}

// live answers with the part of the overview that changes, if it did.
func (x *Explorer) live(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	part, err := x.livePart(x.page(r))
	if err != nil {
		x.logger.ErrorContext(r.Context(), "live part of the explorer", slog.Any("error", err))
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("ETag", part.tag)
	if r.Header.Get("If-None-Match") == part.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(part.body)
}

// livePart is the live part for a visitor, made anew if the index has grown.
func (x *Explorer) livePart(p *explorerPage) (livePart, error) {
	key := liveKey{p.Language, p.request.URL.Query().Get("lang") == p.Language}
	x.liveMu.Lock()
	defer x.liveMu.Unlock()
	if part, ok := x.lives[key]; ok && part.size == p.Head.Size {
		return part, nil
	}
	n, err := p.newest()
	if err != nil {
		return livePart{}, err
	}
	p.Data = n
	body, err := p.part("explore-live")
	if err != nil {
		return livePart{}, err
	}
	sum := sha256.Sum256(body)
	part := livePart{p.Head.Size, body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	x.lives[key] = part
	return part, nil
}

// entryList is a page of a list.
type entryList struct {
	Kind  entry.Kind
	Kinds []entry.Kind // to choose from
	Rows  []entryRow
	Next  string // address of the next page; empty if this is the last
}

func (p *explorerPage) entries() error {
	before, err := p.number("before", p.Head.Size)
	if err != nil {
		return err
	}
	l := entryList{Kind: entry.Kind(p.request.URL.Query().Get("kind")), Kinds: kinds}
	scope := explore.Work
	if l.Kind != "" {
		if _, ok := texts["kind."+string(l.Kind)]; !ok || l.Kind == entry.KindSeal {
			return errBadQuery
		}
		scope = explore.OfKind(l.Kind)
	}
	p.name, p.Title, p.Here = "explore-entries", p.T("explore.entries"), "entries"
	found, more, err := p.x.chain.List(scope, before, pageSize)
	if err != nil {
		return err
	}
	l.Rows = p.rows(found)
	if more {
		l.Next = p.Link("entries", "?"+url.Values{"before": {decimal(found[len(found)-1].Index)}, "kind": {string(l.Kind)}}.Encode())
	}
	p.Data = l
	return nil
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

func (p *explorerPage) seals() error {
	before, err := p.number("before", p.Head.Seals)
	if err != nil {
		return err
	}
	found, more, err := p.x.chain.Seals(before, pageSize)
	if err != nil {
		return err
	}
	l := entryList{Rows: p.rows(found)}
	if more {
		l.Next = p.Link("seals", "?before="+decimal(found[len(found)-1].Seal.Height))
	}
	p.name, p.Title, p.Here, p.Data = "explore-seals", p.T("explore.seals"), "seals", l
	return nil
}

func (p *explorerPage) entry() error {
	index, err := parseNumber(p.request.PathValue("index"))
	if err != nil {
		return err
	}
	e, err := p.x.chain.Entry(index)
	if err != nil {
		return err
	}
	return p.show(e)
}

func (p *explorerPage) seal() error {
	height, err := parseNumber(p.request.PathValue("height"))
	if err != nil {
		return err
	}
	e, err := p.x.chain.Seal(height)
	if err != nil {
		return err
	}
	return p.show(e)
}

// show is the page of an entry.
func (p *explorerPage) show(e *explore.Entry) error {
	d, err := p.detail(e)
	if err != nil {
		return err
	}
	p.name, p.Title, p.Here, p.Data = "explore-entry", p.T("explore.entry")+" "+decimal(e.Index)+": "+d.Title, "entries", d
	if _, ok := e.Payload.(entry.Seal); ok {
		p.Here = "seals"
	}
	return nil
}

// raw answers with an entry's bytes.
func (x *Explorer) raw(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	index, err := parseNumber(r.PathValue("index"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	e, err := x.chain.Entry(index)
	if err != nil {
		x.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jose+json")
	_, _ = w.Write(e.Entry.Bytes())
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

// parties are a page of issuers or verifiers.
type parties struct {
	Role string
	List []*explore.Party
	Next string
}

func (p *explorerPage) issuers() error   { return p.parties("issuer", p.x.chain.Issuers) }
func (p *explorerPage) verifiers() error { return p.parties("verifier", p.x.chain.Verifiers) }

func (p *explorerPage) parties(role string, read func(string, int) ([]*explore.Party, bool, error)) error {
	after := p.request.URL.Query().Get("after")
	if len(after) > explore.MaxQuery {
		return errBadQuery
	}
	found, more, err := read(after, pageSize)
	if err != nil {
		return err
	}
	d := parties{Role: role, List: found}
	if more {
		d.Next = p.Link(role+"s", "?"+url.Values{"after": {found[len(found)-1].DID}}.Encode())
	}
	p.name, p.Title, p.Here, p.Data = "explore-parties", p.T("explore."+role+"s"), role+"s", d
	return nil
}

// partyView is what is known of a party, with its history.
type partyView struct {
	*explore.Party
	entryList
	Policies []policyView
	MoreAsks string // address of all that it may ask for; empty if all are here
}

func (p *explorerPage) party() error {
	did := p.request.PathValue("did")
	if len(did) > explore.MaxQuery {
		return errBadQuery
	}
	party, err := p.x.chain.Party(did)
	if err != nil {
		return err
	}
	before, err := p.number("before", p.Head.Size)
	if err != nil {
		return err
	}
	found, more, err := p.x.chain.List(explore.About(did), before, pageSize)
	if err != nil {
		return err
	}
	v := partyView{Party: party, entryList: entryList{Rows: p.rows(found)}}
	if more {
		v.Next = p.Link(p.roleOf(party), did, "?before="+decimal(found[len(found)-1].Index))
	}
	if party.Verifier {
		registered, more, err := p.x.chain.Policies(did, "", policySize)
		if err != nil {
			return err
		}
		if more {
			v.MoreAsks = p.Link("policies", "?"+url.Values{"verifier": {did}}.Encode())
		}
		if v.Policies, err = p.explained(registered); err != nil {
			return err
		}
	}
	p.name, p.Title, p.Here, p.Data = "explore-party", p.nameOf(party), p.roleOf(party)+"s", v
	return nil
}

// roleOf is the part of the address of a party's page.
func (p *explorerPage) roleOf(party *explore.Party) string {
	switch {
	case party.Issuer:
		return "issuer"
	case party.Verifier:
		return "verifier"
	}
	return "signer"
}

func (p *explorerPage) nameOf(party *explore.Party) string {
	if name := party.Name.In(p.Language); name != "" {
		return name
	}
	if text, ok := texts["signer."+party.DID]; ok {
		return text.In(p.Language)
	}
	return party.DID
}

// policyView is a policy in words.
type policyView struct {
	*explore.Policy
	Verifier string // its name
	Facts    []string
	Shown    []string
}

func (p *explorerPage) explained(list []*explore.Policy) (views []policyView, err error) {
	for _, registered := range list {
		v, err := p.explain(registered)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// explain puts a policy into words. One that cannot be put into words, as it is for a newer program, is shown without.
func (p *explorerPage) explain(registered *explore.Policy) (policyView, error) {
	v := policyView{Policy: registered, Verifier: p.x.chain.Name(registered.Policy.Verifier, p.Language)}
	explained, err := p.x.chain.Explain(registered.Policy, p.x.clock(), p.Language)
	if err != nil {
		p.x.logger.WarnContext(p.request.Context(), "policy without words", slog.Uint64("entry", registered.Index), slog.Any("error", err))
		return v, nil
	}
	for _, e := range explained {
		v.Facts, v.Shown = append(v.Facts, e.Facts...), append(v.Shown, e.Shown...)
	}
	return v, nil
}

func (p *explorerPage) policies() error {
	after, verifier := p.request.URL.Query().Get("after"), p.request.URL.Query().Get("verifier")
	if len(after) > 2*explore.MaxQuery || len(verifier) > explore.MaxQuery {
		return errBadQuery
	}
	if verifier == "" {
		after = strings.Replace(after, " ", "\x00", 1) // neither DIDs nor ids have spaces
	}
	found, more, err := p.x.chain.Policies(verifier, after, policySize)
	if err != nil {
		return err
	}
	views, err := p.explained(found)
	if err != nil {
		return err
	}
	d := struct {
		Policies []policyView
		Next     string
	}{views, ""}
	if more {
		last := found[len(found)-1].Policy
		next := url.Values{"after": {last.Verifier + " " + last.ID}}
		if verifier != "" {
			next = url.Values{"after": {last.ID}, "verifier": {verifier}}
		}
		d.Next = p.Link("policies", "?"+next.Encode())
	}
	p.name, p.Title, p.Here, p.Data = "explore-policies", p.T("explore.policies"), "policies", d
	return nil
}

// searchHit is something found.
type searchHit struct {
	Link, Text string
}

// search looks for what a form sent, or an address says. One hit is shown at once.
func (p *explorerPage) search() error {
	query := p.request.FormValue("q")
	found, err := p.x.chain.Find(query)
	if err != nil {
		return err
	}
	var hits []searchHit
	for _, f := range found {
		hits = append(hits, p.hit(f))
	}
	if len(hits) == 1 {
		p.moved = hits[0].Link
		return nil
	}
	p.name, p.Title = "explore-search", p.T("explore.search")
	p.Data = struct {
		Asked bool
		Hits  []searchHit
	}{strings.TrimSpace(query) != "", hits}
	return nil
}

func (p *explorerPage) hit(f explore.Found) searchHit {
	switch {
	case f.Entry != nil:
		return searchHit{p.Link("entry", *f.Entry), p.T("explore.entry") + " " + decimal(*f.Entry)}
	case f.Seal != nil:
		return searchHit{p.Link("seal", *f.Seal), p.T("explore.seal") + " " + decimal(*f.Seal)}
	case f.Leaf != nil:
		address := p.Link("entry", f.Leaf.Index, "?from="+strconv.Itoa(f.Leaf.Position/pageSize*pageSize)) + "#c" + strconv.Itoa(f.Leaf.Position)
		return searchHit{address, p.T("explore.credential") + " " + decimal(f.Leaf.Leaf) + ": " + p.T(statusKey(f.Leaf.Status))}
	}
	party, err := p.x.chain.Party(f.DID)
	if err != nil {
		return searchHit{p.Link("signer", f.DID), f.DID}
	}
	return searchHit{p.Link(p.roleOf(party), f.DID), p.nameOf(party)}
}

func statusKey(s explore.Status) string {
	switch s {
	case explore.Suspended:
		return "explore.suspended"
	case explore.Revoked:
		return "explore.revoked"
	}
	return "explore.active"
}

// check is the page that recomputes proofs.
func (p *explorerPage) check() error {
	var byDefault uint64
	if newest, _, err := p.x.chain.List(explore.Work, p.Head.Checked, 1); err == nil && len(newest) == 1 {
		byDefault = newest[0].Index
	}
	index, err := p.number("entry", byDefault)
	if err != nil {
		return err
	}
	p.name, p.Title, p.Here = "explore-check", p.T("check.title"), "check"
	p.Data = struct {
		Index     uint64
		LogKey    string
		Cosigners string
		Threshold int
	}{index, p.Head.Policy.LogKey, strings.Join(p.Head.Policy.Cosigners, " "), p.Head.Policy.Threshold}
	return nil
}

func (x *Explorer) checkpoint(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	text := x.chain.Head().Checkpoint
	if text == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text))
}

// proofAnswer is what the checker gets. It believes none of it.
type proofAnswer struct {
	Entry string              `json:"entry,omitempty"` // the entry's bytes, which are UTF-8
	Proof []credential.Digest `json:"proof"`
}

func (x *Explorer) inclusion(w http.ResponseWriter, r *http.Request) {
	x.proof(w, r, "index", func(index, size uint64) (a proofAnswer, err error) {
		if a.Proof, err = x.chain.Inclusion(index, size); err != nil {
			return a, err
		}
		e, err := x.chain.Entry(index)
		if err == nil {
			a.Entry = string(e.Entry.Bytes())
		}
		return a, err
	})
}

func (x *Explorer) consistency(w http.ResponseWriter, r *http.Request) {
	x.proof(w, r, "old", func(old, size uint64) (a proofAnswer, err error) {
		a.Proof, err = x.chain.Consistency(old, size)
		return a, err
	})
}

func (x *Explorer) proof(w http.ResponseWriter, r *http.Request, name string, prove func(a, size uint64) (proofAnswer, error)) {
	protect(w.Header())
	query := r.URL.Query()
	first, err := parseNumber(query.Get(name))
	size, sizeErr := parseNumber(query.Get("size"))
	var answer proofAnswer
	if err = errors.Join(err, sizeErr); err == nil {
		answer, err = prove(first, size)
	}
	var body []byte
	if err == nil {
		body, err = json.Marshal(answer)
	}
	if err != nil {
		x.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
