package issuer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/issuer"
)

// by asks the admin API as an officer, with an If-Match if it is not empty.
func (a *agency) by(officer, method, path, body, ifMatch string) answer {
	a.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, "/agencies/land"+issuer.AdminPath+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+must(a.AdminToken(officer, issuer.Scopes, time.Hour))(a.t))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	return record(a.Handler(), r)
}

// An application over HTTP, from the clerk who files it to the person who follows it.
func TestApplicationsOverHTTP(t *testing.T) {
	a, p := careful(t, 1), newPerson("Li Wei")
	application := string(must(json.Marshal(a.title(p, "1")))(t))
	filing := fmt.Sprintf(`{"kind":"issue","external_id":"no 7","application":%s}`, application)
	if direct := a.by("clerk", "POST", "/offers", application, ""); direct.status != 409 || direct.fields["code"] != "approval-needed" {
		t.Errorf("offered without approval: %d %s", direct.status, direct.body)
	}
	filed := a.by("clerk", "POST", "/applications", filing, "")
	id, _ := filed.fields["id"].(string)
	link, _ := filed.fields["link"].(string)
	if filed.status != http.StatusCreated || id == "" || !strings.HasPrefix(link, agencyURL+"/progress/") {
		t.Fatalf("%d %s", filed.status, filed.body)
	}
	if again := a.by("clerk", "POST", "/applications", filing, ""); again.fields["id"] != id || again.fields["link"] != nil {
		t.Errorf("filed again: %s", again.body)
	}
	read := a.by("second", "GET", "/applications/"+id, "", "")
	tag := read.header.Get("ETag")
	if read.status != 200 || tag != `"1"` {
		t.Fatalf("%d %q %s", read.status, tag, read.body)
	}
	for name, c := range map[string]struct {
		got    answer
		status int
		code   string
	}{
		"without a version":  {a.by("second", "POST", "/applications/"+id+"/approve", "", ""), 422, "request"},
		"any version":        {a.by("second", "POST", "/applications/"+id+"/approve", "", "*"), 412, "version"},
		"a weak tag":         {a.by("second", "POST", "/applications/"+id+"/approve", "", `W/"1"`), 412, "version"},
		"another version":    {a.by("second", "POST", "/applications/"+id+"/approve", "", `"9"`), 412, "version"},
		"by its author":      {a.by("clerk", "POST", "/applications/"+id+"/approve", "", tag), 403, "same-officer"},
		"without a reason":   {a.by("second", "POST", "/applications/"+id+"/refuse", `{"code":"x"}`, tag), 400, "invalid-request"},
		"no such":            {a.by("second", "GET", "/applications/x", "", ""), 404, "not-found"},
		"unknown query":      {a.by("second", "GET", "/applications?x=1", "", ""), 422, "request"},
		"a kind made up":     {a.by("clerk", "POST", "/applications", `{"kind":"x"}`, ""), 400, "invalid-request"},
		"a number taken":     {a.by("clerk", "POST", "/applications", strings.Replace(filing, "2030", "2031", 1), ""), 409, "external-id"},
		"a claim's own text": {a.by("clerk", "POST", "/applications", strings.Replace(filing, `"612"`, `"secret"`, 1), ""), 400, "claim"},
	} {
		if c.got.status != c.status || c.got.fields["code"] != c.code || c.got.header.Get("Content-Type") != "application/problem+json" || bytes.Contains(c.got.body, []byte("secret")) {
			t.Errorf("%s: %d %s, want %d %s", name, c.got.status, c.got.body, c.status, c.code)
		}
	}
	offer := a.by("clerk", "POST", "/applications/"+id+"/offers", `{}`, "")
	if offer.status != http.StatusCreated || offer.fields["link"] == nil {
		t.Errorf("%d %s", offer.status, offer.body)
	}
	approved := a.by("second", "POST", "/applications/"+id+"/approve", "", tag)
	if approved.status != 200 || approved.fields["state"] != "approved" || approved.header.Get("ETag") != `"2"` {
		t.Errorf("%d %s", approved.status, approved.body)
	}
	listed := a.by("second", "GET", "/applications?state=approved&limit=1", "", "")
	if list, _ := listed.fields["applications"].([]any); len(list) != 1 {
		t.Errorf("%s", listed.body)
	}
	searched := a.by("second", "POST", "/applications/search", `{"person":"nobody"}`, "")
	if list, _ := searched.fields["applications"].([]any); searched.status != 200 || len(list) != 0 {
		t.Errorf("%s", searched.body)
	}
	progress := a.call(call{method: http.MethodGet, path: strings.TrimPrefix(link, "https://agency.example")})
	if progress.status != 200 || progress.fields["state"] != "approved" || bytes.Contains(progress.body, []byte("Li Wei")) || bytes.Contains(progress.body, []byte("second")) {
		t.Errorf("%d %s", progress.status, progress.body)
	}
	log := a.by("auditor", "GET", "/audit?verb=case-approved", "", "")
	if records, _ := log.fields["records"].([]any); len(records) != 1 || records[0].(map[string]any)["by"] != agencyURL+"|second" {
		t.Errorf("%s", log.body)
	}
	exported := a.by("auditor", "GET", "/audit/export", "", "")
	if head, err := issuer.VerifyAudit(bytes.NewReader(exported.body)); err != nil || head.Records < 5 {
		t.Errorf("%+v, %v", head, err)
	}
}

// The person's page is told of each step as it comes, and of no more when it is over.
func TestFollowProgress(t *testing.T) {
	a, p := careful(t, 1), newPerson("Li Wei")
	application := a.title(p, "1")
	c, link, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseIssue, Application: &application})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/agencies/land/progress/"+link, nil))(t)
	r.Header.Set("Accept", "text/event-stream")
	response := must(server.Client().Do(r))(t)
	defer response.Body.Close()
	if response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", response.Status, response.Header)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() (state string) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var p issuer.Progress
				if err := json.Unmarshal([]byte(data), &p); err != nil {
					t.Fatal(err)
				}
				return string(p.State)
			}
		}
		return "end"
	}
	got := []string{next()}
	must(a.Review(second, c.ID, 0))(t)
	got = append(got, next())
	c = must(a.Case(clerk, c.ID))(t)
	must(a.Withdraw(clerk, c.ID, c.Version))(t)
	got = append(got, next(), next())
	if strings.Join(got, " ") != "submitted in-review withdrawn end" {
		t.Errorf("followed %v", got)
	}
	wrong := must(http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/agencies/land/progress/x", nil))(t)
	wrong.Header.Set("Accept", "text/event-stream")
	if response := must(server.Client().Do(wrong))(t); response.StatusCode != http.StatusNotFound {
		t.Errorf("a link that nobody has: %s", response.Status)
	}
}

// The document describes what is there: each operation with its scope, and each asks for it.
func TestOpenAPIDocument(t *testing.T) {
	a := newAgency(t)
	got := a.call(call{method: http.MethodGet, path: "/agencies/land/admin/v1/openapi.json"})
	var document struct {
		OpenAPI string
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
			Security    []map[string][]string
		}
	}
	if err := json.Unmarshal(got.body, &document); err != nil || document.OpenAPI != "3.1.0" || document.Servers[0].URL != agencyURL+"/admin/v1" {
		t.Fatalf("%.300s: %v", got.body, err)
	}
	powerless := must(issuer.AdminAuthority(agencyURL, signingKey(t, "admin"), a.clock.Now).Issue("clerk", []string{"issuer:nothing"}, time.Hour))(t)
	operations := 0
	for path, item := range document.Paths {
		for method, op := range item {
			operations++
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 || len(op.Security) != 1 || len(op.Security[0]["oauth2"]) != 1 {
				t.Errorf("%s %s: %+v", method, path, op)
				continue
			}
			asked := a.call(call{method: strings.ToUpper(method), path: "/agencies/land/admin/v1" + strings.ReplaceAll(path, "{id}", "x"), bearer: powerless})
			if asked.status != http.StatusForbidden || !strings.Contains(asked.header.Get("WWW-Authenticate"), op.Security[0]["oauth2"][0]) {
				t.Errorf("%s %s without its scope: %d %s", method, path, asked.status, asked.body)
			}
		}
	}
	if operations < 20 {
		t.Errorf("%d operations", operations)
	}
	page := a.call(call{method: http.MethodGet, path: "/agencies/land/admin/v1/docs"})
	if page.status != 200 || !bytes.Contains(page.body, []byte("/applications/{id}/approve")) || bytes.Contains(page.body, []byte("http-equiv")) ||
		bytes.Contains(page.body, []byte("<script")) || page.header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", page.status, page.body)
	}
}
