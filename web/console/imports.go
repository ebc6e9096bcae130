package console

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/issuer"
)

// Bounds of imports. That of the file is the API's.
const (
	maxUpload      = 256<<20 + 64<<10 // bytes of a form with its file
	maxImportField = 1 << 10          // bytes of another field of the form
	importPause    = 60 * time.Second // that a browser may take for what one batch needs
)

func (c *Console) mountImports() {
	c.page("GET /imports", issuer.ScopeFile, (*visit).imports)
	c.page("POST /imports", issuer.ScopeFile, (*visit).startImport)
	c.page("GET /imports/template", issuer.ScopeFile, (*visit).importTemplate)
	c.page("GET /imports/{id}", issuer.ScopeFile, (*visit).showImport)
	c.page("GET /imports/{id}/problems", issuer.ScopeFile, (*visit).importProblems)
	c.page("POST /imports/{id}/links", issuer.ScopeFile, (*visit).importLinks)
}

// importsView is what the page shows.
type importsView struct {
	Schemas []schema
	Mine    []importState
}

func (v *visit) imports() error { return v.showImports(nil) }

func (v *visit) showImports(refused error) error {
	schemas, err := v.schemas()
	if err != nil {
		return err
	}
	data := importsView{schemas, v.c.jobs.of(v.session.Officer, v.c.cfg.Clock())}
	if refused != nil {
		return v.showAgain("imports", data, refused)
	}
	return v.show("imports", data)
}

// importForm is the form but for its file, whose part comes last.
type importForm struct{ once, schema, format, encoding, dryRun string }

// readForm reads the fields of a form up to its file.
func readForm(parts *multipart.Reader) (f importForm, file *multipart.Part, err error) {
	fields := map[string]*string{"once": &f.once, "schema": &f.schema, "format": &f.format, "encoding": &f.encoding, "dry_run": &f.dryRun}
	for range len(fields) + 1 {
		part, err := parts.NextPart()
		if err != nil {
			break
		}
		if part.FormName() == "file" && part.FileName() != "" {
			return f, part, nil
		}
		field, known := fields[part.FormName()]
		text, err := io.ReadAll(io.LimitReader(part, maxImportField+1))
		if !known || err != nil || len(text) > maxImportField {
			break
		}
		*field = string(text)
	}
	return f, nil, &Problem{Status: http.StatusBadRequest, Code: "no-file"}
}

// startImport hands the file on while it comes in. Its page can be looked at meanwhile, under the name that the form has.
func (v *visit) startImport() error {
	parts, err := v.r.MultipartReader()
	if err != nil {
		return v.showImports(&Problem{Status: http.StatusBadRequest, Code: "no-file"})
	}
	form, file, err := readForm(parts)
	if err != nil {
		return v.showImports(err)
	}
	j, err := v.c.jobs.begin(form.once, v.session.Officer, form.dryRun != "", v.c.cfg.Clock())
	if err != nil {
		return v.showImports(err)
	}
	var failed *Problem
	func() {
		failed = &Problem{Status: http.StatusBadGateway, Code: "broke-off"} // whatever happens
		defer func() { j.end(v.c.cfg.Clock(), failed) }()
		failed = v.runImport(j, form, file)
	}()
	if failed != nil && j.state().Progress.Rows == 0 {
		v.c.jobs.forget(j)
		return v.showImports(failed)
	}
	return v.goTo("/imports/"+url.PathEscape(j.id), "")
}

// runImport sends the file to the API, and keeps what it answers. It returns why the import ended before its file did.
func (v *visit) runImport(j *job, f importForm, file io.Reader) *Problem {
	conn := http.NewResponseController(v.w)
	extend := func() {
		until := time.Now().Add(importPause)
		_ = errors.Join(conn.SetReadDeadline(until), conn.SetWriteDeadline(until)) // not every connection has deadlines
	}
	extend()
	query := url.Values{"schema": {f.schema}, "format": {f.format}, "dry_run": {strconv.FormatBool(j.dryRun)}}
	if f.encoding != "" {
		query.Set("encoding", f.encoding)
	}
	upload := &upload{Reader: file}
	answer, err := v.stream(http.MethodPost, "/imports?"+query.Encode(), upload)
	if err != nil {
		return v.problemOf(err)
	}
	defer answer.Close()
	lines := json.NewDecoder(answer)
	for {
		var line importLine
		if err := lines.Decode(&line); err != nil {
			return &Problem{Status: http.StatusBadGateway, Code: "broke-off"}
		}
		if line.Progress != nil {
			extend()
		}
		if line.Error != nil && upload.broke.Load() {
			return &Problem{Status: http.StatusBadGateway, Code: "broke-off"}
		}
		if line.Error != nil {
			return &Problem{Status: http.StatusBadRequest, Code: "import-" + line.Error.Code, Detail: line.Error.Detail}
		}
		if j.take(line); line.Done != nil {
			return nil
		}
	}
}

// upload is a file that comes in, and remembers that it broke off.
type upload struct {
	io.Reader
	broke atomic.Bool
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		u.broke.Store(true)
	}
	return n, err
}

func (v *visit) importTemplate() error {
	query := url.Values{"schema": {v.r.URL.Query().Get("schema")}, "language": {v.language}}
	answer, err := v.stream(http.MethodGet, "/imports/template?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	defer answer.Close()
	v.attach("text/csv; charset=utf-8", "applications.csv")
	_, _ = io.Copy(v.w, answer) // who asked may be gone
	return nil
}

// attach says that the answer is a file to keep.
func (v *visit) attach(kind, name string) {
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
}

// job finds the officer's own import.
func (v *visit) job() (*job, error) {
	j := v.c.jobs.find(v.r.PathValue("id"), v.session.Officer, v.c.cfg.Clock())
	if j == nil {
		return nil, &Problem{Status: http.StatusNotFound, Code: "no-import"}
	}
	return j, nil
}

// showImport is the page of one, or for scripts its figures as JSON.
func (v *visit) showImport() error {
	j, err := v.job()
	script := strings.Contains(v.r.Header.Get("Accept"), "application/json")
	switch {
	case err != nil && script: // it has not begun
		v.w.WriteHeader(http.StatusNoContent)
		return nil
	case err != nil:
		return err
	case script:
		v.w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(v.w).Encode(map[string]any{"progress": j.state().Progress})
	}
	if state := j.state(); !state.Ended {
		v.w.Header().Set("Refresh", "5")
	}
	return v.show("import", j.state())
}

// importProblems is the list of what is wrong, as a file.
func (v *visit) importProblems() error {
	j, err := v.job()
	if err != nil {
		return err
	}
	rows := [][]string{{v.t("imports.row"), v.t("imports.column"), v.t("imports.problem"), v.t("imports.detail")}}
	for _, p := range j.allProblems() {
		rows = append(rows, []string{strconv.Itoa(p.Row), p.Column, v.t("imports.code." + p.Code), p.Detail})
	}
	return v.table("problems.csv", rows)
}

// importLinks hands the persons' private links out, once.
func (v *visit) importLinks() error {
	j, err := v.job()
	if err != nil {
		return err
	}
	links := j.takeLinks()
	if links == nil {
		return &Problem{Status: http.StatusNotFound, Code: "links-taken"}
	}
	rows := [][]string{{v.t("imports.row"), v.t("imports.case"), v.t("imports.link")}}
	for _, c := range links {
		rows = append(rows, []string{strconv.Itoa(c.Row), c.ID, v.c.cfg.URL + "/progress/" + c.Link})
	}
	return v.table("links.csv", rows)
}

// table answers with a CSV file that spreadsheets read as UTF-8, and in which no cell is a formula.
func (v *visit) table(name string, rows [][]string) error {
	v.attach("text/csv; charset=utf-8", name)
	if _, err := io.WriteString(v.w, "\uFEFF"); err != nil {
		return nil // who asked is gone
	}
	out := csv.NewWriter(v.w)
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		_ = out.Write(row)
	}
	out.Flush()
	return nil
}
