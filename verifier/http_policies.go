package verifier

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bulla-id/bulla/credential/policy"
)

// policyList are the verifier's policies.
type policyList struct {
	Policies []PolicyListed `json:"policies"`
}

// mountPolicies has what shows the verifier's policies.
func (a *appAPI) mountPolicies() {
	tags := []string{"Policies"}
	appOperation(a, ScopePolicies, huma.Operation{
		OperationID: "list-policies", Method: http.MethodGet, Path: "/policies", Tags: tags, Summary: "The policies that sessions can ask by, and what keeps one from that",
	}, func(ctx context.Context, _ string, _ *struct{}) (*answer[policyList], error) {
		list, err := a.v.ListPolicies(ctx)
		return &answer[policyList]{policyList{list}}, err
	})
	type query struct {
		ID       string `path:"id"`
		Language string `query:"lang" doc:"zh-CN (default) or en"`
		At       string `query:"at" doc:"a date like 2027-03-01 or a time like 2027-03-01T09:30:00Z; left out: now"`
	}
	appOperation(a, ScopePolicies, huma.Operation{
		OperationID: "preview-policy", Method: http.MethodGet, Path: "/policies/{id}/preview", Tags: tags, Summary: "What a person reads before they agree, and what an answer narrows down",
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, _ string, in *query) (*answer[*policy.Preview], error) {
		at, language, ok := previewOf(in.At, in.Language, a.v.cfg.Clock())
		if !ok {
			return nil, malformed("want lang=zh-CN or lang=en, and at, if given, as a date like 2027-03-01 or a time like 2027-03-01T09:30:00Z")
		}
		preview, err := a.v.PreviewPolicy(ctx, in.ID, at, language)
		return &answer[*policy.Preview]{preview}, err
	})
}

// previewOf reads the two parameters; without them it is now, and zh-CN.
func previewOf(at, language string, now time.Time) (time.Time, string, bool) {
	if language == "" {
		language = policy.Languages()[0]
	}
	if !slices.Contains(policy.Languages(), language) {
		return now, language, false
	}
	if at == "" {
		return now, language, true
	}
	t, err := policy.ParseMoment(at)
	return t, language, err == nil
}
