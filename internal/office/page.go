package office

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
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
		Narrows: narrowed(s.Narrows), Linking: linking(s.Linking), RequestLink: s.RequestLink, ExpiresAt: s.ExpiresAt, Dev: s.Dev, Progress: progressOf(&s.Progress),
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

func linking(byLanguage map[string][]policy.Linking) map[string][]web.Linking {
	out := make(map[string][]web.Linking, len(byLanguage))
	for language, list := range byLanguage {
		for _, l := range list {
			out[language] = append(out[language], web.Linking{Kind: string(l.Kind), Text: l.Text})
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

// WithPages is a verifier's handler and, below [verifier.PagePath], the pages of its sessions, which one client may open and ask as often
// as rate says. wallet is the URL of a wallet's page that they lead to, or empty.
func WithPages(v *verifier.Verifier, handler http.Handler, wallet string, rate webapi.RateConfig, o Options) http.Handler {
	pages := web.NewVerification(visits{v}, verifier.PagePath, wallet, o.logger()).Handler()
	pages = webapi.NewRate(rate, time.Now).Handler(pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, verifier.PagePath+"/") {
			pages.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// caseLooks are an agency's cases for their pages.
type caseLooks struct{ issuer *issuer.Issuer }

// Case implements [web.Cases].
func (l caseLooks) Case(ctx context.Context, link string) (*web.Case, error) {
	p, err := l.issuer.Progress(ctx, link, 0)
	if errors.Is(err, issuer.ErrNotFound) {
		return nil, web.ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	c := &web.Case{Kind: string(p.Kind), Version: p.Version}
	c.Agency, c.Title = l.issuer.Names(p.Schema)
	for _, s := range p.Steps {
		c.Steps = append(c.Steps, web.CaseStep{State: string(s.State), At: s.At.Time()})
	}
	for _, s := range p.Kind.Ahead(p.State) {
		c.Ahead = append(c.Ahead, string(s))
	}
	return c, nil
}

// WithCasePages is an agency's handler and, for who accepts HTML, the pages of cases, which one client may open as often as rate says.
func WithCasePages(i *issuer.Issuer, handler http.Handler, rate webapi.RateConfig, o Options) (http.Handler, error) {
	at, err := url.Parse(i.URL())
	if err != nil {
		return nil, err
	}
	pages := web.NewCasePages(caseLooks{i}, strings.TrimSuffix(at.Path, "/")+issuer.ProgressPath, o.logger())
	shown := webapi.NewRate(rate, time.Now).Handler(pages.Handler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pages.Wants(r) {
			shown.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}), nil
}
