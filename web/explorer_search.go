package web

import (
	"strconv"
	"strings"

	"github.com/bulla-id/bulla/ledger/explore"
)

// searchHit is something found.
type searchHit struct {
	Link, Text string
}

// search looks for what a form sent, or an address says. One hit is shown at once.
func (p *explorerPage) search() error {
	tooLong := p.request.ParseForm() != nil // or malformed: there is nothing of that name
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
	}{tooLong || strings.TrimSpace(query) != "", hits}
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
