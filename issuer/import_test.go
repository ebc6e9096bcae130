package issuer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/bulk"
)

// reported keeps what an import says.
type reported struct {
	cases    []issuer.ImportCase
	problems []bulk.Problem
	progress []issuer.ImportProgress
	fail     int // Case fails after so many; 0: never
}

func (r *reported) Case(c issuer.ImportCase) error {
	r.cases = append(r.cases, c)
	if len(r.cases) == r.fail {
		return errors.New("connection lost")
	}
	return nil
}
func (r *reported) Problem(p bulk.Problem) error { r.problems = append(r.problems, p); return nil }
func (r *reported) Progress(p issuer.ImportProgress) error {
	r.progress = append(r.progress, p)
	return nil
}

// importFile imports titles.
func (a *agency) importFile(file string, dryRun bool, fail int) (*reported, issuer.ImportProgress, error) {
	a.t.Helper()
	r := must(bulk.NewReader(strings.NewReader(file), bulk.CSV, bulk.UTF8, titleSchema()))(a.t)
	report := &reported{fail: fail}
	done, err := a.Import(context.Background(), clerk, titleType, r, dryRun, report)
	return report, done, err
}

func titlesFile(n int) string {
	var file strings.Builder
	file.WriteString("external_id,person,subject,valid_until,parcel,area\n")
	for row := range n {
		fmt.Fprintf(&file, "no-%d,person %d,parcel-%d,2030-01-01,parcel-%d,%d\n", row, row, row, row, row+1)
	}
	return file.String()
}

// What can be filed is, each once, whatever the other rows are.
func TestImport(t *testing.T) {
	a := careful(t, 1)
	file := titlesFile(3) + "no-3,Li Wei,p,2030-01-01,p,large\n" + "no-0,again,p,2030-01-01,p,1\n" + "no-4,Li Wei,,2030-01-01,p,1\n" + "short\n" + "no-5,Li Wei,p,2001-01-01,p,1\n"
	dry, done, err := a.importFile(file, true, 0)
	if err != nil || done != (issuer.ImportProgress{Rows: 8, Filed: 3, Problems: 5}) || len(dry.cases) != 0 {
		t.Fatalf("dry run: %+v, %d cases, %v", done, len(dry.cases), err)
	}
	if page, _, err := a.Cases(clerk, issuer.CaseQuery{}); err != nil || len(page) != 0 {
		t.Fatalf("a dry run filed %d, %v", len(page), err)
	}
	got, done, err := a.importFile(file, false, 0)
	if err != nil || done != (issuer.ImportProgress{Rows: 8, Filed: 3, Problems: 5}) || len(got.cases) != 3 || got.cases[0].Link == "" {
		t.Fatalf("%+v, %+v, %v", done, got.cases, err)
	}
	for n, want := range []struct {
		row    int
		column string
		code   bulk.Code
	}{{4, "area", "claim"}, {5, "external_id", "external-id"}, {6, "", "application"}, {7, "", "wrong-cells"}, {8, "", "application"}} {
		if p := got.problems[n]; p.Row != want.row || p.Column != want.column || p.Code != want.code || strings.Contains(p.Detail, "Li Wei") || strings.Contains(p.Detail, "large") {
			t.Errorf("problem %d: %+v, want %+v", n, p, want)
		}
	}
	again, done, err := a.importFile(file, false, 0)
	if err != nil || done.Again != 3 || done.Filed != 0 || again.cases[2].ID != got.cases[2].ID || again.cases[2].Link != "" {
		t.Errorf("again: %+v, %+v, %v", done, again.cases, err)
	}
	changed := strings.Replace(titlesFile(3), "person 1,", "person one,", 1)
	other, done, err := a.importFile(changed, false, 0)
	if err != nil || done.Again != 2 || done.Problems != 1 || other.problems[0].Row != 2 || other.problems[0].Code != "external-id" {
		t.Errorf("changed: %+v, %+v, %v", done, other.problems, err)
	}
}

// An import that broke off goes on where it was, over a restart, and files nothing twice.
func TestImportBrokenOff(t *testing.T) {
	a := careful(t, 1)
	const rows = 2*issuer.ImportBatch + 10
	first, _, err := a.importFile(titlesFile(rows), false, issuer.ImportBatch+5)
	if err == nil {
		t.Fatal("it did not break off")
	}
	a.restart()
	second, done, err := a.importFile(titlesFile(rows), false, 0)
	if err != nil || done.Rows != rows || done.Again != 2*issuer.ImportBatch || done.Filed != 10 || len(second.progress) != 3 {
		t.Errorf("%+v, %d steps, %v", done, len(second.progress), err)
	}
	if len(first.cases) != issuer.ImportBatch+5 {
		t.Errorf("%d were told before it broke off", len(first.cases))
	}
	count, after := 0, ""
	for more := true; more; {
		page, next, err := a.Cases(clerk, issuer.CaseQuery{After: after, Limit: issuer.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		count, after, more = count+len(page), next, next != ""
	}
	if count != rows {
		t.Errorf("%d cases of %d rows", count, rows)
	}
}

// Over HTTP the answer comes as the file is read, with rows by the thousand, and says how it ended.
func TestImportOverHTTP(t *testing.T) {
	a := careful(t, 1)
	server := httptest.NewServer(a.Handler())
	defer server.Close()
	send := func(query, file, token string) (status int, lines []issuer.ImportLine, body string) {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/agencies/land/admin/v1/imports?"+query, strings.NewReader(file)))(t)
		r.Header.Set("Authorization", "Bearer "+token)
		response := must(server.Client().Do(r))(t)
		defer response.Body.Close()
		text := string(must(io.ReadAll(response.Body))(t))
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			var l issuer.ImportLine
			if json.Unmarshal([]byte(line), &l) == nil {
				lines = append(lines, l)
			}
		}
		return response.StatusCode, lines, text
	}
	query, token := "schema="+titleType+"&format=csv", a.bearer(issuer.ScopeFile)
	const rows = 2000 // more than other bodies may have
	status, lines, body := send(query, titlesFile(rows)+"short\n", token)
	if status != http.StatusOK || len(lines) != rows+1+9+1 {
		t.Fatalf("%d, %d lines: %.300s", status, len(lines), body)
	}
	if done := lines[len(lines)-1].Done; done == nil || *done != (issuer.ImportProgress{Rows: rows + 1, Filed: rows, Problems: 1}) {
		t.Errorf("%+v", lines[len(lines)-1])
	}
	for name, c := range map[string]struct {
		query, file, token string
		status             int
		code               string
	}{
		"no scope":         {query, "", a.bearer(issuer.ScopeAudit), 403, "scope-missing"},
		"unknown schema":   {"schema=x&format=csv", "", token, 400, "unknown-schema"},
		"unknown format":   {"schema=" + titleType + "&format=xlsx", "", token, 400, "file"},
		"neither true":     {query + "&dry_run=maybe", "", token, 400, "invalid-request"},
		"no column names":  {query, "a,b\n", token, 400, "file"},
		"a mark left open": {query, titlesFile(1) + `"` + strings.Repeat("x", 2*bulk.MaxRecord), token, 200, "file"},
	} {
		status, lines, body := send(c.query, c.file, c.token)
		if status == http.StatusOK && (len(lines) == 0 || lines[len(lines)-1].Error == nil || lines[len(lines)-1].Error.Code != c.code) || status != c.status || !strings.Contains(body, c.code) {
			t.Errorf("%s: %d %.300s", name, status, body)
		}
	}
}
