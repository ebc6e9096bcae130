package web

import (
	"log/slog"
	"net/url"
	"strings"

	"github.com/bulla-id/bulla/ledger/explore"
)

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
