package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer/bulk"
)

// Imports over HTTP. A file is read while its rows are filed, and the answer says so as it goes on: JSON Lines, each an object with one
// member of [ImportLine].

const importPath = AdminPath + "/imports"

// Bounds of imports.
const (
	maxImports  = 2                // at once
	importPause = 60 * time.Second // that a client may take for one batch, to send it and to read the answer
)

// ImportLine is one line of the answer to an import. Done or Error is the last.
type ImportLine struct {
	Case     *ImportCase     `json:"case,omitempty"`
	Problem  *bulk.Problem   `json:"problem,omitempty"`
	Progress *ImportProgress `json:"progress,omitempty"`
	Done     *ImportProgress `json:"done,omitempty"`
	Error    *ImportError    `json:"error,omitempty"`
}

// ImportError is why an import ended before its file did. What was filed until then stays: hand the file in again.
type ImportError struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// importHandler is apart from the others, whose bodies are small.
func (i *Issuer) importHandler() http.Handler {
	e := webapi.Engine(i.cfg.Logger, bulk.MaxFile+1)
	e.POST(i.base+importPath, noStore, i.officers.Require(ScopeFile), i.postImport)
	return e
}

// documentImport adds what huma does not serve to the document.
func (a *adminAPI) documentImport() {
	query := func(name, text string, required bool, values ...any) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: text, Required: required, Schema: &huma.Schema{Type: "string", Enum: values}}
	}
	a.api.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "import-applications", Method: http.MethodPost, Path: "/imports", Tags: []string{"Applications"}, Security: webapi.Needs(ScopeFile),
		Summary:     "File the applications of a file: CSV or JSON Lines",
		Description: "The answer is JSON Lines: cases, problems and progress as they come, then done or error. Hand a file that broke off in again.",
		Parameters: []*huma.Param{
			{Name: "schema", In: "query", Required: true, Schema: &huma.Schema{Type: "string"}},
			query("format", "how rows are written", true, string(bulk.CSV), string(bulk.JSONLines)),
			query("encoding", "of CSV; UTF-8 if it is left out", false, string(bulk.UTF8), string(bulk.GB18030)),
			query("dry_run", "true: say what is wrong and file nothing", false, "true", "false"),
		},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {}}},
		Responses:   map[string]*huma.Response{"200": {Description: "What became of each row", Content: map[string]*huma.MediaType{"application/jsonl": {}}}},
	})
}

// mountTemplate is the first line of a file to import.
func (a *adminAPI) mountTemplate() {
	type query struct {
		Schema   string `query:"schema" required:"true"`
		Language string `query:"language" enum:"en,zh-CN" default:"en" doc:"of the claims' titles"`
	}
	operation(a, ScopeFile, huma.Operation{
		OperationID: "read-import-template", Method: http.MethodGet, Path: "/imports/template", Tags: []string{"Applications"},
		Summary: "The line of column names of a CSV file to import", Description: "In UTF-8 with a byte order mark, as spreadsheets want it.",
		Responses: map[string]*huma.Response{"200": {Description: "One line", Content: map[string]*huma.MediaType{"text/csv": {}}}},
	}, func(_ context.Context, _ Officer, in *query) (*huma.StreamResponse, error) {
		schema, ok := a.i.schemas[in.Schema]
		if !ok {
			return nil, refuse(ErrSchema, "this agency does not issue credentials of that type")
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			ctx.SetHeader("Content-Type", "text/csv; charset=utf-8")
			_ = bulk.Template(ctx.BodyWriter(), schema.Schema, in.Language) // the client is gone
		}}, nil
	})
}

func (i *Issuer) postImport(c *gin.Context) {
	by := Officer(oauth.PrincipalOf(c).ID())
	select {
	case i.imports <- struct{}{}:
		defer func() { <-i.imports }()
	default:
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, string(ErrUnavailable.Code), "other imports are under way"))
		return
	}
	out := &importAnswer{c: c, conn: http.NewResponseController(c.Writer)}
	out.extend()
	schema, ok := i.schemas[c.Query("schema")]
	if !ok {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, string(ErrSchema.Code), "this agency does not issue credentials of that type"))
		return
	}
	if dry := c.Query("dry_run"); dry != "" && dry != "true" && dry != "false" {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, string(ErrRequest.Code), "dry_run is true or false"))
		return
	}
	file, err := bulk.NewReader(c.Request.Body, bulk.Format(c.Query("format")), bulk.Encoding(c.DefaultQuery("encoding", string(bulk.UTF8))), schema.Schema)
	if err != nil {
		webapi.Refuse(c, webapi.NewProblem(http.StatusBadRequest, "file", err.Error())) // in bulk's words, which quote no cell
		return
	}
	_ = out.conn.EnableFullDuplex() // not every writer can: a client that sends all before it reads is served anyway
	c.Header("Connection", "close") // in full duplex the server cannot tell the rest of a file that broke off from the next request
	c.Header("Content-Type", "application/jsonl")
	c.Status(http.StatusOK)
	done, err := i.Import(c.Request.Context(), by, schema.Type, file, c.Query("dry_run") == "true", out)
	last := ImportLine{Done: &done}
	switch {
	case errors.Is(err, bulk.ErrFile):
		last = ImportLine{Error: &ImportError{"file", err.Error()}}
	case err != nil:
		i.cfg.Logger.ErrorContext(c, "import broke off", slog.Int("rows", done.Rows), slog.Any("error", err))
		last = ImportLine{Error: &ImportError{"internal", "something went wrong here: hand the file in again"}}
	}
	_ = out.send(last) // the client is gone
}

// importAnswer writes the answer.
type importAnswer struct {
	c    *gin.Context
	conn *http.ResponseController
}

// extend gives the client time for the next batch.
func (o *importAnswer) extend() {
	until := time.Now().Add(importPause)
	_ = errors.Join(o.conn.SetReadDeadline(until), o.conn.SetWriteDeadline(until)) // not every connection has deadlines
}

func (o *importAnswer) send(line ImportLine) error {
	return json.NewEncoder(o.c.Writer).Encode(line)
}

// Case implements [ImportReport].
func (o *importAnswer) Case(c ImportCase) error { return o.send(ImportLine{Case: &c}) }

// Problem implements [ImportReport].
func (o *importAnswer) Problem(p bulk.Problem) error { return o.send(ImportLine{Problem: &p}) }

// Progress implements [ImportReport].
func (o *importAnswer) Progress(p ImportProgress) error {
	o.extend()
	if err := o.send(ImportLine{Progress: &p}); err != nil {
		return err
	}
	_ = o.conn.Flush()
	return nil
}
