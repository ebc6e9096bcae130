package issuer

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

func (a *adminAPI) mountStatistics() {
	type period struct {
		From string `query:"from" required:"true" format:"date" doc:"first day, UTC"`
		To   string `query:"to" required:"true" format:"date" doc:"last day, at most ten years later"`
	}
	operation(a, ScopeCredentials, huma.Operation{
		OperationID: "read-statistics", Method: http.MethodGet, Path: "/statistics", Tags: []string{"Agency"},
		Summary: "What happened by day and schema, and how things stand", Description: "Counts only: nothing in them is about a person.",
	}, func(_ context.Context, _ Officer, in *period) (*body[Statistics], error) {
		s, err := a.i.Statistics(in.From, in.To)
		return &body[Statistics]{s}, err
	})
}
