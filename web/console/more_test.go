package console_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/ledger/ledgertest"
	"github.com/bulla-id/bulla/web/console"
)

// upload is a form with a file.
func (f *officer) upload(fields map[string]string, name string, file []byte) (int, string) {
	f.o.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for key, value := range fields {
		if err := form.WriteField(key, value); err != nil {
			f.o.t.Fatal(err)
		}
	}
	part := ledgertest.Must(form.CreateFormFile("file", name))(f.o.t)
	if _, err := part.Write(file); err != nil {
		f.o.t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		f.o.t.Fatal(err)
	}
	return f.answer(f.client.Post(f.o.server.URL+console.Path+"/imports", form.FormDataContentType(), &body))
}

func importFields(once string) map[string]string {
	return map[string]string{"once": once, "schema": titleType, "format": "csv", "encoding": "utf-8"}
}

// rows are applications, every tenth of which has an area that is no number.
func rows(from, to int) []byte {
	var file bytes.Buffer
	fmt.Fprintln(&file, "external_id,person,valid_until,Parcel,Area")
	for n := from; n < to; n++ {
		area := fmt.Sprint(100 + n)
		if n%10 == 0 {
			area = "large"
		}
		fmt.Fprintf(&file, "no-%d,person %d,2030-01-01,91216000AB%04d,%s\n", n, n, n, area)
	}
	return file.Bytes()
}

// A file is tried, handed in, handed in again; what is wrong is told by row, and the links are handed out once.
func TestImport(t *testing.T) {
	o := newOffice(t)
	chen := o.officer("chen")
	fields := importFields("try-1")
	fields["dry_run"] = "true"
	status, shown := chen.upload(fields, "titles.csv", rows(0, 1000))
	if status != http.StatusOK || !strings.Contains(seen(shown), "Could be filed 900") || !strings.Contains(seen(shown), "Tried, nothing filed") {
		t.Fatalf("%d: %s", status, seen(shown))
	}
	begun := time.Now()
	status, shown = chen.upload(importFields("file-1"), "titles.csv", rows(0, 10_000))
	t.Logf("10,000 rows in %s", time.Since(begun).Round(time.Millisecond))
	for _, want := range []string{"Rows read 10,000", "Filed 9,000", "Problems 1,000", "Not shown here: 900", "The value does not fit"} {
		if status != http.StatusOK || !strings.Contains(seen(shown), want) {
			t.Fatalf("%q is not there: %d: %s", want, status, seen(shown)[:600])
		}
	}
	if status, shown := chen.upload(importFields("file-1"), "titles.csv", rows(0, 10)); status != http.StatusConflict || !strings.Contains(seen(shown), "sent before") {
		t.Errorf("the same form again: %d: %s", status, seen(shown))
	}
	if _, shown := chen.upload(importFields("file-2"), "titles.csv", rows(0, 1000)); !strings.Contains(seen(shown), "Filed 0") || !strings.Contains(seen(shown), "Filed before 900") {
		t.Errorf("the same file again: %s", seen(shown)[:600])
	}
	_, problems := chen.get("/imports/file-1/problems")
	if got := strings.Count(problems, "\n"); got != 1001 || !strings.Contains(problems, "1,area,The value does not fit") {
		t.Errorf("%d lines of problems: %.300s", got, problems)
	}
	status, links := chen.post("/imports/file-1/links", nil)
	if got := strings.Count(links, o.server.URL+"/progress/"); status != http.StatusOK || got != 9000 {
		t.Errorf("%d, %d links: %.300s", status, got, links)
	}
	link := regexp.MustCompile(`/progress/([A-Za-z0-9_-]+)`).FindStringSubmatch(links)
	if p, err := o.issuer.Progress(t.Context(), link[1], 0); err != nil || p.State != issuer.CaseSubmitted {
		t.Errorf("by the link: %+v, %v", p, err)
	}
	if status, _ := chen.post("/imports/file-1/links", nil); status != http.StatusNotFound {
		t.Errorf("links handed out twice: %d", status)
	}
	if status, _ := o.officer("lin").get("/imports/file-1"); status != http.StatusNotFound {
		t.Errorf("another clerk sees an import: %d", status)
	}
	if status, _ := o.officer("wang").get("/imports/file-1"); status != http.StatusForbidden {
		t.Errorf("an approver sees an import: %d", status)
	}
}

// Spreadsheets of other encodings are read as what they are, and a file of another kind is refused as a whole.
func TestImportOfOtherFiles(t *testing.T) {
	o := newOffice(t)
	chen := o.officer("chen")
	chinese := "external_id,person,valid_until,宗地编号,面积\n七-1,王芳,2030-01-01,城北七号,120\n"
	gb := ledgertest.Must(simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(chinese)))(t)
	fields := importFields("gb")
	fields["encoding"] = "gb18030"
	if _, shown := chen.upload(fields, "titles.csv", gb); !strings.Contains(seen(shown), "Filed 1 ") {
		t.Errorf("GB18030: %s", seen(shown))
	}
	for name, attempt := range map[string]struct {
		change func(map[string]string)
		file   []byte
		want   string
	}{
		"other characters":     {func(map[string]string) {}, gb, "The file"},
		"other columns":        {func(map[string]string) {}, []byte("a,b\n1,2\n"), "The file"},
		"no schema of ours":    {func(f map[string]string) { f["schema"] = "urn:other" }, rows(0, 2), ""},
		"no format":            {func(f map[string]string) { f["format"] = "xlsx" }, rows(0, 2), "The file"},
		"a name that is long":  {func(f map[string]string) { f["once"] = strings.Repeat("x", 65) }, rows(0, 2), "no file"},
		"a field that is long": {func(f map[string]string) { f["schema"] = strings.Repeat("x", 1<<16) }, rows(0, 2), "no file"},
		"an unknown field":     {func(f map[string]string) { f["other"] = "x" }, rows(0, 2), "no file"},
	} {
		fields := importFields(name)
		attempt.change(fields)
		status, shown := chen.upload(fields, "titles.csv", attempt.file)
		if status < 400 || status >= 500 || !strings.Contains(seen(shown), attempt.want) {
			t.Errorf("%s: %d: %.500s", name, status, seen(shown))
		}
	}
	if status, _ := chen.post("/imports", url.Values{"file": {"text"}}); status != http.StatusBadRequest {
		t.Errorf("a form without a file: %d", status)
	}
	status, template := chen.get("/imports/template?lang=zh-CN&schema=" + url.QueryEscape(titleType))
	if status != http.StatusOK || template != "\uFEFFexternal_id,person,valid_from,valid_until,宗地编号,面积,登记日期,use\n" && !strings.Contains(template, "宗地编号") {
		t.Errorf("template: %d, %q", status, template)
	}
}

// An upload that breaks off leaves what was filed, and says that the file can be handed in again.
func TestImportBreaksOff(t *testing.T) {
	o := newOffice(t)
	chen := o.officer("chen")
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		for key, value := range importFields("broken") {
			_ = form.WriteField(key, value)
		}
		part, _ := form.CreateFormFile("file", "titles.csv")
		_, _ = part.Write(rows(1, 600))
		time.Sleep(time.Second)
		_ = writer.CloseWithError(io.ErrUnexpectedEOF)
	}()
	if _, err := chen.client.Post(o.server.URL+console.Path+"/imports", form.FormDataContentType(), reader); err == nil {
		t.Fatal("it was answered")
	}
	var shown string
	for range 100 {
		if _, shown = chen.get("/imports/broken"); strings.Contains(seen(shown), "Broke off") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !strings.Contains(seen(shown), "hand the same file in again") {
		t.Fatalf("%.500s", seen(shown))
	}
	if _, shown := chen.upload(importFields("again"), "titles.csv", rows(1, 600)); !strings.Contains(seen(shown), "Problems 59") {
		t.Errorf("handed in again: %.500s", seen(shown))
	}
}

// What happened is on the overview, in the trail with words for each verb, and neither tells whom it was about.
func TestOverviewAndAudit(t *testing.T) {
	o := newOffice(t)
	chen, sun := o.officer("chen"), o.officer("sun")
	chen.upload(importFields("some"), "titles.csv", rows(1, 8))
	for _, path := range []string{"/overview", "/overview?period=quarter&schema=" + url.QueryEscape(titleType), "/overview?period=year", "/overview?period=nonsense&schema=nonsense"} {
		status, shown := sun.get(path)
		if status != http.StatusOK || !strings.Contains(seen(shown), "Land title 7 0 0 0 0") || !strings.Contains(seen(shown), "Applications filed in all 7 · at most 7") {
			t.Errorf("%s: %d: %.700s", path, status, seen(shown))
		}
	}
	_, shown := sun.get("/audit?lang=zh-CN")
	if !strings.Contains(seen(shown), "提交申请") || !strings.Contains(shown, `href="/console/applications/`) || !strings.Contains(seen(shown), "尚未上链") {
		t.Errorf("%.900s", seen(shown))
	}
	o.issuer.Anchor()
	for range 200 {
		if _, shown = sun.get("/audit?verb=case-filed&by=chen&lang=en"); strings.Contains(seen(shown), "on the chain up to record") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(seen(shown), "on the chain up to record") || strings.Count(shown, "<tr>") != 8 || strings.Contains(shown, "person 3") {
		t.Errorf("filtered: %.900s", seen(shown))
	}
	if status, shown := sun.get("/audit?after=nonsense"); status < 400 || status >= 500 {
		t.Errorf("a page that is no number: %d: %.300s", status, seen(shown))
	}
	_, export := sun.get("/audit/export")
	if head, err := issuer.VerifyAudit(strings.NewReader(export)); err != nil || head.Records < 8 {
		t.Errorf("%+v, %v", head, err)
	}
	for range 60 {
		sun.get("/audit")
	}
	_, shown = sun.get("/audit")
	older := regexp.MustCompile(`href="(\?[^"]*after=\d+)"`).FindStringSubmatch(shown)
	if older == nil {
		t.Fatalf("no older page: %.900s", seen(shown))
	}
	if _, shown := sun.get("/audit" + strings.ReplaceAll(older[1], "&amp;", "&")); !strings.Contains(seen(shown), "Filed an application") {
		t.Errorf("older: %.900s", seen(shown))
	}
}

func TestKeys(t *testing.T) {
	o := newOffice(t)
	registered := ledgertest.Must(o.chain.Client().Update(t.Context()))(t)
	first := regexp.MustCompile(`<span class="badge[ a-z]*">([^<]*)</span>`) // of the key that signs entries
	for want, view := range map[string]*client.View{"in use": nil, "registered on the chain": registered, "not on the chain": {Registry: new(entry.Registry)}} {
		o.view.Store(view)
		status, shown := o.officer("zhou").get("/keys")
		state := first.FindStringSubmatch(shown)
		if status != http.StatusOK || !strings.Contains(seen(shown), "Entries on the chain") || strings.Contains(shown, "keys.of.") || state == nil || state[1] != want {
			t.Errorf("%d, %q, want %q: %s", status, state, want, seen(shown))
		}
	}
}

// Every verb of the trail has words, in the order in which the page lets one choose.
func TestVerbsHaveWords(t *testing.T) {
	source := ledgertest.Must(os.ReadFile("../../issuer/audit.go"))(t)
	verbs := regexp.MustCompile(`(?m)^\tDid\w+ +Verb = "([a-z-]+)"`).FindAllSubmatch(source, -1)
	if len(verbs) < 20 {
		t.Fatalf("found %d verbs: the test would prove nothing", len(verbs))
	}
	_, shown := newOffice(t).officer("sun").get("/audit")
	for _, verb := range verbs {
		if !strings.Contains(shown, `<option value="`+string(verb[1])+`">`) || strings.Contains(shown, "audit.verb."+string(verb[1])) {
			t.Errorf("the verb %s has no words", verb[1])
		}
	}
}
