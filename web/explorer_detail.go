package web

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/explore"
)

// entryFact is one line about an entry.
type entryFact struct {
	Label string
	Text  string
	Links []reference // in place of the text
	Code  bool        // the text is a hash, a key, an address
}

// commitment is one credential of a batch.
type commitment struct {
	Position int
	Leaf     uint64
	Text     string
	Status   string // key of the texts
	Changes  []reference
}

// entryDetail is an entry on its page.
type entryDetail struct {
	entryRow
	Kind        entry.Kind
	Facts       []entryFact
	Policy      *policyView
	Commitments []commitment
	From, To    int    // of the commitments that are shown, counted from 1
	Of          int    // how many there are
	Next        string // address of the next ones
	Payload     string // JSON, for people
	Raw         string // address of the bytes
	Checkable   bool
	Closes      []entryRow // entries that a seal puts into effect, the first of them
	MoreCloses  bool
	Older       string // addresses of the neighbours
	Newer       string
}

func (p *explorerPage) detail(e *explore.Entry) (d entryDetail, err error) {
	d = entryDetail{entryRow: p.row(e), Kind: e.Entry.Header().Kind, Facts: p.facts(e), Raw: p.Link("entry", e.Index, "raw"), Checkable: e.Index < p.Head.Checked}
	if d.Payload, err = indented(e.Entry.Payload); err != nil {
		return d, err
	}
	switch c := e.Payload.(type) {
	case entry.CredentialsIssued:
		err = p.commitments(&d, e, c)
	case entry.PolicyRegistered:
		var registered *explore.Policy
		if registered, err = p.x.chain.PolicyAt(e.Index); err == nil {
			var v policyView
			v, err = p.explain(registered)
			d.Policy = &v
		}
	case entry.Seal:
		err = p.closes(&d, e, c)
	}
	if e.Index > 0 {
		d.Older = p.Link("entry", e.Index-1)
	}
	if e.Index+1 < p.Head.Size {
		d.Newer = p.Link("entry", e.Index+1)
	}
	return d, err
}

func indented(payload []byte) (string, error) {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(json.RawMessage(payload))
	return out.String(), err
}

// commitments shows a page of a batch.
func (p *explorerPage) commitments(d *entryDetail, e *explore.Entry, c entry.CredentialsIssued) error {
	from, err := p.number("from", 0)
	if err != nil || from >= uint64(len(c.Commitments)) {
		return errBadQuery
	}
	first := int(from)
	d.From, d.To, d.Of = first+1, min(first+pageSize, len(c.Commitments)), len(c.Commitments)
	if d.To < d.Of {
		d.Next = p.Link("entry", e.Index, "?from="+strconv.Itoa(d.To))
	}
	for i := first; i < d.To; i++ {
		leaf, err := p.x.chain.Leaf(e.FirstLeaf + uint64(i))
		if err != nil {
			return err
		}
		line := commitment{Position: i, Leaf: leaf.Leaf, Text: text(c.Commitments[i]), Status: statusKey(leaf.Status)}
		if e.Seal == nil && leaf.Status == explore.Active {
			line.Status = "explore.unsealed"
		}
		for _, index := range leaf.Changes {
			line.Changes = append(line.Changes, reference{decimal(index), p.Link("entry", index)})
		}
		d.Commitments = append(d.Commitments, line)
	}
	return nil
}

// closes lists what a seal puts into effect.
func (p *explorerPage) closes(d *entryDetail, e *explore.Entry, c entry.Seal) error {
	found, _, err := p.x.chain.List(explore.Work, e.Index, pageSize+1)
	if err != nil {
		return err
	}
	for _, closed := range found {
		// The genesis entry stands in for the seal before the first.
		if closed.Index <= c.PreviousAt && (c.Height > 0 || closed.Index > 0) {
			break
		}
		if len(d.Closes) == pageSize {
			d.MoreCloses = true
			break
		}
		d.Closes = append(d.Closes, p.row(closed))
	}
	return nil
}
