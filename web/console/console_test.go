package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/web/console"
)

// Who is not signed in is led to where one signs in, and back to where they wanted to go.
func TestSignedOut(t *testing.T) {
	o := newOffice(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get(o.server.URL + console.Path + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if at := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || at != "/console/sign-in?next=%2F" {
		t.Errorf("%s to %q", response.Status, at)
	}
}

// A page of another site can press no button of the console.
func TestOtherSites(t *testing.T) {
	o := newOffice(t)
	chen := o.officer("chen")
	request, err := http.NewRequest(http.MethodPost, o.server.URL+console.Path+"/applications", strings.NewReader("kind=issue"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	status, page := chen.answer(chen.client.Do(request))
	if status != http.StatusForbidden || !strings.Contains(seen(page), "came from another site") {
		t.Errorf("%d: %s", status, seen(page))
	}
}
