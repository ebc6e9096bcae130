// Package issuer is an agency: it takes applications from its clerks, enrols people, issues credentials to holder
// commitments, and suspends, reinstates and revokes them.
//
//	clerk ── Offer ──► link ──► wallet ── Token, Nonce, Issue ──► enrolment register ──► intent ──► ledger ──► sealed
//	      ── Suspend, Reinstate, Revoke ───────────────────────────────────────────────► intent ──► ledger ──► sealed
//
// The service is plain Go; http.go maps it to OpenID4VCI 1.0 for wallets and to an admin API for clerks. [Issuer.Run]
// brings entries onto the chain: one after another, as sequence numbers demand, each batch written down as an intent
// before it is sent, so that after a crash the same bytes are sent again and the ledger answers with the same receipt.
//
// Claims leave the issuer in two directions only: to the wallet that answered the offer, and to clerks. The ledger gets
// commitments. Errors and logs have neither claims nor persons, nor any code, token or key.
package issuer

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/egress"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/internal/oauth/dpop"
	"github.com/bulla-id/bulla/internal/oauth/once"
	"github.com/bulla-id/bulla/internal/officers"
	"github.com/bulla-id/bulla/internal/outbox"
	"github.com/bulla-id/bulla/internal/webapi"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// Config is what an issuer needs.
type Config struct {
	DID     string            // as registered on the chain
	Name    credential.Text   // for people
	URL     string            // credential issuer identifier, as registered: https, or http on loopback; may have a path
	Genesis credential.Digest // the chain
	Schemas []*credential.Schema
	// Registers are the enrolment registers that the schemas name. An issuer's own, named by its DID, is made in Store
	// if it is not among them.
	Registers        []*Register
	SubjectRegisters []*SubjectRegister
	// Approvals is how many officers must approve a case of a schema, by its type, besides who wrote it. Where it is more than 0,
	// credentials are offered, reinstated and revoked by cases only; suspending, which can be taken back, needs one officer.
	Approvals map[string]int
	// Companions are the types of the schemas whose credentials can have companions: ordinary credentials of the same data, by which their
	// holder can be recognised (doc/spec/sdjwt.md). They need Keys.Companion.
	Companions []string
	// Providers are the agency's own issuers of access tokens for the admin API, beside the built-in one.
	Providers []oauth.Provider
	// Clients are the agency's software that may ask the built-in authorization server for tokens; nil: there is none.
	Clients oauth.Clients
	// WalletRate bounds how often one client may call the endpoints that are for wallets; the zero value: as often as it likes.
	WalletRate webapi.RateConfig
	// Egress is whom webhooks may call; the zero value: port 443 of public addresses over https.
	Egress egress.Config
	// WebhookRetry is for how long a webhook's message is tried; 0: three days.
	WebhookRetry time.Duration
	EnrolmentKey *keys.VerifyingKey // that enrolment proofs must verify under; listed on the chain
	Keys         Keys
	Store        Store
	Ledger       Ledger
	// View is the newest view of the chain, nil before there is one: the admin API says by it which keys are registered. Nil: it does not say.
	View func() *client.View
	// AcceptLoss lets the issuer go on although the chain has entries of its that the records lack. Without it a
	// restored backup that is too old is noticed and refused.
	AcceptLoss bool

	OfferLifetime time.Duration // of a pre-authorized code; 0: one hour
	// TokenLifetime is how long an access token is good for; 0: 24 hours. It is for one credential, and once that is on
	// the chain only for whoever proves to hold it: a wallet can fetch it after a long outage of the ledger.
	TokenLifetime time.Duration
	NonceLifetime time.Duration    // 0: 5 minutes
	SealWait      time.Duration    // how long one request waits for the seal; 0: 20 s
	RetryPause    time.Duration    // before the ledger is asked again after a failure; 0: one second
	AnchorEvery   time.Duration    // how old the newest anchor of the audit log may get while there is something new; 0: 24 hours
	Clock         func() time.Time // nil: time.Now
	Logger        *slog.Logger     // nil: slog.Default()
}

// Issuer is one agency. Its methods are safe for concurrent use. Nothing gets onto the chain but while Run runs.
type Issuer struct {
	cfg            Config
	base           string               // the path of URL, without a slash at the end
	schemas        map[string]*schema   // by type
	companions     map[string]*schema   // those that have companions, by the id of their configuration
	registers      map[string]*Register // those that the schemas use, by name
	admin          *webapi.Authority
	officers       *oauth.Resource // who may call the admin API
	directory      *officers.Directory
	server         *oauth.Endpoint // tokens for the agency's software; nil: none
	followers      chan struct{}   // room for those who follow a case
	imports        chan struct{}   // room for those under way
	webhooks       *outbox.Outbox
	possession     *dpop.Verifier // of wallets' keys
	tagKey         []byte
	process        string // tells this life of ours from others
	idempotencyKey []byte
	nonceKey       []byte

	mu      sync.Mutex // guards the rows of Store: whoever reads to write holds it
	flights flights
	waits   map[string]*wait // by order, for those under way
	tasks   map[string]bool  // by case, for changes under way
	queue   chan *request
	sealing chan *flight
	lists   servedLists
	running atomic.Bool // Run is past recovery and has not failed

	newsMu  sync.Mutex    // guards changed
	changed chan struct{} // closed and replaced when a case changes
}

// schema is a schema with what belongs to it.
type schema struct {
	*credential.Schema
	id       credential.Element
	register *Register
	subjects *SubjectRegister // nil if credentials have no subject
}

const (
	maxQueue      = 4096 // requests waiting for Run
	maxUnsealed   = 1024 // entries sent and not yet sealed
	purgeInterval = time.Minute
)

// New checks the configuration and that the records belong to this agency and chain. It does not reach out.
func New(cfg Config) (*Issuer, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	cfg.setDefaults()
	u, err := parseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	i := &Issuer{
		cfg: cfg, base: u.Path, schemas: make(map[string]*schema), registers: make(map[string]*Register),
		companions: make(map[string]*schema), lists: servedLists{known: make(map[uint64]*servedList)},
		flights: flights{under: make(map[uint64]*flight)}, tagKey: subkey(cfg.Keys.Records, "persons"), nonceKey: subkey(cfg.Keys.Records, "nonces"),
		idempotencyKey: subkey(cfg.Keys.Records, "idempotency"), process: webapi.RandomID(),
		waits: make(map[string]*wait), tasks: make(map[string]bool), changed: make(chan struct{}), followers: make(chan struct{}, maxFollowers), imports: make(chan struct{}, maxImports), queue: make(chan *request, maxQueue), sealing: make(chan *flight, maxUnsealed),
		admin: AdminAuthority(cfg.URL, cfg.Keys.Admin, cfg.Clock),
	}
	if err := i.openAccess(); err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	i.webhooks, err = outbox.New(outbox.Config{Store: cfg.Store, Types: EventTypes(), Egress: cfg.Egress, RetryFor: cfg.WebhookRetry, Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	if i.possession, err = possession(cfg.Clock); err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	for _, s := range cfg.Schemas {
		if err := i.addSchema(s); err != nil {
			return nil, fmt.Errorf("new issuer: %w", err)
		}
	}
	if err := i.openCompanions(); err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	if err := i.claimStore(); err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	if err := i.openCounts(); err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	if err := i.findWaiting(); err != nil {
		return nil, fmt.Errorf("new issuer: %w", err)
	}
	return i, nil
}

// maxProofs is how many proofs of possession are remembered against replay; those of wallets without a good code or token are not.
const maxProofs = 1 << 16

// possession checks wallets' proofs of possession. Nonces are taken and not asked for: a proof without one is fresh for a minute.
func possession(clock func() time.Time) (*dpop.Verifier, error) {
	nonces, err := dpop.NewNonces(nil, 5*time.Minute, clock)
	if err != nil {
		return nil, err
	}
	return dpop.New(dpop.Config{Clock: clock, Replays: once.NewMemory(maxProofs, clock), Nonces: nonces})
}

func (cfg *Config) validate() error {
	if err := entry.ValidateDID(cfg.DID); err != nil {
		return err
	}
	switch {
	case cfg.Name.English == "" && cfg.Name.Chinese == "":
		return errors.New("the name is missing")
	case cfg.Genesis.IsZero():
		return errors.New("the genesis hash is missing")
	case len(cfg.Schemas) == 0:
		return errors.New("there is no schema to issue under")
	case cfg.EnrolmentKey == nil || cfg.EnrolmentKey.Name() != circuits.Enrolment:
		return fmt.Errorf("a verifying key of %s is needed", circuits.Enrolment)
	case cfg.Store == nil || cfg.Ledger == nil:
		return errors.New("store or ledger is missing")
	}
	return errors.Join(cfg.validateApprovals(), cfg.Keys.validate(), cfg.WalletRate.Validate())
}

func (cfg *Config) setDefaults() {
	set := func(d *time.Duration, byDefault time.Duration) {
		if *d <= 0 {
			*d = byDefault
		}
	}
	set(&cfg.OfferLifetime, time.Hour)
	set(&cfg.TokenLifetime, 24*time.Hour)
	set(&cfg.NonceLifetime, 5*time.Minute)
	set(&cfg.SealWait, 20*time.Second)
	set(&cfg.RetryPause, time.Second)
	set(&cfg.AnchorEvery, 24*time.Hour)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Logger = cfg.Logger.With(slog.String("issuer", cfg.DID))
}

var pathPattern = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// parseURL refuses identifiers that wallets would have to write in two ways, and plain http off loopback: claims would
// travel in the clear.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != text || !plainPath(u) {
		return nil, fmt.Errorf("URL %.100q is not an absolute URL with a plain path and no slash at the end", text)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return nil, fmt.Errorf("URL %.100q is neither https nor http on loopback", text)
	}
	return u, nil
}

// ValidateURL says whether a text can be a credential issuer identifier.
func ValidateURL(text string) error {
	_, err := parseURL(text)
	return err
}

// plainPath refuses escapes and dots, which a server could read in another way.
func plainPath(u *url.URL) bool {
	return pathPattern.MatchString(u.EscapedPath()) && (u.Path == "" || path.Clean(u.Path) == u.Path)
}

func (i *Issuer) addSchema(s *credential.Schema) error {
	id, err := s.ID()
	if err != nil {
		return err
	}
	if _, known := i.schemas[s.Type]; known {
		return fmt.Errorf("schema %s stands twice", s.Type)
	}
	known := &schema{Schema: s, id: id}
	if known.register, err = i.register(s.Register(i.cfg.DID)); err != nil {
		return fmt.Errorf("schema %s: %w", s.Type, err)
	}
	for _, r := range i.cfg.SubjectRegisters {
		if r.Name() == s.SubjectRegister {
			known.subjects = r
		}
	}
	if s.SubjectRegister != "" && known.subjects == nil {
		return fmt.Errorf("schema %s: there is no subject register %s", s.Type, s.SubjectRegister)
	}
	i.schemas[s.Type], i.registers[known.register.Name()] = known, known.register
	return nil
}

func (i *Issuer) register(name string) (*Register, error) {
	for _, r := range i.cfg.Registers {
		if r.Name() == name {
			return r, nil
		}
	}
	if name != i.cfg.DID {
		return nil, fmt.Errorf("there is no enrolment register %s", name)
	}
	own, err := NewRegister(RegisterConfig{Name: name, Store: i.cfg.Store, RecordKey: i.cfg.Keys.Records})
	if err != nil {
		return nil, err
	}
	i.cfg.Registers = append(slices.Clone(i.cfg.Registers), own)
	return own, nil
}

// state is the row that says whose records these are.
type state struct {
	DID     string            `json:"did"`
	Genesis credential.Digest `json:"genesis"`
	Next    uint64            `json:"next"` // sequence number of the next entry
}

// claimStore takes a new store, or checks that it is this agency's on this chain.
func (i *Issuer) claimStore() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	tx := begin(i.cfg.Store)
	var s state
	switch err := tx.get(rowState, &s); {
	case errors.Is(err, ErrAbsent):
		tx.put(rowState, state{DID: i.cfg.DID, Genesis: i.cfg.Genesis})
		return tx.commit()
	case err != nil:
		return err
	case s.DID != i.cfg.DID || s.Genesis != i.cfg.Genesis:
		return fmt.Errorf("the records are of %s on chain %s, not of %s on chain %s", s.DID, s.Genesis, i.cfg.DID, i.cfg.Genesis)
	}
	return nil
}

func (i *Issuer) now() credential.UnixTime { return credential.UnixTimeOf(i.cfg.Clock()) }

// URL is the credential issuer identifier.
func (i *Issuer) URL() string { return i.cfg.URL }

// DID is the issuer's name on the chain.
func (i *Issuer) DID() string { return i.cfg.DID }

// AdminToken makes an access token for the admin API.
func (i *Issuer) AdminToken(client string, scopes []string, lifetime time.Duration) (string, error) {
	for _, s := range scopes {
		if !strings.Contains(" "+strings.Join(Scopes, " ")+" ", " "+s+" ") {
			return "", fmt.Errorf("there is no scope %.100q", s)
		}
	}
	return i.admin.Issue(client, scopes, lifetime)
}

// Keys are an issuer's secrets.
type Keys struct {
	Signing *jose.SigningKey // signs entries; its public key is registered on the chain
	Admin   *jose.SigningKey // signs access tokens of the admin API
	Records []byte           // 32 bytes: hides persons in the keys of rows; records are encrypted under keys derived from it
	// Companion signs companion credentials and their status lists, and nothing on the chain. nil: there are none.
	Companion *jose.SigningKey
	// CompanionRetired did so before, and are published as long as companions of theirs may be good.
	CompanionRetired []jose.PublicKey
}

func (k Keys) validate() error {
	if k.Signing == nil || k.Admin == nil || len(k.Records) != RecordKeySize {
		return fmt.Errorf("signing key, admin key and a record key of %d bytes are needed", RecordKeySize)
	}
	if k.Companion == nil {
		return nil
	}
	// A signature of one kind must never pass for one of another, nor a stolen key be good for both.
	for _, other := range []*jose.SigningKey{k.Signing, k.Admin} {
		if k.Companion.Public() == other.Public() {
			return errors.New("companions need a signing key of their own")
		}
	}
	for n, retired := range k.CompanionRetired {
		if err := retired.Validate(); err != nil || retired == k.Companion.Public() || slices.Contains(k.CompanionRetired[:n], retired) {
			return errors.New("a retired key of companions is not a key, or stands twice")
		}
	}
	return nil
}

// LogValue hides the keys.
func (Keys) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Format hides the keys.
func (Keys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// KeyStore keeps secrets by name and makes them on first use, as internal/keystore does.
type KeyStore interface {
	SigningKey(name string, alg jose.Algorithm) (*jose.SigningKey, error)
	Random(name string, size int) ([]byte, error)
}

// LoadKeys reads the keys of an issuer from its key store.
func LoadKeys(store KeyStore) (k Keys, err error) {
	if k.Signing, err = store.SigningKey("issuer-signing", jose.EdDSA); err != nil {
		return k, fmt.Errorf("load issuer's signing key: %w", err)
	}
	if k.Admin, err = store.SigningKey("issuer-admin-tokens", jose.EdDSA); err != nil {
		return k, fmt.Errorf("load issuer's key of access tokens: %w", err)
	}
	// ES256: what most verifiers that are not ours take.
	if k.Companion, err = store.SigningKey("issuer-companions", jose.ES256); err != nil {
		return k, fmt.Errorf("load issuer's key of companions: %w", err)
	}
	if k.Records, err = store.Random("issuer-records", RecordKeySize); err != nil {
		return k, fmt.Errorf("load issuer's record key: %w", err)
	}
	return k, nil
}
