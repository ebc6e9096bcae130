package web

import (
	"net/url"

	"github.com/bulla-id/bulla/ledger/explore"
)

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
	Charts   *charted // of who issued something
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
	if party.Issued > 0 {
		if v.Charts, err = p.chartsOf(did); err != nil {
			return err
		}
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
