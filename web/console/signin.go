package console

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/internal/webapi"
)

// ProviderBack is where the agency's provider sends browsers back to, below the console's path.
const ProviderBack = "/sign-in/back"

// SignInConfig is what signing in needs.
type SignInConfig struct {
	URL       string // of the agency
	Directory *officers.Directory
	Provider  *oauth.SignIn // the agency's own; nil: there is none
	Clock     func() time.Time
	Logger    *slog.Logger
}

// SignIn is how officers sign in: the [Gate] of a console, with its pages. A session is a cookie with 256 random bits, of which the
// directory has the digest.
type SignIn struct {
	cfg    SignInConfig
	base   string // path of the console
	secure bool
	cookie string // name of the session's
	flow   string // name of the one for the way to the provider and back
	rate   *webapi.Rate
	flows  flows
}

// tries is how often one client may ask here: enough for an office behind one address. Nothing can be guessed; it saves work and noise.
var tries = webapi.RateConfig{PerSecond: 5, Burst: 100}

// NewSignIn checks a configuration.
func NewSignIn(cfg SignInConfig) (*SignIn, error) {
	at, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Directory == nil || cfg.Clock == nil || cfg.Logger == nil {
		return nil, errors.New("sign-in: directory, clock or logger is missing")
	}
	// Several agencies may share a host, which browsers do not tell apart by port: each has names of its own.
	sum := sha256.Sum256([]byte(cfg.URL))
	name := "console-" + hex.EncodeToString(sum[:6])
	s := &SignIn{cfg: cfg, base: strings.TrimSuffix(at.Path, "/") + Path, secure: at.Scheme == "https", rate: webapi.NewRate(tries, cfg.Clock)}
	if s.secure {
		name = "__Host-" + name // only this very host can have set it
	}
	s.cookie, s.flow = name, name+"-flow"
	return s, nil
}

// Session implements [Gate].
func (s *SignIn) Session(r *http.Request) (*Session, error) {
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return &Session{Officer: p.Principal, Name: p.Name, Scopes: p.Scopes, Until: p.Until}, nil
}

func (s *SignIn) person(r *http.Request) (p officers.Person, err error) {
	cookie, err := r.Cookie(s.cookie)
	if err != nil {
		return p, ErrSignedOut
	}
	p, err = s.cfg.Directory.Session(cookie.Value)
	if errors.Is(err, officers.ErrSignedOut) {
		err = ErrSignedOut
	}
	return p, err
}

// Token implements [Gate].
func (s *SignIn) Token(_ context.Context, session *Session) (string, error) {
	token, err := s.cfg.Directory.Token(session.Officer, session.Scopes)
	if errors.Is(err, officers.ErrSignedOut) {
		err = ErrSignedOut
	}
	return token, err
}

// SignOut implements [Gate].
func (s *SignIn) SignOut(w http.ResponseWriter, r *http.Request) error {
	err := s.end(r)
	if err == nil {
		s.setCookie(w, s.cookie, "", http.SameSiteStrictMode, 0)
	}
	return err
}

// end ends the session of a request, if it has one.
func (s *SignIn) end(r *http.Request) error {
	cookie, err := r.Cookie(s.cookie)
	if err != nil {
		return nil
	}
	if err := s.cfg.Directory.End(cookie.Value); !errors.Is(err, officers.ErrSignedOut) {
		return err
	}
	return nil
}

// welcome gives the browser a session that began. The one that it had ends: who signs in again leaves nothing open.
func (s *SignIn) welcome(w http.ResponseWriter, r *http.Request, secret string) error {
	if err := s.end(r); err != nil {
		return err
	}
	s.setCookie(w, s.cookie, secret, http.SameSiteStrictMode, 10*time.Hour)
	return nil
}

// setCookie sets a cookie that no script reads and no other site sends; no lifetime: it is taken away.
func (s *SignIn) setCookie(w http.ResponseWriter, name, value string, site http.SameSite, lifetime time.Duration) {
	cookie := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: site, MaxAge: int(lifetime / time.Second)}
	if lifetime == 0 {
		cookie.MaxAge = -1
	}
	if !s.secure {
		cookie.Path = s.base + "/"
	}
	http.SetCookie(w, cookie)
}

// nextOf is the path below the console's where somebody wanted to go, or its start.
func nextOf(r *http.Request) string {
	next := r.FormValue("next")
	if len(next) > 512 || !strings.HasPrefix(next, "/") || strings.ContainsAny(next, "\\\r\n") || strings.HasPrefix(next, "/sign-") || strings.Contains(next, "..") {
		return "/"
	}
	return next
}
