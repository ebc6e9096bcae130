package issuer

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

type auditPage struct {
	Records []AuditRecord `json:"records"`
	Next    uint64        `json:"next,omitempty" doc:"give it as after for the next page; none: this is the last"`
}

type auditState struct {
	AuditHead
	Anchors []Anchor `json:"anchors" doc:"heads that the chain has"`
}

func (a *adminAPI) mountAudit() {
	tags := []string{"Audit"}
	type query struct {
		Order  string  `query:"order" enum:"oldest,newest" default:"oldest" doc:"which comes first"`
		After  uint64  `query:"after"`
		Limit  int     `query:"limit" minimum:"1" maximum:"200" default:"50"`
		By     Officer `query:"by"`
		Verb   Verb    `query:"verb"`
		Object string  `query:"object"`
	}
	operation(a, ScopeAudit, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/audit", Tags: tags, Summary: "Who did what",
		Description: "A page may be shorter than its limit, or empty, and another follow.",
	}, func(_ context.Context, by Officer, in *query) (*body[auditPage], error) {
		page, next, err := a.i.Audit(by, AuditQuery{in.Order == "newest", in.After, in.Limit, in.By, in.Verb, in.Object})
		return &body[auditPage]{auditPage{append([]AuditRecord{}, page...), next}}, err
	})
	operation(a, ScopeAudit, huma.Operation{
		OperationID: "read-audit-head", Method: http.MethodGet, Path: "/audit/head", Tags: tags, Summary: "How far the log has come, and what the chain has of it",
	}, func(context.Context, Officer, *struct{}) (*body[auditState], error) {
		head, err := a.i.AuditHead()
		if err != nil {
			return nil, err
		}
		anchors, err := a.i.Anchors()
		return &body[auditState]{auditState{head, append([]Anchor{}, anchors...)}}, err
	})
	operation(a, ScopeAudit, huma.Operation{
		OperationID: "export-audit", Method: http.MethodGet, Path: "/audit/export", Tags: tags,
		Summary: "The whole log as JSON Lines", Description: "bulla issuer verify-audit checks it without a network.",
		Responses: map[string]*huma.Response{"200": {Description: "A record a line", Content: map[string]*huma.MediaType{"application/jsonl": {}}}},
	}, func(_ context.Context, by Officer, _ *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			ctx.SetHeader("Content-Type", "application/jsonl")
			if _, err := a.i.ExportAudit(by, ctx.BodyWriter()); err != nil { // the reader notices: the last line is cut off, or the head differs
				a.i.cfg.Logger.ErrorContext(ctx.Context(), "export broke off", slog.Any("error", err))
			}
		}}, nil
	})
}
