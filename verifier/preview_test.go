package verifier_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/verifier"
)

func TestPoliciesAndPreviewOverHTTP(t *testing.T) {
	w := newWorld(t)
	w.seal()
	app := w.token("app", verifier.ScopePolicies)
	type listed struct{ Policies []verifier.PolicyListed }
	list := decode[listed](t, w.call("GET", "/v1/policies", app, "", ""), http.StatusOK).Policies
	if len(list) != len(policies()) || !slices.IsSortedFunc(list, func(a, b verifier.PolicyListed) int { return strings.Compare(a.ID, b.ID) }) {
		t.Fatalf("%+v", list)
	}
	for _, p := range list {
		if !p.Ready || p.Code != "" || p.Digest.IsZero() || len(p.Queries) == 0 || p.Purpose.English != "test" {
			t.Errorf("%+v", p)
		}
	}
	preview := decode[policy.Preview](t, w.call("GET", "/v1/policies/both/preview?lang=en&at=2027-03-01", app, "", ""), http.StatusOK)
	if preview.Policy != "both" || preview.Language != "en" || preview.At.Time().Format("2006-01-02") != "2027-03-01" || len(preview.Queries) != 2 {
		t.Errorf("%+v", preview)
	}
	var codes []string
	for _, warning := range preview.Warnings {
		codes = append(codes, warning.Query+"/"+warning.Code)
	}
	if !slices.Equal(codes, []string{"residence/some", "residence/issuers", "land/shown", "land/issuers"}) {
		t.Errorf("%q", codes)
	}
	if now := decode[policy.Preview](t, w.call("GET", "/v1/policies/land/preview", app, "", ""), http.StatusOK); now.Language != "zh-CN" || !now.At.Time().Equal(w.clock.Now().UTC().Truncate(1e9)) {
		t.Errorf("%+v", now)
	}
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/v1/policies/none/preview":                                {http.StatusNotFound, verifier.PolicyUnknown},
		"/v1/policies/both/preview?lang=fr":                        {http.StatusBadRequest, "malformed"},
		"/v1/policies/both/preview?at=tomorrow":                    {http.StatusBadRequest, "malformed"},
		"/v1/policies/both/preview?at=" + strings.Repeat("9", 100): {http.StatusBadRequest, "malformed"},
		"/v1/policies/both/preview?at=0000-01-01":                  {http.StatusConflict, verifier.PolicyUnprovable}, // two years before there is no year
	} {
		if got := w.call("GET", path, app, "", ""); got.Code != want.status || !strings.Contains(got.Body.String(), `"code":"`+want.code+`"`) {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	for _, path := range []string{"/v1/policies", "/v1/policies/both/preview"} {
		if got := w.call("GET", path, "", "", ""); got.Code != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", path, got.Code)
		}
		if got := w.call("GET", path, w.token("app", verifier.ScopeRead), "", ""); got.Code != http.StatusForbidden {
			t.Errorf("%s with another scope: %d", path, got.Code)
		}
	}
}

// A policy that cannot be asked by is listed with the reason, and can be previewed all the same.
func TestPolicyThatIsNotReady(t *testing.T) {
	w := newWorld(t)
	w.ledger.registry.Policies = w.ledger.registry.Policies[1:]
	w.seal()
	list, err := w.verifier.ListPolicies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if missing := p.ID == policies()[0].ID; p.Ready == missing || missing && (p.Code != verifier.PolicyNotRegistered || p.Detail == "") {
			t.Errorf("%+v", p)
		}
	}
	if _, err := w.verifier.PreviewPolicy(t.Context(), policies()[0].ID, w.clock.Now(), "en"); err != nil {
		t.Error(err)
	}
}
