package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/verifier/check"
)

// Visit is a session as the person's own page shows it: what is asked and how far it has come, and nothing of the result.
type Visit struct {
	Verifier    credential.Text
	DID         string
	Policy      *policy.Policy
	Facts       map[string][]string // by language: what is to be proven
	Shown       map[string][]string // by language: what we see, and whether visits can be linked
	RequestLink string
	ExpiresAt   time.Time
	Dev         bool
	Progress
}

// Progress is how far a session is, as its page may know it.
type Progress struct {
	State  State
	Final  bool
	Reason *credential.Text // of the last refusal
	Sites  []string         // origins that may be told how it ended
}

// pageKey is the row that finds a session by the random number in its page's address. It is a third one: whoever sees the code on
// the page can answer the request, and neither look at the page nor ask for the result.
func pageKey(page string) string { return "page/" + page }

// Visit is the session of a page, or [ErrAbsent].
func (v *Verifier) Visit(ctx context.Context, page string) (*Visit, error) {
	s, err := v.ofPage(page)
	if err != nil {
		return nil, err
	}
	progress, err := v.progress(s)
	if err != nil {
		return nil, err
	}
	view, err := v.chain.view(ctx)
	if err != nil {
		return nil, fmt.Errorf("page of a session: read the chain: %w", err)
	}
	asked, err := v.asked(&s.session)
	if err != nil {
		return nil, fmt.Errorf("page of a session: %w", err)
	}
	visit := &Visit{
		DID: v.cfg.DID, Policy: asked.Policy, Facts: make(map[string][]string), Shown: make(map[string][]string), RequestLink: v.requestLink(&s.session),
		ExpiresAt: s.ExpiresAt.Time(), Dev: view.Genesis.Dev, Progress: *progress,
	}
	if us, ok := view.Registry.Verifier(v.cfg.DID); ok {
		visit.Verifier = us.Name
	}
	for _, language := range policy.Languages() {
		if visit.Facts[language], visit.Shown[language], err = v.explain(view, asked, language); err != nil {
			return nil, fmt.Errorf("page of a session: %w", err)
		}
	}
	return visit, nil
}

// Progress is how far the session of a page is, or [ErrAbsent]. It asks nobody, as pages ask again and again.
func (v *Verifier) Progress(_ context.Context, page string) (*Progress, error) {
	s, err := v.ofPage(page)
	if err != nil {
		return nil, err
	}
	return v.progress(s)
}

func (v *Verifier) progress(s *stored) (*Progress, error) {
	status, err := v.status(s, "") // without a response code: the page is open to whoever started it, not to who answers
	if err != nil {
		return nil, err
	}
	p := &Progress{State: status.State, Final: status.Final, Sites: v.sites()}
	if status.Reason != nil {
		p.Reason = &status.Reason.Text
	}
	return p, nil
}

// sites are the origins of the addresses that people may be sent back to.
func (v *Verifier) sites() (origins []string) {
	for _, prefix := range v.cfg.ReturnURIs {
		if u, err := url.Parse(prefix); err == nil {
			origins = append(origins, u.Scheme+"://"+u.Host)
		}
	}
	return unique(origins)
}

func (v *Verifier) ofPage(page string) (*stored, error) {
	id, err := v.cfg.Store.Get(pageKey(page))
	if err != nil {
		return nil, fmt.Errorf("look up page: %w", err)
	}
	return v.read(string(id))
}

// explain puts all that is asked into the words of one language, each sentence once.
func (v *Verifier) explain(view *client.View, asked *check.Asked, language string) (facts, shown []string, err error) {
	name := func(did string) string {
		if issuer, ok := view.Registry.Issuer(did); ok {
			return issuer.Name.In(language)
		}
		return did
	}
	for i := range asked.Request.Query.Credentials {
		s := &asked.Request.Query.Credentials[i].Meta.Statement
		schema, ok := view.Registry.Schema(s.Schema)
		if !ok {
			return nil, nil, errors.New("a schema that was asked for is no longer on the chain")
		}
		accepted, err := s.Accepted(v.sets)
		if err != nil {
			return nil, nil, err
		}
		good, err := view.Registry.InGoodStanding(s.Schema, accepted)
		if err != nil {
			return nil, nil, err
		}
		e, err := s.Explain(policy.Context{Schema: &schema.Schema, Sets: v.sets, Issuers: good}, name, language)
		if err != nil {
			return nil, nil, err
		}
		facts, shown = append(facts, e.Facts...), append(shown, e.Shown...)
		if e.Companion != "" {
			shown = append(shown, e.Companion)
		}
	}
	return unique(facts), unique(shown), nil
}

func unique(lines []string) (out []string) {
	seen := make(map[string]bool)
	for _, line := range lines {
		if !seen[line] {
			seen[line] = true
			out = append(out, line)
		}
	}
	return out
}
