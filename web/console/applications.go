package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/bulla-id/bulla/issuer"
)

// The queue of applications. Who an application is of, and the agency's own number of it, have no place in an address: they are searched
// by a form.

// pageLength is how many rows a list shows at once.
const pageLength = 25

// states are what the queue can be narrowed to; undecided are both that wait for officers.
var states = []issuer.CaseState{
	issuer.CaseUndecided, issuer.CaseSubmitted, issuer.CaseInReview, issuer.CaseApproved, issuer.CaseIssued, issuer.CaseDone, issuer.CaseRefused, issuer.CaseWithdrawn,
}

func (c *Console) mountApplications() {
	c.page("GET /applications", issuer.ScopeReadCases, (*visit).queue)
	c.form("POST /applications/search", issuer.ScopeReadCases, (*visit).searchApplications)
	c.page("GET /applications/search", issuer.ScopeReadCases, func(v *visit) error { return v.goTo("/applications", "") })
	c.page("GET /applications/{id}", issuer.ScopeReadCases, func(v *visit) error { return v.showCase(nil) })
	c.form("POST /applications/{id}/review", issuer.ScopeDecide, func(v *visit) error { return v.decide("review", nil) })
	c.form("POST /applications/{id}/approve", issuer.ScopeDecide, func(v *visit) error { return v.decide("approve", nil) })
	c.form("POST /applications/{id}/withdraw", issuer.ScopeFile, func(v *visit) error { return v.decide("withdraw", nil) })
	c.form("POST /applications/{id}/refuse", issuer.ScopeDecide, func(v *visit) error {
		_, reason := v.reason()
		return v.decide("refuse", reason)
	})
	c.form("POST /applications/{id}/offer", issuer.ScopeFile, (*visit).offerCase)
}

// queuePage is what the queue shows.
type queuePage struct {
	Rows     []queueRow
	Schemas  []schema
	States   []issuer.CaseState
	State    issuer.CaseState // of those that are shown; empty: all
	Schema   string
	Next     string // address of the next page
	First    bool
	Search   search
	Language string
}

// search is what a form asks for, and where its next page begins.
type search struct {
	Person     string
	ExternalID string
	After      string
}

// Any tells whether something is searched.
func (s search) Any() bool { return s.Person != "" || s.ExternalID != "" }

// queueRow is one application.
type queueRow struct {
	issuer.Case
	Title    string
	Person   string
	Age      string
	Standing string
}

// answer is a page of applications, as the API gives it.
type caseList struct {
	Applications []issuer.Case `json:"applications"`
	Next         string        `json:"next"`
}

func (v *visit) queue() error {
	asked := v.r.URL.Query()
	p := queuePage{State: issuer.CaseUndecided, Schema: asked.Get("schema"), First: asked.Get("after") == ""}
	if asked.Has("state") {
		p.State = issuer.CaseState(asked.Get("state"))
	}
	query := url.Values{"limit": {strconv.Itoa(pageLength)}, "after": {asked.Get("after")}, "state": {string(p.State)}, "schema": {p.Schema}}
	var found caseList
	if err := v.call(http.MethodGet, "/applications?"+query.Encode(), nil, &found); err != nil {
		return err
	}
	if found.Next != "" {
		p.Next = "/applications?" + url.Values{"state": {string(p.State)}, "schema": {p.Schema}, "after": {found.Next}}.Encode()
	}
	return v.showQueue(p, found)
}

func (v *visit) searchApplications() error {
	p := queuePage{Search: search{v.entered("person"), v.entered("external_id"), v.entered("after")}}
	v.at = "/applications"
	if !p.Search.Any() {
		return v.goTo("/applications", "")
	}
	p.First = p.Search.After == ""
	in := map[string]any{"person": p.Search.Person, "external_id": p.Search.ExternalID, "after": p.Search.After, "limit": pageLength}
	var found caseList
	if err := v.call(http.MethodPost, "/applications/search", in, &found); err != nil {
		return err
	}
	p.Search.After = found.Next
	return v.showQueue(p, found)
}

func (v *visit) showQueue(p queuePage, found caseList) (err error) {
	if p.Schemas, err = v.schemas(); err != nil {
		return err
	}
	p.States, p.Language = states, v.language
	for _, c := range found.Applications {
		row := queueRow{Case: c, Title: schemaNamed(p.Schemas, c.Schema).Schema.Title(v.language), Age: v.age(c.Steps[0].At), Standing: v.standing(&c)}
		if c.Application != nil {
			row.Person = c.Application.Person
		}
		p.Rows = append(p.Rows, row)
	}
	return v.show("applications", p)
}

// standing says whom a case waits for: a key of the texts below console.standing, or nothing once it has ended.
func (v *visit) standing(c *issuer.Case) string {
	me := issuer.Officer(v.session.Officer)
	switch c.State {
	case issuer.CaseSubmitted, issuer.CaseInReview:
		switch {
		case !v.session.may(issuer.ScopeDecide):
			return "approver"
		case c.Author == me:
			return "own"
		case slices.Contains(c.Approvals, me):
			return "another"
		}
		return "you"
	case issuer.CaseApproved:
		switch c.Kind {
		case issuer.CaseReinstate, issuer.CaseRevoke:
			return "chain"
		case issuer.CaseCompanion:
			return "offer"
		}
		return "wallet"
	}
	return ""
}
