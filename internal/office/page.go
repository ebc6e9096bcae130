package office

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/verifier"
	"github.com/bulla-id/bulla/web"
)

// visits are a verifier's sessions for their pages.
type visits struct{ verifier *verifier.Verifier }

// Visit implements [web.Visits].
func (v visits) Visit(ctx context.Context, page string) (*web.Visit, error) {
	s, err := v.verifier.Visit(ctx, page)
	if errors.Is(err, verifier.ErrAbsent) {
		return nil, web.ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	return &web.Visit{
		Verifier: s.Verifier, DID: s.DID, Policy: s.Policy.Name, Purpose: s.Policy.Purpose, RetentionDays: s.Policy.RetentionDays, Facts: s.Facts, Shown: s.Shown,
		Narrows: narrowed(s.Narrows), RequestLink: s.RequestLink, ExpiresAt: s.ExpiresAt, Dev: s.Dev, Progress: progressOf(&s.Progress),
	}, nil
}

func narrowed(byLanguage map[string][]policy.Narrowed) map[string][]web.Narrowed {
	out := make(map[string][]web.Narrowed, len(byLanguage))
	for language, list := range byLanguage {
		for i := range list {
			out[language] = append(out[language], web.Narrowed{Text: list[i].Text, Flagged: list[i].Flagged()})
		}
	}
	return out
}

// Progress implements [web.Visits].
func (v visits) Progress(ctx context.Context, page string) (*web.Progress, error) {
	p, err := v.verifier.Progress(ctx, page)
	if errors.Is(err, verifier.ErrAbsent) {
		return nil, web.ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	out := progressOf(p)
	return &out, nil
}

func progressOf(p *verifier.Progress) web.Progress {
	return web.Progress{State: string(p.State), Final: p.Final, Reason: p.Reason, Sites: p.Sites}
}

// Cancel implements [web.Visits].
func (v visits) Cancel(ctx context.Context, page string) error {
	err := v.verifier.CancelPage(ctx, page)
	if errors.Is(err, verifier.ErrAbsent) {
		return web.ErrAbsent
	}
	return err
}

// WithPages is a verifier's handler and, below [verifier.PagePath], the pages of its sessions.
func WithPages(v *verifier.Verifier, handler http.Handler, o Options) http.Handler {
	pages := web.NewVerification(visits{v}, verifier.PagePath, o.logger()).Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, verifier.PagePath+"/") {
			pages.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
}
