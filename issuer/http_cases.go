package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/internal/webapi"
)

// Applications over HTTP: cases, by the word that agencies use. Their version is the ETag.

// filed answers with a new application. Link is the person's private link, once.
type filed struct {
	Case
	Link string `json:"link,omitempty" doc:"the person's private link, shown once; none where the same was filed before"`
}

type caseAnswer struct {
	ETag string `header:"ETag"`
	Body Case
}

func caseOf(c Case, err error) (*caseAnswer, error) { return &caseAnswer{etag(c.Version), c}, err }

func etag(version uint64) string { return fmt.Sprintf("%q", strconv.FormatUint(version, 10)) }

// Conditional is a request to change one case. IfMatch says which version the officer has read.
type Conditional struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match" required:"true" doc:"the ETag of what you have read"`
}

// version is that of If-Match. SPEC: RFC 9110 section 13.1.1; a list, a weak tag and * name no one version.
func (c Conditional) version() (uint64, error) {
	text, ok := strings.CutPrefix(c.IfMatch, `"`)
	text, closed := strings.CutSuffix(text, `"`)
	n, err := strconv.ParseUint(text, 10, 64)
	if !ok || !closed || err != nil || n == 0 || etag(n) != c.IfMatch {
		return 0, refuse(ErrVersion, "If-Match is the ETag of the application that you have read")
	}
	return n, nil
}

type casePage struct {
	Applications []Case `json:"applications"`
	Next         string `json:"next,omitempty" doc:"give it as after for the next page; none: this is the last"`
}

func (a *adminAPI) mountCases() {
	tags := []string{"Applications"}
	type filing struct{ Body Filing }
	operation(a, ScopeFile, huma.Operation{
		OperationID: "file-application", Method: http.MethodPost, Path: "/applications", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary:     "File an application: to issue, renew, correct or transfer a credential, to reinstate or to revoke one, or to give it a companion",
		Description: "The same external_id with the same content is the same application.",
	}, func(_ context.Context, by Officer, in *filing) (*body[filed], error) {
		c, link, err := a.i.File(by, in.Body)
		if link != "" {
			link = a.i.cfg.URL + ProgressPath + "/" + link
		}
		return &body[filed]{filed{c, link}}, err
	})
	type query struct {
		After      string    `query:"after"`
		Limit      int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
		State      CaseState `query:"state" doc:"undecided: submitted or in-review"`
		Schema     string    `query:"schema"`
		ExternalID string    `query:"external_id"`
	}
	list := func(by Officer, q CaseQuery) (*body[casePage], error) {
		page, next, err := a.i.Cases(by, q)
		return &body[casePage]{casePage{page, next}}, err
	}
	operation(a, ScopeReadCases, huma.Operation{
		OperationID: "list-applications", Method: http.MethodGet, Path: "/applications", Tags: tags, Summary: "Applications, oldest first",
		Description: "A page may be shorter than its limit, or empty, and another follow.",
	}, func(_ context.Context, by Officer, in *query) (*body[casePage], error) {
		return list(by, CaseQuery{After: in.After, Limit: in.Limit, State: in.State, Schema: in.Schema, ExternalID: in.ExternalID})
	})
	type lookUp struct {
		Body struct {
			Person     string `json:"person,omitempty"`
			ExternalID string `json:"external_id,omitempty"`
			After      string `json:"after,omitempty"`
			Limit      int    `json:"limit,omitempty"`
		}
	}
	operation(a, ScopeReadCases, huma.Operation{
		OperationID: "search-applications", Method: http.MethodPost, Path: "/applications/search", Tags: tags, Summary: "The applications of a person, or with the agency's own number",
		Description: "A person's name has no place in a URL, and a number may be a person's.",
	}, func(_ context.Context, by Officer, in *lookUp) (*body[casePage], error) {
		return list(by, CaseQuery{Person: in.Body.Person, ExternalID: in.Body.ExternalID, After: in.Body.After, Limit: in.Body.Limit})
	})
	type one struct {
		ID string `path:"id"`
	}
	operation(a, ScopeReadCases, huma.Operation{
		OperationID: "read-application", Method: http.MethodGet, Path: "/applications/{id}", Tags: tags, Summary: "One application",
	}, func(_ context.Context, by Officer, in *one) (*caseAnswer, error) { return caseOf(a.i.Case(by, in.ID)) })
	a.mountDecisions(tags)
}

func (a *adminAPI) mountDecisions(tags []string) {
	type edit struct {
		Conditional
		Body Application
	}
	operation(a, ScopeFile, huma.Operation{
		OperationID: "edit-application", Method: http.MethodPut, Path: "/applications/{id}/application", Tags: tags,
		Summary: "Replace what is applied for", Description: "Its approvals are lost, and who edits it cannot approve it.",
	}, func(_ context.Context, by Officer, in *edit) (*caseAnswer, error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		return caseOf(a.i.Edit(by, in.ID, version, in.Body))
	})
	for _, step := range []struct {
		verb, scope, summary string
		do                   func(Officer, string, uint64) (Case, error)
	}{
		{"review", ScopeDecide, "Take it into review", a.i.Review},
		{"approve", ScopeDecide, "Approve what you have read; with enough approvals it takes effect", a.i.Approve},
		{"withdraw", ScopeFile, "Withdraw it, as the person wishes", a.i.Withdraw},
	} {
		operation(a, step.scope, huma.Operation{
			OperationID: step.verb + "-application", Method: http.MethodPost, Path: "/applications/{id}/" + step.verb, Tags: tags, Summary: step.summary,
		}, func(_ context.Context, by Officer, in *Conditional) (*caseAnswer, error) {
			version, err := in.version()
			if err != nil {
				return nil, err
			}
			return caseOf(step.do(by, in.ID, version))
		})
	}
	type why struct {
		Conditional
		Body Reason
	}
	operation(a, ScopeDecide, huma.Operation{
		OperationID: "refuse-application", Method: http.MethodPost, Path: "/applications/{id}/refuse", Tags: tags,
		Summary: "Refuse it", Description: "The person learns that it was refused; the reason is for officers.",
	}, func(_ context.Context, by Officer, in *why) (*caseAnswer, error) {
		version, err := in.version()
		if err != nil {
			return nil, err
		}
		return caseOf(a.i.Refuse(by, in.ID, version, in.Body))
	})
	type offer struct {
		ID   string `path:"id"`
		Body struct {
			TxCode bool `json:"tx_code,omitempty" doc:"with a transaction code, which the person gets by another way"`
		}
	}
	operation(a, ScopeFile, huma.Operation{
		OperationID: "offer-application", Method: http.MethodPost, Path: "/applications/{id}/offers", Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Make the offer that the person's wallet receives", Description: "Before it is decided, the wallet is told to ask again.",
	}, func(ctx context.Context, by Officer, in *offer) (*body[Offer], error) {
		made, err := a.i.OfferCase(ctx, by, in.ID, in.Body.TxCode)
		return &body[Offer]{made}, err
	})
}

// ProgressPath is where a person follows their case, below the issuer's URL, with the private link's secret behind it. Package web has the
// page; who serves this issuer mounts it there for those who accept HTML.
const ProgressPath = "/progress"

// Bounds of following a case by server-sent events.
const (
	maxFollowers    = 256 // at once, of all cases
	followHeartbeat = 15 * time.Second
	followLife      = time.Hour
)

// getProgress shows a case to who has its link: as JSON, or as server-sent events while it changes.
func (i *Issuer) getProgress(c *gin.Context) {
	noStore(c)
	if strings.Contains(c.GetHeader("Accept"), "text/event-stream") {
		i.follow(c, c.Param("link"))
		return
	}
	p, err := i.Progress(c.Request.Context(), c.Param("link"), 0)
	if err != nil {
		i.refuseWallet(c, err)
		return
	}
	c.Header("ETag", etag(p.Version))
	c.JSON(http.StatusOK, p)
}

// follow sends an event for each version until the case has ended, an hour is over or the reader leaves. Last-Event-ID resumes.
func (i *Issuer) follow(c *gin.Context, link string) {
	if _, err := i.progress(link); err != nil {
		i.refuseWallet(c, err)
		return
	}
	select {
	case i.followers <- struct{}{}:
		defer func() { <-i.followers }()
	default:
		i.refuseWallet(c, refuse(ErrUnavailable, "too many follow at this moment"))
		return
	}
	after, _ := strconv.ParseUint(c.GetHeader("Last-Event-ID"), 10, 64) // anything else is the beginning
	out := webapi.BeginEvents(c.Writer)
	ctx, cancel := context.WithTimeout(c.Request.Context(), followLife)
	defer cancel()
	for out.Send(": a case\n\n") {
		p, err := i.await(ctx, webapi.Closing(ctx), link, after)
		switch {
		case err != nil:
			return
		case p.Version <= after:
			continue // only a heartbeat is due
		}
		after = p.Version
		text, err := json.Marshal(p)
		if err != nil || !out.Send(fmt.Sprintf("id: %d\nevent: progress\ndata: %s\n\n", p.Version, text)) || p.State.ended() {
			return
		}
	}
}

// await is [Issuer.Progress] until a heartbeat is due. It returns an error when there is nobody to wait for.
func (i *Issuer) await(ctx context.Context, closing <-chan struct{}, link string, after uint64) (Progress, error) {
	beat, cancel := context.WithTimeout(ctx, followHeartbeat)
	defer cancel()
	go func() {
		select {
		case <-closing:
			cancel()
		case <-beat.Done():
		}
	}()
	p, err := i.Progress(beat, link, after)
	if err != nil || ctx.Err() != nil {
		return p, errors.Join(err, ctx.Err())
	}
	select {
	case <-closing:
		return p, errClosing
	default:
		return p, nil
	}
}

var errClosing = errors.New("the server stops")
