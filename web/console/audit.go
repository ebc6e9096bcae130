package console

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/issuer"
)

func (c *Console) mountAudit() {
	c.page("GET /audit", issuer.ScopeAudit, (*visit).audit)
	c.page("GET /audit/export", issuer.ScopeAudit, (*visit).exportAudit)
}

// auditRecord is one of the trail.
type auditRecord struct {
	Number uint64
	At     credential.UnixTime
	By     string
	Verb   string
	Object string
	Detail string
}

// Page is the path of the page about what was acted on, or empty.
func (r auditRecord) Page() string {
	switch {
	case r.Object == "":
		return ""
	case strings.HasPrefix(r.Verb, "case-"):
		return "/applications/" + url.PathEscape(r.Object)
	case strings.HasPrefix(r.Verb, "credential-") && r.Verb != "credential-asked", r.Verb == "change-requested", strings.HasPrefix(r.Verb, "companion-"):
		return "/credentials/" + url.PathEscape(r.Object)
	}
	return ""
}

// auditHead is how far the trail has come, and what the chain has of it.
type auditHead struct {
	Records uint64
	Anchors []struct {
		Records uint64
		Entry   uint64
		At      credential.UnixTime
	}
}

// auditView is what the page shows.
type auditView struct {
	Records          []auditRecord
	Head             auditHead
	By, Verb, Object string
	Verbs            []string
	Older            string // address of the next page, or empty
}

// auditVerbs are what officers and the issuer do, in the order of the texts.
var auditVerbs = []string{
	"case-filed", "case-edited", "case-in-review", "case-approved", "case-refused", "case-withdrawn", "case-read", "cases-listed",
	"offer", "credential-asked", "credential-issued", "credential-delivered", "change-requested", "credential-changed", "credential-read", "credentials-listed",
	"credential-erased", "companion-offer", "companion-issued", "enrolment-reset-asked", "audit-read", "audit-anchored", "webhooks-changed",
	officers.Invited, officers.Joined, officers.Changed, officers.SignedIn, officers.SignedOut, officers.PasskeyAdded, officers.PasskeyRemoved,
}

func (v *visit) audit() error {
	query := v.r.URL.Query()
	data := auditView{By: query.Get("by"), Verb: query.Get("verb"), Object: query.Get("object"), Verbs: auditVerbs}
	ask := url.Values{"order": {"newest"}, "limit": {"50"}, "by": {v.c.actor(data.By)}, "verb": {data.Verb}, "object": {data.Object}}
	if after := query.Get("after"); after != "" {
		ask.Set("after", after)
	}
	var answer struct {
		Records []auditRecord
		Next    uint64
	}
	if err := v.call(http.MethodGet, "/audit?"+ask.Encode(), nil, &answer); err != nil {
		return err
	}
	data.Records = answer.Records
	for i := range data.Records {
		data.Records[i].By = v.c.officerName(data.Records[i].By)
	}
	if answer.Next > 0 {
		query.Set("after", strconv.FormatUint(answer.Next, 10))
		query.Del("done")
		data.Older = "?" + query.Encode()
	}
	if err := v.call(http.MethodGet, "/audit/head", nil, &data.Head); err != nil {
		return err
	}
	return v.show("audit", data)
}

// actor is how the trail writes who acted: an officer of the agency's own by its URL, too.
func (c *Console) actor(name string) string {
	if name == "" || name == "holder" || name == "system" || strings.Contains(name, "|") {
		return name
	}
	return c.cfg.URL + "|officer:" + name
}

// officerName is how pages write who acted.
func (c *Console) officerName(actor string) string {
	own, ok := strings.CutPrefix(actor, c.cfg.URL+"|")
	if !ok {
		return actor
	}
	return strings.TrimPrefix(own, "officer:")
}

// Anchored is the newest head that the chain has, or nil.
func (d auditView) Anchored() any {
	if n := len(d.Head.Anchors); n > 0 {
		return d.Head.Anchors[n-1]
	}
	return nil
}

// exportAudit passes the whole trail on as it comes.
func (v *visit) exportAudit() error {
	response, err := v.stream(http.MethodGet, "/audit/export", http.NoBody)
	if err != nil {
		return err
	}
	defer response.Close()
	h := v.w.Header()
	h.Set("Content-Type", "application/jsonl")
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "audit-"+day(v.c.cfg.Clock())+".jsonl"))
	_, _ = io.Copy(v.w, response) // who asked may be gone; a file that broke off does not verify
	return nil
}
