package webapi

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
)

// Description is what the OpenAPI document of an API says of it as a whole.
type Description struct {
	Title, Version, Text string
	URL                  string // where the API is
	TokenURL             string // where its access tokens are had; empty: elsewhere
	Scopes               map[string]string
	Tags                 []string // in the order of the document
	Malformed            string   // code of the problem of a request that is not as its path takes it; empty: request
}

// securityScheme is the name of the one way to authenticate.
const securityScheme = "oauth2"

// OpenAPI begins an API below group that describes itself: operations are added by huma.Register. Its document (OpenAPI 3.1) is at
// /openapi.json, a page for people at /docs. JSON of requests is strict, and refusals are problems.
func OpenAPI(engine *gin.Engine, group *gin.RouterGroup, d Description) huma.API {
	config := huma.DefaultConfig(d.Title, d.Version)
	config.CreateHooks = nil // no $schema in bodies
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{d.problems}
	config.Info.Description, config.Info.Contact = d.Text, &huma.Contact{Name: "Bulla", URL: "https://github.com/bulla-id/bulla"}
	config.Servers = []*huma.Server{{URL: d.URL}}
	for _, name := range d.Tags {
		config.Tags = append(config.Tags, &huma.Tag{Name: name})
	}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{securityScheme: {
		Type: "oauth2", Description: "JWT access tokens (RFC 9068), as bearer tokens or bound to a key (RFC 9449)",
		Flows: &huma.OAuthFlows{ClientCredentials: &huma.OAuthFlow{TokenURL: d.TokenURL, Scopes: d.Scopes}},
	}}
	api := humagin.NewWithGroup(engine, group, config)
	document := sync.OnceValues(func() ([]byte, error) { // when it is first asked for there are no more operations to come
		schemas := api.OpenAPI().Components.Schemas.Map()
		delete(schemas, "ErrorDetail")
		schemas["ErrorModel"] = problemSchema
		return api.OpenAPI().MarshalJSON()
	})
	group.GET("/openapi.json", func(c *gin.Context) {
		document, err := document()
		if err != nil {
			Refuse(c, NewProblem(http.StatusInternalServerError, "internal", "something went wrong here"))
			return
		}
		c.Data(http.StatusOK, "application/vnd.oai.openapi+json;version=3.1", document)
	})
	group.GET("/docs", func(c *gin.Context) { renderAPI(c, api.OpenAPI()) })
	return api
}

// problemSchema describes a problem, in the place of huma's own.
var problemSchema = &huma.Schema{
	Type: huma.TypeObject, Description: "A problem (RFC 9457); its code is stable, and for programs", Required: []string{"title", "status", "code"},
	Properties: map[string]*huma.Schema{
		"title": {Type: huma.TypeString}, "status": {Type: huma.TypeInteger}, "code": {Type: huma.TypeString}, "detail": {Type: huma.TypeString},
		"errors": {Type: huma.TypeArray, Description: "What is wrong with parts of the request", Items: &huma.Schema{
			Type: huma.TypeObject, Properties: map[string]*huma.Schema{"location": {Type: huma.TypeString}, "message": {Type: huma.TypeString}},
		}},
	},
}

// Scoped makes an operation one that needs a scope. require is the check of tokens, as a gin handler.
func Scoped(op huma.Operation, scope string, require func(scope string) gin.HandlerFunc) huma.Operation {
	op.Security = Needs(scope)
	check := require(scope)
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		c := humagin.Unwrap(ctx)
		if check(c); !c.IsAborted() {
			next(huma.WithValue(ctx, ginKey{}, c))
		}
	})
	return op
}

// BodyOf describes a request body of JSON that the operation reads itself.
func BodyOf[T any](api huma.API) *huma.RequestBody {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "Request")
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

// Needs says in a document that an operation needs a scope.
func Needs(scope string) []map[string][]string {
	return []map[string][]string{{securityScheme: {scope}}}
}

type ginKey struct{}

// GinOf is the gin context of an operation that is [Scoped].
func GinOf(ctx interface{ Value(any) any }) *gin.Context {
	c, _ := ctx.Value(ginKey{}).(*gin.Context)
	return c
}

// GetStatus makes a problem one of huma's errors.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is how a problem is sent.
func (*Problem) ContentType(string) string { return "application/problem+json" }

// FieldError is what is wrong with one part of a request.
type FieldError struct {
	Location string `json:"location"` // as in body.claims
	Message  string `json:"message"`
}

// invalid is a problem that lists what is wrong with a request. It does not repeat what was sent.
type invalid struct {
	*Problem
	Errors []FieldError `json:"errors,omitempty"`
}

// problems turns huma's own errors into problems. What it says of errors that are none of ours is never shown.
func (d *Description) problems(_ huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := invalid{Problem: NewProblem(e.Status, cmp.Or(d.Malformed, "request"), "the request is not as this path takes it")}
	switch e.Status {
	case http.StatusInternalServerError:
		p.Problem = NewProblem(e.Status, "internal", "something went wrong here")
		return p, nil
	case http.StatusRequestEntityTooLarge:
		p.Problem = NewProblem(e.Status, "too-large", "the body is too large")
	case http.StatusUnsupportedMediaType:
		p.Problem = NewProblem(e.Status, "media-type", "want application/json")
	}
	for _, detail := range e.Errors {
		field := FieldError{Location: detail.Location, Message: detail.Message}
		if len(p.Errors) < 10 && len(field.Location) <= 100 && len(field.Message) <= 200 {
			p.Errors = append(p.Errors, field)
		}
	}
	return p, nil
}

var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	},
	Unmarshal: func(data []byte, v any) error {
		// Duplicate members, text that is not in NFC and what no two readers read alike; unknown members are refused by the schema.
		if _, err := credential.CanonicalJSON(data); err != nil {
			return fmt.Errorf("the body is not well-formed JSON") // the cause may quote it
		}
		return json.Unmarshal(data, v)
	},
}

//go:embed openapi.html
var pages embed.FS

var apiPage = template.Must(template.ParseFS(pages, "openapi.html"))

// operation is one as the page shows it.
type operation struct {
	Method, Path, Summary, Description, Scope string
}

// section are the operations of a tag.
type section struct {
	Name       string
	Operations []operation
}

// renderAPI shows the operations of an API to people, without anything from elsewhere.
func renderAPI(c *gin.Context, document *huma.OpenAPI) {
	var sections []section
	for _, tag := range document.Tags {
		s := section{Name: tag.Name}
		for path, item := range document.Paths {
			for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					s.Operations = append(s.Operations, operation{method, path, op.Summary, op.Description, scopeOf(op)})
				}
			}
		}
		slices.SortFunc(s.Operations, func(a, b operation) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
		sections = append(sections, s)
	}
	c.Header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	c.Header("Content-Type", "text/html; charset=utf-8")
	c.Status(http.StatusOK)
	_ = apiPage.Execute(c.Writer, map[string]any{"Info": document.Info, "Server": document.Servers[0].URL, "Sections": sections}) // the reader is gone
}

func scopeOf(op *huma.Operation) string {
	for _, scheme := range op.Security {
		return strings.Join(scheme[securityScheme], " ")
	}
	return ""
}
