// Package verifier is the role of a relying party: it asks by a policy, checks what wallets answer, and hands its
// application a signed result.
//
// The life of a presentation: [Verifier.Start] makes a session and a signed request for a registered policy;
// [Verifier.Request] is what a wallet fetches; [Verifier.Respond] takes its answer, checks it (package check) and, only
// then, consumes nonce and tags together with the result in one transaction; [Verifier.Status] tells the application.
//
// Whoever has the signing key can ask in this verifier's name, within its registered policies; whoever has the result
// key can tell its applications anything; whoever can change the store can forget that a tag was used.
package verifier

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/verifying"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/policy"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/entry"
	"github.com/bulla-id/bulla/verifier/check"
)

// Config is what a verifier is made of.
type Config struct {
	DID       string // registered on the chain
	PublicURL string // where wallets reach [Verifier.Handler], as in https://verify.example/bulla
	// SigningKey signs requests and policies; it is registered on the chain. ResultKey signs results; applications find
	// it at /jwks.json. They differ, so that neither can be made to sign the other's.
	SigningKey *jose.SigningKey
	ResultKey  *jose.SigningKey
	// NextResultKey will sign results one day and is published ahead; nil: none. RetiredResultKeys signed before, and are published
	// as long as what they signed is good.
	NextResultKey     *jose.PublicKey
	RetiredResultKeys []RetiredKey
	// ClientIDScheme is how requests name the verifier; empty: by the registered DID. Certificates are those of the signing
	// key, in DER, its own first, for [openid.SchemeX509Hash] only.
	ClientIDScheme openid.ClientScheme
	Certificates   [][]byte
	// SessionKey has SessionKeySize bytes and protects what sessions keep in the store: the keys that responses are encrypted
	// to. nil: one is drawn, and a restart ends the requests that are open.
	SessionKey []byte
	// PlainResponses asks wallets to answer without encryption, inside TLS only: to see what they send.
	PlainResponses bool
	// ReturnURIs are prefixes, each ending in /, of the addresses that a wallet may send its person back to: https, or http
	// on loopback.
	ReturnURIs []string
	Policies   []*policy.Policy
	Sets       []*policy.Set // that the policies name
	// VerifyingKeys are the keys' file forms, of the presentation circuits that the policies name. Only those that the chain lists are used.
	VerifyingKeys [][]byte
	Ledger        Ledger
	Issuers       Issuers // that companions are checked with; nil: policies that accept companions are not ready
	Store         Store
	Clock         func() time.Time // nil: time.Now; the ledger client should have the same
	Logger        *slog.Logger     // nil: nothing is logged

	// AccessKey signs the access tokens of the API for applications. Clients may ask for them ([Scopes]); nil: nobody may, and tokens
	// are made by whoever has the key. Tokens of Providers are taken, too.
	AccessKey *jose.SigningKey
	Clients   oauth.Clients
	Providers []oauth.Provider

	Lifetime       time.Duration // of requests; 0: 5 minutes; at most 15
	ResultLifetime time.Duration // of results; 0: 1 hour
	LogRetention   time.Duration // of the log's entries; 0: 365 days, less: no log is kept
	// Backup writes a copy of the store under a name, for [Verifier.Backup]. nil: nobody is given one.
	Backup func(name string) error

	// Responses are checked at a time, at most; more are told to come back ([ErrBusy]). 0: 1024.
	Responses int
	// Egress is whom webhooks may call; the zero value: port 443 of public addresses over https. WebhookRetry is for how long a
	// message is tried; 0: three days.
	Egress       egress.Config
	WebhookRetry time.Duration
	// WalletRate bounds how often one client may call the endpoints that are for wallets; the zero value: as often as it likes.
	WalletRate webapi.RateConfig
}

const (
	defaultLifetime       = 5 * time.Minute
	minimumLifetime       = 10 * time.Second
	maximumLifetime       = openid.MaxLifetime * time.Second
	defaultResultLifetime = time.Hour
	defaultLogRetention   = 365 * 24 * time.Hour
	keptMembers           = 1 << 17 // of sets of issuers and values, some 6 MB, and as many again
)

// Verifier runs one relying party. It is safe for concurrent use.
type Verifier struct {
	cfg      Config
	base     string // public URL without a slash at its end
	policies map[string]*policy.Policy
	sets     policy.Sets
	known    check.Policies // those that this verifier asks by
	keys     []*keys.VerifyingKey
	trees    *tree.Sets
	chain    *chain
	checker  *check.Checker
	identity *identity
	sealer   *sealer
	proofs   *verifying.Queue
	load     *load
	access   *access
	hooks    *hookRows
	webhooks *outbox.Outbox

	beat time.Duration // followBeat

	copying   sync.Mutex // held while a backup is made
	mu        sync.Mutex
	pending   map[string]int // responses being checked now, by session id
	followers followers
}

// New checks the configuration by itself. Whether the chain agrees with it is for [Verifier.Ready] to say, so that a
// verifier can start while the ledger is out of reach.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	v := &Verifier{
		cfg: cfg, base: strings.TrimSuffix(cfg.PublicURL, "/"), policies: make(map[string]*policy.Policy), sets: policy.SetsOf(cfg.Sets...),
		known: make(check.Policies), trees: tree.NewSets(keptMembers),
		chain: &chain{ledger: cfg.Ledger, clock: cfg.Clock}, load: newLoad(cfg.Responses), pending: make(map[string]int), followers: newFollowers(), beat: followBeat,
		proofs: verifying.NewQueue(verifying.QueueConfig{Waiting: 2 * cfg.Responses}), // a response may have several
	}
	var err error
	if v.identity, err = newIdentity(&cfg); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	if v.sealer, err = newSealer(cfg.SessionKey); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	if v.access, err = newAccess(&cfg, v.base); err != nil {
		return nil, fmt.Errorf("verifier: access to the API: %w", err)
	}
	if v.hooks, err = newHookRows(cfg.Store, cfg.SessionKey); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	if err := v.openWebhooks(); err != nil {
		return nil, fmt.Errorf("verifier: %w", err)
	}
	for i, data := range cfg.VerifyingKeys {
		key, err := keys.ParseVerifyingKey(data)
		if err != nil {
			return nil, fmt.Errorf("verifier: verifying key %d: %w", i+1, err)
		}
		if _, err := credential.ShapeOf(key.Name()); err != nil {
			return nil, fmt.Errorf("verifier: verifying key %d: %w", i+1, err)
		}
		v.keys = append(v.keys, key)
	}
	for _, p := range cfg.Policies {
		if err := v.addPolicy(p); err != nil {
			return nil, fmt.Errorf("verifier: %w", err)
		}
	}
	v.checker = &check.Checker{Chain: v.chain, Keys: v.keys, Sets: v.sets, Trees: v.trees, Companions: newCompanions(cfg.Issuers, v.chain), Clock: cfg.Clock}
	return v, nil
}

func (cfg *Config) complete() error {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = defaultLifetime
	}
	if cfg.ResultLifetime == 0 {
		cfg.ResultLifetime = defaultResultLifetime
	}
	if cfg.LogRetention == 0 {
		cfg.LogRetention = defaultLogRetention
	}
	if cfg.SessionKey == nil {
		cfg.SessionKey = make([]byte, SessionKeySize)
		rand.Read(cfg.SessionKey)
	}
	if cfg.Responses == 0 {
		cfg.Responses = defaultResponses
	}
	if err := errors.Join(entry.ValidateDID(cfg.DID), cfg.WalletRate.Validate()); err != nil {
		return err
	}
	for _, prefix := range cfg.ReturnURIs {
		if u, err := openid.ParseAddress(prefix); err != nil || !openid.LiesUnder(u, prefix) {
			return fmt.Errorf("return URI %.200q: want https, or http on loopback, with a plain path that ends in /", prefix)
		}
	}
	u, err := url.Parse(cfg.PublicURL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("public URL %q is not an absolute URL without query", cfg.PublicURL)
	case cfg.SigningKey == nil || cfg.ResultKey == nil:
		return errors.New("signing key or result key is missing")
	case len(cfg.SessionKey) != SessionKeySize:
		return fmt.Errorf("session key has %d bytes, want %d", len(cfg.SessionKey), SessionKeySize)
	case cfg.Ledger == nil || cfg.Store == nil || cfg.AccessKey == nil:
		return errors.New("ledger, store or access key is missing")
	case len(cfg.Policies) == 0 || len(cfg.VerifyingKeys) == 0:
		return errors.New("there are no policies or no verifying keys")
	case cfg.Lifetime < minimumLifetime || cfg.Lifetime > maximumLifetime:
		return fmt.Errorf("requests live %s to %s, not %s", minimumLifetime, maximumLifetime, cfg.Lifetime)
	case cfg.Responses < 0:
		return fmt.Errorf("%d responses at a time let nobody in", cfg.Responses)
	case cfg.ResultLifetime < time.Minute:
		return fmt.Errorf("results live at least a minute, not %s", cfg.ResultLifetime)
	}
	return cfg.validateResultKeys()
}

// ClientID is the client_id of the verifier's requests.
func (v *Verifier) ClientID() string { return v.identity.client.ID() }

// Ready tells whether the chain agrees with the configuration: key and address are registered, every policy is, and a
// verifying key of each circuit that they name is listed. What is wrong is a [*NotReadyError]; other errors mean that the ledger did not answer.
func (v *Verifier) Ready(ctx context.Context) error {
	view, err := v.chain.view(ctx)
	if err != nil {
		return fmt.Errorf("verifier: read the chain: %w", err)
	}
	if err := v.registered(view); err != nil {
		return err
	}
	for _, p := range v.cfg.Policies {
		if err := v.standing(view, p); err != nil {
			return err
		}
	}
	for _, p := range v.cfg.Policies {
		for i := range p.Queries {
			if _, err := v.usableKey(view, p.Queries[i].CircuitName(), v.cfg.Clock()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run sends webhooks, ends sessions that nobody answered and purges what need not be kept any longer, until ctx ends, which is no
// error. It returns one if the store failed.
func (v *Verifier) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return v.webhooks.Run(running) })
	group.Go(func() error { return v.lapseAll(running) })
	group.Go(func() error { return v.purgeAll(running) })
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("verifier %s: %w", v.cfg.DID, err)
	}
	return nil
}

func (v *Verifier) purgeAll(ctx context.Context) error {
	for {
		if _, err := v.Purge(ctx); err != nil {
			v.cfg.Logger.ErrorContext(ctx, "purge of old sessions", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(purgeEvery):
		}
	}
}
