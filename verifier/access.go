package verifier

import (
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/once"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Scopes of the application's API.
const (
	ScopeWrite = "verifier:sessions.write"
	ScopeRead  = "verifier:sessions.read"
	// ScopeValidate is for those who have a response checked that no session waits for.
	ScopeValidate = "verifier:validate"
	// ScopePolicies is for those who look at the verifier's policies.
	ScopePolicies = "verifier:policies.read"
	// ScopeWebhooks lets an application say where the ends of its own sessions are announced.
	ScopeWebhooks = "verifier:webhooks.write"
)

// Scopes of the API for who keeps the verifier.
const (
	ScopeLog     = "verifier:log.read"     // the entries of one's own sessions
	ScopeLogAll  = "verifier:log.read_all" // with it, all entries
	ScopeScopes  = "verifier:scopes.read"
	ScopeClose   = "verifier:scopes.close"
	ScopeBackups = "verifier:backups.write"
)

// Scopes are those of applications, KeeperScopes those of who keeps the verifier.
var (
	Scopes       = []string{ScopeWrite, ScopeRead, ScopeValidate, ScopePolicies, ScopeWebhooks}
	KeeperScopes = []string{ScopeLog, ScopeLogAll, ScopeScopes, ScopeClose, ScopeBackups}
)

// Roles are the scopes of the software that a relying party lets in.
var Roles = map[string][]string{
	"application": {ScopeWrite, ScopeRead, ScopePolicies, ScopeWebhooks, ScopeLog},
	"validator":   {ScopeValidate},
	"keeper":      KeeperScopes,
}

var scopeTexts = map[string]string{
	ScopeWrite: "Start and cancel sessions", ScopeRead: "Read one's own sessions", ScopeValidate: "Have responses checked", ScopePolicies: "List and preview policies", ScopeWebhooks: "Say where the ends of one's own sessions are announced",
	ScopeLog: "Read the log of one's own sessions", ScopeLogAll: "Read the whole log", ScopeScopes: "List the scopes that count",
	ScopeClose: "Close a scope for good", ScopeBackups: "Have the store copied",
}

// Paths of the authorization server, below the public URL.
const (
	tokenPath = "/oauth/token"
	keysPath  = "/oauth/jwks"
)

const (
	maxTokenLifetime = 24 * time.Hour // of a token of our own
	maxAssertions    = 1 << 16        // of clients, that are remembered against replay
)

// Authority makes the tokens of the API of the verifier at a public URL.
func Authority(url string, key *jose.SigningKey, clock func() time.Time) *webapi.Authority {
	url = strings.TrimSuffix(url, "/")
	return &webapi.Authority{Key: key, Issuer: url, Audience: url, Clock: clock}
}

// access is who may call, and the server that gives tokens to the party's software.
type access struct {
	own      string // our name in tokens that we made
	resource *oauth.Resource
	server   *oauth.Endpoint // nil: no client is configured
}

func newAccess(cfg *Config, base string) (*access, error) {
	ring, err := oauth.NewKeyRing(maxTokenLifetime, cfg.Clock, oauth.RingKey{Key: cfg.AccessKey})
	if err != nil {
		return nil, err
	}
	mint := oauth.Mint{Issuer: base, Audience: base, Keys: ring, Clock: cfg.Clock}
	a := &access{own: base}
	a.resource, err = oauth.NewResource(oauth.ResourceConfig{
		Providers: append([]oauth.Provider{oauth.OwnProvider(mint)}, cfg.Providers...), Clock: cfg.Clock, Logger: cfg.Logger,
	})
	if err != nil || cfg.Clients == nil {
		return a, err
	}
	server, err := oauth.NewServer(oauth.ServerConfig{
		Mint: mint, Clients: cfg.Clients, Scopes: slices.Concat(Scopes, KeeperScopes), Assertions: once.NewMemory(maxAssertions, cfg.Clock), Clock: cfg.Clock,
		TokenURL: base + tokenPath, KeysURL: base + keysPath,
	})
	a.server = &oauth.Endpoint{Server: server, Logger: cfg.Logger}
	return a, err
}

// client is the application that a token is of: sessions and results are its own. One of a provider has the provider's name before
// its own, so that nobody gets at another's sessions by taking its name elsewhere. Names of ours have no bar in them.
func (a *access) client(p oauth.Principal) string {
	if p.Issuer == a.own {
		return p.Client
	}
	return p.Issuer + "|" + p.Client
}
