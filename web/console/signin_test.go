package console_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/web/browsertest"
	"github.com/bulla-id/bulla/web/console"
)

// Without scripts: the link is looked at, confirmed, and used up; the cookie is for this host, and for no script.
func TestSignInByLink(t *testing.T) {
	d := newDesk(t, nil)
	v, link := d.visitor(), d.link("chen", "Chen Jie", "clerk")
	if r := v.get("/"); r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/console/sign-in?next=%2F" {
		t.Errorf("signed out: %s to %s", r.Status, r.Header.Get("Location"))
	}
	asked := v.post("/sign-in/link", url.Values{"link": {link}})
	if asked.StatusCode != http.StatusOK || !strings.Contains(seen(asked.page), "Chen Jie chen Clerk") || len(asked.Cookies()) > 0 {
		t.Errorf("%s: %s", asked.Status, seen(asked.page))
	}
	v.wantSignedIn(false)
	r := v.post("/sign-in/link", url.Values{"link": {link}, "confirmed": {"yes"}, "next": {"/passkeys"}})
	if r.StatusCode != http.StatusSeeOther || r.Header.Get("Location") != "/console/passkeys" || len(r.Cookies()) != 1 {
		t.Fatalf("%s to %s: %s", r.Status, r.Header.Get("Location"), seen(r.page))
	}
	c := r.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/console/" || c.Domain != "" || c.MaxAge != 36000 {
		t.Errorf("the cookie is %+v", c)
	}
	v.wantSignedIn(true)
	again := d.visitor().signIn(link)
	if again.StatusCode != http.StatusForbidden || !strings.Contains(seen(again.page), "it was used") {
		t.Errorf("replayed: %s: %s", again.Status, seen(again.page))
	}
	out := v.post("/sign-out", nil)
	if out.StatusCode != http.StatusSeeOther || out.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%s, %+v", out.Status, out.Cookies())
	}
	stolen := d.visitor()
	stolen.client.Jar.SetCookies(ledgertest.Must(url.Parse(d.url+"/console/"))(t), []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/console/"}})
	stolen.wantSignedIn(false)
}

// Another site can sign nobody in or out, nor begin to.
func TestSignInFromAnotherSite(t *testing.T) {
	d := newDesk(t, nil)
	v := d.visitor()
	link := d.link("chen", "Chen Jie", "clerk")
	for name, headers := range map[string][]string{
		"another site":               {"Sec-Fetch-Site", "cross-site"},
		"another port":               {"Sec-Fetch-Site", "same-site"},
		"an old browser, elsewhere":  {"Origin", "https://evil.example"},
		"an old browser, in a frame": {"Origin", "null"},
	} {
		r := v.post("/sign-in/link", url.Values{"link": {link}, "confirmed": {"yes"}}, headers...)
		if r.StatusCode != http.StatusForbidden || len(r.Cookies()) > 0 {
			t.Errorf("%s: %s", name, r.Status)
		}
	}
	if r := v.signIn(link); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("the link was used up: %s", r.Status)
	}
	if r := v.post("/sign-out", nil, "Sec-Fetch-Site", "cross-site"); r.StatusCode != http.StatusForbidden {
		t.Errorf("signed out from elsewhere: %s", r.Status)
	}
	v.wantSignedIn(true)
}

// Whoever asks again and again has to wait.
func TestSignInIsThrottled(t *testing.T) {
	d := newDesk(t, nil)
	v := d.visitor()
	for range 200 {
		if r := v.post("/sign-in/link", url.Values{"link": {"x"}}); r.StatusCode == http.StatusTooManyRequests {
			if r.Header.Get("Retry-After") == "" {
				t.Error("nobody says when to come back")
			}
			return
		}
	}
	t.Error("nobody was told to wait")
}

// Browsers do not tell ports apart: each agency's cookie has a name of its own.
func TestSessionsOfOneHost(t *testing.T) {
	a, b := newDesk(t, nil), newDesk(t, nil)
	v := a.visitor()
	first := v.signIn(a.link("chen", "Chen Jie", "clerk")).Cookies()[0].Name
	if second := b.visitor().signIn(b.link("chen", "Chen Jie", "clerk")).Cookies()[0].Name; first == second {
		t.Error("two agencies on one host have the same cookie")
	}
}

// Over TLS only the very host can have set the cookie, and it never goes out in clear.
func TestCookieOverTLS(t *testing.T) {
	d := newDesk(t, nil)
	const at = "https://land.example"
	gate := ledgertest.Must(console.NewSignIn(console.SignInConfig{URL: at, Directory: d.issuer.Directory(), Clock: d.now, Logger: slog.Default()}))(t)
	pages := ledgertest.Must(console.New(console.Config{URL: at, API: d.issuer.Handler(), Gate: gate, SignIn: gate, Clock: d.now, Logger: slog.Default()}))(t)
	form := url.Values{"link": {d.link("chen", "Chen Jie", "clerk")}, "confirmed": {"yes"}}
	request := httptest.NewRequest(http.MethodPost, at+console.Path+"/sign-in/link", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	pages.Handler().ServeHTTP(answer, request)
	cookies := answer.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d: %+v", answer.Code, cookies)
	}
	if c := cookies[0]; !strings.HasPrefix(c.Name, "__Host-console-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie is %+v", c)
	}
}

// An administrator invites, changes and disables; the session of who is disabled ends.
func TestOfficersPage(t *testing.T) {
	d := newDesk(t, nil)
	admin, clerk := d.visitor(), d.visitor()
	admin.signIn(d.link("li", "Li Na", "administrator"))
	clerk.signIn(d.link("chen", "Chen Jie", "clerk"))
	if r := clerk.get("/officers"); r.StatusCode != http.StatusForbidden {
		t.Errorf("a clerk sees officers: %s", r.Status)
	}
	r := admin.post("/officers", url.Values{"name": {"Wang Fang"}, "id": {"wang"}, "roles": {"approver"}, "once": {"a-form"}})
	if r.StatusCode != http.StatusOK || !strings.Contains(r.page, d.url+"/console/join#ey") {
		t.Fatalf("%s: %s", r.Status, seen(r.page))
	}
	r = admin.post("/officers", url.Values{"name": {"Wang Fang"}, "id": {"WANG"}, "roles": {"approver"}, "once": {"another"}})
	if r.StatusCode != http.StatusBadRequest || !strings.Contains(r.page, `value="WANG"`) {
		t.Errorf("%s: %s", r.Status, seen(r.page))
	}
	if r := admin.post("/officers/li", url.Values{"roles": {"approver"}}); r.StatusCode != http.StatusForbidden || !strings.Contains(seen(r.page), "Somebody else must do this") {
		t.Errorf("oneself: %s: %s", r.Status, seen(r.page))
	}
	clerk.wantSignedIn(true)
	if r := admin.post("/officers/chen", url.Values{"roles": {"clerk"}, "disabled": {"yes"}}); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %s", r.Status, seen(r.page))
	}
	clerk.wantSignedIn(false)
	if r := clerk.signIn(d.link("chen", "Chen Jie", "clerk")); r.StatusCode != http.StatusForbidden || !strings.Contains(seen(r.page), "You are disabled here") {
		t.Errorf("%s: %s", r.Status, seen(r.page))
	}
	if page := seen(admin.get("/officers").page); !strings.Contains(page, "Chen Jie chen Clerk Disabled") || !strings.Contains(page, "Wang Fang wang Approver Invited") {
		t.Errorf("%s", page)
	}
}

func TestIdleOfficerIsSignedOut(t *testing.T) {
	d := newDesk(t, nil)
	v := d.visitor()
	v.signIn(d.link("chen", "Chen Jie", "clerk"))
	d.pass(29 * time.Minute)
	v.wantSignedIn(true)
	d.pass(30 * time.Minute)
	v.wantSignedIn(false)
}

const english = "?lang=en"

// said waits until the page has a text.
func said(b *browsertest.Browser, text string) {
	b.Until(`document.body.innerText.includes(` + "`" + text + "`" + `)`)
}

func press(b *browsertest.Browser, text string) {
	b.Until(`[...document.querySelectorAll("button, a.button")].some((e) => e.innerText === ` + "`" + text + "`" + ` && !e.disabled)`)
	browsertest.Evaluate[any](b, `[...document.querySelectorAll("button, a.button")].find((e) => e.innerText === `+"`"+text+"`"+`).click()`)
}

// An officer joins with a passkey, signs in with it, and has another; in a browser, whose console says nothing.
func TestPasskeyInBrowser(t *testing.T) {
	d := newDesk(t, nil)
	b := browsertest.Open(t)
	b.Passkeys()
	invitation := d.invitation("li", "Li Na 李娜", "administrator")
	b.Open(d.url + "/console/sign-in" + english)
	b.Open(invitation)
	said(b, "Li Na")
	if at := browsertest.Evaluate[string](b, "location.href"); at != d.url+"/console/join" {
		t.Errorf("the secret stays in the address: %s", at)
	}
	look(b, "join", d.url, "")
	press(b, "Make a passkey and join")
	said(b, "Who works at this console")
	look(b, "officers", d.url, "/officers")
	b.Open(invitation)
	said(b, "The link does not work")
	signOut(b, d.url)
	said(b, "You are signed out.")
	look(b, "sign-in", d.url, "/sign-in")
	press(b, "Sign in with a passkey")
	said(b, "Who works at this console")
	b.Open(d.url + "/console/passkeys" + english)
	said(b, "My device")
	look(b, "passkeys", d.url, "/passkeys")
	press(b, "Add a passkey") // the device has one
	said(b, "The device stopped, or you did.")
	press(b, "Remove")
	said(b, "You have none yet.")
	press(b, "Add a passkey")
	said(b, "The passkey is added.")
	b.Open(d.link("wang", "Wang Fang 王芳", "approver"))
	said(b, "The link signs you in as:")
	said(b, "Li Na")
	look(b, "sign-in, is this you", d.url, "")
	press(b, "Yes, sign me in")
	said(b, "Wang Fang")
}

// signOut signs out, as people do.
func signOut(b *browsertest.Browser, url string) {
	b.Open(url + "/console/passkeys" + english)
	press(b, "Sign out")
}

// look looks at a page in each language, width and scheme; at none: the page that is open, as it is.
func look(b *browsertest.Browser, name, url, path string) {
	if !browsertest.Looked() {
		return
	}
	for _, language := range []string{"zh-CN", "en"} {
		if path != "" {
			b.Open(url + "/console" + path + "?lang=" + language)
		}
		for _, width := range []int64{390, 1100} {
			for _, dark := range []bool{false, true} {
				b.Screen(width, dark)
				b.WantAccessible(name + map[bool]string{true: ", dark"}[dark])
			}
		}
		if path == "" {
			return
		}
	}
}
