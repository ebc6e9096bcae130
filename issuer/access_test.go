package issuer_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/issuer"
)

// The agency's software gets its token by its secret, for its own scopes, at the endpoint where wallets get theirs.
func TestClientsOfTheAgency(t *testing.T) {
	secret, digest := oauth.NewSecret()
	a := newAgency(t, func(c *issuer.Config) {
		c.Clients = must(oauth.NewFixed(oauth.Client{ID: "registry", Name: "Registry", Secrets: []credential.Digest{digest}, Scopes: issuer.Roles["auditor"]}))(t)
	})
	ask := func(secret, scope string) answer {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/agencies/land/token", strings.NewReader("grant_type=client_credentials&scope="+scope))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("registry", secret)
		return record(a.Handler(), r)
	}
	if wrong := ask("x", ""); wrong.status != http.StatusUnauthorized || wrong.fields["error"] != "invalid_client" {
		t.Errorf("%d %s", wrong.status, wrong.body)
	}
	if more := ask(secret, issuer.ScopeRevoke); more.status != http.StatusBadRequest || more.fields["error"] != "invalid_scope" {
		t.Errorf("%d %s", more.status, more.body)
	}
	got := ask(secret, issuer.ScopeAudit)
	token, _ := got.fields["access_token"].(string)
	if got.status != http.StatusOK || got.fields["scope"] != issuer.ScopeAudit {
		t.Fatalf("%d %s", got.status, got.body)
	}
	read := a.call(call{method: http.MethodGet, path: "/agencies/land/admin/v1/audit", bearer: token})
	records, _ := read.fields["records"].([]any)
	if read.status != http.StatusOK || len(records) != 1 || records[0].(map[string]any)["by"] != agencyURL+"|registry" {
		t.Errorf("%d %s", read.status, read.body)
	}
	if beyond := a.call(call{method: http.MethodGet, path: "/agencies/land/admin/v1/credentials", bearer: token}); beyond.status != http.StatusForbidden {
		t.Errorf("beyond its scope: %d", beyond.status)
	}
	a.clock.Advance(time.Hour)
	if late := a.call(call{method: http.MethodGet, path: "/agencies/land/admin/v1/audit", bearer: token}); late.status != http.StatusUnauthorized {
		t.Errorf("an hour later: %d", late.status)
	}
	metadata := a.call(call{method: http.MethodGet, path: "/.well-known/" + openid.ServerWellKnown + "/agencies/land"})
	if grants, _ := metadata.fields["grant_types_supported"].([]any); len(grants) != 2 || metadata.fields["jwks_uri"] != agencyURL+"/jwks.json" {
		t.Errorf("%s", metadata.body)
	}
	if keys := a.call(call{method: http.MethodGet, path: "/agencies/land/jwks.json"}); keys.status != http.StatusOK || keys.fields["keys"] == nil {
		t.Errorf("%d %s", keys.status, keys.body)
	}
}

// Without clients there is no such grant, and nothing says that there is.
func TestNoClients(t *testing.T) {
	a := newAgency(t)
	got := a.call(call{path: "/agencies/land/token", body: "grant_type=client_credentials", contentType: "application/x-www-form-urlencoded"})
	if got.status != http.StatusBadRequest || got.fields["error"] != "unsupported_grant_type" {
		t.Errorf("%d %s", got.status, got.body)
	}
	metadata := a.call(call{method: http.MethodGet, path: "/.well-known/" + openid.ServerWellKnown + "/agencies/land"})
	if metadata.fields["jwks_uri"] != nil {
		t.Errorf("%s", metadata.body)
	}
}
