package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
)

// Limits of what a provider may answer, and how long it may take.
const (
	maxKeySet    = 256 << 10 // bytes
	maxDiscovery = 64 << 10
	fetchTimeout = 10 * time.Second
)

// RemoteConfig is where a provider's keys are, and how long they count.
type RemoteConfig struct {
	Issuer string
	// KeysURL is the provider's jwks_uri. Empty: asked for at Issuer/.well-known/openid-configuration (OpenID Connect
	// Discovery 1.0), each time anew.
	KeysURL string
	// Client fetches; its timeouts, proxies and the addresses it may reach are the caller's business. Redirects are refused
	// whatever it says.
	Client *http.Client
	// Algorithms that the provider may sign with. Empty: EdDSA and ES256. A key that fits two of them and names neither is
	// left out.
	Algorithms []jose.Algorithm
	Clock      func() time.Time
	Logger     *slog.Logger
	// Fresh is how long keys count without a look at the provider. Zero: an hour.
	Fresh time.Duration
	// Stale is how long they count while the provider cannot be reached. Zero: a day. A key that the provider takes back
	// meanwhile counts until then.
	Stale time.Duration
	// Pause is the least time between two fetches, however many tokens with unknown keys come in. Zero: 30 seconds.
	Pause time.Duration
}

// RemoteKeys are the keys of a provider of OpenID Connect. It is safe for concurrent use; it starts nothing that outlives
// a call.
type RemoteKeys struct {
	cfg    RemoteConfig
	client *http.Client

	mu      sync.Mutex
	keys    []foreign.Key
	fetched time.Time     // when keys were fetched; zero: never
	tried   time.Time     // when a fetch began last; zero: never
	failed  bool          // that fetch
	running chan struct{} // closed when the running fetch ends; nil: none runs
}

// NewRemoteKeys checks a configuration. It fetches nothing.
func NewRemoteKeys(cfg RemoteConfig) (*RemoteKeys, error) {
	setDefault(&cfg.Fresh, time.Hour)
	setDefault(&cfg.Stale, 24*time.Hour)
	setDefault(&cfg.Pause, 30*time.Second)
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = foreign.Modern
	}
	if cfg.Client == nil || cfg.Clock == nil || cfg.Logger == nil {
		return nil, errors.New("provider: client, clock or logger is missing")
	}
	if cfg.Pause < time.Second || cfg.Fresh < cfg.Pause || cfg.Stale < cfg.Fresh || cfg.Stale > 7*24*time.Hour {
		return nil, errors.New("provider: want 1s <= pause <= fresh <= stale <= 168h")
	}
	for _, a := range cfg.Algorithms {
		if !foreign.Known(a) {
			return nil, fmt.Errorf("provider: algorithm %.100q: only EdDSA, ES256, PS256 and RS256 can be allowed", a)
		}
	}
	if err := checkIdentifier(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	if cfg.KeysURL != "" {
		if err := checkFetchable(cfg.KeysURL); err != nil {
			return nil, fmt.Errorf("provider: %w", err)
		}
	}
	client := *cfg.Client
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &RemoteKeys{cfg: cfg, client: &client}, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// checkFetchable is checkIdentifier for an address that may have a query.
func checkFetchable(text string) error {
	base, query, _ := strings.Cut(text, "?")
	if len(text) > 2*maxIdentifier || strings.ContainsAny(query, "#") {
		return errors.New("URL is too long or has a fragment")
	}
	if _, err := url.Parse(text); err != nil {
		return errors.New("not a URL")
	}
	return checkIdentifier(base)
}

// Key implements [KeySource]. A key that is known is never waited for by more than the one caller whose turn it is to
// look whether it still counts.
func (r *RemoteKeys) Key(ctx context.Context, id string) (foreign.Key, error) {
	key, known, fresh, err := r.cached(id)
	if known && fresh {
		return key, nil
	}
	done, mine := r.begin()
	switch {
	case mine:
		r.refresh(ctx, done)
	case done != nil && !known:
		select {
		case <-done:
		case <-ctx.Done():
			return foreign.Key{}, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	default:
		return key, err
	}
	key, _, _, err = r.cached(id)
	return key, err
}

// cached finds a key among those we have, and says whether they are fresh.
func (r *RemoteKeys) cached(id string) (key foreign.Key, known, fresh bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	age := r.cfg.Clock().Sub(r.fetched)
	if r.fetched.IsZero() || age > r.cfg.Stale {
		return key, false, false, fmt.Errorf("keys of %s: %w", r.cfg.Issuer, ErrUnavailable)
	}
	fresh = age <= r.cfg.Fresh
	for _, k := range r.keys {
		if k.ID == id {
			return k, true, fresh, nil
		}
	}
	return key, false, fresh, fmt.Errorf("key %.100q of %s: %w", id, r.cfg.Issuer, ErrUnknownKey)
}

// begin says whether it is the caller's turn to fetch, and what to wait for: the end of the fetch that runs, if one does.
func (r *RemoteKeys) begin() (done chan struct{}, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.cfg.Clock()
	if r.running != nil {
		return r.running, false
	}
	if !r.tried.IsZero() && now.Sub(r.tried) < r.cfg.Pause {
		return nil, false
	}
	r.tried, r.running = now, make(chan struct{})
	return r.running, true
}

// refresh fetches the keys and puts them in the place of the old ones. It runs to its end though the caller may leave:
// else somebody who leaves early again and again would keep us from ever learning a new key.
func (r *RemoteKeys) refresh(ctx context.Context, done chan struct{}) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	keys, err := r.fetch(bounded)
	if err != nil {
		r.cfg.Logger.WarnContext(ctx, "keys of a provider could not be fetched", slog.String("issuer", r.cfg.Issuer), slog.Any("error", err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.keys, r.fetched = keys, r.tried
	}
	r.failed = err != nil
	r.running = nil
	close(done)
}

func (r *RemoteKeys) fetch(ctx context.Context) ([]foreign.Key, error) {
	address := r.cfg.KeysURL
	if address == "" {
		var err error
		if address, err = r.discover(ctx); err != nil {
			return nil, err
		}
	}
	text, err := fetch(ctx, r.client, address, maxKeySet)
	if err != nil {
		return nil, err
	}
	keys, err := foreign.ParseKeys(text, r.cfg.Algorithms)
	if err == nil && len(keys) == 0 { // a mistake there, or here: the old ones are better
		err = errors.New("key set: no key in it that we may use")
	}
	return keys, err
}

// discover asks a provider where its keys are.
func (r *RemoteKeys) discover(ctx context.Context) (string, error) {
	text, err := fetch(ctx, r.client, discoveryURL(r.cfg.Issuer), maxDiscovery)
	if err != nil {
		return "", err
	}
	return parseDiscovery(text, r.cfg.Issuer)
}

func discoveryURL(issuer string) string {
	return strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
}

// parseDiscovery finds the address of the keys in what a provider says of itself.
func parseDiscovery(text []byte, issuer string) (string, error) {
	answer, err := parseProvider(text, issuer)
	if err != nil {
		return "", err
	}
	address, err := answer.String("jwks_uri")
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	if err := checkFetchable(address); err != nil {
		return "", fmt.Errorf("discovery: jwks_uri: %w", err)
	}
	return address, nil
}

// parseProvider reads what a provider says of itself.
//
// SPEC: OpenID Connect Discovery 1.0 section 4.3: the issuer in the answer is exactly the one that was asked.
func parseProvider(text []byte, issuer string) (foreign.Claims, error) {
	answer, err := foreign.Object(text)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	if named, err := answer.String("issuer"); err != nil || named != issuer {
		return nil, fmt.Errorf("discovery: the answer is of issuer %.200q", named)
	}
	return answer, nil
}

func fetch(ctx context.Context, client *http.Client, address string, limit int64) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	request.Header.Set("Accept", "application/json, application/jwk-set+json")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err) // names the URL, which is public
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK { // redirects among them
		return nil, fmt.Errorf("fetch %s: answered %d", address, response.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", address, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("fetch %s: more than %d bytes", address, limit)
	}
	return text, nil
}

// Fetched is when the keys that count were fetched, zero if never, and whether the last fetch failed. They are fetched when a token comes in
// that needs them: old ones are no fault while nobody comes.
func (r *RemoteKeys) Fetched() (at time.Time, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetched, r.failed
}

// Ready fetches the keys if none count, for a service that wants to say early that something is wrong.
func (r *RemoteKeys) Ready(ctx context.Context) error {
	if _, _, _, err := r.cached(""); errors.Is(err, ErrUnknownKey) { // none has an empty name
		return nil
	}
	if _, err := r.Key(ctx, ""); !errors.Is(err, ErrUnknownKey) {
		return err
	}
	return nil
}
