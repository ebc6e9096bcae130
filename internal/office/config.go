package office

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/verifier"
)

// maxFile bounds every file that an office reads, in bytes.
const maxFile = 256 << 10

// Listen says where an office answers.
type Listen struct {
	Address string `json:"address"` // host:port
	// Certificate and Key are PEM files. Without them the address must be on loopback, as behind a proxy that ends TLS.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// PlainHTTP allows an address off loopback without TLS: for a network that only such a proxy reaches.
	PlainHTTP bool `json:"plain_http,omitempty"`
	// TrustedProxies are prefixes, as 10.1.2.7/32, of the reverse proxies that ask for clients and say in X-Forwarded-For for
	// whom, so that limits for a client do not count all of them as one. Others are not believed.
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	// Metrics is another address, host:port on loopback or for a network of the operator's, that answers GET /metrics in Prometheus's format.
	// None is served if it is left out.
	Metrics string `json:"metrics,omitempty"`
}

// LedgerConfig is the file of the office that orders entries.
type LedgerConfig struct {
	Listen    Listen       `json:"listen"`
	Secrets   string       `json:"secrets"`  // folder of the key store
	Store     string       `json:"store"`    // folder of the rows
	Register  string       `json:"register"` // file of the last signed checkpoint: apart from the store, and never restored with it
	Cosigners []CosignerAt `json:"cosigners"`
	Threshold int          `json:"threshold"` // how many of them must have signed what is published
	Export    string       `json:"export"`    // folder that gets the static part as files after each checkpoint; may be left out
	KeepDays  int          `json:"keep_days"` // how long versions of the active tree are kept; 8 if left out
	Scrub     Scrub        `json:"scrub"`     // may be left out
	Explorer  string       `json:"explorer"`  // folder of the index of the pages at /explore; none are served if it is left out
}

// Scrub is how the ledger looks for damage in its store while it runs.
type Scrub struct {
	EveryHours         int `json:"every_hours,omitempty"`          // from the start of one pass to the next; 24 if left out
	KibibytesPerSecond int `json:"kibibytes_per_second,omitempty"` // that it reads; 1024 if left out
}

// CosignerAt is a cosigner that the ledger asks.
type CosignerAt struct {
	Public string `json:"public"` // its public part, a file
	URL    string `json:"url"`
}

// CosignerConfig is the file of an office that replays the chain and cosigns.
type CosignerConfig struct {
	Listen   Listen `json:"listen"`
	Secrets  string `json:"secrets"`
	Store    string `json:"store"`
	Register string `json:"register"` // file of the last checkpoint that it cosigned: apart from the store
	Chain    string `json:"chain"`    // the chain's profile, a file
}

// IssuerConfig is the file of an agency.
type IssuerConfig struct {
	Listen           Listen            `json:"listen"`
	Secrets          string            `json:"secrets"`
	Store            string            `json:"store"`           // folder of the records, encrypted
	LastCheckpoint   string            `json:"last_checkpoint"` // file that remembers the last checkpoint it saw
	Chain            string            `json:"chain"`
	DID              string            `json:"did"`
	Name             credential.Text   `json:"name"`
	URL              string            `json:"url"` // as registered on the chain
	Schemas          []string          `json:"schemas"`
	Registers        []string          `json:"enrolment_registers,omitempty"` // names of those it keeps beside its own
	SubjectRegisters []string          `json:"subject_registers,omitempty"`   // names of those that it has the key of
	VerifyingKey     string            `json:"verifying_key"`                 // of the enrolment circuit, a file
	AcceptLoss       bool              `json:"accept_loss,omitempty"`         // go on although records are lost: doc/operations.md
	Approvals        map[string]int    `json:"approvals,omitempty"`           // by schema's type: officers who must approve, besides the author
	Companions       []string          `json:"companions,omitempty"`          // types of schemas whose credentials can have companions: doc/spec/sdjwt.md
	WalletRate       webapi.RateConfig `json:"wallet_rate,omitzero"`          // of one client at the endpoints for wallets; 10 a second and 100 at once if left out
	WebhookNetworks  []netip.Prefix    `json:"webhook_networks,omitempty"`    // that webhooks may call though they are not public
	WebhookPorts     []uint16          `json:"webhook_ports,omitempty"`       // that webhooks may call besides 443
	WebhookRetry     int               `json:"webhook_retry_hours,omitempty"` // for how long a message is tried; 72 if left out
	Clients          []ClientConfig    `json:"clients,omitempty"`             // software that may ask for tokens
	Provider         *ProviderConfig   `json:"provider,omitempty"`            // the agency's own OpenID provider, for its officers
	Explorer         string            `json:"explorer,omitempty"`            // URL of the chain's explorer, that the console links to
}

// VerifierConfig is the file of a relying party.
type VerifierConfig struct {
	Listen         Listen   `json:"listen"`
	Secrets        string   `json:"secrets"`
	Store          string   `json:"store"` // folder of sessions, nonces and tags
	LastCheckpoint string   `json:"last_checkpoint"`
	Chain          string   `json:"chain"`
	DID            string   `json:"did"`
	URL            string   `json:"url"` // where wallets reach it; below a registered response URI
	Policies       []string `json:"policies"`
	Sets           []string `json:"sets,omitempty"` // that its policies name by their digests, files
	VerifyingKeys  []string `json:"verifying_keys"` // of the presentation circuits that its policies name, files
	// ClientIDScheme is how requests name it: decentralized_identifier (if left out), did:jwk, x509_hash or pre-registered.
	// Certificates is a PEM file, of x509_hash only: that of the signing key first.
	ClientIDScheme openid.ClientScheme `json:"client_id_scheme,omitempty"`
	Certificates   string              `json:"certificates,omitempty"`
	PlainResponses bool                `json:"plain_responses,omitempty"` // wallets do not encrypt what they answer
	ReturnURIs     []string            `json:"return_uris,omitempty"`     // prefixes, ending in /, of where wallets send people back to
	Wallet         string              `json:"wallet,omitempty"`          // URL of a wallet's page, on an origin of its own, that its pages lead to
	WalletRate     webapi.RateConfig   `json:"wallet_rate,omitzero"`      // as an agency's
	Responses      int                 `json:"responses,omitempty"`       // that are checked at a time; 1024 if left out
	Clients        []ClientConfig      `json:"clients,omitempty"`         // software that may ask for tokens
	Provider       *ProviderConfig     `json:"provider,omitempty"`        // the party's own OpenID provider, for its software
	// Companions lets it ask issuers for their keys and status lists, for policies that accept companions; {} is enough where these are at
	// public addresses. Left out: such policies are not ready.
	Companions *CompanionsConfig `json:"companions,omitempty"`
	// StoreRegister is a file that says how far the store is: apart from it, better on another disk, and never restored with it.
	// If left out it lies beside the store's folder, as its name with .register.
	StoreRegister string `json:"store_register,omitempty"`
	LogRetention  *int   `json:"log_retention_days,omitempty"` // of the log of sessions; 365 if left out, 0: none is kept
	Backups       string `json:"backups,omitempty"`            // folder for copies of the store that are made while it runs

	WebhookNetworks []netip.Prefix `json:"webhook_networks,omitempty"`    // as an agency's, as are the next two
	WebhookPorts    []uint16       `json:"webhook_ports,omitempty"`       // that webhooks may call besides 443
	WebhookRetry    int            `json:"webhook_retry_hours,omitempty"` // for how long a message is tried; 72 if left out
}

// ReadLedgerConfig reads the file of a ledger.
func ReadLedgerConfig(path string) (c LedgerConfig, err error) {
	return c, readConfig(path, &c, func(at func(*string)) error {
		c.Listen.resolve(at)
		for i := range c.Cosigners {
			at(&c.Cosigners[i].Public)
		}
		at(&c.Export)
		at(&c.Explorer)
		return errors.Join(c.Listen.validate(), files(at, named{"secrets", &c.Secrets}, named{"store", &c.Store}, named{"register", &c.Register}),
			apart(c.Register, c.Store), c.validateUpkeep(), c.validateCosigners())
	})
}

// validateUpkeep checks the numbers that may be left out.
func (c *LedgerConfig) validateUpkeep() error {
	for _, n := range []struct {
		name        string
		value, most int
	}{
		{"keep_days", c.KeepDays, 36_500},
		{"scrub.every_hours", c.Scrub.EveryHours, 8784}, // a year
		{"scrub.kibibytes_per_second", c.Scrub.KibibytesPerSecond, 1 << 20},
	} {
		if n.value < 0 || n.value > n.most {
			return fmt.Errorf("%s is %d: want 1 to %d, or leave it out", n.name, n.value, n.most)
		}
	}
	return nil
}

func (c *LedgerConfig) validateCosigners() error {
	if c.Threshold < 1 || c.Threshold > len(c.Cosigners) {
		return fmt.Errorf("threshold is %d of %d cosigners: a chain that others can trust needs at least 1, who is independent of this office", c.Threshold, len(c.Cosigners))
	}
	for i, cosigner := range c.Cosigners {
		if cosigner.Public == "" {
			return fmt.Errorf("cosigners[%d].public is missing", i)
		}
		if u, err := url.Parse(cosigner.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("cosigners[%d].url %.100q is not a URL such as https://cosigner.example", i, cosigner.URL)
		}
	}
	return nil
}

// ReadCosignerConfig reads the file of a cosigner.
func ReadCosignerConfig(path string) (c CosignerConfig, err error) {
	return c, readConfig(path, &c, func(at func(*string)) error {
		c.Listen.resolve(at)
		return errors.Join(c.Listen.validate(), files(at, named{"secrets", &c.Secrets}, named{"store", &c.Store}, named{"register", &c.Register}, named{"chain", &c.Chain}),
			apart(c.Register, c.Store))
	})
}

// ReadIssuerConfig reads the file of an agency.
func ReadIssuerConfig(path string) (c IssuerConfig, err error) {
	return c, readConfig(path, &c, c.complete)
}

func (c *IssuerConfig) complete(at func(*string)) error {
	c.Listen.resolve(at)
	return errors.Join(c.Listen.validate(), present(named{"did", &c.DID}, named{"url", &c.URL}),
		files(at, named{"secrets", &c.Secrets}, named{"store", &c.Store}, named{"last_checkpoint", &c.LastCheckpoint}, named{"chain", &c.Chain}, named{"verifying_key", &c.VerifyingKey}),
		list(at, "schemas", c.Schemas), validateAccess(c.Clients, c.Provider, issuer.Roles), validateRate(&c.WalletRate), validateWebhooks(c.egress(), c.WebhookRetry))
}

// defaultWalletRate is enough for the wallets of an office's waiting room behind one address.
var defaultWalletRate = webapi.RateConfig{PerSecond: 10, Burst: 100}

func validateRate(c *webapi.RateConfig) error {
	if *c == (webapi.RateConfig{}) {
		*c = defaultWalletRate
	}
	if err := c.Validate(); err != nil {
		return fmt.Errorf("wallet_rate: %w", err)
	}
	return nil
}

// egress is whom webhooks may call.
func (c *IssuerConfig) egress() egress.Config {
	return egress.Config{Allowed: c.WebhookNetworks, Ports: c.WebhookPorts}
}

func (c *VerifierConfig) egress() egress.Config {
	return egress.Config{Allowed: c.WebhookNetworks, Ports: c.WebhookPorts}
}

func validateWebhooks(whom egress.Config, retry int) error {
	if err := whom.Validate(); err != nil {
		return fmt.Errorf("webhook_networks and webhook_ports: %w", err)
	}
	least, most := int(outbox.MinRetry/time.Hour), int(outbox.MaxRetry/time.Hour)
	if retry != 0 && (retry < least || retry > most) {
		return fmt.Errorf("webhook_retry_hours is %d: want %d to %d, or leave it out", retry, least, most)
	}
	return nil
}

// ReadVerifierConfig reads the file of a relying party.
func ReadVerifierConfig(path string) (c VerifierConfig, err error) {
	return c, readConfig(path, &c, func(at func(*string)) error {
		c.Listen.resolve(at)
		at(&c.Certificates)
		return errors.Join(c.Listen.validate(), present(named{"did", &c.DID}, named{"url", &c.URL}),
			files(at, named{"secrets", &c.Secrets}, named{"store", &c.Store}, named{"last_checkpoint", &c.LastCheckpoint}, named{"chain", &c.Chain}),
			list(at, "policies", c.Policies), listOrNone(at, "sets", c.Sets), list(at, "verifying_keys", c.VerifyingKeys), c.validateIdentity(),
			c.validateWallet(), validateRate(&c.WalletRate), validateResponses(c.Responses), validateAccess(c.Clients, c.Provider, verifier.Roles), c.Companions.validate(), c.validateKeeping(at), validateWebhooks(c.egress(), c.WebhookRetry))
	})
}

// validateKeeping puts the register beside the store if nothing else is said.
func (c *VerifierConfig) validateKeeping(at func(*string)) error {
	at(&c.StoreRegister)
	at(&c.Backups)
	if c.StoreRegister == "" {
		c.StoreRegister = filepath.Clean(c.Store) + ".register"
	}
	if err := apart(c.StoreRegister, c.Store); err != nil {
		return fmt.Errorf("store_register: %w", err)
	}
	if c.LogRetention != nil && (*c.LogRetention < 0 || *c.LogRetention > 36_500) {
		return fmt.Errorf("log_retention_days is %d: want 0 to 36500, or leave it out", *c.LogRetention)
	}
	return nil
}

// validateIdentity refuses certificates without their scheme, and the other way round, and what only an agency has.
func (c *VerifierConfig) validateIdentity() error {
	if c.ClientIDScheme != "" && !slices.Contains(openid.ClientSchemes, c.ClientIDScheme) {
		return fmt.Errorf("client_id_scheme is %.50q: choose one of %q", c.ClientIDScheme, openid.ClientSchemes)
	}
	if c.Provider != nil && c.Provider.ClientID != "" {
		return errors.New("provider.client_id is an agency's: a relying party has no console")
	}
	if (c.ClientIDScheme == openid.SchemeX509Hash) != (c.Certificates != "") {
		return fmt.Errorf("certificates and the client_id_scheme %s go together", openid.SchemeX509Hash)
	}
	return nil
}

// validateWallet refuses a wallet's page that is not at the root of an origin of its own: on ours, what we serve could read the vault.
func (c *VerifierConfig) validateWallet() error {
	if c.Wallet == "" {
		return nil
	}
	u, err := url.Parse(c.Wallet)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return fmt.Errorf("wallet %.100q is not the root of an origin, such as https://wallet.example", c.Wallet)
	}
	if u.Scheme == "http" && u.Hostname() != "localhost" {
		return fmt.Errorf("wallet %.100q: only a wallet on this machine, at http://localhost, may do without https", c.Wallet)
	}
	if ours, err := url.Parse(c.URL); err == nil && ours.Host == u.Host {
		return fmt.Errorf("wallet %.100q has the origin of url: a wallet needs one of its own", c.Wallet)
	}
	return nil
}

// readConfig reads a file strictly. complete resolves paths with the function it is given, and validates.
func readConfig(path string, target any, complete func(at func(*string)) error) error {
	text, err := readFile(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := credential.ParseStrict(text, target); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	at := func(file *string) {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(filepath.Dir(path), *file)
		}
	}
	if err := complete(at); err != nil {
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	return nil
}

// readFile reads a file of bounded size.
func readFile(path string) ([]byte, error) { return readAtMost(path, maxFile) }

func readAtMost(path string, most int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, nil
}

// named is a member of a configuration.
type named struct {
	name  string
	value *string
}

func present(members ...named) error {
	for _, m := range members {
		if *m.value == "" {
			return fmt.Errorf("%s is missing", m.name)
		}
	}
	return nil
}

// files are members that must be there and are paths.
func files(at func(*string), members ...named) error {
	for _, m := range members {
		at(m.value)
	}
	return present(members...)
}

// list is a member that is a list of paths, not empty.
func list(at func(*string), name string, paths []string) error {
	if len(paths) == 0 {
		return fmt.Errorf("%s is missing or empty", name)
	}
	return listOrNone(at, name, paths)
}

func listOrNone(at func(*string), name string, paths []string) error {
	for i := range paths {
		if paths[i] == "" {
			return fmt.Errorf("%s[%d] is empty", name, i)
		}
		at(&paths[i])
	}
	return nil
}

// apart refuses a register in the store's own folder: whoever restores the store would restore the register with it, and
// nobody would notice that entries are lost.
func apart(register, store string) error {
	inside, err := filepath.Rel(store, register)
	if err == nil && inside != ".." && !strings.HasPrefix(inside, ".."+string(filepath.Separator)) {
		return errors.New("register lies in the folder of store: keep it apart, so that restoring the one does not bring back the other")
	}
	return nil
}

func (l *Listen) resolve(at func(*string)) {
	at(&l.Certificate)
	at(&l.Key)
}

func onLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// validateMetrics refuses an address that everybody reaches: metrics ask for no token.
func (l *Listen) validateMetrics() error {
	if l.Metrics == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(l.Metrics)
	ip := net.ParseIP(host)
	switch {
	case err != nil:
		return fmt.Errorf("listen.metrics %.100q is not host:port", l.Metrics)
	case !onLoopback(host) && (ip == nil || !ip.IsPrivate()):
		return fmt.Errorf("listen.metrics %.100q is neither on loopback nor at a private address: metrics ask for no token", l.Metrics)
	}
	return nil
}

// validate refuses an address that would carry tokens and claims in clear.
func (l *Listen) validate() error {
	host, _, err := net.SplitHostPort(l.Address)
	if _, err := webapi.ParseProxies(l.TrustedProxies); err != nil {
		return fmt.Errorf("listen.trusted_proxies: %w", err)
	}
	if err := l.validateMetrics(); err != nil {
		return err
	}
	switch {
	case l.Address == "":
		return errors.New("listen.address is missing")
	case err != nil:
		return fmt.Errorf("listen.address %.100q is not host:port", l.Address)
	case (l.Certificate == "") != (l.Key == ""):
		return errors.New("listen.certificate and listen.key go together")
	case l.Certificate != "" || l.PlainHTTP:
		return nil
	}
	if !onLoopback(host) {
		return fmt.Errorf("listen.address %.100q is not on loopback: give listen.certificate and listen.key, or set listen.plain_http if only a proxy that ends TLS reaches it", l.Address)
	}
	return nil
}

// tls is nil for plain HTTP.
func (l *Listen) tls() (*tls.Config, error) {
	if l.Certificate == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(l.Certificate, l.Key)
	if err != nil {
		return nil, fmt.Errorf("listen.certificate and listen.key: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}, nil
}

func validateResponses(n int) error {
	if n < 0 || n > 1<<16 {
		return fmt.Errorf("responses is %d: want 1 to %d, or leave it out", n, 1<<16)
	}
	return nil
}
