package console_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/oauthtest"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/web/browsertest"
	"github.com/bulla-id/bulla/web/console"
)

// signsIn signs the desk's officers in at a provider.
func signsIn(t *testing.T, p *oauthtest.Provider) func(d *desk) *oauth.SignIn {
	return func(d *desk) *oauth.SignIn {
		p.Redirect, p.Clock = d.url+console.Path+console.ProviderBack, d.now
		client := &http.Client{Timeout: 5 * time.Second}
		keys := ledgertest.Must(oauth.NewRemoteKeys(oauth.RemoteConfig{Issuer: p.URL, Client: client, Clock: d.now, Logger: slog.Default()}))(t)
		return ledgertest.Must(oauth.NewSignIn(oauth.SignInConfig{
			Provider: oauth.Provider{Issuer: p.URL, Audience: "bulla", Keys: keys, Roles: &oauth.Roles{Claim: []string{"roles"}, Scopes: map[string][]string{"it": issuer.Roles["administrator"]}}},
			ClientID: oauthtest.ClientID, Redirect: p.Redirect, Client: client, Clock: d.now,
		}))(t)
	}
}

// An officer signs in at the agency's provider, which is another site, and comes back to where they wanted to go.
func TestProviderInBrowser(t *testing.T) {
	p := oauthtest.New(t)
	p.Roles = []string{"it"}
	d := newDesk(t, signsIn(t, p))
	b := browsertest.Open(t)
	b.Open(d.url + "/console/officers" + english)
	said(b, "Sign in with the agency's account")
	look(b, "sign-in, with a provider", d.url, "/sign-in")
	b.Open(d.url + "/console/officers" + english)
	press(b, "Sign in with the agency's account")
	said(b, "Who works at this console")
	said(b, "Zhao Lei")
	b.Until(`location.pathname === "/console/officers" && !location.search.includes("code")`)
	records, _, err := d.issuer.Audit("somebody", issuer.AuditQuery{Verb: issuer.DidSignIn})
	if err != nil || len(records) != 1 || string(records[0].By) != p.URL+"|b6f0" || records[0].Detail != "provider" {
		t.Errorf("%+v %v", records, err)
	}
	b.Open(d.url + "/console/passkeys" + english)
	said(b, "You sign in with the agency's account")
	b.WantNoErrors()
}

// What comes back to a browser that did not ask, or asked long ago, signs nobody in; the cookie of the way is for that only.
func TestProviderWithoutAsking(t *testing.T) {
	p := oauthtest.New(t)
	p.Roles = []string{"it"}
	d := newDesk(t, signsIn(t, p))
	begin := func(v *visitor) (back string) {
		r := v.get("/sign-in/provider?next=/officers")
		if r.StatusCode != http.StatusSeeOther || len(r.Cookies()) != 1 {
			t.Fatalf("%s: %+v", r.Status, r.Cookies())
		}
		if c := r.Cookies()[0]; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 {
			t.Errorf("the cookie is %+v", c)
		}
		response, err := v.client.Get(r.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return strings.TrimPrefix(response.Header.Get("Location"), d.url+console.Path)
	}
	victim, attacker := d.visitor(), d.visitor()
	if r := victim.get(begin(attacker)); r.StatusCode != http.StatusForbidden || len(r.Cookies()) > 0 {
		t.Errorf("the attacker's answer, in a browser that did not ask: %s", r.Status)
	}
	theirs := begin(attacker)
	begin(victim)
	if r := victim.get(theirs); r.StatusCode != http.StatusForbidden {
		t.Errorf("the attacker's answer, in a browser that asked: %s", r.Status)
	}
	victim.wantSignedIn(false)
	late := begin(victim)
	d.pass(11 * time.Minute)
	if r := victim.get(late); r.StatusCode != http.StatusForbidden {
		t.Errorf("eleven minutes later: %s", r.Status)
	}
	back := begin(victim)
	if r := victim.get(back); r.StatusCode != http.StatusOK || r.Header.Get("Refresh") != "0; url=/console/officers" {
		t.Errorf("%s %q: %s", r.Status, r.Header.Get("Refresh"), seen(r.page))
	}
	victim.wantSignedIn(true)
	if r := victim.get(back); r.StatusCode != http.StatusForbidden {
		t.Errorf("again: %s", r.Status)
	}
	p.Roles = []string{"cooks"}
	if r := d.visitor().get("/sign-in/provider"); r.StatusCode != http.StatusSeeOther {
		t.Error(r.Status)
	}
	cook := d.visitor()
	if r := cook.get(begin(cook)); r.StatusCode != http.StatusForbidden || !strings.Contains(seen(r.page), "has no role here") {
		t.Errorf("somebody without a role: %s: %s", r.Status, seen(r.page))
	}
}

// Where one goes after signing in is a page of the console, whoever made the link.
func TestNext(t *testing.T) {
	d := newDesk(t, nil)
	for next, want := range map[string]string{
		"/passkeys": "/console/passkeys", "/a?b=c": "/console/a?b=c", "": "/console/", "https://evil.example": "/console/", ".evil.example": "/console/",
		"/\\evil.example": "/console/", "/../x": "/console/", "/a\r\nb": "/console/", "/sign-in": "/console/", "/" + strings.Repeat("x", 600): "/console/",
	} {
		r := d.visitor().post("/sign-in/link", url.Values{"link": {d.link("chen", "Chen Jie", "clerk")}, "confirmed": {"yes"}, "next": {next}})
		if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != want {
			t.Errorf("%q leads to %q", next, r.Header.Get("Location"))
		}
	}
}
