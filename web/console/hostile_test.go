package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// hidden is the value of a hidden entry of a page.
func (f *officer) hidden(page, name string) string {
	f.o.t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		f.o.t.Fatalf("the page has no %s: %s", name, seen(page))
	}
	return html.UnescapeString(found[1])
}

const applicant = "Li Wei 李伟"

// form is a whole form of an application.
func form(once string) url.Values {
	all := entries(applicant, "91216000AB0001")
	all.Set("once", once)
	all.Set("kind", "issue")
	all.Set("schema", titleType)
	return all
}

// filed is the path of an application that an officer files, and its page.
func (f *officer) filed(entered url.Values) (path, page string) {
	f.o.t.Helper()
	status, page := f.post("/applications", entered)
	f.want(status, page, http.StatusOK)
	return "/applications/" + idInPage.FindStringSubmatch(page)[2], page
}

// The same button pressed twice does one thing.
func TestTwice(t *testing.T) {
	o := newOffice(t)
	chen, wang := o.officer("chen"), o.officer("wang")
	path, first := chen.filed(form("one"))
	again, second := chen.filed(form("one"))
	link := regexp.MustCompile(`/progress/[A-Za-z0-9_-]{43}`)
	if path != again || link.FindString(first) == "" || link.FindString(first) != link.FindString(second) {
		t.Errorf("%s and %s", path, again)
	}
	press := url.Values{"once": {"approve"}, "version": {"1"}}
	for range 2 {
		status, page := wang.post(path+"/approve", press)
		wang.want(status, page, http.StatusOK, "Your approval is recorded.")
	}
	other := form("one")
	other.Set("claim.area", "1")
	status, page := chen.post("/applications", other)
	chen.want(status, page, http.StatusUnprocessableEntity, "This form was sent before")
	_, page = chen.get("/applications")
	if n := strings.Count(page, `<div class="what">`); n != 1 {
		t.Errorf("%d applications", n)
	}
}

// What the console is not made for is refused with a page, and does nothing.
func TestHostile(t *testing.T) {
	o := newOffice(t)
	chen, wang := o.officer("chen"), o.officer("wang")
	marked := form("one")
	marked.Set("person", `<script>alert(1)</script>"'`)
	path, _ := chen.filed(marked)
	for _, f := range []*officer{chen, wang} {
		for _, at := range []string{"/applications", path} {
			if _, page := f.get(at); strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;") {
				t.Errorf("%s: markup of a name is the page's", at)
			}
		}
	}
	for _, ask := range []struct {
		path string
		form url.Values
		want int
	}{
		{"/applications/unknown", nil, http.StatusNotFound}, {"/applications/%2e%2e%2fkeys", nil, http.StatusNotFound}, {"/credentials/unknown", nil, http.StatusNotFound},
		{"/applications/new?kind=nothing", nil, http.StatusNotFound}, {"/applications/new?schema=nothing", nil, http.StatusNotFound},
		{"/applications/new?kind=renew&credential=unknown", nil, http.StatusNotFound}, {"/credentials/unknown/revoke", nil, http.StatusNotFound},
		{"/applications?state=%00&schema=%3Cb%3E&after=%2F", nil, http.StatusOK},
		{"/applications", url.Values{"kind": {"issue"}, "schema": {titleType}, "person": {strings.Repeat("x", 300<<10)}}, http.StatusRequestEntityTooLarge},
		{"/applications", url.Values{"kind": {"nothing"}}, http.StatusNotFound}, {path + "/withdraw", url.Values{"once": {"w"}, "version": {`1", "2`}}, http.StatusPreconditionFailed},
		{path + "/withdraw", url.Values{"once": {`a"b`}, "version": {"1"}}, http.StatusBadRequest}, {path + "/withdraw", url.Values{"once": {"v"}, "version": {"7"}}, http.StatusPreconditionFailed},
		{path + "/edit", url.Values{"version": {"1"}}, http.StatusUnprocessableEntity},
	} {
		status, page := 0, ""
		if ask.form == nil {
			status, page = chen.get(ask.path)
		} else {
			status, page = chen.post(ask.path, ask.form)
		}
		if status != ask.want || strings.Contains(page, "<b>") {
			t.Errorf("%s %.40v: %d, want %d: %.300s", ask.path, ask.form, status, ask.want, seen(page))
		}
	}
	response, err := chen.client.Post(o.server.URL+"/console/applications", "application/x-www-form-urlencoded", strings.NewReader("kind=%zz"))
	status, page := chen.answer(response, err)
	chen.want(status, page, http.StatusBadRequest, "The form could not be read.")
}

// Long lists come in pages, oldest first; a search goes on by a form.
func TestPages(t *testing.T) {
	o := newOffice(t)
	chen := o.officer("chen")
	for n := range 30 {
		numbered := form(fmt.Sprint("once-", n))
		numbered.Set("external_id", fmt.Sprint("file ", n))
		chen.filed(numbered)
	}
	_, page := chen.get("/applications?state=submitted")
	next := regexp.MustCompile(`href="/console(/applications\?[^"]*after=[^"]*)"`).FindStringSubmatch(page)
	if next == nil || strings.Count(page, `<div class="what">`) != 25 {
		t.Fatal("the first page is not of 25: " + seen(page))
	}
	_, page = chen.get(html.UnescapeString(next[1]))
	chen.want(http.StatusOK, page, http.StatusOK, "To the first")
	if n := strings.Count(page, `<div class="what">`); n != 5 {
		t.Errorf("the second page is of %d", n)
	}
	_, page = chen.post("/applications/search", url.Values{"person": {applicant}})
	chen.want(http.StatusOK, page, http.StatusOK, "Further")
	_, page = chen.post("/applications/search", url.Values{"person": {applicant}, "after": {chen.hidden(page, "after")}})
	if n := strings.Count(page, `<div class="what">`); n != 5 {
		t.Errorf("the second page of the search is of %d", n)
	}
	status, page := chen.post("/applications/search", url.Values{"external_id": {"file 7"}})
	chen.want(status, page, http.StatusOK, "file 7")
	if strings.Contains(seen(page), "file 8") {
		t.Error("more than that number was found")
	}
}
