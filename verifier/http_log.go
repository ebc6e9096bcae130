package verifier

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/webapi"
)

// closeRequest names a scope.
type closeRequest struct {
	Scope credential.Element `json:"scope" doc:"id of a scope, as it is listed"`
}

// scopeList are the scopes that count.
type scopeList struct {
	Scopes []CountedScope `json:"scopes"`
}

// mountKeeping has what is for who keeps the verifier.
func (a *appAPI) mountKeeping() {
	tags := []string{"Keeping"}
	type query struct {
		Since int64  `query:"since" minimum:"0" maximum:"9007199254740991" doc:"seconds since 1970"`
		After string `query:"after" maxLength:"100" doc:"next of the page before"`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}
	appOperation(a, ScopeLog, huma.Operation{
		OperationID: "read-log", Method: http.MethodGet, Path: "/log", Tags: tags, Summary: "The log of sessions, the oldest first",
		Description: "Without personal data. Of one's own sessions; with " + ScopeLogAll + ", of all, and what else the verifier did.",
		Errors:      []int{http.StatusBadRequest},
	}, func(ctx context.Context, client string, in *query) (*answer[*LogPage], error) {
		all := oauth.PrincipalOf(webapi.GinOf(ctx)).Has(ScopeLogAll)
		page, err := a.v.Log(LogQuery{Client: client, All: all, After: in.After, Since: credential.UnixTime(in.Since), Limit: in.Limit})
		return &answer[*LogPage]{page}, err
	})
	appOperation(a, ScopeScopes, huma.Operation{
		OperationID: "list-scopes", Method: http.MethodGet, Path: "/scopes", Tags: tags, Summary: "The scopes in which something counts once, open and closed",
	}, func(ctx context.Context, _ string, _ *struct{}) (*answer[scopeList], error) {
		list, err := a.v.Scopes(ctx)
		return &answer[scopeList]{scopeList{list}}, err
	})
	type closing struct{ RawBody []byte }
	appOperation(a, ScopeClose, huma.Operation{
		OperationID: "close-scope", Method: http.MethodPost, Path: "/scopes/close", Tags: tags, Summary: "Close a scope for good",
		Description: "Nothing is asked or taken under it any longer, and then its tags are dropped.",
		RequestBody: webapi.BodyOf[closeRequest](a.api), SkipValidateBody: true, Errors: []int{http.StatusBadRequest, http.StatusNotFound},
	}, func(ctx context.Context, _ string, in *closing) (*answer[*CountedScope], error) {
		var request closeRequest
		if err := credential.ParseStrict(in.RawBody, &request); err != nil || request.Scope.IsZero() {
			return nil, malformed(`want {"scope": id of a scope as GET /v1/scopes lists it}`)
		}
		closed, err := a.v.CloseScope(ctx, request.Scope)
		return &answer[*CountedScope]{closed}, err
	})
	appOperation(a, ScopeBackups, huma.Operation{
		OperationID: "make-backup", Method: http.MethodPost, Path: "/backups", Tags: tags, DefaultStatus: http.StatusCreated, Summary: "Copy the store while it is used",
		Description: "Into the folder that is configured. One at a time.", Errors: []int{http.StatusConflict},
	}, func(ctx context.Context, _ string, _ *struct{}) (*answer[*Copied], error) {
		made, err := a.v.Backup(ctx)
		return &answer[*Copied]{made}, err
	})
}
