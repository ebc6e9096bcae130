package console

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/bulla-id/bulla/issuer"
)

// How clerks write applications: new ones, those that change a credential, and better versions of what is filed.

func (c *Console) mountFiling() {
	c.page("GET /applications/new", issuer.ScopeFile, (*visit).newApplication)
	c.form("POST /applications", issuer.ScopeFile, (*visit).file)
	c.page("GET /applications/{id}/edit", issuer.ScopeFile, (*visit).editApplication)
	c.form("POST /applications/{id}/edit", issuer.ScopeFile, (*visit).saveApplication)
}

// kinds tells of the kinds of applications whether an application belongs to them.
var kinds = map[issuer.CaseKind]bool{
	issuer.CaseIssue: true, issuer.CaseRenew: true, issuer.CaseCorrect: true, issuer.CaseTransfer: true,
	issuer.CaseReinstate: false, issuer.CaseRevoke: false, issuer.CaseCompanion: false,
}

// startPage is what one chooses a schema on.
type startPage struct {
	Schemas  []schema
	Language string
}

func (v *visit) newApplication() error {
	asked := v.r.URL.Query()
	schemas, err := v.schemas()
	if err != nil {
		return err
	}
	kind := issuer.CaseKind(asked.Get("kind"))
	if kind == "" && asked.Get("schema") == "" && len(schemas) != 1 {
		return v.show("application-start", startPage{schemas, v.language})
	}
	if kind == "" {
		kind = issuer.CaseIssue
	}
	schemaType := asked.Get("schema")
	if schemaType == "" && len(schemas) == 1 {
		schemaType = schemas[0].Schema.Type
	}
	d, err := v.draft(schemas, kind, schemaType, asked.Get("credential"))
	if err != nil {
		return err
	}
	return v.showDraft(d, nil)
}

// draft begins an application of a kind: about a credential, or else of a schema.
func (v *visit) draft(schemas []schema, kind issuer.CaseKind, schemaType, credentialID string) (*draft, error) {
	written, known := kinds[kind]
	if !known {
		return nil, &Problem{Status: http.StatusNotFound, Code: "not-found"}
	}
	d := &draft{Kind: kind}
	if kind != issuer.CaseIssue {
		d.Credential = new(issuer.Credential)
		if err := v.call(http.MethodGet, credentialAt(credentialID), nil, d.Credential); err != nil {
			return nil, err
		}
		schemaType = d.Credential.Schema
		d.Start = startOf(kind, d.Credential)
	}
	d.Schema = schemaNamed(schemas, schemaType)
	if len(d.Schema.Schema.Claims) == 0 {
		return nil, &Problem{Status: http.StatusNotFound, Code: "unknown-schema"}
	}
	d.Direct = kind == issuer.CaseIssue && d.Schema.Approvals == 0 && v.session.may(issuer.ScopeOffers)
	if written {
		v.open(d)
	}
	return d, nil
}

// startOf is what an application about a credential begins with: what it says, but for what the application is to change.
func startOf(kind issuer.CaseKind, old *issuer.Credential) *issuer.Application {
	a := applicationOf(old)
	switch kind {
	case issuer.CaseRenew:
		a.ValidFrom, a.ValidUntil = "", ""
	case issuer.CaseTransfer:
		a.Person, a.ValidFrom = "", ""
	}
	return a
}

// draftPage is what the form shows.
type draftPage struct {
	*draft
	Name   string // of what is applied for
	Lines  []line // what the credential says that is to be changed
	Reason reasonForm
	Wrong  int // how many entries do not fit
}

// showDraft shows the form of an application, with what it was refused for, if it was.
func (v *visit) showDraft(d *draft, refused error) error {
	p := draftPage{draft: d, Name: d.Title(v.language)}
	p.Reason, _ = v.reason()
	template := "application-form"
	if !kinds[d.Kind] {
		template, p.Lines = "application-change", v.lines(d.Schema.Schema, applicationOf(d.Credential), nil)
	}
	for _, f := range d.Fields {
		if f.Problem != "" {
			p.Wrong++
		}
	}
	if refused != nil {
		v.at = v.draftAt(d)
		return v.showAgain(template, p, refused)
	}
	return v.show(template, p)
}

// draftAt is where the empty form is.
func (v *visit) draftAt(d *draft) string {
	if d.Case != "" {
		return caseAt(d.Case, "/edit")
	}
	if d.Credential != nil {
		return "/applications/new?" + url.Values{"kind": {string(d.Kind)}, "credential": {d.Credential.ID}}.Encode()
	}
	return "/applications/new?" + url.Values{"schema": {d.Schema.Schema.Type}}.Encode()
}

// errEntries is a form some of whose entries do not fit.
var errEntries = &Problem{Status: http.StatusUnprocessableEntity, Code: "entries"}

// filedPage is an application that was filed. Its private link is shown once.
type filedPage struct {
	issuer.Case
	Link string `json:"link"`
}

func (v *visit) file() error {
	schemas, err := v.schemas()
	if err != nil {
		return err
	}
	d, err := v.draft(schemas, issuer.CaseKind(v.entered("kind")), v.entered("schema"), v.entered("credential"))
	if err != nil {
		return err
	}
	d.TxCode = v.entered("tx_code") != ""
	filing := issuer.Filing{Kind: d.Kind, ExternalID: v.entered("external_id")}
	if d.Credential != nil {
		filing.Credential = d.Credential.ID
	}
	if kinds[d.Kind] {
		a, fits := v.read(d)
		if !fits {
			return v.showDraft(d, errEntries)
		}
		if filing.Application = a; d.Direct && v.entered("do") == "offer" {
			return v.offerDirectly(d, *a)
		}
	} else if d.Kind != issuer.CaseCompanion {
		_, reason := v.reason()
		filing.Reason = &reason
	}
	var filed filedPage
	if err := v.call(http.MethodPost, "/applications", filing, &filed, v.once()); err != nil {
		v.blame(d, err)
		return v.showDraft(d, err)
	}
	v.at = caseAt(filed.ID)
	return v.show("filed", filed)
}

// offerDirectly makes an offer without an application, where no approval is needed.
func (v *visit) offerDirectly(d *draft, a issuer.Application) error {
	var offer issuer.Offer
	a.TxCode = d.TxCode
	if err := v.call(http.MethodPost, "/offers", a, &offer, v.once()); err != nil {
		v.blame(d, err)
		return v.showDraft(d, err)
	}
	return v.showOffer(offer, "/credentials", false)
}

// edited begins the edit of the application of the path.
func (v *visit) edited() (*draft, error) {
	var c issuer.Case
	if err := v.call(http.MethodGet, caseAt(v.r.PathValue("id")), nil, &c); err != nil {
		return nil, err
	}
	schemas, err := v.schemas()
	if err != nil {
		return nil, err
	}
	if c.Application == nil {
		return nil, &Problem{Status: http.StatusConflict, Code: "state"}
	}
	d := &draft{Kind: c.Kind, Schema: schemaNamed(schemas, c.Schema), Case: c.ID, Version: c.Version, Start: c.Application}
	v.open(d)
	return d, nil
}

func (v *visit) editApplication() error {
	d, err := v.edited()
	if err != nil {
		return err
	}
	return v.showDraft(d, nil)
}

// saveApplication replaces what is applied for. If somebody changed it meanwhile, the form shows both, and saving again is of what it shows.
func (v *visit) saveApplication() error {
	d, err := v.edited()
	if err != nil {
		return err
	}
	stored := make(map[string]string)
	for _, f := range d.Fields {
		stored[f.Name] = f.Value
	}
	a, fits := v.read(d)
	if !fits {
		return v.showDraft(d, errEntries)
	}
	err = v.call(http.MethodPut, caseAt(d.Case, "/application"), a, nil, v.version())
	if err == nil {
		return v.goTo(caseAt(d.Case), "edit")
	}
	var changed *Problem
	if errors.As(err, &changed) && changed.Code == string(issuer.ErrVersion.Code) {
		for n := range d.Fields {
			if f := &d.Fields[n]; f.Value != stored[f.Name] {
				f.Now = stored[f.Name]
			}
		}
	}
	v.blame(d, err)
	return v.showDraft(d, err)
}
