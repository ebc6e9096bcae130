package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/officers"
)

// maxSignIn bounds what is sent to sign in, in bytes.
const maxSignIn = 128 << 10

// mountSignIn mounts the pages of signing in, and those of one's own passkeys.
func (c *Console) mountSignIn(s *SignIn) {
	c.open(s, "GET /sign-in", s.showSignIn)
	c.open(s, "POST /sign-in/link", s.redeem)
	c.open(s, "GET /join", func(v *visit) error { return v.show("join", nil) })
	c.open(s, "GET /sign-in/provider", s.toProvider)
	c.open(s, "GET "+ProviderBack, s.fromProvider)
	c.open(s, "POST /sign-out", s.signOut)
	c.asked(s, "POST /sign-in/passkey/options", func(*visit) (any, error) { return s.cfg.Directory.BeginSignIn() })
	c.asked(s, "POST /sign-in/passkey", s.signIn)
	c.asked(s, "POST /join/options", s.joinOptions)
	c.asked(s, "POST /join", s.join)
	c.page("GET /passkeys", "", s.showPasskeys)
	c.page("POST /passkeys/{id}/remove", "", s.removePasskey)
	c.asked(s, "POST /passkeys/options", s.passkeyOptions)
	c.asked(s, "POST /passkeys", s.addPasskey)
}

// open mounts a page for those who are not signed in.
func (c *Console) open(s *SignIn, pattern string, answer handler) {
	c.mux.Handle(s.below(pattern), s.rate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{c: c, w: w, r: r, language: languageOf(r)}
		rememberLanguage(w, r, c.base)
		r.Body = http.MaxBytesReader(w, r.Body, maxSignIn)
		if err := answer(v); err != nil {
			v.fail(refusedSignIn(err))
		}
	})))
}

// below is a pattern with the console's path.
func (s *SignIn) below(pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	return method + " " + s.base + path
}

// asked mounts what a page's script asks, in JSON. A refusal has a sentence in the page's language.
func (c *Console) asked(s *SignIn, pattern string, answer func(v *visit) (any, error)) {
	c.mux.Handle(s.below(pattern), s.rate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{c: c, w: w, r: r, language: languageOf(r)}
		r.Body = http.MaxBytesReader(w, r.Body, maxSignIn)
		status := http.StatusOK
		out, err := answer(v)
		if err != nil {
			problem := v.problemOf(refusedSignIn(err))
			status, out = problem.Status, map[string]string{"problem": v.view(nil, problem).Says(problem)}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out) // who asked may be gone
	})))
}

// refusedSignIn turns a refusal into a problem that pages have words for.
func refusedSignIn(err error) error {
	for _, known := range []struct {
		err    error
		status int
		code   string
	}{
		{officers.ErrLink, http.StatusForbidden, "sign-in-link"}, {officers.ErrPasskey, http.StatusForbidden, "sign-in-passkey"},
		{officers.ErrDisabled, http.StatusForbidden, "sign-in-disabled"}, {officers.ErrExists, http.StatusConflict, "sign-in-joined"},
		{officers.ErrNoRole, http.StatusForbidden, "sign-in-role"}, {officers.ErrStale, http.StatusForbidden, "sign-in-stale"},
		{officers.ErrNoPasskey, http.StatusConflict, "sign-in-no-passkeys"}, {officers.ErrUnknown, http.StatusNotFound, "sign-in-unknown"},
		{officers.ErrInput, http.StatusBadRequest, "sign-in-input"}, {oauth.ErrSignIn, http.StatusForbidden, "sign-in-provider"},
		{oauth.ErrUnavailable, http.StatusServiceUnavailable, "sign-in-provider-away"}, {ErrSignedOut, http.StatusUnauthorized, "sign-in-over"},
	} {
		if errors.Is(err, known.err) {
			return &Problem{Status: known.status, Code: known.code}
		}
	}
	return err
}

// signInView is what the page of signing in shows.
type signInView struct {
	Passkeys, Provider bool
	Next               string
}

func (s *SignIn) showSignIn(v *visit) error {
	return v.show("sign-in", signInView{s.cfg.Directory.Passkeys(), s.cfg.Provider != nil, nextOf(v.r)})
}

// done is where a script goes next.
type done struct {
	To string `json:"to"`
}

func (s *SignIn) signIn(v *visit) (any, error) {
	answer, err := io.ReadAll(v.r.Body)
	if err != nil {
		return nil, err
	}
	secret, err := s.cfg.Directory.SignIn(answer)
	if err != nil {
		s.cfg.Logger.InfoContext(v.r.Context(), "an officer was not signed in by passkey")
		return nil, err
	}
	return done{s.base + nextOf(v.r)}, s.welcome(v.w, v.r, secret)
}

// confirmView asks whether a link is one's own.
type confirmView struct {
	officers.Officer
	Link, Next string
	Instead    string // of whom one is signed in as
}

// redeem shows first whom a link signs in, and then does it: nobody works in somebody else's name because of a link they were sent.
func (s *SignIn) redeem(v *visit) error {
	v.at = "/sign-in"
	link := v.r.PostFormValue("link")
	whom, err := s.cfg.Directory.Whom(link)
	if err != nil {
		s.cfg.Logger.InfoContext(v.r.Context(), "an officer was not signed in by link")
		return v.showAgain("sign-in", signInView{s.cfg.Directory.Passkeys(), s.cfg.Provider != nil, nextOf(v.r)}, refusedSignIn(err))
	}
	if v.r.PostFormValue("confirmed") == "" {
		view := confirmView{Officer: whom, Link: link, Next: nextOf(v.r)}
		if now, err := s.person(v.r); err == nil {
			view.Instead = now.Name
		}
		return v.show("sign-in-confirm", view)
	}
	secret, err := s.cfg.Directory.Redeem(link)
	if err != nil {
		return err
	}
	if err := s.welcome(v.w, v.r, secret); err != nil {
		return err
	}
	return v.goTo(nextOf(v.r), "")
}

func (s *SignIn) signOut(v *visit) error {
	if err := s.SignOut(v.w, v.r); err != nil {
		return err
	}
	return v.goTo("/sign-in", "signed-out")
}

// toProvider sends the browser to the agency's provider.
func (s *SignIn) toProvider(v *visit) error {
	if s.cfg.Provider == nil {
		return &Problem{Status: http.StatusNotFound, Code: "not-found"}
	}
	address, pending, err := s.cfg.Provider.Begin(v.r.Context())
	if err != nil {
		return err
	}
	// Lax, as the way back begins at another site.
	s.setCookie(v.w, s.flow, s.flows.add(pending, nextOf(v.r), s.cfg.Clock()), http.SameSiteLaxMode, flowLimit)
	http.Redirect(v.w, v.r, address, http.StatusSeeOther)
	return nil
}

// fromProvider signs in whom the provider vouches for. The page that it answers with leads on by itself: a redirect would still count
// as the other site's, and the browser would not send the session's cookie.
func (s *SignIn) fromProvider(v *visit) error {
	if s.cfg.Provider == nil {
		return &Problem{Status: http.StatusNotFound, Code: "not-found"}
	}
	cookie, err := v.r.Cookie(s.flow)
	if err != nil {
		return oauth.ErrSignIn
	}
	s.setCookie(v.w, s.flow, "", http.SameSiteLaxMode, 0)
	begun, ok := s.flows.take(cookie.Value, s.cfg.Clock())
	if !ok {
		return oauth.ErrSignIn
	}
	query, err := url.ParseQuery(v.r.URL.RawQuery)
	if err != nil {
		return oauth.ErrSignIn
	}
	who, name, err := s.cfg.Provider.Finish(v.r.Context(), begun.pending, query)
	if err != nil {
		s.cfg.Logger.InfoContext(v.r.Context(), "an officer was not signed in by the provider", "error", err)
		return err
	}
	secret, err := s.cfg.Directory.Welcome(who, name)
	if err != nil {
		return err
	}
	if err := s.welcome(v.w, v.r, secret); err != nil {
		return err
	}
	v.w.Header().Set("Refresh", "0; url="+s.base+begun.next)
	return v.show("signed-in", begun.next)
}

// sent decodes what a script sent.
func sent[T any](v *visit) (in T, err error) {
	d := json.NewDecoder(v.r.Body)
	d.DisallowUnknownFields()
	if d.Decode(&in) != nil || d.More() {
		return in, officers.ErrInput
	}
	return in, nil
}

// joinView is what the page of joining shows: the script puts it in.
type joinView struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Roles   []string        `json:"roles"`
	Options json.RawMessage `json:"options"`
}

func (s *SignIn) joinOptions(v *visit) (any, error) {
	in, err := sent[struct {
		Link string `json:"link"`
	}](v)
	if err != nil {
		return nil, err
	}
	o, options, err := s.cfg.Directory.BeginJoin(in.Link)
	if err != nil {
		return nil, err
	}
	view := joinView{ID: o.ID, Name: o.Name, Options: options}
	for _, role := range o.Roles {
		view.Roles = append(view.Roles, v.view(nil, nil).T("console.role."+role))
	}
	return view, nil
}

func (s *SignIn) join(v *visit) (any, error) {
	in, err := sent[struct {
		Link   string          `json:"link"`
		Name   string          `json:"name"`
		Answer json.RawMessage `json:"answer"`
	}](v)
	if err != nil {
		return nil, err
	}
	secret, err := s.cfg.Directory.Join(in.Link, in.Name, in.Answer)
	if err != nil {
		return nil, err
	}
	return done{s.base + "/"}, s.welcome(v.w, v.r, secret)
}

// passkeysView are one's own.
type passkeysView struct {
	officers.Officer
	Ours, Possible bool // known to the directory; at this address
}

func (s *SignIn) showPasskeys(v *visit) error {
	p, err := s.person(v.r)
	if err != nil {
		return err
	}
	view := passkeysView{Possible: s.cfg.Directory.Passkeys()}
	if p.Officer != "" {
		view.Ours = true
		if view.Officer, err = s.cfg.Directory.Officer(p.Officer); err != nil {
			return err
		}
	}
	return v.show("passkeys", view)
}

func (s *SignIn) removePasskey(v *visit) error {
	p, err := s.person(v.r)
	if err == nil {
		err = s.cfg.Directory.RemovePasskey(p.Officer, v.r.PathValue("id"))
	}
	if err != nil {
		return refusedSignIn(err)
	}
	return v.goTo("/passkeys", "passkey-removed")
}

func (s *SignIn) passkeyOptions(v *visit) (any, error) {
	p, err := s.person(v.r)
	if err != nil {
		return nil, err
	}
	return s.cfg.Directory.BeginPasskey(p)
}

func (s *SignIn) addPasskey(v *visit) (any, error) {
	in, err := sent[struct {
		Name   string          `json:"name"`
		Answer json.RawMessage `json:"answer"`
	}](v)
	if err != nil {
		return nil, err
	}
	p, err := s.person(v.r)
	if err != nil {
		return nil, err
	}
	return done{s.base + "/passkeys?done=passkey-added"}, s.cfg.Directory.AddPasskey(p, in.Name, in.Answer)
}
