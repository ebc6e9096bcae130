package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bulla-id/bulla/issuer"
)

// Credentials that were issued, and what ends or interrupts them. Each change is asked for once more before it is done.

func (c *Console) mountCredentials() {
	c.page("GET /credentials", issuer.ScopeCredentials, (*visit).listCredentials)
	c.form("POST /credentials/search", issuer.ScopeCredentials, (*visit).searchCredentials)
	c.page("GET /credentials/search", issuer.ScopeCredentials, func(v *visit) error { return v.goTo("/credentials", "") })
	c.page("GET /credentials/{id}", issuer.ScopeCredentials, func(v *visit) error { return v.showCredential(nil) })
	for _, verb := range []string{"suspend", "reinstate", "revoke", "erase"} {
		c.page("GET /credentials/{id}/"+verb, issuer.ScopeRevoke, func(v *visit) error { return v.confirmChange(verb, nil) })
		c.form("POST /credentials/{id}/"+verb, issuer.ScopeRevoke, func(v *visit) error { return v.change(verb) })
	}
	c.form("POST /credentials/{id}/companion", issuer.ScopeOffers, (*visit).offerCompanion)
}

// credentialList is a page of credentials, as the API gives it.
type credentialList struct {
	Credentials []issuer.Credential `json:"credentials"`
	Next        string              `json:"next"`
}

// credentialsPage is what the list shows.
type credentialsPage struct {
	Rows   []credentialRow
	Next   string // address of the next page
	First  bool
	Search search
}

type credentialRow struct {
	issuer.Credential
	Title string
}

func (v *visit) listCredentials() error {
	after := v.r.URL.Query().Get("after")
	var found credentialList
	query := url.Values{"limit": {strconv.Itoa(pageLength)}, "after": {after}}
	if err := v.call(http.MethodGet, "/credentials?"+query.Encode(), nil, &found); err != nil {
		return err
	}
	p := credentialsPage{First: after == ""}
	if found.Next != "" {
		p.Next = "/credentials?" + url.Values{"after": {found.Next}}.Encode()
	}
	return v.showCredentials(p, found)
}

func (v *visit) searchCredentials() error {
	p := credentialsPage{Search: search{Person: v.entered("person"), After: v.entered("after")}}
	v.at = "/credentials"
	if !p.Search.Any() {
		return v.goTo("/credentials", "")
	}
	p.First = p.Search.After == ""
	var found credentialList
	in := map[string]any{"person": p.Search.Person, "after": p.Search.After, "limit": pageLength}
	if err := v.call(http.MethodPost, "/credentials/search", in, &found); err != nil {
		return err
	}
	p.Search.After = found.Next
	return v.showCredentials(p, found)
}

func (v *visit) showCredentials(p credentialsPage, found credentialList) error {
	schemas, err := v.knownSchemas()
	if err != nil {
		return err
	}
	for _, c := range found.Credentials {
		p.Rows = append(p.Rows, credentialRow{c, schemaNamed(schemas, c.Schema).Schema.Title(v.language)})
	}
	return v.show("credentials", p)
}

// knownSchemas are all, for those who may know them.
func (v *visit) knownSchemas() ([]schema, error) {
	if !v.session.may(issuer.ScopeReadCases) {
		return nil, nil
	}
	return v.schemas()
}

// credentialPage is what the page of one shows.
type credentialPage struct {
	issuer.Credential
	Title   string
	Lines   []line
	Changes []string          // verbs that the officer may ask for at once
	Kinds   []issuer.CaseKind // of applications that may be filed about it
	Direct  bool              // a companion may be offered at once
	Entry   string            // address of an entry of the chain but for its index; empty: there is no explorer
	Verb    string            // what is about to be done
	Reason  reasonForm
}

// credentialOf reads the credential of the path.
func (v *visit) credentialOf() (*credentialPage, error) {
	p := new(credentialPage)
	if err := v.call(http.MethodGet, credentialAt(v.r.PathValue("id")), nil, &p.Credential); err != nil {
		return nil, err
	}
	schemas, err := v.knownSchemas()
	if err != nil {
		return nil, err
	}
	s := schemaNamed(schemas, p.Schema)
	p.Title, p.Lines = s.Schema.Title(v.language), v.lines(s.Schema, applicationOf(&p.Credential), nil)
	if v.c.cfg.Explorer != "" {
		p.Entry = strings.TrimSuffix(v.c.cfg.Explorer, "/") + "/entry/"
	}
	v.possible(p, s)
	p.Reason, _ = v.reason()
	return p, nil
}

// possible says what the officer may do with a credential. Whether it is done is the API's to say.
func (v *visit) possible(p *credentialPage, s schema) {
	changes, files := v.session.may(issuer.ScopeRevoke), v.session.may(issuer.ScopeFile)
	live := (p.Status == issuer.Active || p.Status == issuer.Suspended) && p.Change == ""
	over := p.Status == issuer.Revoked || p.ValidUntil < day(v.c.cfg.Clock())
	add := func(may bool, verb string) {
		if may && changes {
			p.Changes = append(p.Changes, verb)
		}
	}
	add(p.Status == issuer.Active && live, "suspend")
	add(p.Status == issuer.Suspended && live && s.Approvals == 0, "reinstate")
	add(live && s.Approvals == 0, "revoke")
	add(over && p.Change == "" && p.Status != issuer.Pending && p.Erased == 0, "erase")
	if !live || !files || p.Erased != 0 || len(s.Schema.Claims) == 0 {
		return
	}
	p.Kinds = []issuer.CaseKind{issuer.CaseRenew, issuer.CaseCorrect}
	if p.Subject != "" {
		p.Kinds = append(p.Kinds, issuer.CaseTransfer)
	}
	if s.Approvals > 0 && p.Status == issuer.Suspended {
		p.Kinds = append(p.Kinds, issuer.CaseReinstate)
	}
	if s.Approvals > 0 {
		p.Kinds = append(p.Kinds, issuer.CaseRevoke)
	}
	if p.Status == issuer.Active {
		p.Direct = s.Approvals == 0 && v.session.may(issuer.ScopeOffers)
		if !p.Direct {
			p.Kinds = append(p.Kinds, issuer.CaseCompanion)
		}
	}
}

// showCredential shows the credential of the path, with what was refused, if something was.
func (v *visit) showCredential(refused error) error {
	p, err := v.credentialOf()
	switch {
	case err != nil:
		return err
	case refused != nil:
		v.at = credentialAt(p.ID)
		return v.showAgain("credential", p, refused)
	}
	return v.show("credential", p)
}

// confirmChange says what will happen, and asks why.
func (v *visit) confirmChange(verb string, refused error) error {
	p, err := v.credentialOf()
	if err != nil {
		return err
	}
	p.Verb = verb
	if refused != nil {
		return v.showAgain("credential-change", p, refused)
	}
	return v.show("credential-change", p)
}

func (v *visit) change(verb string) error {
	_, reason := v.reason()
	at := credentialAt(v.r.PathValue("id"))
	if err := v.call(http.MethodPost, at+"/"+verb, reason, nil, v.once()); err != nil {
		return v.confirmChange(verb, err)
	}
	return v.goTo(at, verb)
}

func (v *visit) offerCompanion() error {
	var offer issuer.Offer
	at := credentialAt(v.r.PathValue("id"))
	if err := v.call(http.MethodPost, at+"/companion-offers", map[string]any{"tx_code": v.entered("tx_code") != ""}, &offer, v.once()); err != nil {
		return v.showCredential(err)
	}
	return v.showOffer(offer, at, false)
}
