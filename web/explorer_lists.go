package web

import (
	"net/url"

	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
)

// How many entries a list shows, and how many policies, which take more to put into words.
const (
	pageSize   = 25
	policySize = 10
)

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
