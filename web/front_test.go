package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
)

// frontOf is a front door with one shop; the doors of a running network are tested in internal/demo.
type frontOf struct {
	err      error
	purchase Purchase
}

func (f *frontOf) Welcome(context.Context) (string, error) { return "v/1", f.err }

func (f *frontOf) Offers(_ context.Context, visit string) ([]Offer, error) {
	if visit != "v/1" {
		return nil, ErrAbsent
	}
	return []Offer{{credential.Text{English: "Office <i>"}, credential.Text{English: "Residence", Chinese: "居住证明"}, "openid-credential-offer://?credential_offer=%7B%22a%22%3A1%7D"}}, f.err
}

func (f *frontOf) Apply(context.Context) (string, error) { return "a1", f.err }

func (f *frontOf) Application(_ context.Context, application string) (*FiledApplication, error) {
	if application != "a1" {
		return nil, ErrAbsent
	}
	return &FiledApplication{Offer{credential.Text{English: "Civil <i>"}, credential.Text{English: "Record", Chinese: "记录"}, "openid-credential-offer://?a"}, "http://127.0.0.1:4/progress/x"}, f.err
}

func (f *frontOf) Ask(_ context.Context, shop string) (string, error) {
	if shop != "library" {
		return "", ErrAbsent
	}
	return "p1", f.err
}

func (f *frontOf) SignIn(agency, officer string) (string, error) {
	if agency != "land" || officer != "chen" {
		return "", ErrAbsent
	}
	return "http://127.0.0.1:5/console/sign-in#token", f.err
}

func (f *frontOf) Purchase(context.Context, string, string) (*Purchase, error) {
	return &f.purchase, f.err
}

func TestFrontDoor(t *testing.T) {
	f := &frontOf{purchase: Purchase{RequestLink: link, Page: "http://127.0.0.1:1/verify/p", State: "created"}}
	s := httptest.NewServer(NewFrontDoor(FrontConfig{
		Front: f, Shops: []Shop{{"library", credential.Text{English: "Library", Chinese: "图书馆"}, credential.Text{English: "residents"}}},
		Wallet: "http://localhost:2", Explorer: "http://127.0.0.1:3/explore/", Consoles: []Console{{"land", credential.Text{English: "Land Registry", Chinese: "不动产登记中心"}, []Staff{{"chen", "Chen Jie", "clerk"}}}}, Logger: slog.New(slog.DiscardHandler),
	}).Handler())
	defer s.Close()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(path string) (int, string) {
		t.Helper()
		response, err := client.Post(s.URL+path, "application/x-www-form-urlencoded", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode, response.Header.Get("Location")
	}
	for path, want := range map[string]string{"/visits?lang=zh-CN": "/visits/v%2F1?lang=zh-CN", "/shops/library?lang=en": "/shops/library/p1?lang=en", "/applications?lang=en": "/applications/a1?lang=en"} {
		if status, to := post(path); status != http.StatusSeeOther || to != want {
			t.Errorf("%s: %d to %s", path, status, to)
		}
	}
	if status, _ := post("/shops/other"); status != http.StatusNotFound {
		t.Errorf("another shop: %d", status)
	}
	if response, err := client.Get(s.URL + "/consoles/land/chen"); err != nil || response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "http://127.0.0.1:5/console/sign-in#token" {
		t.Errorf("to a console: %+v, %v", response, err)
	}
	for path, want := range map[string][]string{
		"/?lang=en":                    {"Begin: five minutes", `href="http://127.0.0.1:3/explore/?lang=en"`, `action="/shops/library?lang=en"`, `action="/applications?lang=en"`, `href="/consoles/land/chen?lang=en"`, "Chen Jie"},
		"/applications/a1?lang=zh-CN":  {"Civil &lt;i&gt;", "记录", `href="http://127.0.0.1:4/progress/x?lang=zh-CN"`, `href="http://localhost:2/?lang=zh-CN#openid-credential-offer`},
		"/?lang=zh-CN":                 {"开始体验", "浏览器中的钱包"},
		"/visits/v%2F1?lang=en":        {`href="http://localhost:2/?lang=en#openid-credential-offer%3A%2F%2F%3Fcredential_offer%3D%257B%2522a%2522%253A1%257D"`, "Office &lt;i&gt;", "Library"},
		"/shops/library/p1?lang=zh-CN": {"图书馆", `href="http://localhost:2/?lang=zh-CN#openid4vp%3A%2F%2F`, `href="http://127.0.0.1:1/verify/p?lang=zh-CN"`, "等待您的钱包"},
	} {
		if response, page := get(t, s.URL+path); response.StatusCode != http.StatusOK || !strings.Contains(response.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %s", path, response.Status)
		} else {
			for _, text := range want {
				if !strings.Contains(page, text) {
					t.Errorf("%s: the page has no %q:\n%s", path, text, page)
				}
			}
		}
	}
	for _, path := range []string{"/visits/other", "/shops/other/p1", "/applications/other", "/consoles/land/other", "/consoles/other/chen"} {
		if response, page := get(t, s.URL+path+"?lang=en"); response.StatusCode != http.StatusNotFound || !strings.Contains(page, "There is no such page") {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
	f.purchase.State, f.purchase.Final = "verified", true
	f.purchase.Holds, f.purchase.Hidden = map[string][]string{"en": {"lives here"}}, map[string][]string{"en": {"nothing else"}}
	if _, page := get(t, s.URL+"/shops/library/p1?lang=en"); !strings.Contains(page, "lives here") || !strings.Contains(page, "nothing else") || strings.Contains(page, "openid4vp") {
		t.Errorf("after it is proven: %s", page)
	}
	f.err = errors.New("the agency says secret things")
	if response, page := get(t, s.URL+"/shops/library/p1"); response.StatusCode != http.StatusServiceUnavailable || strings.Contains(page, "secret") {
		t.Errorf("%s %s", response.Status, page)
	}
}
