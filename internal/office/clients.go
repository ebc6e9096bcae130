package office

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/keystore"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/foreign"
	"github.com/bulla-id/bulla/web/console"
)

// ClientConfig is a piece of software that asks the built-in authorization server of an agency or a relying party for tokens.
type ClientConfig struct {
	ID       string              `json:"id"`
	Name     string              `json:"name"`
	Secrets  []credential.Digest `json:"secrets,omitempty"` // digests, as bulla key client prints them; two while one takes the other's place
	Keys     []json.RawMessage   `json:"keys,omitempty"`    // public JWKs, for private_key_jwt
	Roles    []string            `json:"roles"`             // as in issuer.Roles and verifier.Roles
	Disabled bool                `json:"disabled,omitempty"`
}

// ProviderConfig is an office's own OpenID provider.
type ProviderConfig struct {
	Issuer   string              `json:"issuer"`
	Audience string              `json:"audience"` // who its access tokens for the office's API are for
	Claim    []string            `json:"claim"`    // path to the roles in a token, as in ["realm_access", "roles"]
	Roles    map[string][]string `json:"roles"`    // by value of that claim: our roles
	// Networks may be asked for the provider's keys though they are not public, as 10.8.0.0/16: the provider itself names the address of its
	// keys, and must not send us elsewhere inside.
	Networks []netip.Prefix `json:"networks,omitempty"`
	// ClientID is the agency's console at the provider: officers sign in there. Left out: they do not. If that client has a secret, it lies in the
	// key store ([SetProviderSecret]).
	ClientID string `json:"client_id,omitempty"`
}

// scopesOf are the scopes of roles of an office that knows some.
func scopesOf(known map[string][]string, roles []string) (scopes []string, err error) {
	for _, role := range roles {
		has, ok := known[role]
		if !ok {
			return nil, fmt.Errorf("role %.100q is not one of %s", role, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		for _, s := range has {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes, nil
}

// validateAccess checks who may call an office that knows some roles.
func validateAccess(clients []ClientConfig, p *ProviderConfig, known map[string][]string) error {
	if _, err := clientsOf(clients, known); err != nil {
		return err
	}
	if p == nil {
		return nil
	}
	if p.Issuer == "" || p.Audience == "" || len(p.Claim) == 0 || len(p.Roles) == 0 {
		return fmt.Errorf("provider: issuer, audience, claim and roles are needed")
	}
	if len(p.ClientID) > maxClientID {
		return fmt.Errorf("provider.client_id has more than %d bytes", maxClientID)
	}
	if _, err := p.table(known); err != nil {
		return err
	}
	if err := p.egress().Validate(); err != nil {
		return fmt.Errorf("provider.networks: %w", err)
	}
	if err := p.egress().ValidateURL(p.Issuer); err != nil {
		return fmt.Errorf("provider.issuer, with provider.networks: %w", err)
	}
	return nil
}

// Bounds of what a provider answers.
const (
	providerTimeout = 10 * time.Second
	maxKeys         = 256 << 10 // bytes
	maxClientID     = 255       // bytes
)

// egress is whom we ask for a provider's keys: public addresses and its networks, over https at port 443 and at the port of its own URL.
// Over http it is asked only if the configuration says so, which is for this machine.
func (p *ProviderConfig) egress() egress.Config {
	cfg := egress.Config{Allowed: p.Networks, Timeout: providerTimeout, MaxAnswer: maxKeys}
	u, err := url.Parse(p.Issuer)
	if err != nil {
		return cfg // the URL is refused
	}
	cfg.AllowHTTP = u.Scheme == "http"
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil && port != 0 {
		cfg.Ports = []uint16{uint16(port)}
	}
	return cfg
}

// clientsOf are those that may ask for tokens; nil if there are none.
func clientsOf(clients []ClientConfig, roles map[string][]string) (oauth.Clients, error) {
	var list []oauth.Client
	for n, client := range clients {
		scopes, err := scopesOf(roles, client.Roles)
		if err != nil {
			return nil, fmt.Errorf("clients[%d]: %w", n, err)
		}
		known := oauth.Client{ID: client.ID, Name: client.Name, Secrets: client.Secrets, Scopes: scopes, Disabled: client.Disabled}
		for _, text := range client.Keys {
			key, err := foreign.ParseKey(text, foreign.Modern)
			if err != nil {
				return nil, fmt.Errorf("clients[%d]: key: %w", n, err)
			}
			known.Keys = append(known.Keys, key)
		}
		list = append(list, known)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return oauth.NewFixed(list...)
}

// table has the scopes of the values of the provider's claim.
func (p *ProviderConfig) table(known map[string][]string) (map[string][]string, error) {
	table := make(map[string][]string)
	for value, roles := range p.Roles {
		scopes, err := scopesOf(known, roles)
		if err != nil {
			return nil, fmt.Errorf("provider, value %.100q: %w", value, err)
		}
		table[value] = scopes
	}
	return table, nil
}

// open is the provider with its keys, which are fetched when they are first needed.
func (p *ProviderConfig) open(known map[string][]string, clock func() time.Time, logger *slog.Logger) (provider oauth.Provider, keys *oauth.RemoteKeys, err error) {
	table, err := p.table(known)
	if err != nil {
		return provider, nil, err
	}
	client, err := egress.New(p.egress())
	if err != nil {
		return provider, nil, err
	}
	keys, err = oauth.NewRemoteKeys(oauth.RemoteConfig{
		Issuer: p.Issuer, Client: client, Algorithms: []jose.Algorithm{jose.EdDSA, jose.ES256, "RS256", "PS256"},
		Clock: clock, Logger: logger,
	})
	return oauth.Provider{Issuer: p.Issuer, Audience: p.Audience, Keys: keys, Roles: &oauth.Roles{Claim: p.Claim, Scopes: table}}, keys, err
}

// providerSecret names the secret of the console at the provider, in the key store.
const providerSecret = "provider-secret"

// SetProviderSecret keeps the secret that the agency's console has at its OpenID provider; an empty one removes it. It counts from the next
// start on.
func SetProviderSecret(dir, passphrase, secret string) error {
	public, err := ReadPublic(filepath.Join(dir, PublicFile), Issuer)
	if err != nil {
		return fmt.Errorf("set the provider's secret: %w", err)
	}
	if len(secret) > oauth.MaxProviderSecret || !utf8.ValidString(secret) {
		return fmt.Errorf("set the provider's secret: it is no text of at most %d bytes", oauth.MaxProviderSecret)
	}
	secrets, err := openSecrets(filepath.Join(dir, SecretsFolder), passphrase)
	if err != nil {
		return fmt.Errorf("set the provider's secret of %s: %w", public.Name, err)
	}
	return secrets.Put(providerSecret, []byte(secret))
}

// signIn signs officers in at the provider; nil if they do not.
func (p *ProviderConfig) signIn(provider oauth.Provider, secrets *keystore.Store, url string, clock func() time.Time) (*oauth.SignIn, error) {
	if p.ClientID == "" {
		return nil, nil
	}
	secret, err := secrets.Get(providerSecret)
	if err != nil && !errors.Is(err, keystore.ErrAbsent) {
		return nil, err
	}
	client, err := egress.New(p.egress())
	if err != nil {
		return nil, err
	}
	return oauth.NewSignIn(oauth.SignInConfig{
		Provider: provider, ClientID: p.ClientID, Secret: string(secret), Redirect: url + console.Path + console.ProviderBack, Client: client, Clock: clock,
	})
}
