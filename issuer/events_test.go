package issuer_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/issuer"
)

// receiver is another system of the agency.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret outbox.Secret
	got    map[string]map[string]any // data, by type
	errs   []error
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{got: map[string]map[string]any{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(io.LimitReader(request.Body, 1<<15))
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, verified := outbox.Verify([]outbox.Secret{r.secret}, request.Header, body, time.Now()); err != nil || verified != nil {
			r.errs = append(r.errs, err, verified)
			return
		}
		var event struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		r.errs = append(r.errs, json.Unmarshal(body, &event))
		r.got[event.Type] = event.Data
	}))
	t.Cleanup(r.Close)
	return r
}

// has says which events came.
func (r *receiver) has(types ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.ContainsFunc(types, func(t string) bool { return r.got[t] == nil })
}

// Other systems are told of what was decided and of what is on the chain, over a restart, and of no person.
func TestWebhooks(t *testing.T) {
	loopback := egress.Config{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true}
	a, p, r := careful(t, 1, func(c *issuer.Config) { c.Egress = loopback }), newPerson("Li Wei"), newReceiver(t)
	added := a.by("second", "POST", "/webhooks", fmt.Sprintf(`{"url":%q}`, r.URL), "")
	id, _ := added.fields["id"].(string)
	secret, _ := added.fields["secret"].(string)
	if added.status != http.StatusCreated || id == "" {
		t.Fatalf("%d %s", added.status, added.body)
	}
	r.secret = must(outbox.ParseSecret(secret))(t)
	if listed := a.by("second", "GET", "/webhooks", "", ""); listed.status != 200 || !strings.Contains(string(listed.body), id) || strings.Contains(string(listed.body), secret) {
		t.Errorf("%d %s", listed.status, listed.body)
	}

	c := a.file(p, "1")
	token := a.offered(c)
	_, _ = a.ask(p, token, titleType) // deferred
	c = must(a.Approve(second, c.ID, c.Version))(t)
	eventually(t, "told of the credential", func() bool {
		return r.has("application.submitted", "application.approved", "application.issued", "credential.issued")
	})
	a.restart()
	c = must(a.Case(clerk, c.ID))(t)
	why := because("sold")
	revocation, _, err := a.File(clerk, issuer.Filing{Kind: issuer.CaseRevoke, Credential: c.Issued, Reason: &why})
	if err != nil {
		t.Fatal(err)
	}
	must(a.Approve(second, revocation.ID, revocation.Version))(t)
	eventually(t, "told of the revocation", func() bool { return r.has("application.done", "credential.revoked") })

	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.errs {
		if err != nil {
			t.Error(err)
		}
	}
	if issued := r.got["credential.issued"]; issued["id"] != c.Issued || issued["schema"] != titleType || issued["status"] != string(issuer.Active) {
		t.Errorf("%v", issued)
	}
	if all := fmt.Sprint(r.got); strings.Contains(all, "Li Wei") || strings.Contains(all, "sold") || strings.Contains(all, string(clerk)) {
		t.Errorf("told too much: %s", all)
	}
}

// Whom webhooks may call is not for officers to decide, and who sets them is.
func TestWebhooksRefused(t *testing.T) {
	a := newAgency(t)
	for name, c := range map[string]struct {
		got    answer
		status int
		code   string
	}{
		"plain http":        {a.by("second", "POST", "/webhooks", `{"url":"http://example.org/"}`, ""), 400, "invalid-request"},
		"an unknown type":   {a.by("second", "POST", "/webhooks", `{"url":"https://example.org/","types":["x"]}`, ""), 400, "invalid-request"},
		"no URL":            {a.by("second", "POST", "/webhooks", `{}`, ""), 422, "request"},
		"remove no such":    {a.by("second", "DELETE", "/webhooks/x", "", ""), 404, "not-found"},
		"the log of none":   {a.by("second", "GET", "/webhooks/x/log", "", ""), 404, "not-found"},
		"replay of nothing": {a.by("second", "POST", "/webhooks/x/dead/y/replay", "", ""), 404, "not-found"},
	} {
		if c.got.status != c.status || c.got.fields["code"] != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, c.got.status, c.got.body, c.status, c.code)
		}
	}
	added := a.by("second", "POST", "/webhooks", `{"url":"https://example.org/","types":["credential.revoked"]}`, "")
	id, _ := added.fields["id"].(string)
	if removed := a.by("second", "DELETE", "/webhooks/"+id, "", ""); removed.status != http.StatusNoContent {
		t.Errorf("%d %s", removed.status, removed.body)
	}
	if listed := a.by("second", "GET", "/webhooks", "", ""); strings.Contains(string(listed.body), "example.org") {
		t.Errorf("still there: %s", listed.body)
	}
}
