package verifier

import (
	"context"
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
	Facts       map[string][]string          // by language: what is to be proven
	Shown       map[string][]string          // by language: what we see, and whether visits can be linked
	Narrows     map[string][]policy.Narrowed // by language: what the answer narrows down
	Linking     map[string][]policy.Linking  // by language: by what we recognise the person again
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
		DID: v.cfg.DID, Policy: asked.Policy, Facts: make(map[string][]string), Shown: make(map[string][]string), Narrows: make(map[string][]policy.Narrowed), Linking: make(map[string][]policy.Linking),
		RequestLink: v.requestLink(&s.session), ExpiresAt: s.ExpiresAt.Time(), Dev: view.Genesis.Dev, Progress: *progress,
	}
	if us, ok := view.Registry.Verifier(v.cfg.DID); ok {
		visit.Verifier = us.Name
	}
	for _, language := range policy.Languages() {
		if err := v.explain(visit, view, asked, language); err != nil {
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
func (v *Verifier) explain(visit *Visit, view *client.View, asked *check.Asked, language string) error {
	around := v.surroundings(view)
	var facts, shown []string
	var narrows []policy.Narrowed
	var statements []*policy.Statement
	for i := range asked.Request.Query.Credentials {
		s := &asked.Request.Query.Credentials[i].Meta.Statement
		q, err := around.Query(s, language)
		if err != nil {
			return err
		}
		facts, shown, narrows, statements = append(facts, q.Facts...), append(shown, q.Shown...), append(narrows, q.Narrows...), append(statements, s)
		if q.Companion != "" {
			shown = append(shown, q.Companion)
		}
	}
	visit.Facts[language], visit.Shown[language], visit.Narrows[language] = unique(facts), unique(shown), unique(narrows)
	visit.Linking[language] = policy.LinkingOf(statements, language)
	return nil
}

func unique[T comparable](list []T) (out []T) {
	seen := make(map[T]bool)
	for _, x := range list {
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	return out
}
