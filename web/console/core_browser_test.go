package console_test

import (
	"testing"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/web/browsertest"
	"github.com/bulla-id/bulla/web/console"
)

// issued is a credential that came of an application, and the id of another application that waits.
func (o *office) issued() (application, credential, waiting string) {
	o.t.Helper()
	file := func(person string) issuer.Case {
		a := issuer.Application{Person: person, Schema: titleType, ValidUntil: "2031-12-31", Claims: map[string]any{"parcel": "9A", "area": "620", "use": "house"}}
		c, _, err := o.issuer.File(o.by("chen"), issuer.Filing{Kind: issuer.CaseIssue, Application: &a})
		if err != nil {
			o.t.Fatal(err)
		}
		return c
	}
	c := file("Li Wei")
	c = ledgertest.Must(o.issuer.Approve(o.by("wang"), c.ID, c.Version))(o.t)
	c = ledgertest.Must(o.issuer.Approve(o.by("zhao"), c.ID, c.Version))(o.t)
	offer := ledgertest.Must(o.issuer.OfferCase(o.t.Context(), o.by("chen"), c.ID, false))(o.t)
	ledgertest.Must(o.holder().Receive(o.t.Context(), offer.Link, ""))(o.t)
	c = ledgertest.Must(o.issuer.Case(o.by("chen"), c.ID))(o.t)
	w := file("Zhang Hui")
	w = ledgertest.Must(o.issuer.Approve(o.by("wang"), w.ID, w.Version))(o.t)
	return c.ID, c.Issued, w.ID
}

// by is an officer as the issuer knows them.
func (o *office) by(name string) issuer.Officer {
	return issuer.Officer(o.server.URL + "|officer:" + name)
}

// The pages of applications and credentials are accessible in both languages, widths and schemes, and fit a phone.
func TestCorePagesInBrowser(t *testing.T) {
	o := newOffice(t)
	application, credential, waiting := o.issued()
	b := browsertest.Open(t)
	refusals := browsertest.Open(t) // the browser itself calls a status of 403 or 422 an error
	for _, language := range []string{"en", "zh-CN"} {
		look := func(b *browsertest.Browser, officer, path, name, form string) {
			become(b, o, officer)
			b.Open(o.server.URL + console.Path + path + "lang=" + language)
			if form != "" {
				browsertest.Evaluate[any](b, `document.querySelector(`+"`"+form+"`"+`).submit()`)
				b.Until(`document.querySelector("main .problem, main figure img") !== null`)
			}
			for _, width := range []int64{390, 1280} {
				b.Screen(width, width == 390 && language == "zh-CN")
				b.Until("document.documentElement.scrollWidth <= window.innerWidth")
				b.WantAccessible("console, " + name)
			}
		}
		look(b, "zhao", "/applications?", "applications", "")
		look(b, "zhao", "/applications/"+waiting+"?", "application to decide", "")
		look(b, "wang", "/applications/"+waiting+"?", "application of four eyes", "")
		look(b, "chen", "/applications/"+application+"?", "application issued", "")
		look(b, "chen", "/applications/new?", "application form", "")
		look(b, "chen", "/applications/"+waiting+"?", "offer", `main form[action$="/offer"]`)
		look(b, "chen", "/credentials?", "credentials", "")
		look(b, "chen", "/credentials/"+credential+"?", "credential", "")
		look(b, "chen", "/credentials/"+credential+"/suspend?", "suspend", "")
		look(b, "chen", "/applications/new?kind=revoke&credential="+credential+"&", "revocation", "")
		look(b, "zhou", "/enrolments?", "lost wallets", "")
		look(refusals, "chen", "/applications/new?", "application form refused", "main form.sheet")
		look(refusals, "zhou", "/applications?", "no right", "")
	}
	b.WantNoErrors()
}
