package web

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"

	"github.com/bulla-id/bulla/ledger/explore"
)

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
	if part, ok := x.lives[key]; ok && part.size >= p.Head.Size {
		return part, nil
	}
	p.root = "./" // addresses are seen from the overview, whoever asks
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
