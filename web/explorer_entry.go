package web

import (
	"net/http"

	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
)

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
