package verifier

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/webapi"
)

// AppPath is where the API for applications is, below the public URL.
const AppPath = "/v1"

// maxAppBody bounds what an application posts, but for responses to validate, in bytes.
const maxAppBody = 64 << 10

// mountApp is the API for applications: OpenAPI 3.1 at openapi.json, a page at docs. Refusals are RFC 9457 problems.
func (v *Verifier) mountApp(e *gin.Engine) {
	a := &appAPI{v, webapi.OpenAPI(e, e.Group(AppPath), webapi.Description{
		Title: "Bulla verifier: " + v.cfg.DID, Version: "1", URL: v.base + AppPath, TokenURL: v.base + tokenPath, Malformed: "malformed",
		Text:   "A relying party's applications ask people for proofs by a registered policy, and read the signed results.",
		Scopes: scopeTexts, Tags: []string{"Sessions", "Validation", "Policies", "Webhooks", "Keeping"},
	})}
	a.mountSessions()
	a.mountReading()
	a.mountList()
	a.mountValidation()
	a.mountPolicies()
	a.mountWebhooks()
	a.mountKeeping()
	v.mountTokens(e)
}

// mountTokens has the authorization server, if there is anybody to give tokens to.
func (v *Verifier) mountTokens(e *gin.Engine) {
	server := v.access.server
	if server == nil {
		return
	}
	e.POST(tokenPath, server.PostToken)
	e.GET(keysPath, server.GetKeys)
	if u, err := url.Parse(v.base); err == nil { // SPEC: RFC 8414 section 3: between host and path
		e.GET("/.well-known/oauth-authorization-server"+u.EscapedPath(), server.GetMetadata)
	}
}

// appAPI adds operations.
type appAPI struct {
	v   *Verifier
	api huma.API
}

// appOperation adds one. do gets the application that calls; its errors become problems.
func appOperation[In, Out any](a *appAPI, scope string, op huma.Operation, do func(ctx context.Context, client string, in *In) (*Out, error)) {
	op.Errors = append(op.Errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable)
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = maxAppBody
	}
	huma.Register(a.api, webapi.Scoped(op, scope, a.v.access.resource.Require), func(ctx context.Context, in *In) (*Out, error) {
		c := webapi.GinOf(ctx)
		out, err := do(ctx, a.v.access.client(oauth.PrincipalOf(c)), in)
		if err != nil {
			return nil, a.v.problem(c, err)
		}
		return out, nil
	})
	if op.RequestBody != nil {
		delete(op.RequestBody.Content, "application/octet-stream") // which it adds for a body that the operation reads itself
	}
}

// malformed is an error that says how a request must be.
type malformed string

// Error is that.
func (m malformed) Error() string { return string(m) }

// Schema implements [huma.SchemaProvider].
func (State) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{
		string(Created), string(Fetched), string(Responded), string(Verified), string(Rejected), string(Expired), string(Cancelled),
	}}
}

// answer is a body of one JSON value.
type answer[T any] struct{ Body T }

type sessionRequest struct {
	Policy          string `json:"policy" doc:"id of a policy of the verifier's"`
	LifetimeSeconds int    `json:"lifetime_seconds,omitempty" doc:"10 to 900; left out: the verifier's default"`
	ReturnURI       string `json:"return_uri,omitempty" doc:"where the wallet sends its person's browser, if both are on one device"`
}

// ask is the request, if it can be one.
func (r *sessionRequest) ask() (Ask, error) {
	if r.LifetimeSeconds < 0 || r.LifetimeSeconds > int(maximumLifetime/time.Second) { // before it could overflow
		return Ask{}, ErrLifetime
	}
	return Ask{Policy: r.Policy, Lifetime: time.Duration(r.LifetimeSeconds) * time.Second, ReturnURI: r.ReturnURI}, nil
}

// startedAnswer says where the session is.
type startedAnswer struct {
	Location string `header:"Location"`
	Body     *Started
}

func (a *appAPI) mountSessions() {
	tags := []string{"Sessions"}
	type start struct{ RawBody []byte }
	appOperation(a, ScopeWrite, huma.Operation{
		OperationID: "start-session", Method: http.MethodPost, Path: "/sessions", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Ask for what a policy asks", Description: "Show request_link as a QR code or a button, or send the person to page_uri.",
		RequestBody: webapi.BodyOf[sessionRequest](a.api), SkipValidateBody: true, Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
		Parameters: []*huma.Param{idempotencyParameter},
	}, func(ctx context.Context, client string, in *start) (*startedAnswer, error) {
		started, err := a.start(ctx, client, in.RawBody)
		if err != nil {
			return nil, err
		}
		return &startedAnswer{a.v.base + AppPath + "/sessions/" + started.ID, started}, nil
	})
	type one struct {
		ID string `path:"id"`
	}
	appOperation(a, ScopeWrite, huma.Operation{
		OperationID: "cancel-session", Method: http.MethodPost, Path: "/sessions/{id}/cancel", Tags: tags, Summary: "End one of your sessions before it is answered",
		Description: "Again, it changes nothing. One that has ended in another way stays as it is: 409.", Errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, client string, in *one) (*answer[*Status], error) {
		status, err := a.v.Cancel(ctx, client, in.ID)
		return &answer[*Status]{status}, err
	})
}

// mountList has the list of an application's sessions.
func (a *appAPI) mountList() {
	type query struct {
		After  string `query:"after" doc:"next of the page before"`
		Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
		State  State  `query:"state"`
		Policy string `query:"policy"`
	}
	appOperation(a, ScopeRead, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: "/sessions", Tags: []string{"Sessions"}, Summary: "Your own sessions, the newest first",
		Description: "Without results. A page may be shorter than its limit, or empty, and another follow.",
	}, func(ctx context.Context, client string, in *query) (*answer[sessionPage], error) {
		page, next, err := a.v.Sessions(ctx, client, List{in.After, in.Limit, in.State, in.Policy})
		return &answer[sessionPage]{sessionPage{page, next}}, err
	})
}

// sessionPage is one page of a list.
type sessionPage struct {
	Sessions []Listed `json:"sessions"`
	Next     string   `json:"next,omitempty" doc:"give it as after for the next page; none: this is the last"`
}

// start carries out a request that may be named.
func (a *appAPI) start(ctx context.Context, client string, text []byte) (*Started, error) {
	var request sessionRequest
	if err := credential.ParseStrict(text, &request); err != nil {
		return nil, malformed(`want {"policy": a policy's id, "lifetime_seconds": optional, "return_uri": optional}`)
	}
	ask, err := request.ask()
	if err != nil {
		return nil, err
	}
	c := webapi.GinOf(ctx)
	keys := c.Request.Header.Values(IdempotencyHeader)
	if len(keys) == 0 {
		return a.v.StartWith(ctx, client, ask)
	}
	if ask.Key, err = parseIdempotencyKey(strings.Join(keys, ",")); err != nil { // twice is malformed
		return nil, err
	}
	started, replayed, err := a.v.StartOnce(ctx, client, ask)
	if replayed {
		c.Header("Idempotency-Replayed", "true")
	}
	return started, err
}
